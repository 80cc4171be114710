"""What the matte says: the body lies inside it.

It does not say where inside. Drawing the body's own rim to the matte's outline, even where that is within a
centimetre, was tried: the body grows into its clothes and the joints move by millimetres the wrong way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from backend.body.posing import Posable
from backend.stages import Observations
from shared.skeleton import JOINT_INDEX

from .rig import Rig

BARE_SIGMA, CLOTHED_SIGMA = 0.006, 0.012
"""Metres by which the body may stand out of the matte, where skin shows and under clothes."""
BARE_JOINTS = ("head", "jaw", "neck", "left_foot", "right_foot")
SHARE = 0.5
"""Neighbouring samples err together; this makes them count as half as many."""
WRONG_AFTER = 5.0
"""Sigmas past which it is the matte that is wrong."""


@dataclass(frozen=True)
class Silhouette:
    """Samples of the body's surface, and for each pixel the nearest one of the matte."""

    points: Posable  # S of them
    nearest: Tensor  # [H, W, 2] pixels (x, y), the centre of the nearest matte pixel
    inside: Tensor  # [H, W] bool
    sigma: Tensor  # [S] metres

    def robustness(self) -> tuple[Tensor, Tensor]:
        """Weight and scale of each row, [S] and [S]."""
        return torch.full_like(self.sigma, SHARE), torch.full_like(self.sigma, WRONG_AFTER)

    def residuals(self, pixels: Tensor, pixels_per_metre: float) -> Tensor:
        """Vectors [B, S, 2] from the matte to the points at `pixels` [B, S, 2], in sigmas; 0 in it or off the picture.

        The nearest pixel is that of the first of the B bodies: the others are tiny steps away from it.
        """
        height, width = self.inside.shape
        column, row = pixels[0].floor().long().unbind(1)
        seen = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        column, row = column.clamp(0, width - 1), row.clamp(0, height - 1)
        weight = (seen & ~self.inside[row, column]) / (self.sigma * pixels_per_metre)
        return (pixels - self.nearest[row, column]) * weight[:, None]


def silhouette(observations: Observations, rig: Rig) -> Silhouette:
    """The surface belongs inside the matte, more strictly so where skin shows."""
    inside = observations.alpha > 0.5
    rows, columns = distance_transform_edt(~inside, return_distances=False, return_indices=True)
    nearest = torch.from_numpy(np.stack([columns, rows], axis=-1) + 0.5)
    fingers = rig.surface_joint >= JOINT_INDEX["left_index1"]
    bare = fingers | np.isin(rig.surface_joint, [JOINT_INDEX[name] for name in BARE_JOINTS])
    sigma = torch.from_numpy(np.where(bare, BARE_SIGMA, CLOTHED_SIGMA))
    return Silhouette(rig.surface, nearest, torch.from_numpy(inside), sigma)
