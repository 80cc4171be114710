"""The panel of the compute process: its state, device and memory."""

from __future__ import annotations

from typing import Any

import bpy

from .. import backend_process, compat, mirror, preferences, properties, session
from .drawing import VivantPanel, problem, sentence

FIRST_RUN = "Vivant computes in a process of its own. Start it to turn photos into avatars."
FIRST_RUN_NOT_INSTALLED = (
    "Vivant computes in a process of its own, which was not found here. Install it as the README says, or choose its "
    "Python in the preferences."
)
FIRST_RUN_REMOTE = "Vivant computes on another computer. Connect to it to turn photos into avatars."


def light() -> tuple[Any, str]:
    """Icon and words for the state of the connection."""
    client = session.client()
    if client is None:
        return (compat.YELLOW, "Starting ...") if backend_process.is_starting() else (compat.GREY, "Not connected")
    if client.state == "ready":
        mock = client.welcome is not None and client.welcome.mock
        return compat.GREEN, "Stand-in" if mock else "Ready"
    if client.state == "connecting":
        return compat.YELLOW, "Connecting ..."
    return compat.RED, "Connection lost, trying again" if client.state == "lost" else "Refused"


class BackendPanel(VivantPanel, bpy.types.Panel):
    """State light, device, memory, start and stop."""

    bl_idname = "VIVANT_PT_backend"
    bl_label = "Backend"
    bl_order = 0

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        """The light is seen with the panel closed, too."""
        icon, _ = light()
        self.layout.label(text="", icon=icon)

    def draw(self, context: bpy.types.Context) -> None:
        """What there is, and what can be done about it."""
        layout = self.layout
        client = session.client()
        if client is None:
            self._draw_off(context)
        else:
            row = layout.row(align=True)
            icon, words = light()
            row.label(text=words, icon=icon)
            row.operator("vivant.refresh", text="", icon="FILE_REFRESH")
            row.operator("vivant.open_preferences", text="", icon="PREFERENCES")
            if client.error is not None:
                problem(layout, context, str(client.error))
            if (status := mirror.status()) is not None:
                self._draw_status(context, status)
            self._draw_stop()
        if notice := properties.state(context).notice:
            problem(layout, context, notice).operator("vivant.dismiss", text="Dismiss", icon="X")

    def _draw_off(self, context: bpy.types.Context) -> None:
        layout = self.layout
        if backend_process.is_starting():
            row = layout.row(align=True)
            row.label(text="Starting ...", icon=compat.YELLOW)
            row.operator("vivant.stop_backend", text="", icon="CANCEL")
            return
        local, installed = preferences.is_local(), preferences.python() is not None
        words = FIRST_RUN_REMOTE if not local else FIRST_RUN if installed else FIRST_RUN_NOT_INSTALLED
        sentence(layout, context, words)
        row = layout.row(align=True)
        row.scale_y = 1.3
        row.operator("vivant.start_backend" if local else "vivant.connect_backend", icon="PLAY")
        row.operator("vivant.open_preferences", text="", icon="PREFERENCES")
        layout.operator("vivant.try_mock", icon="GHOST_ENABLED")

    def _draw_status(self, context: bpy.types.Context, status: mirror.messages.Status) -> None:
        column = self.layout.column(align=True)
        kind = f" ({status.device.upper()})" if status.device else ""  # empty while its workers start
        column.label(text=status.device_name + kind, icon="MEMORY")
        row = column.split(factor=0.7, align=True)
        used, total = status.memory_used / 1e9, max(status.memory_total, 1) / 1e9
        compat.draw_progress(row, min(1.0, used / total), f"{used:.1f} of {total:.0f} GB")
        row.operator("vivant.free_memory", text="Free")
        for note in status.notes:
            sentence(self.layout, context, note, icon="INFO")

    def _draw_stop(self) -> None:
        row = self.layout.row(align=True)
        if preferences.is_local() or backend_process.runs_mock():
            row.operator("vivant.stop_backend", text="Stop")
            if not backend_process.runs_mock():
                row.operator("vivant.restart_backend", text="Restart")
        else:
            row.operator("vivant.disconnect_backend")


def register() -> None:
    """Add the panel."""
    bpy.utils.register_class(BackendPanel)


def unregister() -> None:
    """Take it away."""
    bpy.utils.unregister_class(BackendPanel)
