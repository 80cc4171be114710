"""Who lends an unseen texel its colour: offers by symmetry, by pattern, and how a colour is copied."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from backend.avatar.anatomy import Anatomy
from backend.avatar.blend import by_distance
from backend.avatar.folds import depth, folds
from backend.avatar.limbs import BONES, LIMB_NAMES, Bone, mirrored, twin
from backend.avatar.pattern import Swatch, level_direction, usual_colors
from backend.avatar.projection import Evidence
from backend.avatar.recurring import skin_like
from shared.skeleton import JOINT_INDEX

OWN_SIDE, REFLECTED, TWIN, TWIN_REFLECTED = 0.0, 0.01, 0.015, 0.02
"""Metres that a copy by this symmetry counts as farther."""
CROSSFADE = 0.01
"""Metres of distance over which one offer's copy fades into another's."""
BLEND = 4
"""Donors averaged for one texel: fewer look speckled, more look flat."""
FOLD = 0.05
"""Metres of the seen region next to its border that are folded over into the unseen."""
ALONG_BONE = 3.0
"""Metres along a limb's bone count this much more than metres round it: hems, stripes and folds run round."""

PLAINLY = 0.55
"""Cosine to the view above which a texel may carry a round pattern to the far side."""
ALONG_PATTERN = 10.0
"""Metres across a round pattern's planes of equal height count this much more than metres within them."""
COPIED = 0.1
"""Metres from what is seen within which the round pattern of a trunk or leg is copied."""
TILT_DOUBT = 0.02
"""Metres of height, per metre round the limb, by which the planes of a round pattern may miss (standard deviation)."""
NORMAL = ((-2.857, 0.0113), (-1.356, 0.2221), (0.0, 0.5333), (1.356, 0.2221), (2.857, 0.0113))
"""Gauss-Hermite nodes, in standard deviations, and their shares: a mean over a normal distribution."""
SLEEVE, LEG = ("shoulder", "wrist"), ("hip", "ankle")
CUT = {"upper_arm": SLEEVE, "forearm": SLEEVE, "thigh": LEG, "shin": LEG}
"""Joints between which a limb's clothes run straight."""


@dataclass(frozen=True)
class Pose:
    """How the photo looks at the rest skeleton."""

    joints: np.ndarray  # [55, 3] metres, rest pose
    view: np.ndarray  # [55, 3] from each joint towards the camera, in the joint's rest frame

    @property
    def middle(self) -> float:
        """The x, in metres, of the plane that halves the body."""
        return float(self.joints[0, 0])


@dataclass(frozen=True)
class Offer:
    """Seen texels that may lend their colour, and where an unseen texel looks for them."""

    query: np.ndarray  # [U, 3] metres: the unseen texels' positions, carried over by a symmetry
    donors: np.ndarray  # [D] texel ids
    metric: np.ndarray  # [3, 3] in which donors are near
    bone: Bone | None  # folding goes round it; None: copy, do not fold
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
    def bone(self) -> Bone:
        """Its axis in the rest pose."""
        return _bone(self.name, self.pose)

    @property
    def is_bare(self) -> bool:
        """Whether it wears nothing that could run round it."""
        return self.face or self.name == "head" or self.name.endswith(("hand", "foot")) or self._is_bare_neck

    @property
    def _is_bare_neck(self) -> bool:
        """Whether this is a neck, and most of what is seen of it is skin."""
        if self.name != "neck":
            return False
        own, face = (self.evidence.color[self.lender & which] for which in (self.members, self.anatomy.face))
        return bool(skin_like(own, face).sum() > 0.5 * len(own))

    @property
    def has_hair(self) -> bool:
        """Whether this is the hair layer, or the head without its face: what hair grows on."""
        return self.name == "head" and not self.face

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

    def level(self) -> np.ndarray | None:
        """The direction [3] of a pattern that runs round this limb, if it is one that wears such.

        Its twin, whose clothes are cut alike, is asked with it; a sleeve's other part is not, for elbows are bent.
        """
        if self.is_bare or self.name == "neck":  # collars lean, and a neck is too short to tell by how much
            return None
        if self.twin.index == self.index:  # a trunk is seen broadly, and much of its outline is the arms'
            plain = whole = [self._plain()]
        else:
            plain = [self._plain(), self._across(self.twin._plain())]
            whole = [self._whole(), self._across(self.twin._whole())]
        return level_direction(plain, whole, _axis(self.name, self.pose))

    def _plain(self) -> Swatch:
        """What may lend."""
        return self._swatch(self.members & self.lender)

    def _whole(self) -> Swatch:
        """What is seen of it up to its outlines, if anything of it may lend."""
        seen, lends = self.evidence, self.members & self.lender
        pinned = seen.known & ~self.lender & (seen.facing > PLAINLY)
        return self._swatch(lends.any() & self.members & seen.visible & ~(pinned | seen.hair | seen.hairline))

    def _swatch(self, own: np.ndarray) -> Swatch:
        return self.anatomy.position[own], self.evidence.color[own]

    def _across(self, swatch: Swatch) -> Swatch:
        return mirrored(swatch[0], self.pose.middle), swatch[1]


