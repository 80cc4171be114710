"""Who lends an unseen texel its colour: offers by symmetry, by pattern, and how a colour is copied."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from backend.avatar.anatomy import Anatomy
from backend.avatar.limbs import BONES, LIMB_NAMES, twin
from backend.avatar.pattern import level_direction
from backend.avatar.projection import Evidence
from shared.skeleton import JOINT_INDEX

OWN_SIDE, REFLECTED, TWIN, TWIN_REFLECTED = 0.0, 0.01, 0.015, 0.02
"""Metres that a copy by this symmetry counts as farther."""
BLEND = 4
"""Donors averaged for one texel: fewer look speckled, more look flat."""
FOLD = 0.05
"""Metres of the seen region next to its border that are folded over into the unseen."""
ALONG_BONE = 3.0
"""Metres along a limb's bone count this much more than metres round it: hems, stripes and folds run round."""

LENDING = 0.4
"""Cosine to the view below which a texel keeps its colour but does not lend it: outlines catch other light."""
PLAINLY = 0.55
"""Cosine to the view above which a texel may carry a round pattern to the far side."""
ALONG_PATTERN = 10.0
"""Metres across a round pattern's planes of equal height count this much more than metres within them."""
TILT_DOUBT = 0.05
"""Metres of height, per metre round the limb, by which the planes of a round pattern may miss (standard deviation)."""
NORMAL = ((-2.857, 0.0113), (-1.356, 0.2221), (0.0, 0.5333), (1.356, 0.2221), (2.857, 0.0113))
"""Gauss-Hermite nodes, in standard deviations, and their shares: a mean over a normal distribution."""
SLEEVE, LEG = ("shoulder", "wrist"), ("hip", "ankle")
CUT = {"upper_arm": SLEEVE, "forearm": SLEEVE, "thigh": LEG, "shin": LEG}
"""Joints between which a limb's clothes run straight."""
SKIN_FARTHER = 2.0
"""How much farther bare skin counts than hair when the head is completed: the back of a head is hair, if any is."""
UNSTRETCHED = ("head", "neck")
FEW = 50
"""Fewer hair texels than this are not trusted to colour a scalp."""
ROUND = 0.6
"""Cosine between a texel's normal and the pattern's direction beyond which the surface caps the limb."""


@dataclass(frozen=True)
class Pose:
    """How the photo looks at the rest skeleton."""

    joints: np.ndarray  # [55, 3] metres, rest pose
    view: np.ndarray  # [55, 3] from each joint towards the camera, in the joint's rest frame


@dataclass(frozen=True)
class Offer:
    """Seen texels that may lend their colour, and where an unseen texel looks for them."""

    query: np.ndarray  # [U, 3] metres: the unseen texels' positions, carried over by a symmetry
    donors: np.ndarray  # [D] texel ids
    metric: np.ndarray  # [3, 3] in which donors are near
    fixed: np.ndarray | None  # [3] unit, the bone: folding keeps the height along it; None: copy, do not fold
    penalty: float  # metres
    doubt: np.ndarray | None = None  # [3] standard deviation of where to look, per metre to the nearest donor


