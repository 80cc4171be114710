"""Smooth noise in space, in log brightness: what a photo does not show is never quite even either."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates

DARK = 0.02
"""Added to brightnesses of which the logarithm is taken."""


def smooth_noise(
    places: np.ndarray,  # [U, 3] metres
    width: float | np.ndarray,  # metres over which it varies, or [3] along each axis
    seed: int,
) -> np.ndarray:  # [U]
    """Normally distributed values on a grid, blended between."""
    at = ((places - places.min(0)) / width).T
    grid = np.random.default_rng(seed).standard_normal(np.ceil(at.max(1)).astype(int) + 2)
    return map_coordinates(grid, at, order=1)


def log_brightness(color: np.ndarray) -> np.ndarray:
    """Of colours [D, 3], sRGB in [0, 1], [D]: what noise is added to, and measured in."""
    return np.log(color.mean(1) + DARK)
