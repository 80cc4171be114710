"""The panels of the avatar in the scene: its rig, its motion, its face."""

from __future__ import annotations

from typing import Any

import bpy

from .. import expressions
from ..avatars import active_avatar, body_of
from .drawing import VivantPanel, sentence

NO_AVATAR = "Add an avatar from the list above to the scene; then keyframe it, load a motion, or let it talk."
WHICH = "There are several avatars in the scene: select the armature of one."


class MotionPanel(VivantPanel, bpy.types.Panel):
    """Put the avatar into the scene and make it move."""

    bl_idname = "VIVANT_PT_motion"
    bl_label = "Motion"
    bl_order = 30

    def draw(self, context: bpy.types.Context) -> None:
        """From no rig to a moving one."""
        layout, armature = self.layout, active_avatar(context)
        row = layout.row()
        row.scale_y = 1.3 if armature is None else 1.0
        row.operator("vivant.create_rig", icon="OUTLINER_OB_ARMATURE")
        if armature is None:
            sentence(layout, context, WHICH if _has_avatars(context) else NO_AVATAR, icon="INFO")
            return
        layout.label(text=armature.name, icon="ARMATURE_DATA")
        row = layout.row(align=True)
        row.operator("vivant.pose_photo")
        row.operator("vivant.pose_rest")
        row = layout.row(align=True)
        row.operator("vivant.talk", icon="PLAY_SOUND")
        row.operator("vivant.load_motion", text="Load", icon="IMPORT")
        row.operator("vivant.save_motion", text="", icon="EXPORT")
        self._draw_notes(context)
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.prop(armature.vivant_rig, "body_mode")

    def _draw_notes(self, context: bpy.types.Context) -> None:
        notes = context.scene.vivant_motion.notes
        if notes:
            box = self.layout.box()
            for note in notes.split("\n"):
                sentence(box, context, note, icon="INFO")
            box.operator("vivant.dismiss_notes", icon="X")


def _has_avatars(context: bpy.types.Context) -> bool:
    from ..avatars import avatars_of

    return bool(avatars_of(context.scene))


class _AvatarPanel(VivantPanel):
    """Base of the sub-panels that need an avatar."""

    bl_parent_id = "VIVANT_PT_motion"
    bl_options: Any = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Nothing to show without an avatar."""
        return active_avatar(context) is not None


class FacePanel(_AvatarPanel, bpy.types.Panel):
    """Jaw, gaze and expressions."""

    bl_idname = "VIVANT_PT_face"
    bl_label = "Face"
    bl_order = 0

    def draw(self, context: bpy.types.Context) -> None:
        """Joints first, then the way to what follows."""
        layout, sliders = self.layout, active_avatar(context).vivant_rig
        column = layout.column(align=True)
        for name in ("jaw_open", "jaw_side", "look_down", "look_left"):
            column.prop(sliders, name, slider=True)
        row = layout.row(align=True)
        row.operator("vivant.key_face", icon="KEY_HLT")
        row.operator("vivant.reset_face", text="", icon="LOOP_BACK")
        row.operator("vivant.add_exp_keys", text="", icon="SHAPEKEY_DATA")
        layout.prop(context.scene.vivant_motion, "search", text="", icon="VIEWZOOM")


class _ExpressionPanel(_AvatarPanel):
    """Base of one group of expression sliders."""

    bl_parent_id = "VIVANT_PT_face"
    group = ""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Not shown where the body has none of them."""
        armature = active_avatar(context)
        body = body_of(armature) if armature else None
        names = body.get(expressions.NAMES_KEY, ()) if body else ()
        return any(expressions.group_of(name) == cls.group for name in names)

    def draw(self, context: bpy.types.Context) -> None:
        """The sliders that the search lets through; each can be keyed by itself."""
        body = body_of(active_avatar(context))
        wanted = context.scene.vivant_motion.search.lower()
        column = self.layout.column(align=True)
        for name, block in expressions.blocks_of(body).items() if body else ():
            if expressions.group_of(name) == self.group and wanted in name.lower():
                column.prop(block, "value", text=name, slider=True)


def _expression_panel(group: str, order: int) -> type[bpy.types.Panel]:
    identifier = f"VIVANT_PT_face_{group.split()[0].lower()}"
    content = {"bl_idname": identifier, "bl_label": group, "bl_order": order, "group": group, "__doc__": group}
    return type(identifier, (_ExpressionPanel, bpy.types.Panel), content)


class BakePanel(_AvatarPanel, bpy.types.Panel):
    """Motion from another armature."""

    bl_idname = "VIVANT_PT_bake"
    bl_label = "From Another Armature"
    bl_order = 1

    def draw(self, context: bpy.types.Context) -> None:
        """Source, map, button."""
        layout, choices = self.layout, context.scene.vivant_motion
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.prop(choices, "source")
        column.prop(choices, "bone_map")
        layout.operator("vivant.bake_motion", icon="ACTION")


CLASSES: tuple[type[bpy.types.Panel], ...] = (
    MotionPanel,
    FacePanel,
    *(_expression_panel(group, order) for order, group in enumerate(expressions.GROUP_NAMES)),
    BakePanel,
)


def register() -> None:
    """Add the panels."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take them away."""
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
