"""Write a motion into an armature: as the current pose, or as keyframes of bones and shape keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import bpy
import numpy as np

from . import compat, expressions
from ._shared.motion import Motion
from .joints import Joints, bone_quats, pelvis_locations

_LINEAR = 1  # the number that `foreach_set` takes for 'LINEAR'


def set_pose(
    armature: bpy.types.Object,
    joints: Joints,
    full_pose: np.ndarray,  # [165] axis-angle, radians
    transl: np.ndarray,  # [3] metres, armature space, SMPL-X axes
) -> None:
    """Take up a pose, without keyframes."""
    quats = bone_quats(joints, full_pose[None])[0]
    for name, quat in zip(joints.bones, quats, strict=True):
        bone = armature.pose.bones[name]
        bone.rotation_mode = "QUATERNION"
        bone.rotation_quaternion = quat
    armature.pose.bones[joints.bones[0]].location = pelvis_locations(joints, transl[None])[0]


def set_expression(body: bpy.types.Object, names: Iterable[str], values: Iterable[float]) -> None:
    """Take up an expression, without keyframes; keys that are not named go to 0."""
    wanted: dict[str, float] = {}
    for name, value in zip(names, values, strict=True):  # a name may come twice: its keys are one
        wanted[name] = wanted.get(name, 0.0) + value
    for name, block in expressions.blocks_of(body).items():
        expressions.set_value(block, wanted.get(name, 0.0))


def key_motion(armature: bpy.types.Object, joints: Joints, motion: Motion, frames: np.ndarray) -> None:
    """Key all 55 joints and the pelvis' location at `frames` [F]; the curves there were are replaced.

    `motion` is in armature space. Bones are switched to quaternions.
    """
    quats = bone_quats(joints, motion.full_pose)  # [F, 55, 4]
    for joint, name in enumerate(joints.bones):
        bone = armature.pose.bones[name]
        bone.rotation_mode = "QUATERNION"
        _key(armature, bone.path_from_id("rotation_quaternion"), name, frames, quats[:, joint])
    pelvis = armature.pose.bones[joints.bones[0]]
    locations = pelvis_locations(joints, motion.transl)
    _key(armature, pelvis.path_from_id("location"), pelvis.name, frames, locations)


def key_expression(body: bpy.types.Object, motion: Motion, frames: np.ndarray) -> list[str]:
    """Key the expressions that move; others lose their keys and go to 0. Returns moving names this body lacks."""
    moving = {
        name: column for name, column in zip(motion.expression_names, motion.expression.T, strict=True) if column.any()
    }
    blocks = expressions.blocks_of(body)
    for name, block in blocks.items():
        if name in moving:
            expressions.widen(block, float(moving[name].min()), float(moving[name].max()))
            _key(block.id_data, block.path_from_id("value"), "Expressions", frames, moving[name][:, None])
        else:
            block.value = 0.0
            _unkey(block.id_data, block.path_from_id("value"))
    return [name for name in moving if name not in blocks]


def _key(idblock: Any, path: str, group: str, frames: np.ndarray, values: np.ndarray) -> None:
    """Write one linear curve per column of `values` [F, C]."""
    points = np.empty((len(frames), 2), np.float32)
    points[:, 0] = frames
    for index in range(values.shape[1]):
        points[:, 1] = values[:, index]
        curve = compat.new_fcurve(idblock, path, index, group)
        curve.keyframe_points.add(len(frames))
        curve.keyframe_points.foreach_set("co", points.ravel())
        curve.keyframe_points.foreach_set("interpolation", np.full(len(frames), _LINEAR, np.int32))
        curve.update()


def _unkey(idblock: Any, path: str) -> None:
    curves = compat.fcurves_of(idblock)
    curve = curves.find(path) if curves else None
    if curve is not None:
        curves.remove(curve)


def new_action(idblock: Any, name: str) -> None:
    """Give an ID a fresh action; the one it had is kept in the file."""
    data = idblock.animation_data_create()
    if data.action is not None:
        data.action.use_fake_user = True
    data.action = bpy.data.actions.new(name)
    if compat.V44:
        data.action_slot = data.action.slots.new(id_type=idblock.id_type, name=idblock.name)
