"""An armature's rest pose in SMPL-X terms: which bone is which joint, and about which axes it turns.

With A the rest axes of a bone and B the body's axes (left, up, front) in armature space, a joint's rotation R is
basis = A^T B R B^T A in the bone's own terms. In the armatures made here A = B = `TO_BLENDER`, so basis = R.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from . import bone_names
from ._shared.errors import VivantError
from ._shared.rotations import axis_angles_from_matrices, matrices_from_axis_angles, quats_from_matrices
from ._shared.skeleton import JOINT_INDEX, JOINT_NAMES, NUM_JOINTS, PARENTS
from .conversion import TO_BLENDER, points_to_smplx


@dataclass(frozen=True)
class Joints:
    """The bones that stand for joints 0..54; None where the armature has none (it is rigid on its parent)."""

    bones: tuple[str | None, ...]  # [55]
    axes: np.ndarray  # [55, 3, 3] rest axes of the bones as columns, armature space
    heads: np.ndarray  # [55, 3] metres, rest, armature space; NaN without a bone
    body_axes: np.ndarray  # [3, 3] the resting body's left, up and front as columns, armature space

    @property
    def rest(self) -> np.ndarray:
        """The resting joints [55, 3] in the body's own SMPL-X axes, metres of the armature."""
        return self.heads @ self.body_axes

    def world(self, matrix_world: Any) -> np.ndarray:
        """What takes the body's SMPL-X space to the world's [..., 4, 4], from an object's matrix (Blender axes)."""
        matrix = np.array(matrix_world, np.float64)
        matrix[..., :3, :3] = TO_BLENDER.T @ matrix[..., :3, :3] @ self.body_axes
        matrix[..., :3, 3] = points_to_smplx(matrix[..., :3, 3])
        return matrix


def joints_of(armature: bpy.types.Object) -> Joints:
    """Find the 55 joints of an SMPL-X armature.

    Raises:
        VivantError: some are missing; the message names the first.
    """
    found = bone_names.match(armature.data.bones.keys())
    missing = [name for name in JOINT_NAMES if name not in found]
    if missing:
        raise VivantError(
            f"{armature.name} is no SMPL-X armature: it has no bone {missing[0]} ({len(missing)} of 55 are missing). "
            "Select the armature of an avatar, or bake this one's motion onto it."
        )
    return rest_joints(armature, found)


def rest_joints(armature: bpy.types.Object, found: dict[str, str]) -> Joints:
    """Read the rest pose of the bones `found` (joint -> bone)."""
    bones = armature.data.bones
    flat = np.empty(16 * len(bones), np.float32)
    bones.foreach_get("matrix_local", flat)  # column by column
    matrices = flat.reshape(-1, 4, 4).swapaxes(-1, -2).astype(np.float64)
    row = {name: index for index, name in enumerate(bones.keys())}
    nowhere = np.eye(4)
    nowhere[:3, 3] = np.nan
    rest = np.stack([matrices[row[found[name]]] if name in found else nowhere for name in JOINT_NAMES])
    heads = rest[:, :3, 3]
    return Joints(tuple(found.get(name) for name in JOINT_NAMES), rest[:, :3, :3], heads, _body_axes(heads))


def _body_axes(heads: np.ndarray) -> np.ndarray:
    """Left, up and front of the resting body, snapped to armature axes: files differ in which axis points up."""
    pelvis, left, right, neck = heads[[JOINT_INDEX[name] for name in ("pelvis", "left_hip", "right_hip", "neck")]]
    if not np.isfinite([left, right, neck]).all():
        return TO_BLENDER
    up = _along_axis(neck - pelvis)
    left = _along_axis((left - right) * (up == 0))
    return np.stack([left, up, np.cross(left, up)], axis=1)


def _along_axis(vector: np.ndarray) -> np.ndarray:
    longest = np.abs(vector).argmax()
    return np.eye(3)[longest] * np.sign(vector[longest])


