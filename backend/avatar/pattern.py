"""Patterns that run round a limb: stripes, hems, cuffs, waistbands.

Where height along the bone explains a limb's colours, the far side has the near side's colour at the same height.
Stripes seldom lie square to the bone, so the planes of equal height may tilt; the tilt that explains most is taken.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import median

BIN = 0.003
"""Metres of height that share one colour."""
SLOPES = np.linspace(-0.5, 0.5, 21)
"""Tried for the planes of equal height, sideways and forward."""
EXPLAINED = 0.6
"""Share of the colours' variance that height must explain for a pattern to be carried round."""
TILT_COST = 0.3
"""Share of the variance that a slope of 1 must explain beyond a slope of 0."""
ALIKE = 0.01
"""Share of the variance by which two tilts explain about as much: the mean of the best is taken, not one of them."""
VARIED = 0.04
"""Standard deviation of the colours (sRGB in [0, 1]) below which there is no pattern to speak of."""
ENOUGH = 0.3
"""Share of what is seen at a height that is cloth, below which the next heights tell its colour."""
FEWEST = 500
"""Seen texels below which a pattern is not looked for."""
SAMPLES = 2000


Swatch = tuple[np.ndarray, np.ndarray]
"""Positions [D, 3] in metres, rest pose, and colours [D, 3] of a limb's cloth."""


def level_direction(
    plain: list[Swatch],  # of a limb and of its twin: what is seen plainly
    whole: list[Swatch],  # the same up to their outlines
    axis: np.ndarray,  # [3] unit, along the limb
) -> np.ndarray | None:  # [3] unit
    """The normal of the planes of equal colour round `axis`; None if height does not explain the plain colours.

    A photo shows half of a limb, and a tilt towards it shows most at the outlines: in another light, but at the same
    height. Limbs that are cut alike are asked together, and a tilt must explain the more the greater it is.
    """
    plain, whole = ([swatch for swatch in those if len(swatch[1]) >= FEWEST] for those in (plain, whole))
    if _variation(plain) < VARIED**2 * max(sum(len(color) for _, color in plain), 1):
        return None
    sideways = np.cross(axis, [0.0, 0.0, 1.0])
    sideways = sideways / np.linalg.norm(sideways)
    forward = np.cross(sideways, axis)
    slopes = np.stack(np.meshgrid(SLOPES, SLOPES), axis=-1).reshape(-1, 2)
    directions = axis + slopes @ np.stack([sideways, forward])
    directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    cost = TILT_COST * (slopes**2).sum(1)
    if (_explained(plain, directions) - cost).max() <= EXPLAINED:
        return None
    explained = _explained(whole, directions) - cost
    level = np.exp((explained - explained.max()) / ALIKE) @ directions
    return level / np.linalg.norm(level)


def usual_colors(
    height: np.ndarray,  # [D] metres of seen texels, across the pattern
    color: np.ndarray,  # [D, 3] theirs
    cloth: np.ndarray,  # [D] bool: what may be carried round
    query: np.ndarray,  # [U] metres
) -> np.ndarray:  # [U, 3]
    """The median colour of the cloth at each height; where little of what is seen is cloth, the next heights tell."""
    level = np.floor(height / BIN).astype(int)
    levels, which = np.unique(level, return_inverse=True)
    present = levels[np.bincount(which, cloth) >= ENOUGH * np.bincount(which)]
    usual = [median(color[cloth, c], level[cloth], present) for c in range(3)]
    return np.stack([np.interp(query / BIN, present + 0.5, channel) for channel in usual], axis=1)


def _explained(limbs: list[Swatch], directions: np.ndarray) -> np.ndarray:
    """Share [K] of the colours' variance that height along each of `directions` [K, 3] explains."""
    some = [(p[:: max(1, len(p) // SAMPLES)], c[:: max(1, len(c) // SAMPLES)], len(c)) for p, c in limbs]
    left = [sum(count * _scatter(p @ direction, c) for p, c, count in some) for direction in directions]
    return 1 - np.array(left) / _variation(limbs)


def _variation(limbs: list[Swatch]) -> float:
    return float(sum(len(color) * color.var(0).sum() for _, color in limbs))


def _scatter(height: np.ndarray, color: np.ndarray) -> float:
    """Mean variance of the colours [D, 3] within bins of equal `height` [D]."""
    level = np.floor(height / BIN).astype(int)
    level -= level.min()
    count = np.maximum(np.bincount(level), 1)
    mean = np.stack([np.bincount(level, color[:, c]) for c in range(3)], axis=1) / count[:, None]
    return float(((color - mean[level]) ** 2).sum(1).mean())
