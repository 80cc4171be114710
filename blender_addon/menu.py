"""Object > Vivant and Pose > Vivant: every command in a menu, for F3 finds what stands in the mode's menus."""

from __future__ import annotations

from typing import Any

import bpy

ENTRIES = (
    "start_backend",
    "stop_backend",
    "restart_backend",
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
    "add_exp_keys",
    "talk",
    "load_motion",
    "save_motion",
    "bake_motion",
    "",
    "toggle_preview",
    "render_avatar",
    "cancel_render",
    "insert_composite",
    "remove_composite",
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


def _in_menu(self: bpy.types.Menu, context: bpy.types.Context) -> None:
    self.layout.separator()
    self.layout.menu(VivantMenu.bl_idname)


def _places() -> tuple[Any, ...]:
    return bpy.types.VIEW3D_MT_object, bpy.types.VIEW3D_MT_pose


def register() -> None:
    """Add the menu."""
    bpy.utils.register_class(VivantMenu)
    for menu in _places():
        menu.append(_in_menu)


def unregister() -> None:
    """Take it away."""
    for menu in _places():
        menu.remove(_in_menu)
    bpy.utils.unregister_class(VivantMenu)