def bone_quats(
    joints: Joints,
    full_pose: np.ndarray,  # [F, 165] axis-angle, radians
) -> np.ndarray:  # [F, 55, 4] w, x, y, z
    """Turn joint rotations into what bones hold as `rotation_quaternion`, without jumps from frame to frame."""
    turns = matrices_from_axis_angles(full_pose.reshape(len(full_pose), NUM_JOINTS, 3).astype(np.float64))
    to_bones = np.swapaxes(joints.axes, -1, -2) @ joints.body_axes  # [55, 3, 3]
    return _continuous(quats_from_matrices(to_bones @ turns @ np.swapaxes(to_bones, -1, -2)))


def pelvis_locations(joints: Joints, transl: np.ndarray) -> np.ndarray:
    """Turn `transl` [F, 3] metres into what the pelvis bone holds as `location` [F, 3]."""
    return transl @ joints.body_axes.T @ joints.axes[0]


def _continuous(quats: np.ndarray) -> np.ndarray:
    """Choose signs [F, ...] so that neighbouring frames lie on one side: curves are interpolated number by number."""
    flips = np.sum(quats[1:] * quats[:-1], axis=-1, keepdims=True) < 0
    signs = np.cumprod(np.where(flips, -1.0, 1.0), axis=0)
    return np.concatenate([quats[:1], quats[1:] * signs])


def full_poses(
    joints: Joints,
    world: np.ndarray,  # [F, 4, 4] the armature's matrix_world
    posed: np.ndarray,  # [F, 55, 4, 4] posed bones in armature space; anything where a joint has no bone
) -> tuple[np.ndarray, np.ndarray]:  # [F, 165]; [F, 3] metres
    """Turn posed bones into SMPL-X `full_pose` and `transl` of the world, Y up. Scale of the bones does not count."""
    to_world = joints.world(world)
    turned = _rotations(posed[..., :3, :3]) @ np.swapaxes(joints.axes, -1, -2) @ joints.body_axes
    turned = _rotations(to_world[:, None, :3, :3]) @ joints.body_axes.T @ turned
    for joint, parent in enumerate(PARENTS):
        if joints.bones[joint] is None:
            turned[:, joint] = turned[:, parent]
    pelvis = posed[:, 0, :3, 3] @ joints.body_axes
    pelvis = np.einsum("fij,fj->fi", to_world[:, :3, :3], pelvis) + to_world[:, :3, 3]
    return axis_angles_from_matrices(local_rotations(turned)).reshape(len(world), -1), pelvis - joints.rest[0]


def local_rotations(turned: np.ndarray) -> np.ndarray:
    """Rotations [F, 55, 3, 3] in the world to rotations against the parent joint."""
    parents = turned[:, list(PARENTS[1:])]
    return np.concatenate([turned[:, :1], np.swapaxes(parents, -1, -2) @ turned[:, 1:]], axis=1)


def world_rotations(local: np.ndarray) -> np.ndarray:
    """Rotations [F, 55, 3, 3] against the parent joint to rotations in the world."""
    turned = local.copy()
    for joint, parent in enumerate(PARENTS):
        if parent >= 0:
            turned[:, joint] = turned[:, parent] @ local[:, joint]
    return turned


def _rotations(matrices: np.ndarray) -> np.ndarray:
    """The matrices [..., 3, 3] without the scale of their columns."""
    return matrices / np.linalg.norm(matrices, axis=-2, keepdims=True)


def carried(
    full_pose: np.ndarray,  # [F, 165]
    transl: np.ndarray,  # [F, 3] metres
    joints: Joints,
    matrix: np.ndarray,  # [4, 4] rigid, SMPL-X axes
) -> tuple[np.ndarray, np.ndarray]:  # [F, 165]; [F, 3] metres
    """The same performance elsewhere: every point of the body goes where `matrix` takes it."""
    turn = matrix[:3, :3]
    root = matrices_from_axis_angles(full_pose[:, :3].astype(np.float64))
    moved = full_pose.copy()
    moved[:, :3] = axis_angles_from_matrices(turn @ root)
    pelvis = joints.rest[0]
    return moved, (pelvis + transl) @ turn.T + matrix[:3, 3] - pelvis
