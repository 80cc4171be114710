"""Patterns that run round a limb: stripes, hems, cuffs, waistbands.

Where height along the bone explains a limb's colours, the far side has the near side's colour at the same height.
Stripes seldom lie square to the bone, so the planes of equal height may tilt; the tilt that explains most is taken.
"""

from __future__ import annotations

import numpy as np

BIN = 0.003
"""Metres of height that share one colour."""
SLOPES = np.linspace(-0.6, 0.6, 13)
"""Tried for the planes of equal height, sideways and forward."""
EXPLAINED = 0.6
"""Share of the colours' variance that height must explain for a pattern to be carried round."""
VARIED = 0.04
"""Standard deviation of the colours (sRGB in [0, 1]) below which there is no pattern to speak of."""
FEWEST = 500
"""Seen texels below which a pattern is not looked for."""
SAMPLES = 4000


def level_direction(
    position: np.ndarray,  # [D, 3] metres, rest pose: texels that the photo shows
    color: np.ndarray,  # [D, 3] theirs
    bone: np.ndarray,  # [3] unit
) -> np.ndarray | None:  # [3] unit
    """The normal of the planes of equal colour round `bone`; None if height does not explain the colours."""
    if len(color) < FEWEST:
        return None
    total = color.var(0).sum()
    if np.sqrt(total) < VARIED:
        return None
    sideways = np.cross(bone, [0.0, 0.0, 1.0])
    sideways = sideways / np.linalg.norm(sideways)
    forward = np.cross(sideways, bone)
    sample = slice(None, None, max(1, len(color) // SAMPLES))
    directions = [bone + a * sideways + b * forward for a in SLOPES for b in SLOPES]
    directions = [direction / np.linalg.norm(direction) for direction in directions]
    unexplained = [_scatter(position[sample] @ direction, color[sample]) for direction in directions]
    if 1 - min(unexplained) / total < EXPLAINED:
        return None
    return directions[int(np.argmin(unexplained))]


def _scatter(height: np.ndarray, color: np.ndarray) -> float:
    """Mean variance of the colours [D, 3] within bins of equal `height` [D]."""
    level = np.floor(height / BIN).astype(int)
    level -= level.min()
    count = np.maximum(np.bincount(level), 1)
    mean = np.stack([np.bincount(level, color[:, c]) for c in range(3)], axis=1) / count[:, None]
    return float(((color - mean[level]) ** 2).sum(1).mean())
