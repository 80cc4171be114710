"""Small pictures of work in progress."""

from __future__ import annotations

import numpy as np
from PIL import Image

SIDE = 256
"""Pixels of the longer side at most: 192 KiB, and a panel shows no more."""


def small(picture: np.ndarray) -> np.ndarray:  # [h, w, 3] uint8
    """Shrink `picture` [H, W, 3] uint8 so that it fits a square of `SIDE`; a smaller one stays as it is."""
    image = Image.fromarray(picture)
    image.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(image)
