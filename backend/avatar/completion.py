"""Colours for what the photo does not show, copied from where it shows the like.

An unseen texel looks for the nearest seen one of its own limb, of its limb reflected front to back through the
bone (clothes go round), and of the twin limb; a copy from farther symmetry must be nearer to win. Face skin never
lends to the scalp nor hair to the face, sleeves never to hands; eyes are completed round their axis; what lies
inside the mouth has colours of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree

from backend.avatar.limbs import BONES, LIMB_NAMES, limb_of, twin
from backend.avatar.projection import Evidence
from backend.avatar.surface import Surface
from backend.avatar.texels import Texels
from backend.body.geometry import vertex_normals
from backend.body.model import BodyModel
from backend.registration.rings import MOVED_BY_EXPRESSION
from shared.skeleton import JOINT_INDEX

OWN_SIDE, REFLECTED, TWIN, TWIN_REFLECTED = 0.0, 0.01, 0.015, 0.02
"""Metres that a copy by this symmetry counts as farther."""
BLEND = 3
"""Donors averaged for one texel: fewer look speckled, more look flat."""
ALONG_BONE = 3.0
"""Metres along a limb's bone count this much more than metres round it: hems, stripes and folds run round."""

LENDING = 0.35
"""Cosine to the view below which a texel keeps its colour but does not lend it: outlines catch other light."""
SKIN_FARTHER = 2.0
"""How much farther bare skin counts than hair when the head is completed: the back of a head is hair, if any is."""
UNSTRETCHED = ("head", "neck")
FEW = 50
"""Fewer hair texels than this are not trusted to colour a scalp."""

MOUTH = {
    "upper_teeth": np.array([0.72, 0.68, 0.63]),
    "lower_teeth": np.array([0.55, 0.51, 0.47]),
    "tongue": np.array([0.52, 0.27, 0.26]),
    "cavity": np.array([0.25, 0.10, 0.10]),
}
"""sRGB of a mouth's inside, in the lips' shade, under light that shows skin at `SKIN_LUMA`."""
SKIN_LUMA = 0.62
MOUTH_RADIUS = 0.055
"""Metres round the teeth in which inward-facing skin is the mouth's lining."""


@dataclass(frozen=True)
class Anatomy:
    """What completion knows of each of M texels, in the person's rest pose."""

    position: np.ndarray  # [M, 3] metres
    limb: np.ndarray  # [M] index into LIMB_NAMES; len(LIMB_NAMES) on the hair layer
    part: np.ndarray  # [M] str: skin, left_eye, right_eye, upper_teeth, lower_teeth, tongue, cavity, hair
    face: np.ndarray  # [M] bool: skin that expressions move
    lid: np.ndarray  # [M] bool: skin that blinking moves

    def subset(self, keep: np.ndarray) -> Anatomy:
        """Only the texels where `keep` [M] is true."""
        return Anatomy(self.position[keep], self.limb[keep], self.part[keep], self.face[keep], self.lid[keep])


def anatomy(model: BodyModel, surface: Surface, texels: Texels) -> Anatomy:
    """Describe the texels of a surface."""
    vertices = surface.vertices.numpy()
    position = texels.interpolate(vertices, surface.faces)
    body = texels.face < surface.num_body_faces
    limb = limb_of(texels.interpolate(surface.weights.numpy(), surface.faces))
    part = np.full(len(texels), "hair", dtype="<U11")
    part[body] = model.part[texels.face[body]]
    normal = texels.interpolate(vertex_normals(vertices, surface.faces), surface.faces)
    mouth = _mouth_centre(model, vertices)
    inward = ((mouth - position) * normal).sum(1) > 0
    part[(part == "skin") & inward & (np.linalg.norm(position - mouth, axis=1) < MOUTH_RADIUS)] = "cavity"
    moves = torch.linalg.norm(surface.expression_deltas, dim=2).numpy()  # [E, V]
    blinks = [index for index, name in enumerate(model.expression_names) if name.startswith("eyeBlink")]
    lid = texels.interpolate(moves[blinks].max(0, initial=0.0), surface.faces) > 0.002
    face = texels.interpolate(moves.max(0), surface.faces) > MOVED_BY_EXPRESSION
    return Anatomy(position, np.where(part == "hair", len(LIMB_NAMES), limb), part, face, lid)


