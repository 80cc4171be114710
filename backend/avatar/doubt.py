"""What the photo seems to say of a texel and does not: where the fit guessed, at outlines, and beside hair."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from backend.avatar.anatomy import Anatomy
from backend.avatar.limbs import LIMB_NAMES
from backend.avatar.projection import FACING, Evidence
from backend.avatar.recurring import met_among
from backend.avatar.strands import under_ears
from backend.registration.confidence import LOW

FACE_RIM = 0.6
"""Cosine to the view below which a face's skin is its rim: neither colours beside hair nor training's are trusted."""
GRAZING = 0.6
"""Cosine to the view below which a texel's colour in the photo is not trusted wholly."""
BESIDE_AN_EDGE = 0.4
"""How much it is trusted next to an edge, where pixels mix two surfaces."""
GUESSED = {
    **{f"{side}_hand": f"{side}_hand" for side in ("left", "right")},
    **{f"{side}_forearm": f"{side}_arm" for side in ("left", "right")},
}
"""Limb -> the part of the fit without whose confidence nobody knows where it is."""
HANDS = [LIMB_NAMES.index(f"{side}_hand") for side in ("left", "right")]
OVERHANG = 0.06
"""Metres by which the outline of an arm may be wrong that lies before the body."""
ARMS = [LIMB_NAMES.index(name) for name in LIMB_NAMES if name.endswith("arm")]
BEFORE = 2.0
"""Pixels from an arm's texel within which it lies before another."""
ASKED = 5
"""Texels of an arm, nearest in the picture, most of which must show what lies behind for that to be seen."""
DOUBTFUL = 0.75
"""Share of an arm, nearest to that outline, that may be doubted at most: the rest must tell what it wears."""


def guessed(parts: Anatomy, confidence: dict[str, float]) -> np.ndarray:
    """Texels [M] bool of hands and forearms that the fit had to guess."""
    limbs = [LIMB_NAMES.index(limb) for limb, part in GUESSED.items() if confidence.get(part, 1.0) < LOW]
    return np.isin(parts.limb, limbs)


def mistaken(parts: Anatomy, evidence: Evidence, ears: np.ndarray) -> np.ndarray:
    """Texels [M] bool that the photo shows something else at: lids, and what is under hair. `ears` [3] lie beside it.

    An open lid is a few texels between lash and crease; a blink would draw their shadow over the whole eye. Hair at
    the side of a face hangs off it, and would stain the cheek when the head turns, and so would strands the clothes.
    """
    off_the_head = ~np.isin(parts.limb, [LIMB_NAMES.index("head"), len(LIMB_NAMES)])
    behind_hair = evidence.hairline & parts.face & (evidence.facing < FACE_RIM)
    bald = off_the_head | (under_ears(parts.position, ears) & ~parts.face & (parts.part == "skin"))
    behind_hair |= (evidence.hairline | evidence.hair) & bald
    return parts.lid | behind_hair


def trust(evidence: Evidence, parts: Anatomy) -> np.ndarray:
    """How much the photo's colour of each texel [M] is its own: less where it is seen flat, or next to an edge.

    At a face's rim training paints what hangs or lies beside it, in dots that look like dirt on a cheek.
    """
    facing = np.clip(evidence.facing / GRAZING, 0.0, 1.0)
    rim = parts.face & (evidence.facing < FACE_RIM)
    seen = np.where(evidence.known, facing, np.where(evidence.visible, np.minimum(facing, BESIDE_AN_EDGE), 0.0))
    return np.where(rim, 0.0, seen)


def seen_past_arms(evidence: Evidence, anatomy: Anatomy) -> np.ndarray:
    """Texels [M] bool of arms that show what lies behind them: a badge on the chest, cut by the arm's outline.

    No matte ends there, so the outline is the fit's guess: a colour met near it and not farther in is not the arm's.
    """
    past = np.zeros(len(evidence.known), dtype=bool)
    for index in ARMS:
        arm = np.flatnonzero(evidence.visible & (anatomy.limb == index))
        arm = arm[np.argsort(evidence.to_outline[arm])]
        near = np.arange(len(arm)) < DOUBTFUL * len(arm)
        doubtful = near & (evidence.to_outline[arm] < OVERHANG)
        sure = arm[~doubtful & evidence.known[arm]]
        past[arm[doubtful]] = ~met_among(evidence.color[arm[doubtful]], evidence.color[sure])
    return past


def shown_past_arms(evidence: Evidence, anatomy: Anatomy, past: np.ndarray) -> np.ndarray:
    """Texels [M] bool of a trunk that the photo shows where the fit has an arm, whose texels `past` [M] say so."""
    arms = np.flatnonzero(evidence.visible & np.isin(anatomy.limb, ARMS))
    trunk = anatomy.limb == LIMB_NAMES.index("trunk")
    behind = np.flatnonzero(trunk & ~evidence.bared & (evidence.facing > FACING))
    shown = np.zeros(len(past), dtype=bool)
    if len(arms) >= ASKED:
        apart, nearest = cKDTree(evidence.pixels[arms]).query(evidence.pixels[behind], k=ASKED)
        shown[behind] = (apart[:, 0] < BEFORE) & (past[arms[nearest]].mean(1) > 0.5)
    return shown
