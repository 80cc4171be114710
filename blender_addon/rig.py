"""Make an avatar's armature: the 55 SMPL-X joints, in axes that make a bone's quaternion the joint's quaternion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np

from . import body_mesh, bone_shapes, compat, expressions, keyframes
from ._shared.rig import Rig
from ._shared.skeleton import JAW, JOINT_NAMES, LEFT_HAND, NUM_JOINTS, PARENTS
from .avatars import AVATAR_KEY, body_of
from .conversion import points_to_blender
from .joints import joints_of

_PHOTO_POSE, _PHOTO_TRANSL, _PHOTO_EXPRESSION = "vivant_full_pose", "vivant_transl", "vivant_expression"
"""Custom properties of an avatar's armature: pose [165], place [3] and expression [E] in the photo."""

_HAND_MEAN = "vivant_hand_mean"
"""Custom property of an avatar's armature: its body's relaxed hands, 90 numbers."""

_BONE_LENGTH = 0.06  # metres; bones are drawn by their custom shapes
_COLLECTIONS = {
    "Body": JOINT_NAMES[: JAW.start],
    "Face": JOINT_NAMES[JAW.start : LEFT_HAND.start],
    "Hands": JOINT_NAMES[LEFT_HAND.start :],
}


def create(
    context: bpy.types.Context,
    rig: Rig,
    texture: Path | None,
    name: str,
    avatar_id: str,
) -> bpy.types.Object:
    """Add an avatar to the scene at the 3D cursor: armature and proxy body, posed as in the photo, selected.

    Its own origin is the photo's world: the floor is at z = 0, the person stands over the origin.

    Args:
        context: object mode is entered; the active collection receives the objects, or the scene's if that is hidden.
        rig: what the backend made of the photo.
        texture: picture for the body's UV map; None leaves the body grey.
        name: of the armature; Blender numbers duplicates.
        avatar_id: the avatar on the backend, or the register job.
    """
    if context.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")
    home = _visible_collection(context)
    armature = _armature(context, rig, name, home)
    armature[AVATAR_KEY] = avatar_id
    for key, values in (
        (_PHOTO_POSE, rig.full_pose),
        (_PHOTO_TRANSL, rig.transl),
        (_PHOTO_EXPRESSION, rig.expression),
        (_HAND_MEAN, rig.hand_mean),
    ):
        armature[key] = np.asarray(values, np.float64).ravel().tolist()
    body = body_mesh.create(rig, f"{armature.name} body", texture)
    home.objects.link(body)
    body.parent = armature
    body.modifiers.new("Armature", "ARMATURE").object = armature
    bone_shapes.assign(armature, rig)
    armature.vivant_rig.body_mode = "CAST" if compat.V42 else "HIDDEN"  # earlier ones show it to EEVEE's camera
    armature.location = context.scene.cursor.location
    pose_as_in_photo(armature)
    _select(context, armature)
    return armature


def _visible_collection(context: bpy.types.Context) -> bpy.types.Collection:
    return context.collection if context.layer_collection.is_visible else context.scene.collection


def _armature(context: bpy.types.Context, rig: Rig, name: str, home: bpy.types.Collection) -> bpy.types.Object:
    armature = bpy.data.objects.new(name, bpy.data.armatures.new(name))
    home.objects.link(armature)
    _select(context, armature)
    bpy.ops.object.mode_set(mode="EDIT")
    _add_bones(armature.data.edit_bones, points_to_blender(rig.joints))
    bpy.ops.object.mode_set(mode="OBJECT")
    for label, bones in _COLLECTIONS.items():
        compat.bone_collection(armature.data, label, list(bones))
    armature.data.display_type = "STICK"
    armature.show_in_front = True
    for bone in armature.pose.bones:
        bone.rotation_mode = "QUATERNION"
        bone.lock_location = (bone.name != "pelvis",) * 3
        bone.lock_scale = (True,) * 3
    return armature


def _add_bones(edit_bones: Any, joints: np.ndarray) -> None:
    """Add one upright bone per joint [55, 3]; upright with roll 0 is what gives it SMPL-X axes."""
    for joint in range(NUM_JOINTS):
        bone = edit_bones.new(JOINT_NAMES[joint])
        bone.head = joints[joint]
        bone.tail = joints[joint] + (0.0, 0.0, _BONE_LENGTH)
        bone.roll = 0.0
        if PARENTS[joint] >= 0:
            bone.parent = edit_bones[JOINT_NAMES[PARENTS[joint]]]


def _select(context: bpy.types.Context, armature: bpy.types.Object) -> None:
    for other in list(context.view_layer.objects.selected):
        other.select_set(False)
    armature.select_set(True)
    context.view_layer.objects.active = armature


def photo_pose(armature: bpy.types.Object) -> tuple[np.ndarray, np.ndarray]:
    """The photo's full_pose [165] and transl [3] metres, in the armature's space and SMPL-X axes."""
    return np.array(armature[_PHOTO_POSE]), np.array(armature[_PHOTO_TRANSL])


def hand_mean(armature: bpy.types.Object) -> np.ndarray:
    """The body's relaxed hands [30, 3], axis-angle, for files that count fingers from them."""
    return np.array(armature[_HAND_MEAN]).reshape(30, 3)


def pose_as_in_photo(armature: bpy.types.Object) -> None:
    """Take up pose and expression of the photo, without keyframes."""
    keyframes.set_pose(armature, joints_of(armature), *photo_pose(armature))
    body = body_of(armature)
    if body is not None:
        keyframes.set_expression(body, body[expressions.NAMES_KEY], armature[_PHOTO_EXPRESSION])


def stand_at_rest(armature: bpy.types.Object) -> None:
    """Take up the rest pose (a T) and a still face, feet on the armature's floor, without keyframes."""
    body = body_of(armature)
    lowest = 0.0 if body is None else min(vertex.co.z for vertex in body.data.vertices)
    keyframes.set_pose(armature, joints_of(armature), np.zeros(3 * NUM_JOINTS), np.array([0.0, -lowest, 0.0]))
    if body is not None:
        keyframes.set_expression(body, (), ())
