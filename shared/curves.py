"""Smooth curves over time for made-up motion: minimum-jerk moves between keys, pulses, slow drift."""

from __future__ import annotations

import numpy as np


def minimum_jerk(progress: np.ndarray) -> np.ndarray:
    """Ease from 0 to 1 as a human hand does: the quintic that starts and ends at rest (Flash and Hogan, 1985)."""
    s = np.clip(progress, 0.0, 1.0)
    return s * s * s * (10 + s * (6 * s - 15))


def through_keys(
    times: np.ndarray,  # [F] seconds
    key_times: np.ndarray,  # [K] seconds, ascending
    values: np.ndarray,  # [K, D]
) -> np.ndarray:  # [F, D]
    """Move from key to key with minimum jerk; two equal keys in a row hold. Outside the keys the end values stand."""
    before, weight = _segments(times, key_times)
    after = np.minimum(before + 1, len(key_times) - 1)
    return values[before] + weight[:, None] * (values[after] - values[before])


def pulses(times: np.ndarray, centres: np.ndarray, width: float) -> np.ndarray:  # [F]
    """Sum of Gaussian bumps of height 1 at `centres` [P] seconds; `width` is their standard deviation in seconds."""
    return np.exp(-0.5 * ((times[:, None] - np.reshape(centres, (1, -1))) / width) ** 2).sum(axis=1)


def drift(times: np.ndarray, rng: np.random.Generator, hertz: float) -> np.ndarray:  # [F]
    """Aimless slow movement of about unit amplitude: three sines of unrelated frequencies below `hertz`."""
    frequencies = hertz * np.array([0.37, 0.61, 1.0])
    phases = rng.uniform(0, 2 * np.pi, 3)
    waves = np.sin(2 * np.pi * frequencies * times[:, None] + phases)
    return waves @ np.array([0.6, 0.5, 0.3])


def _segments(times: np.ndarray, key_times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each time the key before it [F] and how far it is towards the next one, eased [F] in [0, 1]."""
    before = np.clip(np.searchsorted(key_times, times, side="right") - 1, 0, len(key_times) - 1)
    after = np.minimum(before + 1, len(key_times) - 1)
    length = np.maximum(key_times[after] - key_times[before], 1e-9)
    return before, minimum_jerk((times - key_times[before]) / length)
