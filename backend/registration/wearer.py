"""The fitted person as the clothed surface's solver sees it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from backend.body.geometry import vertex_normals
from backend.body.model import BodyModel
from backend.registration.rings import Rings, body_rings, mirror_vertices, wearable_vertices
from backend.stages import Registration


@dataclass(frozen=True)
class Wearer:
    """One person's rest body and everything about it that does not change while the offsets are solved."""

    vertices: np.ndarray  # [V, 3] rest pose, metres
    normals: np.ndarray  # [V, 3] rest pose
    rotations: np.ndarray  # [V, 3, 3] rest pose to the photo's pose
    translations: np.ndarray  # [V, 3]
    faces: np.ndarray  # [F, 3]
    wearable: np.ndarray  # [V] bool
    rings: Rings
    mirror: np.ndarray  # [V]

    joints: np.ndarray  # [55, 3] rest pose
    dominant: np.ndarray  # [V] the joint that moves the vertex most
    mobility: np.ndarray  # [V] metres that expressions move the vertex at most
    transforms: np.ndarray  # [55, 4, 4] rest pose to the photo's pose

    def posed(self, offsets: np.ndarray) -> np.ndarray:
        """The surface [V, 3] in the photo's pose, its vertices moved by `offsets` [V, 3] in the rest pose."""
        return np.einsum("vij,vj->vi", self.rotations, self.vertices + offsets) + self.translations


def wearer_of(registration: Registration, model: BodyModel) -> Wearer:
    """Shape and pose the fitted body."""
    shaped = model.shape(torch.as_tensor(registration.betas, dtype=torch.float32))
    expression = torch.as_tensor(registration.expression, dtype=torch.float32)
    posed = model.pose(
        shaped,
        torch.as_tensor(registration.full_pose, dtype=torch.float32)[None],
        torch.as_tensor(registration.transl, dtype=torch.float32)[None],
        expression[None],
    )
    deltas = model.expression_deltas.numpy()
    vertices = shaped.vertices.numpy() + np.einsum("e,evk->vk", registration.expression, deltas)
    weights = model.weights.numpy()
    blended = (weights @ posed.transforms[0, :, :3].reshape(-1, 12).numpy()).reshape(-1, 3, 4)
    skin = np.zeros(len(vertices), dtype=bool)
    skin[model.faces[model.part == "skin"]] = True
    wearable = wearable_vertices(weights, deltas, skin)
    return Wearer(
        vertices=vertices,
        normals=vertex_normals(vertices, model.faces),
        rotations=blended[:, :, :3],
        translations=blended[:, :, 3],
        faces=model.faces,
        wearable=wearable,
        rings=body_rings(vertices, shaped.joints.numpy(), weights, wearable),
        mirror=mirror_vertices(model.template.numpy()),
        joints=shaped.joints.numpy(),
        dominant=weights.argmax(1),
        mobility=np.linalg.norm(deltas, axis=2).max(0),
        transforms=posed.transforms[0].numpy(),
    )
