"""The matte's outline, to sub-pixel precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter


@dataclass(frozen=True)
class Outline:
    """Points on the matte's 0.5 contour. The image border is not an outline."""

    points: np.ndarray  # [M, 2] pixels, pixel centres at +0.5
    normals: np.ndarray  # [M, 2] unit, pointing out of the person

    def where(self, keep: np.ndarray) -> Outline:
        """Only the points where `keep` [M] is true."""
        return Outline(self.points[keep], self.normals[keep])


def matte_outline(alpha: np.ndarray) -> Outline:
    """Where `alpha` [H, W] crosses 0.5 between neighbouring pixels."""
    gradient = np.stack(np.gradient(gaussian_filter(alpha, 1.5))[::-1], axis=-1)
    points, normals = [], []
    for axis, step in ((0, (0.0, 1.0)), (1, (1.0, 0.0))):
        first, second = (alpha[:-1], alpha[1:]) if axis == 0 else (alpha[:, :-1], alpha[:, 1:])
        y, x = np.nonzero((first > 0.5) != (second > 0.5))
        fraction = (0.5 - first[y, x]) / (second[y, x] - first[y, x])
        points.append(np.stack([x, y], axis=-1) + 0.5 + fraction[:, None] * np.array(step))
        normals.append(-gradient[y, x])
    normal = np.concatenate(normals)
    length = np.linalg.norm(normal, axis=1)
    steep = length > 1e-4
    return Outline(np.concatenate(points)[steep], normal[steep] / length[steep, None])
