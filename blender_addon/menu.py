"""Object > Vivant: every command in a menu, for F3 finds what stands in menus."""

from __future__ import annotations

import bpy

ENTRIES = (
    "start_backend",
    "stop_backend",
    "connect_backend",
    "disconnect_backend",
    "try_mock",
    "free_memory",
    "",
    "choose_photo",
    "register_photo",
    "show_fit",
    "edit_fit",
    "send_fit",
    "discard_fit",
    "",
    "build_avatar",
    "import_avatar",
    "rename_avatar",
    "delete_avatar",
    "",
    "create_rig",
    "pose_photo",
    "pose_rest",
    "key_face",
    "reset_face",
    "talk",
    "load_motion",
    "save_motion",
    "bake_motion",
    "",
    "cancel_job",
    "resume_job",
    "open_log",
)
"""Operators without the prefix `vivant.`; empty ones are separators."""


class VivantMenu(bpy.types.Menu):
    """In the order of the work."""

    bl_idname = "VIVANT_MT_commands"
    bl_label = "Vivant"

    def draw(self, context: bpy.types.Context) -> None:
        """One line per command."""
        for name in ENTRIES:
            if name:
                self.layout.operator(f"vivant.{name}")
            else:
                self.layout.separator()


def _in_object_menu(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    self.layout.separator()
    self.layout.menu(VivantMenu.bl_idname)


def register() -> None:
    """Add the menu."""
    bpy.utils.register_class(VivantMenu)
    bpy.types.VIEW3D_MT_object.append(_in_object_menu)


def unregister() -> None:
    """Take it away."""
    bpy.types.VIEW3D_MT_object.remove(_in_object_menu)
    bpy.utils.unregister_class(VivantMenu)
