"""The one place where SMPL-X axes (Y up, facing +Z) and Blender's (Z up, facing -Y) meet. Pure numpy, no bpy.

A person who faces +Z in SMPL-X faces -Y in Blender: what Blender's front view (numpad 1) looks at. The person's left
is +X in both.
"""

from __future__ import annotations

import numpy as np

TO_BLENDER = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""[3, 3]: Blender coordinates of SMPL-X axes. A bone that points straight up with roll 0 has these very rest axes, so
in an armature of such bones a bone's quaternion is the SMPL-X joint's quaternion, number for number."""

_OPENCV_TO_BLENDER_CAMERA = np.diag([1.0, -1.0, -1.0, 1.0])
"""OpenCV cameras look along +z with y down, Blender's along -z with y up. Its own inverse."""

_WORLD = np.eye(4)
_WORLD[:3, :3] = TO_BLENDER


def points_to_blender(points: np.ndarray) -> np.ndarray:
    """Turn points or directions [..., 3] from SMPL-X axes into Blender's."""
    return points @ TO_BLENDER.T


def points_to_smplx(points: np.ndarray) -> np.ndarray:
    """Turn points or directions [..., 3] from Blender's axes into SMPL-X's."""
    return points @ TO_BLENDER


def rotations_to_blender(matrices: np.ndarray) -> np.ndarray:
    """Turn rotation matrices [..., 3, 3] about SMPL-X axes into the same rotations about Blender's."""
    return TO_BLENDER @ matrices @ TO_BLENDER.T


def rotations_to_smplx(matrices: np.ndarray) -> np.ndarray:
    """Turn rotation matrices [..., 3, 3] about Blender's axes into the same rotations about SMPL-X's."""
    return TO_BLENDER.T @ matrices @ TO_BLENDER


def camera_to_blender(world_to_camera: np.ndarray) -> np.ndarray:
    """Turn an OpenCV extrinsic [4, 4] of the SMPL-X world into a Blender camera's `matrix_world` [4, 4]."""
    return _WORLD @ np.linalg.inv(world_to_camera) @ _OPENCV_TO_BLENDER_CAMERA


def camera_to_smplx(matrix_world: np.ndarray) -> np.ndarray:
    """Turn a Blender camera's rigid `matrix_world` [4, 4] into an OpenCV extrinsic [4, 4] of the SMPL-X world."""
    return _OPENCV_TO_BLENDER_CAMERA @ np.linalg.inv(matrix_world) @ _WORLD