@dataclass(frozen=True)
class Limb:
    """The seen texels of one limb, its face or its other part, and how to look at them."""

    index: int  # into LIMB_NAMES; len(LIMB_NAMES) is the hair layer
    face: bool
    evidence: Evidence
    lender: np.ndarray  # [M] bool: texels that may lend
    anatomy: Anatomy
    pose: Pose

    @property
    def name(self) -> str:
        """The limb whose bone counts: the hair layer hangs on the head."""
        return LIMB_NAMES[self.index] if self.index < len(LIMB_NAMES) else "head"

    @property
    def is_scalp(self) -> bool:
        """Whether this is the head without its face: what hair grows on."""
        return self.index < len(LIMB_NAMES) and self.name == "head" and not self.face

    @property
    def members(self) -> np.ndarray:
        """[M] bool"""
        skin = np.isin(self.anatomy.part, ["skin", "hair"])
        return skin & (self.anatomy.limb == self.index) & (self.anatomy.face == self.face)

    @property
    def twin(self) -> Limb:
        """The limb on the other side; itself for those in the middle."""
        other = twin(self.index) if self.index < len(LIMB_NAMES) else self.index
        return Limb(other, self.face, self.evidence, self.lender, self.anatomy, self.pose)

    def level(self, color: np.ndarray) -> np.ndarray | None:
        """The direction [3] of a pattern that runs round this limb, if it is one that wears such.

        All limbs whose clothes are cut in one piece, or alike on the other side, are asked together.
        """
        if self.face or _bare(self.name):
            return None
        swatches = []
        for name in _cut_alike(self.name):
            limb = replace(self, index=LIMB_NAMES.index(name))
            own = limb.members & limb.lender
            opposite = name.partition("_")[0] not in (self.name.partition("_")[0], name)
            position = self.anatomy.position[own]
            swatches.append((_mirrored(position, self.pose) if opposite else position, color[own]))
        return level_direction(swatches, _axis(self.name, self.pose))


def pattern_offer(limb: Limb, unseen: np.ndarray, level: np.ndarray) -> Offer:
    """What is plainly seen at the same height of a round pattern; copied as it is, not folded."""
    plainly = np.flatnonzero(limb.members & limb.lender & (limb.evidence.facing > PLAINLY))
    metric = _stretched(level, ALONG_PATTERN)
    return Offer(limb.anatomy.position[unseen], plainly, metric, None, OWN_SIDE, TILT_DOUBT * level)


def symmetry_offers(limb: Limb, unseen: np.ndarray) -> list[Offer]:
    """The limb's own seen side, its twin's, and both reflected front to back."""
    position, pose, other = limb.anatomy.position[unseen], limb.pose, limb.twin
    mirrored = _mirrored(position, pose)
    own, opposite = limb.members & limb.lender, other.members & limb.lender
    metric, other_metric = _metric(limb.name, pose), _metric(other.name, pose)
    bone, other_bone = _bone(limb.name, pose), _bone(other.name, pose)
    turned = _reflected(position, limb.name, pose)
    if limb.is_scalp:
        hair = limb.lender & limb.evidence.hair & (limb.members | (limb.anatomy.part == "hair"))
        if hair.sum() > FEW:
            hair_ids, skin_ids = np.flatnonzero(hair), np.flatnonzero(own & ~limb.evidence.hair)
            return [
                Offer(position, hair_ids, metric, bone, OWN_SIDE),
                Offer(position, skin_ids, SKIN_FARTHER * metric, bone, OWN_SIDE),
                Offer(mirrored, skin_ids, SKIN_FARTHER * metric, bone, TWIN),
                Offer(turned, hair_ids, metric, bone, REFLECTED),
            ]
    own_ids, opposite_ids = np.flatnonzero(own), np.flatnonzero(opposite)
    offers = [
        Offer(position, own_ids, metric, bone, OWN_SIDE),
        Offer(mirrored, opposite_ids, other_metric, other_bone, TWIN),
    ]
    if limb.face:
        return offers
    turned_twin = _reflected(mirrored, other.name, pose)
    return [
        *offers,
        Offer(turned, own_ids, metric, bone, REFLECTED),
        Offer(turned_twin, opposite_ids, other_metric, other_bone, TWIN_REFLECTED),
    ]


def borrow(color: np.ndarray, unseen: np.ndarray, offers: list[Offer], position: np.ndarray) -> np.ndarray:
    """Give each texel of `unseen` [U] the nearest offer's colour, in place in `color` [M, 3].

    Returns the texel ids that nobody could lend to.
    """
    best = np.full(len(unseen), np.inf)
    for offer in offers:
        if len(offer.donors) < BLEND:
            continue
        distance, copied = _copies(offer, position, color)
        better = distance + offer.penalty < best
        best[better] = distance[better] + offer.penalty
        color[unseen[better]] = copied[better]
    return unseen[~np.isfinite(best)]


def _bare(limb: str) -> bool:
    """Whether a limb wears nothing that could run round it."""
    return limb in UNSTRETCHED or limb.endswith(("hand", "foot"))


