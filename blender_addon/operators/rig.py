"""Put an avatar into the scene, and pose it as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import bpy
from bpy.props import StringProperty
from mathutils import Matrix

from .. import expressions, mirror, results, session
from ..avatars import active_avatar, body_of
from ..motion_properties import key_rotation
from .avatar import selected
from .backend import needs_backend

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

    from .._shared.rig import Rig
    from .._shared.wire.client import Client

RIG, TEXTURE = "rig.npz", "texture.png"
FACE_BONES = ("jaw", "left_eye", "right_eye")


class CreateRig(bpy.types.Operator):
    """Put the avatar into the scene at the 3D cursor: an armature to animate and a body that wears the photo"""

    bl_idname = "vivant.create_rig"
    bl_label = "Add to Scene"

    avatar: StringProperty(name="Avatar", description="Its id on the backend; empty takes the selected one")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a backend with an avatar."""
        if not needs_backend(cls):
            return False
        if not selected(context):
            cls.poll_message_set("There is no avatar on the backend yet: build one in the Avatar panel")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Download what it is made of; the avatar stands in the scene when that has come."""
        avatar, scene = self.avatar or selected(context), context.scene.name
        info = mirror.avatar(avatar)
        name = info.name if info and info.name else "Avatar"
        session.run(
            lambda client: _download(client, avatar),
            lambda files: _arrived(scene, files, name, avatar),
        )
        return {"FINISHED"}


def _download(client: Client, avatar: str) -> tuple[Rig, Path]:
    from .._shared.rig import load_rig  # numpy is loaded by the first avatar: enabling the extension stays fast

    return load_rig(results.download(client, avatar, RIG)), results.download(client, avatar, TEXTURE)


def _arrived(scene: str, files: tuple[Rig, Path], name: str, avatar: str) -> None:
    """All is here: make the rig in the scene that asked for it, as one undo step."""
    from .. import rig

    window = next((one for one in bpy.context.window_manager.windows if one.scene.name == scene), None)
    if window is None:  # the scene was removed meanwhile
        return
    made, texture = files
    with bpy.context.temp_override(window=window):
        rig.create(bpy.context, made, texture, name, avatar)
        bpy.ops.ed.undo_push(message=f"Vivant: add {name}")
    mirror.redraw()


class _OnRig(bpy.types.Operator):
    """Base of the operators on the avatar that the user works on."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs an avatar in the scene."""
        return needs_avatar(cls, context)


class PoseAsInPhoto(_OnRig):
    """Pose the avatar as in its photo. Sets no keyframes"""

    bl_idname = "vivant.pose_photo"
    bl_label = "As in Photo"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Pose and face."""
        from .. import rig

        rig.pose_as_in_photo(active_avatar(context))
        return {"FINISHED"}


class PoseAtRest(_OnRig):
    """Stand with arms stretched out (the rest pose) and a still face. Sets no keyframes"""

    bl_idname = "vivant.pose_rest"
    bl_label = "Rest Pose"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Pose and face."""
        from .. import rig

        rig.stand_at_rest(active_avatar(context))
        return {"FINISHED"}


class KeyFace(_OnRig):
    """Set keyframes for jaw, eyes and all expressions at the current frame"""

    bl_idname = "vivant.key_face"
    bl_label = "Key Face"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Bones and shape keys."""
        armature = active_avatar(context)
        for name in FACE_BONES:
            key_rotation(armature, name)
        body = body_of(armature)
        for block in expressions.blocks_of(body).values() if body else ():
            block.keyframe_insert("value")
        return {"FINISHED"}


class ResetFace(_OnRig):
    """Close the mouth, look straight ahead, and set all expressions to 0. Sets no keyframes"""

    bl_idname = "vivant.reset_face"
    bl_label = "Reset Face"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Bones and shape keys."""
        armature = active_avatar(context)
        for name in FACE_BONES:
            armature.pose.bones[name].matrix_basis = Matrix()
        body = body_of(armature)
        for block in expressions.blocks_of(body).values() if body else ():
            block.value = 0.0
        return {"FINISHED"}


class AddExpKeys(_OnRig):
    """Give the expressions a second key each, named Exp000, Exp001, ..., for add-ons that write those; they add up"""

    bl_idname = "vivant.add_exp_keys"
    bl_label = "Add Exp000 Keys"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Copy the named keys."""
        from ..body_mesh import add_exp_keys

        body = body_of(active_avatar(context))
        if body is None or not expressions.names_of(body):
            self.report({"ERROR"}, "This avatar's body has no expressions")
            return {"CANCELLED"}
        add_exp_keys(body)
        return {"FINISHED"}


def needs_avatar(operator: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Part of a `poll`: whether it is clear which avatar is meant; says what to do if not."""
    if active_avatar(context) is not None:
        return True
    operator.poll_message_set("Select the armature of an avatar, or add one to the scene first")
    return False


CLASSES = (CreateRig, PoseAsInPhoto, PoseAtRest, KeyFace, ResetFace, AddExpKeys)


def register() -> None:
    """Add the operators."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take them away."""
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
