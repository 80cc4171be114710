"""Small pictures of work in progress."""

from __future__ import annotations

import numpy as np
from PIL import Image

from shared.wire import limits


def small(picture: np.ndarray) -> np.ndarray:  # [h, w, 3] uint8
    """Shrink `picture` [H, W, 3] uint8 so that it fits a preview; a smaller one stays as it is."""
    image = Image.fromarray(picture)
    image.thumbnail((limits.PREVIEW_SIDE, limits.PREVIEW_SIDE), Image.Resampling.BOX)
    return np.asarray(image)
