"""The photo as training sees it: cropped to the person and scaled to the training size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from backend.stages import Observations
from shared.camera import Camera

MARGIN = 12
"""Pixels kept round the person, so that a halo costs."""


@dataclass(frozen=True)
class Target:
    """What the render of the photo's view should be."""

    rgb: Tensor  # [H, W, 3] premultiplied sRGB
    alpha: Tensor  # [H, W]
    camera: Camera

    def to(self, device: torch.device) -> Target:
        """The same target on another device."""
        return Target(self.rgb.to(device), self.alpha.to(device), self.camera)


def photo_target(observations: Observations, camera: Camera, size: int) -> Target:
    """The person's crop of the photo, its longer side at most `size` pixels."""
    x0, y0, x1, y1 = _crop(observations)
    view = camera.cropped(x0, y0, x1, y1)
    alpha = observations.alpha[y0:y1, x0:x1, None]
    premultiplied = np.concatenate([observations.foreground[y0:y1, x0:x1] / np.float32(255) * alpha, alpha], axis=2)
    scale = min(1.0, size / max(view.width, view.height))
    width, height = round(view.width * scale), round(view.height * scale)
    if scale < 1.0:
        channels = [Image.fromarray(premultiplied[..., c]) for c in range(4)]
        resized = [np.asarray(channel.resize((width, height), Image.Resampling.BOX)) for channel in channels]
        premultiplied = np.stack(resized, axis=2)
    image = torch.from_numpy(np.ascontiguousarray(premultiplied, dtype=np.float32))
    return Target(image[..., :3].contiguous(), image[..., 3].contiguous(), view.resized(width, height))


def _crop(observations: Observations) -> tuple[int, int, int, int]:
    height, width = observations.alpha.shape
    rows, columns = np.nonzero(observations.alpha > 0.02)
    return (
        max(int(columns.min()) - MARGIN, 0),
        max(int(rows.min()) - MARGIN, 0),
        min(int(columns.max()) + 1 + MARGIN, width),
        min(int(rows.max()) + 1 + MARGIN, height),
    )
