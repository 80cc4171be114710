"""The shade of cloth that the photo does not show: light and dark in folds, as on the side that it does show."""

from __future__ import annotations

import numpy as np

from backend.avatar.noise import log_brightness, smooth_noise

WIDTHS = (0.02, 0.06)
"""Metres across creases and folds."""
LONGER = 2.5
"""How many times longer than wide they are, round the body."""
WAVE = 0.04
"""Metres by which they swerve."""
DEEPEST = 0.15
"""Largest variation of cloth in its folds (standard deviation of log brightness) that is copied."""
DEVIATION = 1.4826
"""Standard deviations in a median deviation, of normally distributed values: a pattern's edges do not count."""


def depth(
    color: np.ndarray,  # [D, 3] of seen cloth
    usual: np.ndarray,  # [D, 3] without folds
) -> float:
    """How deep the folds of seen cloth are: about the standard deviation of log brightness, at most `DEEPEST`."""
    return min(DEVIATION * float(np.median(np.abs(log_brightness(color) - log_brightness(usual)))), DEEPEST)


def folds(
    position: np.ndarray,  # [U, 3] metres, rest pose
    level: np.ndarray,  # [3] unit, along the limb
) -> np.ndarray:  # [U]
    """Noise of about unit variance, longer round the limb than along it."""
    along = position @ level + WAVE * smooth_noise(position, 0.15, seed=0)
    beside = position - (position @ level)[:, None] * level
    places = beside / LONGER + along[:, None] * level
    return np.sum([smooth_noise(places, width, seed) for seed, width in enumerate(WIDTHS, 1)], axis=0)