def carry_round(color: np.ndarray, limb: Limb, unseen: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Give texels `unseen` [U] the colour seen at their height of a round pattern, in place in `color` [M, 3].

    Near what is seen it is copied; on the backs of trunk and legs, far from it, it is the usual colour at that height,
    whatever is pinned to the chest, in folds of its own. Sleeves are slim, and turn. Returns the texel ids that nobody
    could lend to.
    """
    seen = np.flatnonzero(limb.members & limb.evidence.known & (limb.evidence.facing > PLAINLY))
    cloth = limb.lender[seen]
    if cloth.sum() < BLEND:
        return unseen
    position = limb.anatomy.position
    metric = _stretched(level, ALONG_PATTERN)
    offer = Offer(position[unseen], seen[cloth], metric, None, OWN_SIDE, TILT_DOUBT * level)
    distance, copied = _copies(offer, position, color)
    if CUT.get(limb.name.partition("_")[2]) != SLEEVE:
        near = np.exp(-((distance / COPIED) ** 2))[:, None]
        copied = near * copied + (1 - near) * _usual_cloth(color, limb, unseen, seen, cloth, level)
    color[unseen] = copied
    return unseen[:0]


def _usual_cloth(
    color: np.ndarray,  # [M, 3]
    limb: Limb,
    unseen: np.ndarray,  # [U] texel ids
    seen: np.ndarray,  # [D] texel ids
    cloth: np.ndarray,  # [D] bool
    level: np.ndarray,  # [3] unit
) -> np.ndarray:  # [U, 3]
    """The usual colour at each height, with folds as deep as those that are seen: without them it looks painted."""
    height, ids = limb.anatomy.position @ level, np.concatenate([unseen, seen[cloth]])
    usual = usual_colors(height[seen], color[seen], cloth, height[ids])
    shade = depth(color[seen[cloth]], usual[len(unseen) :]) * folds(limb.anatomy.position[unseen], level)
    return np.clip(usual[: len(unseen)] * np.exp(shade)[:, None], 0.0, 1.0)


def symmetry_offers(limb: Limb, unseen: np.ndarray) -> list[Offer]:
    """The limb's own seen side, its twin's, and both reflected front to back."""
    position, pose, other = limb.anatomy.position[unseen], limb.pose, limb.twin
    across = mirrored(position, pose.middle)
    own, opposite = (np.flatnonzero(side.members & limb.lender) for side in (limb, other))
    metric, other_metric = _metric(limb), _metric(other)
    turned, turned_twin = _reflected(position, limb.name, pose), _reflected(across, other.name, pose)
    return [
        Offer(position, own, metric, limb.bone, OWN_SIDE),
        Offer(across, opposite, other_metric, other.bone, TWIN),
        Offer(turned, own, metric, limb.bone, REFLECTED),
        Offer(turned_twin, opposite, other_metric, other.bone, TWIN_REFLECTED),
    ]


def borrow(color: np.ndarray, unseen: np.ndarray, offers: list[Offer], position: np.ndarray) -> np.ndarray:
    """Give each texel of `unseen` [U] the nearest offer's colour, in place in `color` [M, 3].

    Offers that are about equally near are mixed, so that no seam shows where one takes over from another. Returns the
    texel ids that nobody could lend to.
    """
    usable = [offer for offer in offers if len(offer.donors) >= BLEND]
    if not usable:
        return unseen
    copies = [_copies(offer, position, color) for offer in usable]
    distance = np.stack([apart + offer.penalty for offer, (apart, _) in zip(usable, copies, strict=True)])
    weight = np.exp((distance.min(0) - distance) / CROSSFADE)  # [offers, U]
    mixed = np.einsum("ou,ouc->uc", weight, np.stack([copied for _, copied in copies]))
    color[unseen] = mixed / weight.sum(0)[:, None]
    return unseen[:0]


def _copies(offer: Offer, position: np.ndarray, color: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far [U] the nearest donors are, and what they lend [U, 3].

    The colour is taken as far inside the donors' region as the query lies outside it, as if the pattern were
    folded over at the border, round the limb: copying the border itself would draw it out in streaks.
    """
    places = position[offer.donors]
    tree = cKDTree(places @ offer.metric)
    distance, nearest = tree.query(offer.query @ offer.metric)
    source = offer.query if offer.bone is None else _folded(offer.query, places[nearest], offer.bone)
    if offer.doubt is None:
        return distance, _blend(tree, source, offer, color)
    shifts = distance[:, None] * offer.doubt
    looks = [share * _blend(tree, source + step * shifts, offer, color) for step, share in NORMAL]
    return distance, np.sum(looks, axis=0)


def _blend(tree: cKDTree, source: np.ndarray, offer: Offer, color: np.ndarray) -> np.ndarray:
    """Mean colour [U, 3] of the donors nearest to points `source` [U, 3]."""
    apart, chosen = tree.query(source @ offer.metric, k=BLEND)
    return by_distance(apart, color[offer.donors[chosen]])


def _folded(query: np.ndarray, border: np.ndarray, bone: Bone) -> np.ndarray:
    """Points [U, 3] as far beyond the `border` [U, 3], going round the bone, as `query` [U, 3] lies before it.

    They keep the query's height. Beyond `FOLD` the way turns back, as a strip of cloth folded again and again: far
    inside are other things.
    """
    start, end = bone.across(query), bone.across(border)
    radius = np.maximum(np.linalg.norm(end, axis=1), 1e-9)
    angle = np.arctan2(np.cross(start, end) @ bone.direction, (start * end).sum(1))
    way = np.abs(angle) * radius
    turn = np.sign(angle) * (FOLD - np.abs(way % (2 * FOLD) - FOLD)) / radius
    turned = np.cos(turn)[:, None] * end + np.sin(turn)[:, None] * np.cross(bone.direction, end)
    return bone.origin + bone.height(query)[:, None] * bone.direction + turned


def _bone(limb: str, pose: Pose) -> Bone:
    return Bone.between(*(pose.joints[JOINT_INDEX[name]] for name in BONES[limb]))


def _axis(limb: str, pose: Pose) -> np.ndarray:
    """The direction in which a limb's clothes are cut: sleeves and trouser legs run on over elbow and knee."""
    side, _, part = limb.partition("_")
    if part not in CUT:
        return _bone(limb, pose).direction
    first, last = (pose.joints[JOINT_INDEX[f"{side}_{joint}"]] for joint in CUT[part])
    return (last - first) / np.linalg.norm(last - first)


def _metric(limb: Limb) -> np.ndarray:
    """The metric [3, 3] in which donors are near: clothed limbs are stretched along their bone, others are not."""
    return np.eye(3) if limb.is_bare else _stretched(limb.bone.direction, ALONG_BONE)


def _stretched(direction: np.ndarray, factor: float) -> np.ndarray:
    return np.eye(3) + (factor - 1.0) * np.outer(direction, direction)


def _reflected(points: np.ndarray, limb: str, pose: Pose) -> np.ndarray:
    """Mirror points front to back: through the plane that holds the limb's bone and faces the camera."""
    bone, view = _bone(limb, pose), pose.view[JOINT_INDEX[BONES[limb][0]]]
    normal = view - (view @ bone.direction) * bone.direction
    normal = normal / np.linalg.norm(normal)
    return points - 2 * ((points - bone.origin) @ normal)[:, None] * normal
