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
BLEND = 6
"""Donors averaged for one texel: fewer look speckled, more look flat."""

TEETH = np.array([0.86, 0.82, 0.77])
TONGUE = np.array([0.68, 0.38, 0.37])
CAVITY = np.array([0.30, 0.12, 0.12])
"""sRGB of a mouth's inside under light that shows skin at `SKIN_LUMA`."""
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


def complete(evidence: Evidence, anatomy: Anatomy, joints: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Colours [M, 3] for all texels: the photo's where known, copies elsewhere.

    `joints` [55, 3] are the rest joints; `view` [55, 3] points from each joint to the camera in the joint's rest frame.
    """
    color = evidence.color.copy()
    known = evidence.known & np.isin(anatomy.part, ["skin", "hair"])
    for limb in range(len(LIMB_NAMES) + 1):
        for face in (False, True):
            _fill_limb(color, known, anatomy, limb, face, joints, view)
    for eye in ("left_eye", "right_eye"):
        _fill_eye(color, evidence.known, anatomy, eye, joints)
    _paint_mouth(color, known, anatomy)
    return color


def _fill_limb(
    color: np.ndarray, known: np.ndarray, anatomy: Anatomy, limb: int, face: bool, joints: np.ndarray, view: np.ndarray
) -> None:
    """Fill the unseen skin of one limb (its face or its other part) in place."""
    skin = np.isin(anatomy.part, ["skin", "hair"]) & (anatomy.face == face)
    here = (anatomy.limb == limb) & skin
    unseen = np.flatnonzero(here & ~known)
    if not len(unseen):
        return
    hair = limb == len(LIMB_NAMES)
    other = limb if hair else twin(limb)
    lender = known & ~anatomy.lid if face else known
    own, opposite = np.flatnonzero(here & lender), np.flatnonzero((anatomy.limb == other) & skin & lender)
    position = anatomy.position[unseen]
    mirrored = position * [-1.0, 1.0, 1.0] + [2 * joints[0, 0], 0.0, 0.0]
    offers = [(position, own, OWN_SIDE), (mirrored, opposite, TWIN)]
    if not face:
        turned = _reflected(position, "head" if hair else LIMB_NAMES[limb], joints, view)
        back = _reflected(mirrored, "head" if hair else LIMB_NAMES[other], joints, view)
        offers += [(turned, own, REFLECTED), (back, opposite, TWIN_REFLECTED)]
    best = np.full(len(unseen), np.inf)
    for query, donors, penalty in offers:
        if len(donors) < BLEND:
            continue
        distance, nearest = cKDTree(anatomy.position[donors]).query(query, k=BLEND)
        better = distance[:, 0] + penalty < best
        best[better] = distance[better, 0] + penalty
        weight = 1.0 / (distance[better] + 1e-3)
        copied = (color[donors[nearest[better]]] * weight[..., None]).sum(1) / weight.sum(1, keepdims=True)
        color[unseen[better]] = copied
    lost = unseen[~np.isfinite(best)]
    color[lost] = _typical(color, known, anatomy, limb)


def _reflected(points: np.ndarray, limb: str, joints: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Mirror points front to back: through the plane that holds the limb's bone and faces the camera."""
    first, last = (JOINT_INDEX[name] for name in BONES[limb])
    bone = joints[last] - joints[first]
    bone = bone / np.linalg.norm(bone)
    normal = view[first] - (view[first] @ bone) * bone
    normal = normal / np.linalg.norm(normal)
    return points - 2 * ((points - joints[first]) @ normal)[:, None] * normal


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
    for part, paint in (("upper_teeth", TEETH), ("lower_teeth", TEETH), ("tongue", TONGUE), ("cavity", CAVITY)):
        color[anatomy.part == part] = paint * light
