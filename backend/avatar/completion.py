"""Colours for what the photo does not show, copied from where it shows the like.

An unseen texel looks for the nearest seen one of its own limb, of its limb reflected front to back through the
bone (clothes go round), and of the twin limb; a copy from farther symmetry must be nearer to win. Stripes that run
round a limb go on at their height. Face skin never lends to the scalp nor hair to the face, sleeves never to hands;
eyes are completed round their axis; what lies inside the mouth has colours of its own.
"""

from __future__ import annotations

import numpy as np

from backend.avatar.anatomy import Anatomy
from backend.avatar.eyes_and_mouth import fill_eye, paint_mouth
from backend.avatar.lending import LENDING, ROUND, Limb, Pose, borrow, pattern_offer, symmetry_offers
from backend.avatar.limbs import LIMB_NAMES
from backend.avatar.projection import Evidence


def complete(evidence: Evidence, anatomy: Anatomy, pose: Pose) -> np.ndarray:
    """Colours [M, 3] for all texels: the photo's where known, copies elsewhere."""
    color = evidence.color.copy()
    lender = evidence.known & np.isin(anatomy.part, ["skin", "hair"]) & (evidence.facing > LENDING)
    for index in range(len(LIMB_NAMES) + 1):
        _fill(color, Limb(index, False, evidence, lender, anatomy, pose))
        _fill(color, Limb(index, True, evidence, lender & ~anatomy.lid, anatomy, pose))
    for eye in ("left_eye", "right_eye"):
        fill_eye(color, evidence.known, anatomy, eye, pose.joints)
    paint_mouth(color, evidence.known, anatomy)
    return color


def _fill(color: np.ndarray, limb: Limb) -> None:
    """Fill the unseen texels of one limb in place."""
    unseen = np.flatnonzero(limb.members & ~limb.evidence.known)
    if not len(unseen):
        return
    position = limb.anatomy.position
    level = limb.level(color)
    lost = np.zeros(0, dtype=unseen.dtype)
    if level is not None:
        runs_round = np.abs(limb.anatomy.normal[unseen] @ level) < ROUND
        lost = borrow(color, unseen[runs_round], [pattern_offer(limb, unseen[runs_round], level)], position)
        unseen = unseen[~runs_round]
    lost = np.concatenate([lost, borrow(color, unseen, symmetry_offers(limb, unseen), position)])
    color[lost] = _typical(color, limb)


def _typical(color: np.ndarray, limb: Limb) -> np.ndarray:
    """A palette colour for a limb the photo does not show at all: hands like the face, the rest like the clothes."""
    known, face = limb.evidence.known, limb.anatomy.face
    lenders = known & (face if limb.name.endswith("hand") else ~face)
    lenders = lenders if lenders.any() else known
    return np.median(color[lenders], axis=0) if lenders.any() else np.full(3, 0.5)
