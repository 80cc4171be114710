"""Hair that the photo does not show: the seen hair's colours, smooth and alike on both sides, drawn in strands.

A photo shows little of a head's hair, and its outline catches the light. Copies of it turn into caps and stripes behind
the head; what makes hair look like hair there is that it varies from lock to lock, and less along them.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from backend.avatar.blend import blended
from backend.avatar.limbs import mirrored
from backend.avatar.noise import log_brightness, smooth_noise

BEHIND = 0.045
"""Metres from the middle between the ears back to where all is hair."""
EAR_TOP, EAR_LOBE, EAR_FRONT, EAR_BACK = 0.045, -0.02, 0.015, -0.02
"""Metres from there up to an ear's top and its lobe, forward to its front and back."""
SKIN_FARTHER = 2.0
"""How much farther skin counts than hair."""
PROBES = 600
"""Seen texels at which their variety is measured."""
WIDTHS = (0.003, 0.009)
"""Metres across strands and locks."""
WAVE = 0.006
"""Metres by which strands swerve."""
STRAIGHT = 0.45
"""How far strands run down a head rather than lie as they please: 1 makes stripes, 0 lichen."""
LENGTHS = np.array([1.0, 1.0, 3.3])
"""How many times farther a shade holds down the head than across it."""
LOCAL = 0.01
"""Metres of seen hair round a texel from which its shade is counted."""
STRONGEST = 0.18
"""Largest variation between strands (standard deviation of log brightness) that is copied: that of curls would make
stripes."""


def hair_colors(
    query: np.ndarray,  # [U, 3] metres, rest pose: unseen texels of hair
    donors: np.ndarray,  # [D, 3] seen ones
    color: np.ndarray,  # [D, 3] sRGB in [0, 1], theirs
    centre: np.ndarray,  # [3] of the head, between the ears
) -> np.ndarray:  # [U, 3] sRGB in [0, 1]
    """Colours for unseen hair: a blend of seen hair on either side, times the strands' own shades."""
    sides = np.concatenate([donors, mirrored(donors, centre[0])])
    base = blended(query, sides, np.concatenate([color, color]))
    shade = np.exp(_variation(donors, color) * _strands(query - centre))
    return np.clip(base * shade[:, None], 0.0, 1.0)


def is_hair(
    query: np.ndarray,  # [U, 3] metres, rest pose: unseen texels of a head that has hair
    hair: np.ndarray,  # [D, 3] texels where the photo shows hair
    skin: np.ndarray,  # [S, 3] where it shows the head's skin
    centre: np.ndarray,  # [3] between the ears
) -> np.ndarray:  # [U] bool
    """Behind the ears and over the hairline all is hair; elsewhere what is not much nearer to seen skin."""
    bare = under_ears(query, centre)
    if not len(skin):
        return ~bare
    _, up, forward = (query - centre).T
    behind = (forward < -BEHIND) | ((forward < EAR_BACK) & (up > 0))
    apart = [cKDTree(np.concatenate([seen, mirrored(seen, centre[0])])).query(query)[0] for seen in (hair, skin)]
    return ~bare & (behind | _over_the_hairline(query, hair, centre) | (apart[0] < SKIN_FARTHER * apart[1]))


def under_ears(position: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """What of a head [M, 3] lies under its ears, before the nape, [M] bool: hair falls there, and none grows."""
    _, up, forward = (position - centre).T
    return (up < EAR_LOBE) & (forward > EAR_BACK)


def _over_the_hairline(query: np.ndarray, hair: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """What lies over a line [U] bool, drawn from the lowest hair that is seen over the ears to an ear's top."""
    ear = centre + np.array([0.0, EAR_TOP, EAR_FRONT])
    seen = (hair - ear)[hair[:, 1] > ear[1]]
    if not len(seen):
        return np.zeros(len(query), dtype=bool)
    _, rise, run = seen[seen[:, 1].argmin()]
    _, up, forward = (query - ear).T
    return (up > 0) & (up * max(run, 0.01) > forward * rise)


def _variation(donors: np.ndarray, color: np.ndarray) -> float:
    """Standard deviation of log brightness among seen hair within `LOCAL` of each other."""
    shade = log_brightness(color)
    near = cKDTree(donors).query_ball_point(donors[:: max(1, len(donors) // PROBES)], LOCAL)
    return min(float(np.median([shade[ids].std() for ids in near])), STRONGEST)


def _strands(offset: np.ndarray) -> np.ndarray:
    """Noise [U] of about unit variance at points [U, 3] from the head's centre, longer down the head than across it."""
    beside = offset[:, [0, 2]]
    radius = np.maximum(np.linalg.norm(beside, axis=1, keepdims=True), 1e-3)
    across = beside * (np.median(radius) / radius) ** STRAIGHT
    down = offset[:, 1].max(initial=0.0) - offset[:, 1:2] + STRAIGHT * radius
    places = np.concatenate([across, down], axis=1)
    places[:, :2] += WAVE * np.stack([smooth_noise(places, 0.03 * LENGTHS, seed) for seed in (1, 2)], axis=1)
    return np.sum([smooth_noise(places, width * LENGTHS, seed=3 + k) for k, width in enumerate(WIDTHS)], axis=0)
