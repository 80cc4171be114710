"""Smooth noise in space, for what a photo does not show and what is never quite even."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates


def smooth_noise(
    places: np.ndarray,  # [U, 3] metres
    width: np.ndarray,  # [3] metres over which it varies, along each axis
    seed: int,
) -> np.ndarray:  # [U]
    """Normally distributed values on a grid, blended between."""
    at = (places - places.min(0)).T / width[:, None]
    grid = np.random.default_rng(seed).standard_normal(np.ceil(at.max(1)).astype(int) + 2)
    return map_coordinates(grid, at, order=1)
