"""Colours for what the photo does not show, copied from where it shows the like.

Only what is plainly seen lends its colour, and of that only what is cloth rather than a thing on it. An unseen texel
looks for the nearest seen one of its own limb, of its limb reflected front to back through the bone (clothes go round),
and of the twin limb; a copy from farther symmetry must be nearer to win. Stripes that run round a limb go on at their
height. Unseen skin has no pattern but a tone. Face skin never lends to hair nor hair to the face, sleeves never to
hands; eyes are completed round their axis; what lies inside the mouth has colours of its own.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from backend.avatar.anatomy import Anatomy
from backend.avatar.blend import blended
from backend.avatar.eyes_and_mouth import fill_eye, paint_lashes, paint_mouth
from backend.avatar.lending import PLAINLY, Limb, Pose, borrow, carry_round, symmetry_offers
from backend.avatar.limbs import LIMB_NAMES
from backend.avatar.projection import Evidence
from backend.avatar.recurring import CLOSE, among, met_among, near, recurring, skin_like
from backend.avatar.skin import fill_bare, fill_face
from backend.avatar.strands import hair_colors, is_hair
from shared.skeleton import JOINT_INDEX

LENDING = 0.4
"""Cosine to the view below which a texel keeps its colour but does not lend it: outlines catch other light."""
BARELY_SEEN = 0.1
"""Share of a clothed limb that must be seen for it to lend: less is mostly the edge of something else."""
FEW = 50
"""Fewer hair texels than this are not trusted to colour a scalp."""
SHADED = 0.02
"""Metres from hair within which skin is darker than it is elsewhere."""
LOCK = 0.15
"""Metres from hair that falls over the trunk within which what looks like it may be hair, too."""
GROWS_FROM = {
    "neck": "trunk",
    **{f"{side}_upper_arm": "trunk" for side in ("left", "right")},
    **{f"{side}_forearm": f"{side}_upper_arm" for side in ("left", "right")},
    **{f"{side}_thigh": "trunk" for side in ("left", "right")},
    **{f"{side}_shin": f"{side}_thigh" for side in ("left", "right")},
    **{f"{side}_foot": f"{side}_shin" for side in ("left", "right")},
}
"""Clothed limb -> the one that its clothes go on from."""
SKIN = 70
"""Percentile of a face's colours that hands have: they have no lips, nostrils or lashes."""
ROUND = (0.5, 0.8)
"""Cosines between a texel's normal and the pattern's direction from which the surface begins to cap the limb, and from
which it does."""


def complete(evidence: Evidence, anatomy: Anatomy, pose: Pose) -> np.ndarray:
    """Colours [M, 3] for all texels: the photo's where known, copies elsewhere."""
    color = evidence.color.copy()
    lender = lenders(evidence, anatomy, pose)
    skin = lender & ~anatomy.lid & ~_beside_hair(evidence, anatomy)
    for face, own in ((True, skin), (False, lender)):
        for index in range(len(LIMB_NAMES) + 1):
            _fill(color, Limb(index, face, evidence, own, anatomy, pose))
    for eye in ("left_eye", "right_eye"):
        fill_eye(color, evidence.known, anatomy, eye, pose.joints)
    paint_lashes(color, evidence.known, anatomy)
    paint_mouth(color, evidence.known, anatomy)
    return color


def lenders(evidence: Evidence, anatomy: Anatomy, pose: Pose) -> np.ndarray:
    """Which texels [M] may lend their colour."""
    lender = evidence.known & np.isin(anatomy.part, ["skin", "hair"]) & (evidence.facing > LENDING)
    for index in range(len(LIMB_NAMES)):
        limb = Limb(index, False, evidence, lender, anatomy, pose)
        own = np.flatnonzero(limb.members & lender)
        if not limb.is_bare:
            enough = len(own) > BARELY_SEEN * limb.members.sum()
            lender[own] = enough & recurring(anatomy.position[own], evidence.color[own], limb.bone)
    others = [found(evidence, anatomy, lender) for found in (_neckline, _dark_hair, _lock_ends)]
    return _without(np.any(others, axis=0), lender, anatomy.position)


def _without(others: np.ndarray, lender: np.ndarray, position: np.ndarray) -> np.ndarray:
    """The lenders [M] bool that are not `others` [M] bool, nor single ones among those, which are what is left of them.

    One alone would colour all of a back at its height.
    """
    rest = lender & ~others
    if (lender & others).any():
        rest[lender] &= among(position[lender], rest[lender], CLOSE)
    return rest


def _beside_hair(evidence: Evidence, anatomy: Anatomy) -> np.ndarray:
    """Texels [M] bool at which there is hair, or so near to it that they lie in its shade or under single strands."""
    return near(anatomy.position, evidence.hair & evidence.visible, SHADED)


def _neckline(evidence: Evidence, anatomy: Anatomy, lender: np.ndarray) -> np.ndarray:
    """Bare skin [M] bool on a trunk that wears something: clothes are cut lower before the neck than behind it."""
    trunk = lender & (anatomy.limb == LIMB_NAMES.index("trunk"))
    bare = trunk & skin_like(evidence.color, evidence.color[lender & anatomy.face])
    return bare & (bare.sum() < 0.5 * trunk.sum())


