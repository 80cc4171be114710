"""From the fitting frame (camera at the origin, level) to the world: upright person, floor at y = 0."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from backend.body.model import BodyModel
from backend.stages import Registration
from shared.skeleton import JOINT_INDEX

LARGEST_PITCH = 0.4
"""Radians; past this it is the person that leans, not the camera."""


def grounded(registration: Registration, model: BodyModel, *, upright: bool) -> Registration:
    """The same view of the same body, with the person over x = z = 0 and the lowest point at y = 0.

    `upright`: take the person's lean along the line of sight for a tilt of the camera. One photo cannot tell the two
    apart, and people stand upright more often than photographers hold their cameras level.
    """
    vertices, joints = posed_body(registration, model)
    turn = _straighten(joints) if upright else Rotation.identity()
    pelvis, lowest = turn.apply(joints[0]), turn.apply(vertices)[:, 1].min()
    return _moved(registration, model, turn, -np.array([pelvis[0], lowest, pelvis[2]]))


def posed_body(registration: Registration, model: BodyModel) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [V, 3] and joints [55, 3] of the registered body without clothes, metres, world."""
    tensors = [
        torch.from_numpy(np.asarray(values, dtype=np.float32))
        for values in (registration.betas, registration.full_pose, registration.transl, registration.expression)
    ]
    betas, full_pose, transl, expression = tensors
    posed = model.pose(model.shape(betas), full_pose[None], transl[None], expression[None])
    return posed.vertices[0].numpy(), posed.joints[0].numpy()


def _straighten(joints: np.ndarray) -> Rotation:
    """The rotation about x that brings shoulders over ankles."""
    ankles = joints[[JOINT_INDEX["left_ankle"], JOINT_INDEX["right_ankle"]]].mean(0)
    shoulders = joints[[JOINT_INDEX["left_shoulder"], JOINT_INDEX["right_shoulder"]]].mean(0)
    axis = shoulders - ankles
    lean = np.arctan2(axis[2], axis[1])
    return Rotation.from_rotvec([-float(np.clip(lean, -LARGEST_PITCH, LARGEST_PITCH)), 0.0, 0.0])


def _moved(registration: Registration, model: BodyModel, turn: Rotation, shift: np.ndarray) -> Registration:
    """Turn and shift person and camera together."""
    root_joint = model.shape(torch.from_numpy(registration.betas.astype(np.float32))).joints[0].numpy()
    full_pose = registration.full_pose.copy()
    full_pose[:3] = (turn * Rotation.from_rotvec(full_pose[:3])).as_rotvec()
    back = np.eye(4)
    back[:3, :3] = turn.as_matrix().T
    back[:3, 3] = -back[:3, :3] @ shift
    camera = replace(registration.camera, world_to_camera=registration.camera.world_to_camera @ back)
    transl = turn.apply(root_joint + registration.transl) + shift - root_joint
    return replace(registration, full_pose=full_pose, transl=transl, camera=camera)
