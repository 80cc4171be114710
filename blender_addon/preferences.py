"""Where the backend is: asked once, kept in Blender's preferences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy

if TYPE_CHECKING:
    from ._shared.wire.connection import Connection


def chosen_connection() -> Connection:
    """The connection that the preferences name: of the local backend, or of the remote one's key file.

    Raises:
        VivantError: there is none.
    """
    from ._shared.wire.connection import data_folder, load_connection

    return load_connection(data_folder() / "connection.json")


class VivantPreferences(bpy.types.AddonPreferences):
    """Drawn in Blender's preferences, below the extension's name."""

    bl_idname = __package__


def register() -> None:
    """Add the preferences."""
    bpy.utils.register_class(VivantPreferences)


def unregister() -> None:
    """Take them away."""
    bpy.utils.unregister_class(VivantPreferences)
