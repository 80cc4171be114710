"""From a registration to what a client builds its armature and proxy mesh from."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.avatar.surface import clothed_surface
from backend.body.model import BodyModel
from backend.service.texture_map import corner_uvs
from backend.stages import Registration
from shared.rig import Rig

JOINTS_PER_VERTEX = 8
"""Skin weights kept, the largest; the open body has 6 at most."""
SMALLEST_DELTA = 1e-5
"""Metres. An expression that moves a vertex by less does not move it."""


def rig_of(registration: Registration, model: BodyModel) -> Rig:
    """The clothed person at rest, hair layer included, and how the photo shows them."""
    surface = clothed_surface(model, registration)
    skin_joints, skin_weights = _largest(surface.weights)
    names = model.expression_names
    # A body may have an expression twice (the open body does, and equal): by name it is one.
    columns = {name: column for column, name in enumerate(names)}
    start, moved, deltas = _sparse(surface.expression_deltas[list(columns.values())].numpy())
    camera = registration.camera
    return Rig(
        vertices=surface.vertices.numpy(),
        faces=surface.faces.astype(np.int32),
        uvs=corner_uvs(model, surface),
        joints=model.shape(torch.as_tensor(registration.betas, dtype=torch.float32)).joints.numpy(),
        skin_joints=skin_joints,
        skin_weights=skin_weights,
        expression_names=np.array(list(columns)),
        expression_start=start,
        expression_vertices=moved,
        expression_deltas=deltas,
        hand_mean=np.concatenate([model.hand_mean_left, model.hand_mean_right]),
        full_pose=registration.full_pose,
        transl=registration.transl,
        expression=np.array([registration.expression[np.array(names) == name].sum() for name in columns]),
        K=camera.K,
        world_to_camera=camera.world_to_camera,
        image_size=np.array([camera.width, camera.height]),
        body_sha256=registration.body_sha256,
    )


def _largest(weights: Tensor) -> tuple[np.ndarray, np.ndarray]:  # [V, K] uint8; [V, K] float32
    kept, joints = weights.topk(JOINTS_PER_VERTEX, dim=1)
    return joints.numpy().astype(np.uint8), (kept / kept.sum(1, keepdim=True)).numpy()


def _sparse(deltas: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of [E, V, 3]: where each expression begins [E + 1], the vertices it moves [S] and how far [S, 3]."""
    expression, vertex = np.nonzero(np.abs(deltas).max(2) > SMALLEST_DELTA)
    start = np.searchsorted(expression, np.arange(len(deltas) + 1))
    return start.astype(np.int32), vertex.astype(np.int32), deltas[expression, vertex]
