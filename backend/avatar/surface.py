"""The clothed rest surface that Gaussians sit on: the body with its offsets, then the hair layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.body.model import BodyModel
from backend.stages import Registration
from shared.skeleton import JOINT_INDEX


@dataclass(frozen=True)
class Surface:
    """A skinned triangle surface in the rest pose of one person. V body vertices, then H hair vertices."""

    vertices: Tensor  # [V+H, 3] metres, betas and clothed offsets applied
    faces: np.ndarray  # [F+G, 3] int64
    weights: Tensor  # [V+H, 55]
    expression_deltas: Tensor  # [E, V+H, 3] metres
    num_body_faces: int

    def pose(self, transforms: Tensor, expression: Tensor) -> Tensor:
        """Posed vertices [V+H, 3] for one frame's joint `transforms` [55, 4, 4] and `expression` [E]."""
        rest = self.vertices + torch.einsum("e,evk->vk", expression, self.expression_deltas)
        blended = (self.weights @ transforms[:, :3].reshape(-1, 12)).view(-1, 3, 4)
        return torch.einsum("vij,vj->vi", blended[:, :, :3], rest) + blended[:, :, 3]


def clothed_surface(model: BodyModel, registration: Registration) -> Surface:
    """The fitted person's surface: shaped body plus offsets, hair layer bound to head and chest."""
    shaped = model.shape(torch.as_tensor(registration.betas, dtype=torch.float32))
    vertices = shaped.vertices + torch.as_tensor(registration.offsets, dtype=torch.float32)
    if registration.hair is None:
        return Surface(vertices, model.faces, model.weights, model.expression_deltas, len(model.faces))
    hair = torch.as_tensor(registration.hair.vertices, dtype=torch.float32)
    on_chest = torch.as_tensor(registration.hair.on_chest, dtype=torch.float32)
    bound = torch.zeros(len(hair), model.weights.shape[1])
    bound[:, JOINT_INDEX["head"]] = 1.0 - on_chest
    bound[:, JOINT_INDEX["spine3"]] = on_chest
    still = torch.zeros(len(model.expression_deltas), len(hair), 3)
    return Surface(
        vertices=torch.cat([vertices, hair]),
        faces=np.concatenate([model.faces, registration.hair.faces.astype(np.int64) + len(vertices)]),
        weights=torch.cat([model.weights, bound]),
        expression_deltas=torch.cat([model.expression_deltas, still], dim=1),
        num_body_faces=len(model.faces),
    )
