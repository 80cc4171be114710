"""What each texel is: its limb, its part of the body, whether it is face, eyelid or the mouth's lining."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import minimum_filter1d

from backend.avatar.limbs import LIMB_NAMES, limb_of
from backend.avatar.surface import Surface
from backend.avatar.texels import Texels, eyes_closed
from backend.body.geometry import vertex_normals
from backend.body.model import BodyModel
from backend.registration.rings import MOVED_BY_EXPRESSION

LIP_DEPTH = 0.018
"""Metres from the lips' foremost point back to where the lining begins; before that, inward skin is lip."""
LID = 0.002
"""Metres that blinking moves skin that is eyelid."""
LASH_LINE = 0.0015
"""Metres above the lower edge of a closed upper lid within which the lashes' roots darken it."""
MOUTH_RADIUS = 0.055
"""Metres round the teeth in which inward-facing skin is the mouth's lining."""


@dataclass(frozen=True)
class Anatomy:
    """What each of M texels is, in the person's rest pose."""

    position: np.ndarray  # [M, 3] metres
    normal: np.ndarray  # [M, 3] unit
    limb: np.ndarray  # [M] index into LIMB_NAMES; len(LIMB_NAMES) on the hair layer
    part: np.ndarray  # [M] str: skin, left_eye, right_eye, upper_teeth, lower_teeth, tongue, cavity, hair
    face: np.ndarray  # [M] bool: skin that expressions move
    lid: np.ndarray  # [M] bool: skin that blinking moves
    lash: np.ndarray  # [M] bool: the edge of the upper lids

    def subset(self, keep: np.ndarray) -> Anatomy:
        """Only the texels where `keep` [M] is true."""
        return Anatomy(*(values[keep] for values in vars(self).values()))


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
    near = np.linalg.norm(position - mouth, axis=1) < MOUTH_RADIUS
    lips = position[(part == "skin") & near, 2].max(initial=mouth[2])
    part[(part == "skin") & near & inward & (position[:, 2] < lips - LIP_DEPTH)] = "cavity"
    moves = torch.linalg.norm(surface.expression_deltas, dim=2).numpy()  # [E, V]
    lid = texels.interpolate(moves[model.blinks].max(0, initial=0.0), surface.faces) > LID
    closed = texels.interpolate(eyes_closed(model, surface), surface.faces)
    face = texels.interpolate(moves.max(0), surface.faces) > MOVED_BY_EXPRESSION
    normal = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    limb = np.where(part == "hair", len(LIMB_NAMES), limb)
    return Anatomy(
        position, normal, limb, part, face, lid, _lashes(closed, lid & (closed[:, 1] < position[:, 1] - LID))
    )


def _lashes(closed: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Which of the `upper` lids' texels [M] bool lie at their edge when they are down, at `closed` [M, 3]."""
    lids = np.flatnonzero(upper)
    lash = np.zeros_like(upper)
    if len(lids):
        column = np.floor(closed[lids, 0] / LASH_LINE).astype(int)
        column -= column.min()
        edge = np.full(column.max() + 1, np.inf)
        np.minimum.at(edge, column, closed[lids, 1])
        lash[lids] = closed[lids, 1] < minimum_filter1d(edge, 3)[column] + LASH_LINE
    return lash


def _mouth_centre(model: BodyModel, vertices: np.ndarray) -> np.ndarray:
    teeth = np.isin(model.part, ["upper_teeth", "lower_teeth"])
    if teeth.any():
        return vertices[np.unique(model.faces[teeth])].mean(0)
    opening = model.expression_deltas.norm(dim=2).sum(0).numpy()  # a body without teeth: where expressions move most
    return vertices[np.argsort(opening)[-50:]].mean(0) - np.array([0.0, 0.0, 0.02])