def _mouth_centre(model: BodyModel, vertices: np.ndarray) -> np.ndarray:
    teeth = np.isin(model.part, ["upper_teeth", "lower_teeth"])
    if teeth.any():
        return vertices[np.unique(model.faces[teeth])].mean(0)
    opening = model.expression_deltas.norm(dim=2).sum(0).numpy()  # a body without teeth: where expressions move most
    return vertices[np.argsort(opening)[-50:]].mean(0) - np.array([0.0, 0.0, 0.02])


@dataclass(frozen=True)
class Pose:
    """How the photo looks at the rest skeleton."""

    joints: np.ndarray  # [55, 3] metres, rest pose
    view: np.ndarray  # [55, 3] from each joint towards the camera, in the joint's rest frame


def complete(evidence: Evidence, anatomy: Anatomy, pose: Pose) -> np.ndarray:
    """Colours [M, 3] for all texels: the photo's where known, copies elsewhere."""
    color = evidence.color.copy()
    lender = evidence.known & np.isin(anatomy.part, ["skin", "hair"]) & (evidence.facing > LENDING)
    for limb in range(len(LIMB_NAMES) + 1):
        _fill_limb(color, lender, evidence, anatomy, limb, False, pose)
        _fill_limb(color, lender & ~anatomy.lid, evidence, anatomy, limb, True, pose)
    for eye in ("left_eye", "right_eye"):
        _fill_eye(color, evidence.known, anatomy, eye, pose.joints)
    _paint_mouth(color, evidence.known & (anatomy.part == "skin"), anatomy)
    return color


@dataclass(frozen=True)
class Offer:
    """Seen texels that may lend their colour, and where an unseen texel looks for them."""

    query: np.ndarray  # [U, 3] metres: the unseen texels' positions, carried over by a symmetry
    donors: np.ndarray  # [D] texel ids
    metric: np.ndarray  # [3, 3] in which donors are near
    fixed: np.ndarray  # [3] unit, the bone: folding keeps the height along it
    penalty: float  # metres


def _fill_limb(
    color: np.ndarray, lender: np.ndarray, evidence: Evidence, anatomy: Anatomy, limb: int, face: bool, pose: Pose
) -> None:
    """Fill the unseen skin of one limb (its face or its other part) in place."""
    here = _members(anatomy, limb, face)
    unseen = np.flatnonzero(here & ~evidence.known)
    if not len(unseen):
        return
    best = np.full(len(unseen), np.inf)
    for offer in _offers(unseen, here & lender, lender, evidence, anatomy, limb, face, pose):
        if len(offer.donors) < BLEND:
            continue
        distance, copied = _copies(offer, anatomy.position, color)
        better = distance + offer.penalty < best
        best[better] = distance[better] + offer.penalty
        color[unseen[better]] = copied[better]
    lost = unseen[~np.isfinite(best)]
    color[lost] = _typical(color, evidence.known, anatomy, limb)


def _members(anatomy: Anatomy, limb: int, face: bool) -> np.ndarray:
    return np.isin(anatomy.part, ["skin", "hair"]) & (anatomy.limb == limb) & (anatomy.face == face)


def _offers(
    unseen: np.ndarray,
    own: np.ndarray,
    lender: np.ndarray,
    evidence: Evidence,
    anatomy: Anatomy,
    limb: int,
    face: bool,
    pose: Pose,
) -> list[Offer]:
    position = anatomy.position[unseen]
    mirrored = position * [-1.0, 1.0, 1.0] + [2 * pose.joints[0, 0], 0.0, 0.0]
    name = LIMB_NAMES[limb] if limb < len(LIMB_NAMES) else "head"
    other = twin(limb) if limb < len(LIMB_NAMES) else limb
    other_name = LIMB_NAMES[other] if other < len(LIMB_NAMES) else "head"
    opposite = lender & _members(anatomy, other, face)
    metric, other_metric = _metric(name, pose), _metric(other_name, pose)
    bone, other_bone = _bone(name, pose), _bone(other_name, pose)
    own_side = Offer(position, np.flatnonzero(own), metric, bone, OWN_SIDE)
    twin_side = Offer(mirrored, np.flatnonzero(opposite), other_metric, other_bone, TWIN)
    if face:
        return [own_side, twin_side]
    if name == "head" and limb < len(LIMB_NAMES) and (own & evidence.hair).sum() > FEW:
        hair = np.flatnonzero(own & evidence.hair)
        skin = np.flatnonzero(own & ~evidence.hair)
        far = SKIN_FARTHER * metric
        turned = _reflected(position, name, pose)
        return [
            Offer(position, hair, metric, bone, OWN_SIDE),
            Offer(position, skin, far, bone, OWN_SIDE),
            Offer(mirrored, skin, far, bone, TWIN),
            Offer(turned, hair, metric, bone, REFLECTED),
        ]
    return [
        own_side,
        twin_side,
        Offer(_reflected(position, name, pose), own_side.donors, metric, bone, REFLECTED),
        Offer(_reflected(mirrored, other_name, pose), twin_side.donors, other_metric, other_bone, TWIN_REFLECTED),
    ]


