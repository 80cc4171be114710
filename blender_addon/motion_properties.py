"""Properties of the Motion panel: choices on the scene, and sliders on the armature that move jaw, eyes and body."""

from __future__ import annotations

from typing import Any, cast

import bpy
from bpy.props import (
    EnumProperty,
    FloatProperty,
    PointerProperty,
    StringProperty,
)
from mathutils import Euler

from .avatars import body_of

EYES = ("left_eye", "right_eye")

BODY_MODES = (
    ("CAST", "Shadows and Mirrors", "Unseen by the camera, but throws the avatar's shadow and is seen in mirrors"),
    ("HIDDEN", "Not Rendered", "Only in the viewport; renders show the avatar alone"),
    ("VISIBLE", "Rendered", "The body is rendered, wearing the photo. A composited avatar and it hide each other"),
    ("SHADOW", "Shadow Catcher", "Renders show only the shadows that fall on the body (Cycles)"),
    ("HOLDOUT", "Holdout", "Renders are transparent where the body is"),
)


def _turn(armature: Any, bone: str) -> Euler:
    return armature.pose.bones[bone].matrix_basis.to_euler("XYZ")


def _set_turn(armature: Any, bone: str, axis: int, angle: float) -> None:
    turn = _turn(armature, bone)
    turn[axis] = angle
    armature.pose.bones[bone].matrix_basis = turn.to_matrix().to_4x4()
    if bpy.context.scene.tool_settings.use_keyframe_insert_auto:
        key_rotation(armature, bone)


def key_rotation(armature: Any, bone: str) -> None:
    """Key a bone's rotation at the current frame, in the mode that the animator chose for it."""
    pose_bone = armature.pose.bones[bone]
    channels = {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}
    pose_bone.keyframe_insert(channels.get(pose_bone.rotation_mode, "rotation_euler"), group=bone)


def _angle(name: str, description: str, bones: tuple[str, ...], axis: int, low: float, high: float) -> Any:
    """A slider for the turn of bones about one axis; written down nowhere else than in the bones."""

    def read(self: VivantRig) -> float:
        return _turn(self.id_data, bones[0])[axis]

    def write(self: VivantRig, value: float) -> None:
        for bone in bones:
            _set_turn(self.id_data, bone, axis, value)

    return FloatProperty(
        name=name,
        description=description,
        subtype="ANGLE",
        soft_min=low,
        soft_max=high,
        get=read,
        set=write,
        options={"SKIP_SAVE"},
    )


def _body_mode(self: VivantRig) -> int:
    body = body_of(cast(bpy.types.Object, self.id_data))
    if body is None or body.hide_render:
        return 1
    return 0 if not body.visible_camera else 3 if body.is_shadow_catcher else 4 if body.is_holdout else 2


def _set_body_mode(self: VivantRig, value: int) -> None:
    body = body_of(cast(bpy.types.Object, self.id_data))
    if body is not None:
        body.visible_camera, body.hide_render = value != 0, value == 1
        body.is_shadow_catcher, body.is_holdout = value == 3, value == 4


class VivantRig(bpy.types.PropertyGroup):
    """Views of an avatar's bones and body; the state is theirs."""

    jaw_open: _angle("Jaw Open", "Turns the jaw joint; the key jawOpen moves the same skin", ("jaw",), 0, 0.0, 0.5)
    jaw_side: _angle("Jaw Sideways", "To the person's left", ("jaw",), 1, -0.2, 0.2)
    look_down: _angle("Look Down", "Both eyes; negative looks up", EYES, 0, -0.4, 0.4)
    look_left: _angle("Look Left", "Both eyes, to the person's left; negative looks right", EYES, 1, -0.6, 0.6)
    body_mode: EnumProperty(
        name="Body",
        description="What renders show of the proxy body; Vivant renders the avatar in its place",
        items=BODY_MODES,
        get=_body_mode,
        set=_set_body_mode,
    )


class VivantMotion(bpy.types.PropertyGroup):
    """What the user chose in the Motion panel of this scene."""

    notes: StringProperty(description="What the newest motion file left open, and what was assumed")
    search: StringProperty(
        name="Search", description="Show expressions whose name contains this", options={"TEXTEDIT_UPDATE"}
    )
    source: PointerProperty(
        name="From",
        description="The armature whose motion is taken over: SMPL-X, SMPL or Mixamo bones, or any with a map",
        type=bpy.types.Object,
        poll=lambda self, item: item.type == "ARMATURE",
    )
    bone_map: PointerProperty(
        name="Map",
        description="A text with lines such as: left_knee = shin.L; empty recognises SMPL-X, SMPL and Mixamo",
        type=bpy.types.Text,
    )


CLASSES = (VivantRig, VivantMotion)


def register() -> None:
    """Add the properties to scenes and objects."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.vivant_motion = PointerProperty(type=VivantMotion)
    bpy.types.Object.vivant_rig = PointerProperty(type=VivantRig)


def unregister() -> None:
    """Take them away."""
    del bpy.types.Object.vivant_rig
    del bpy.types.Scene.vivant_motion
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