def _copies(offer: Offer, position: np.ndarray, color: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far [U] the nearest donors are, and what they lend [U, 3].

    The colour is taken as far inside the donors' region as the query lies outside it, as if the pattern were
    folded over at the border: copying the border itself would draw it out in streaks.
    """
    places = position[offer.donors]
    tree = cKDTree(places @ offer.metric)
    distance, nearest = tree.query(offer.query @ offer.metric)
    source = offer.query if offer.fixed is None else _folded(offer.query, places[nearest], offer.fixed)
    if offer.doubt is None:
        return distance, _blend(tree, source, offer, color)
    shifts = distance[:, None] * offer.doubt
    looks = [share * _blend(tree, source + step * shifts, offer, color) for step, share in NORMAL]
    return distance, np.sum(looks, axis=0)


def _blend(tree: cKDTree, source: np.ndarray, offer: Offer, color: np.ndarray) -> np.ndarray:
    """Mean colour [U, 3] of the donors nearest to points `source` [U, 3]."""
    apart, chosen = tree.query(source @ offer.metric, k=BLEND)
    weight = 1.0 / (apart + 1e-3) ** 2
    return (color[offer.donors[chosen]] * weight[..., None]).sum(1) / weight.sum(1, keepdims=True)


def _folded(query: np.ndarray, border: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Points [U, 3] as far inside the `border` [U, 3] as `query` [U, 3] lies outside it, at the query's height.

    Beyond `FOLD` the way turns back, as a strip of cloth folded again and again: far inside are other things.
    """
    inwards = border - query
    inwards = inwards - (inwards @ fixed)[:, None] * fixed
    length = np.linalg.norm(inwards, axis=1, keepdims=True)
    depth = FOLD - np.abs(length % (2 * FOLD) - FOLD)
    return query + inwards * (1 + depth / np.maximum(length, 1e-9))


def _bone(limb: str, pose: Pose) -> np.ndarray:
    first, last = (JOINT_INDEX[name] for name in BONES[limb])
    bone = pose.joints[last] - pose.joints[first]
    return bone / np.linalg.norm(bone)


def _axis(limb: str, pose: Pose) -> np.ndarray:
    """The direction in which a limb's clothes are cut: sleeves and trouser legs run on over elbow and knee."""
    side, _, part = limb.partition("_")
    if part not in CUT:
        return _bone(limb, pose)
    first, last = (pose.joints[JOINT_INDEX[f"{side}_{joint}"]] for joint in CUT[part])
    return (last - first) / np.linalg.norm(last - first)


def _cut_alike(limb: str) -> list[str]:
    """The limbs, this one among them, whose clothes are of one piece with its own, and their twins."""
    part = limb.partition("_")[2]
    if part not in CUT:
        return [limb]
    return [f"{side}_{other}" for side in ("left", "right") for other in CUT if CUT[other] == CUT[part]]


def _mirrored(points: np.ndarray, pose: Pose) -> np.ndarray:
    """Points [N, 3] on the other side of the body's middle plane."""
    return points * [-1.0, 1.0, 1.0] + [2 * pose.joints[0, 0], 0.0, 0.0]


def _metric(limb: str, pose: Pose) -> np.ndarray:
    """The metric [3, 3] in which donors are near: clothed limbs are stretched along their bone, others are not."""
    if _bare(limb):
        return np.eye(3)
    bone = _bone(limb, pose)
    return _stretched(bone, ALONG_BONE)


def _stretched(direction: np.ndarray, factor: float) -> np.ndarray:
    return np.eye(3) + (factor - 1.0) * np.outer(direction, direction)


def _reflected(points: np.ndarray, limb: str, pose: Pose) -> np.ndarray:
    """Mirror points front to back: through the plane that holds the limb's bone and faces the camera."""
    first = JOINT_INDEX[BONES[limb][0]]
    bone = _bone(limb, pose)
    normal = pose.view[first] - (pose.view[first] @ bone) * bone
    normal = normal / np.linalg.norm(normal)
    return points - 2 * ((points - pose.joints[first]) @ normal)[:, None] * normal