def _lock_ends(evidence: Evidence, anatomy: Anatomy, lender: np.ndarray) -> np.ndarray:
    """What on a trunk goes on from hair that falls there, looks like it and is met nowhere else there, [M] bool.

    The hair mask may end before a lock does.
    """
    trunk = np.flatnonzero(lender & (anatomy.limb == LIMB_NAMES.index("trunk")))
    hair = evidence.hair & evidence.visible
    fallen = hair & (anatomy.limb == LIMB_NAMES.index("trunk"))
    ends = np.zeros_like(lender)
    if fallen.sum() > FEW and len(trunk):
        color = evidence.color[trunk]
        beside = cKDTree(anatomy.position[fallen]).query(anatomy.position[trunk])[0] < LOCK
        elsewhere = color[~beside]
        if len(elsewhere) > FEW:  # else the clothes of a bust, dark as its hair, would lend nothing
            ends[trunk] = beside & met_among(color, evidence.color[hair]) & ~met_among(color, elsewhere)
    return ends


def _dark_hair(evidence: Evidence, anatomy: Anatomy, lender: np.ndarray) -> np.ndarray:
    """What on a scalp with hair is neither a hair pixel nor like skin, [M] bool: locks in their own shadow."""
    scalp = lender & ~anatomy.face & (anatomy.limb == LIMB_NAMES.index("head"))
    dark = scalp & ~evidence.hair & ~skin_like(evidence.color, evidence.color[lender & anatomy.face])
    return dark & ((scalp & evidence.hair).sum() > FEW)


def _fill(color: np.ndarray, limb: Limb) -> None:
    """Fill the unseen texels of one limb in place."""
    unseen = np.flatnonzero(limb.members & ~limb.evidence.known)
    if not len(unseen):
        return
    if limb.has_hair:
        unseen = _fill_hair(color, limb, unseen)
    lost = _filled(color, limb, unseen)
    color[lost] = _like_the_next(color, limb, lost)


def _filled(color: np.ndarray, limb: Limb, unseen: np.ndarray) -> np.ndarray:
    """Fill them in place; returns those that nobody could lend to."""
    if limb.face:
        return fill_face(color, limb, unseen)
    if limb.is_bare:
        return fill_bare(color, limb, unseen)
    level = limb.level()
    if level is not None:
        unseen = _fill_round(color, limb, unseen, level)
    return borrow(color, unseen, symmetry_offers(limb, unseen), limb.anatomy.position)


def _fill_round(color: np.ndarray, limb: Limb, unseen: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Fill what a pattern runs round, in place; where the surface begins to cap the limb it fades into copies.

    Returns the texel ids of `unseen` [U] that nobody could lend to.
    """
    lost = carry_round(color, limb, unseen, level)
    if len(lost):
        return lost
    capped = (np.abs(limb.anatomy.normal[unseen] @ level) - ROUND[0]) / (ROUND[1] - ROUND[0])
    caps, share = unseen[capped > 0], np.clip(capped[capped > 0], 0.0, 1.0)[:, None]
    carried = color[caps]
    borrow(color, caps, symmetry_offers(limb, caps), limb.anatomy.position)
    color[caps] = share * color[caps] + (1 - share) * carried
    return lost


def _fill_hair(color: np.ndarray, limb: Limb, unseen: np.ndarray) -> np.ndarray:
    """Fill what is hair of a head's texels `unseen` [U] in place; returns the rest, which is skin."""
    lender, centre = limb.lender & (limb.members | (limb.anatomy.part == "hair")), limb.pose.joints[JOINT_INDEX["head"]]
    hair = np.flatnonzero(lender & limb.evidence.hair & (limb.evidence.facing > PLAINLY))
    if len(hair) < FEW:
        return unseen
    position = limb.anatomy.position
    bare = lender & ~limb.evidence.hair & ~limb.evidence.hairline
    skin = np.flatnonzero(bare & (limb.anatomy.part == "skin"))
    grown = is_hair(position[unseen], position[hair], position[skin], centre) | (limb.anatomy.part[unseen] == "hair")
    color[unseen[grown]] = hair_colors(position[unseen[grown]], position[hair], color[hair], centre)
    return unseen[~grown]


def _like_the_next(color: np.ndarray, limb: Limb, unseen: np.ndarray) -> np.ndarray:
    """Colours [U, 3] for a limb the photo does not show at all: those of the one it grows from; of hands the face's."""
    name = limb.name
    while name in GROWS_FROM:
        name = GROWS_FROM[name]
        own = limb.anatomy.limb == LIMB_NAMES.index(name)
        if (own & limb.evidence.known).any():
            return blended(limb.anatomy.position[unseen], limb.anatomy.position[own], color[own])
    return np.broadcast_to(_typical(color, limb), (len(unseen), 3))


def _typical(color: np.ndarray, limb: Limb) -> np.ndarray:
    """A palette colour [3]: of hands like the face, of the rest like the clothes."""
    known, face = limb.evidence.known, limb.anatomy.face
    is_hand = limb.name.endswith("hand")
    lenders = known & (face if is_hand else ~face)
    lenders = lenders if lenders.any() else known
    share = SKIN if is_hand else 50
    return np.percentile(color[lenders], share, axis=0) if lenders.any() else np.full(3, 0.5)
