"""Which seen colours are the clothes' own, and which a badge's, a strap's or a shadow's.

Cloth goes round a limb, so its colours are met again beside themselves, at the same height. What is met in one place
only is a thing of that place: it stays where the photo shows it, and no unseen texel may borrow it.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from backend.avatar.limbs import Bone

BAND = 0.06
"""Metres along the bone that count as one height: wider than a stripe or a check."""
SECTORS = 36
"""Parts of the way round a bone."""
FEWEST = 12
"""Texels of a sector below which it counts as unseen."""
PRESENT = 0.2
"""Share of a sector's texels that must look like a colour for the colour to be there."""
RECURS = 0.9
"""Of the sectors that have the commonest colour at its height, the share that a colour of the cloth has, too."""
REACH = 0.025
"""Metres to each side within which a colour counts as met: checks leave gaps."""
ALIKE = 0.3
"""Distance of two shades, as `shade_of` measures it, that fold and light make of one colour."""
SKIN_ALIKE = 0.15
"""The same, of two colours of one skin."""
BRIGHTNESS = 0.4
"""Weight of brightness against hue in that distance."""
SOME = 0.02
"""Share of a limb's texels below which a shade is none of its cloth's."""
AROUND = 24
"""Texels near each that are asked whether they are cloth,"""
FAR, CLOSE = 40, 4
"""one of so many: within about 5 cm, or 2 cm."""
RIM = 0.02
"""Metres round a thing that are not taken for cloth: its border has a colour of its own, and casts a shadow."""
STEP = 0.125
"""Of that distance, to which shades are rounded."""


def recurring(
    position: np.ndarray,  # [D, 3] metres, rest pose: seen texels of one limb
    color: np.ndarray,  # [D, 3] sRGB in [0, 1]
    bone: Bone,
) -> np.ndarray:  # [D] bool
    """Whether each texel's colour is met all round the limb at its height, about as often as any other colour is."""
    if not len(position):
        return np.zeros(0, dtype=bool)
    shades, shade = _shades(color)
    alike = cdist(shades, shades) < ALIKE  # [S, S]
    band, sector = _cells(position, bone)
    count = np.zeros((band.max() + 1, SECTORS, len(shades)))  # of texels
    np.add.at(count, (band, sector, shade), 1.0)
    count = gaussian_filter1d(count, 0.7, axis=0)
    size = count.sum(2, keepdims=True)  # [bands, SECTORS, 1]
    there = np.clip(count @ alike / np.maximum(PRESENT * size, 1e-9), 0.0, 1.0)
    width = 2 * np.pi / SECTORS * np.median(np.linalg.norm(bone.across(position), axis=1))  # metres, of a sector
    there = maximum_filter1d(there, 2 * round(REACH / width) + 1, axis=1, mode="wrap")
    recurs = (there * (size >= FEWEST)).sum(1)  # [bands, S] sectors
    cloth = (recurs >= RECURS * recurs.max(1, keepdims=True))[band, shade]
    cloth &= ~near(position, ~cloth & among(position, ~cloth, CLOSE), RIM)
    return cloth & among(position, cloth, FAR)


def met_among(color: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which colours [D, 3] are those of some `others` [O, 3], not of one or two only, [D] bool."""
    shades, shade = _shades(color)
    known, which = _shades(others)
    share = (cdist(shades, known) < ALIKE) @ np.bincount(which, minlength=len(known)) / max(len(others), 1)
    return (share > SOME)[shade]


def skin_like(color: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Which colours [D, 3] are those of a `face` [F, 3] in some light, [D] bool; none are if no face is seen."""
    if not len(face):
        return np.zeros(len(color), dtype=bool)
    return np.linalg.norm(shade_of(color) - shade_of(np.median(face, axis=0, keepdims=True)), axis=1) < SKIN_ALIKE


def near(position: np.ndarray, which: np.ndarray, reach: float) -> np.ndarray:
    """Whether each of [D, 3] lies within `reach` metres of one that is `which` [D]."""
    return np.isfinite(cKDTree(position[which]).query(position, distance_upper_bound=reach)[0])


def among(position: np.ndarray, which: np.ndarray, stride: int) -> np.ndarray:
    """Whether most texels near each of [D, 3] are among `which` [D]: the white of a badge is no white cloth."""
    some = slice(None, None, stride)
    nearest = cKDTree(position[some]).query(position, k=min(AROUND, len(position[some])))[1]
    return which[some][nearest].reshape(len(position), -1).mean(1) > 0.5


def shade_of(color: np.ndarray) -> np.ndarray:
    """Hue, and a little of brightness, [D, 4]: the same cloth in light and in shade is about the same."""
    brightness = color.mean(1, keepdims=True)
    return np.concatenate([(color - brightness) / (brightness + 0.1), BRIGHTNESS * brightness], axis=1)


def _shades(color: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The shades [S, 4] that colours [D, 3] have, rounded, and which of them each has, [D]."""
    shades, shade = np.unique(np.round(shade_of(color) / STEP), axis=0, return_inverse=True)
    return shades * STEP, shade.reshape(-1)


def _cells(position: np.ndarray, bone: Bone) -> tuple[np.ndarray, np.ndarray]:
    """Height band and sector round the bone of points [D, 3]; each [D] int."""
    height = np.floor(bone.height(position) / BAND).astype(int)
    sideways, forward = bone.square()
    across = bone.across(position)
    angle = np.arctan2(across @ forward, across @ sideways) / (2 * np.pi) + 0.5
    return height - height.min(), np.minimum((angle * SECTORS).astype(int), SECTORS - 1)
