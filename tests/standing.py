"""A standing person whose every number is known, and the photo that a perfect observer would make of it."""

import numpy as np

from backend.body.model import BodyModel
from backend.raster.mesh import rasterize_mesh
from backend.registration.wearer import Wearer
from backend.stages import Landmarks, Observations, Registration
from shared.camera import Camera
from shared.skeleton import JOINT_INDEX

FINE = 3
"""Samples per pixel and axis, from which the matte's soft edge is made."""


def standing(model: BodyModel, height: int = 640, focal: float = 1000.0) -> Registration:
    """The mean body, seen whole from the front, its arms held away from the trunk."""
    pose = np.zeros((55, 3), np.float32)
    pose[JOINT_INDEX["left_shoulder"], 2], pose[JOINT_INDEX["right_shoulder"], 2] = -0.9, 0.9
    width, focal = height * 3 // 4, focal * height / 640
    world_to_camera = np.diag([1.0, -1.0, -1.0, 1.0])
    world_to_camera[:3, 3] = [0.0, -0.42, 3.0]
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return Registration(
        body_sha256=model.sha256,
        betas=np.zeros(model.num_betas, np.float32),
        expression=np.zeros(len(model.expression_names), np.float32),
        expression_names=model.expression_names,
        full_pose=pose.ravel(),
        transl=np.zeros(3, np.float32),
        camera=Camera(width, height, K, world_to_camera),
        offsets=np.zeros((len(model.template), 3), np.float32),
        confidence={},
    )


def photograph(wearer: Wearer, offsets: np.ndarray, vertex_colors: np.ndarray, camera: Camera) -> Observations:
    """What is seen of the surface moved by `offsets` [V, 3], painted with `vertex_colors` [V, 3] in [0, 1]."""
    fine = camera.resized(FINE * camera.width, FINE * camera.height)
    buffers = rasterize_mesh(wearer.posed(offsets), wearer.faces, fine)
    covered = (buffers.face >= 0).astype(np.float32)
    corners = vertex_colors[wearer.faces[buffers.face]]
    painted = (corners * buffers.barycentric[..., None]).sum(2) * covered[..., None]
    alpha, color = _box(covered), _box(painted)
    straight = color / np.maximum(alpha, 1e-6)[..., None]
    foreground = np.round(255 * straight).astype(np.uint8)
    return Observations(
        rgb=np.round(255 * color).astype(np.uint8),
        foreground=foreground,
        alpha=alpha,
        box=(0, 0, camera.width, camera.height),
        focal=float(camera.K[0, 0]),
        body=unseen(33),
        body_world=np.zeros((33, 3)),
        face=unseen(478),
        left_hand=unseen(21),
        right_hand=unseen(21),
        providers={"matte": "truth"},
    )


def unseen(count: int) -> Landmarks:
    """No landmark found."""
    return Landmarks(np.zeros((count, 2)), np.zeros(count))


def _box(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[0] // FINE, image.shape[1] // FINE
    return image.reshape(height, FINE, width, FINE, *image.shape[2:]).mean((1, 3))
