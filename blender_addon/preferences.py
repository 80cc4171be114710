"""Where the backend is: asked once, kept in Blender's preferences."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from . import compat
from ._shared.errors import VivantError
from .backend_python import find_python

if TYPE_CHECKING:
    from ._shared.wire.connection import Connection

DOCTOR_ICONS = {"used": "CHECKMARK", "ready": "RADIOBUT_OFF", "absent": "REMOVE"}

LOOK_AGAIN_S = 3.0

_doctor: list[str] = []
_found: tuple[str, float, Path | None] | None = None  # chosen, when, what


class VivantPreferences(bpy.types.AddonPreferences):
    """Drawn in Blender's preferences, below the extension's name."""

    bl_idname = __package__

    where: EnumProperty(
        name="Backend",
        description="Which computer does the computing",
        items=[
            ("LOCAL", "This Computer", "Start it from here, with a Python that has Vivant installed"),
            ("REMOTE", "Another Computer", "Connect to a `vivant serve` that runs elsewhere, with a key file"),
        ],
    )
    python: StringProperty(
        name="Python",
        description="The Python that Vivant is installed in. Empty: found by itself (the command `vivant`, or a "
        "virtual environment in a usual place)",
        subtype="FILE_PATH",
    )
    data: StringProperty(
        name="Data Folder",
        description="Where the backend keeps avatars, jobs and keys. Empty: the usual place for a user's data",
        subtype="DIR_PATH",
    )
    keep_running: BoolProperty(
        name="Keep Running After Blender",
        description="Jobs go on when Blender is closed. Off: the backend ends with Blender, even if that crashes",
    )
    key_file: StringProperty(
        name="Key File",
        description="Written on the other computer by `vivant keys new`. Keep it secret",
        subtype="FILE_PATH",
    )
    host: StringProperty(
        name="Address", description="Only if it is not the one in the key file, e.g. through a tunnel: 127.0.0.1"
    )

    def draw(self, context: bpy.types.Context) -> None:
        """The settings, and what the doctor said."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.row().prop(self, "where", expand=True)
        if self.where == "LOCAL":
            self._draw_local(layout)
        else:
            self._draw_remote(layout)

    def _draw_local(self, layout: Any) -> None:
        row = layout.row(align=True)
        row.prop(self, "python")
        row.operator("vivant.test_python", text="Test", icon="CHECKMARK")
        found = python()
        if found is None:
            layout.label(text="No Python with Vivant was found: install Vivant, or choose its Python.", icon="ERROR")
        elif not self.python:
            layout.label(text=f"Found: {found}", icon="CHECKMARK")
        layout.prop(self, "data")
        layout.prop(self, "keep_running")
        if _doctor:
            self._draw_doctor(layout.box().column(align=True))

    def _draw_doctor(self, column: Any) -> None:
        for line in _doctor:
            state, *words = re.split(r"\s{2,}", line, maxsplit=2)  # the doctor prints three columns
            if len(words) == 2:
                row = column.split(factor=0.22)
                row.label(text=words[0], icon=DOCTOR_ICONS.get(state, "BLANK1"))
                row.label(text=words[1])
            else:
                column.label(text=line)

    def _draw_remote(self, layout: Any) -> None:
        layout.prop(self, "key_file")
        layout.prop(self, "host")
        if not compat.online_access():
            layout.label(text="Blender is offline: allow online access in Preferences > System.", icon="ERROR")


def get() -> Any:
    """The extension's preferences."""
    return bpy.context.preferences.addons[__package__].preferences


def is_local() -> bool:
    """Whether the backend runs on this computer and may be started from here."""
    return bool(get().where == "LOCAL")


def python() -> Path | None:
    """The Python that runs the backend, None if none was found. Looked for every few seconds: panels ask often."""
    global _found
    chosen = bpy.path.abspath(get().python)
    if _found is None or _found[0] != chosen or time.monotonic() - _found[1] > LOOK_AGAIN_S:
        _found = chosen, time.monotonic(), find_python(chosen)
    return _found[2]


def data_folder() -> Path:
    """Where the backend of this computer keeps what it knows."""
    from ._shared.wire.connection import data_folder as usual

    chosen = get().data
    return Path(bpy.path.abspath(chosen)) if chosen else usual()


def chosen_connection() -> Connection | Path:
    """What the preferences name: the local backend's connection file, or the connection of the remote one's key file.

    Raises:
        VivantError: there is none, or Blender may not go online.
    """
    from ._shared.wire.connection import connection_file, load_connection

    if is_local():
        return connection_file(data_folder())
    if not get().key_file:
        raise VivantError("Choose the key file of the other computer's backend in the extension's preferences.")
    connection = load_connection(Path(bpy.path.abspath(get().key_file)))
    connection = replace(connection, host=get().host or connection.host)
    if not connection.loopback and not compat.online_access():
        raise VivantError(
            f"Blender may not go online, and {connection.host} is another computer. Allow online access in "
            "Preferences > System."
        )
    return connection


def show_doctor(lines: list[str]) -> None:
    """What `vivant doctor` printed, for the next drawing."""
    _doctor[:] = lines
    for window in bpy.data.window_managers[0].windows:
        for area in window.screen.areas:
            if area.type == "PREFERENCES":
                area.tag_redraw()


def register() -> None:
    """Add the preferences."""
    bpy.utils.register_class(VivantPreferences)


def unregister() -> None:
    """Take them away."""
    global _found
    bpy.utils.unregister_class(VivantPreferences)
    _doctor.clear()
    _found = None