def _copies(offer: Offer, position: np.ndarray, color: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far [U] the nearest donors are, and what they lend [U, 3].

    The colour is taken as far inside the donors' region as the query lies outside it, as if the pattern were
    folded over at the border: copying the border itself would draw it out in streaks.
    """
    places = position[offer.donors]
    tree = cKDTree(places @ offer.metric)
    distance, nearest = tree.query(offer.query @ offer.metric)
    inwards = places[nearest] - offer.query
    folded = offer.query + 2 * (inwards - (inwards @ offer.fixed)[:, None] * offer.fixed)
    apart, chosen = tree.query(folded @ offer.metric, k=BLEND)
    weight = 1.0 / (apart + 1e-3) ** 2
    copied = (color[offer.donors[chosen]] * weight[..., None]).sum(1) / weight.sum(1, keepdims=True)
    return distance, copied


def _bone(limb: str, pose: Pose) -> np.ndarray:
    first, last = (JOINT_INDEX[name] for name in BONES[limb])
    bone = pose.joints[last] - pose.joints[first]
    return bone / np.linalg.norm(bone)


def _metric(limb: str, pose: Pose) -> np.ndarray:
    """The metric [3, 3] in which donors are near: clothed limbs are stretched along their bone, others are not."""
    if limb in UNSTRETCHED or limb.endswith(("hand", "foot")):
        return np.eye(3)
    bone = _bone(limb, pose)
    return np.eye(3) + (ALONG_BONE - 1.0) * np.outer(bone, bone)


def _reflected(points: np.ndarray, limb: str, pose: Pose) -> np.ndarray:
    """Mirror points front to back: through the plane that holds the limb's bone and faces the camera."""
    first = JOINT_INDEX[BONES[limb][0]]
    bone = _bone(limb, pose)
    normal = pose.view[first] - (pose.view[first] @ bone) * bone
    normal = normal / np.linalg.norm(normal)
    return points - 2 * ((points - pose.joints[first]) @ normal)[:, None] * normal


def _typical(color: np.ndarray, known: np.ndarray, anatomy: Anatomy, limb: int) -> np.ndarray:
    """A palette colour for a limb the photo does not show at all: hands like the face, the rest like its neighbours."""
    skin = LIMB_NAMES[limb].endswith("hand") if limb < len(LIMB_NAMES) else False
    lenders = known & (anatomy.face if skin else ~anatomy.face)
    lenders = lenders if lenders.any() else known
    return np.median(color[lenders], axis=0) if lenders.any() else np.full(3, 0.5)


def _fill_eye(color: np.ndarray, known: np.ndarray, anatomy: Anatomy, eye: str, joints: np.ndarray) -> None:
    """Complete an eyeball by what is seen at the same angle from its axis, the white beyond."""
    here = np.flatnonzero(anatomy.part == eye)
    if not len(here):
        return
    direction = anatomy.position[here] - joints[JOINT_INDEX[eye]]
    angle = np.arccos(np.clip(direction[:, 2] / np.linalg.norm(direction, axis=1), -1, 1))
    seen = known[here]
    if seen.sum() < BLEND:
        color[here] = np.where(angle[:, None] < 0.45, [0.18, 0.13, 0.10], [0.82, 0.80, 0.78])
        return
    order = np.argsort(angle[seen])
    white = np.percentile(color[here[seen]], 85, axis=0)
    unseen = here[~seen]
    widest = angle[seen].max()
    for channel in range(3):
        along = np.interp(angle[~seen], angle[seen][order], color[here[seen]][order, channel])
        color[unseen, channel] = np.where(angle[~seen] > min(widest, 0.75), white[channel], along)


def _paint_mouth(color: np.ndarray, known: np.ndarray, anatomy: Anatomy) -> None:
    """Teeth, tongue and lining, as bright as the person's skin is in this light."""
    face = known & anatomy.face
    light = 1.0 if not face.any() else float(np.clip(np.median(color[face].mean(1)) / SKIN_LUMA, 0.6, 1.15))
    for part, paint in MOUTH.items():
        color[anatomy.part == part] = paint * light
