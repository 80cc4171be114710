"""Start, stop, connect, test and free the backend."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import bpy
from bpy.props import StringProperty

from .. import backend_process, compat, mirror, preferences, session
from .._shared.errors import VivantError
from ..late import messages

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

NO_PYTHON = "No Python with Vivant was found. Install Vivant (see the README), or name its Python in the preferences"


def is_off() -> bool:
    """Whether nothing is connected and nothing starts."""
    return session.client() is None and not backend_process.is_starting()


class StartBackend(bpy.types.Operator):
    """Start the backend on this computer and connect to it. If one runs already, connect to that one"""

    bl_idname = "vivant.start_backend"
    bl_label = "Start Backend"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a Python with Vivant."""
        if not is_off():
            cls.poll_message_set("A backend is connected or starting already")
            return False
        if preferences.python() is None:
            cls.poll_message_set(NO_PYTHON)
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Start the process; the connection follows when it is ready."""
        mirror.dismiss()
        try:
            start_local()
        except VivantError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


def start_local() -> None:
    """Start the backend that the preferences name; connects when it is ready.

    Raises:
        VivantError: there is no Python with Vivant, or it cannot be started.
    """
    python = preferences.python()
    if python is None:
        raise VivantError(NO_PYTHON)
    data, log = preferences.data_folder(), compat.user_folder("logs") / "backend.log"
    process = backend_process.start(python, data, log, preferences.get().keep_running)

    def connect(connection: Path) -> None:
        if backend_process.settled(process):
            session.connect(connection)

    def fail(error: VivantError) -> None:
        if backend_process.settled(process):
            mirror.notice(error)

    session.in_thread(lambda: backend_process.wait_until_ready(process, data, log), connect, fail)


class StopBackend(bpy.types.Operator):
    """End the backend. Running jobs can be resumed later"""

    bl_idname = "vivant.stop_backend"
    bl_label = "Stop Backend"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs something that can be stopped from here."""
        if is_off():
            cls.poll_message_set("No backend is connected")
            return False
        if not preferences.is_local() and not backend_process.runs_mock():
            cls.poll_message_set("The backend of another computer is stopped there; you may disconnect")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Ask the server to end, then let go."""
        stop_local()
        return {"FINISHED"}


def stop_local() -> subprocess.Popen[bytes] | None:
    """End the server on this computer, whoever started it, and close the connection; its process if it was ours."""
    client = session.client()
    if client is not None:
        client.post(messages.ServerStop())
    session.disconnect()
    process = backend_process.stop()
    mirror.redraw()
    return process


class RestartBackend(bpy.types.Operator):
    """End the backend and start it again"""

    bl_idname = "vivant.restart_backend"
    bl_label = "Restart Backend"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a backend of this computer."""
        if not preferences.is_local() or preferences.python() is None:
            cls.poll_message_set("Only a backend on this computer can be restarted from here")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Stop, then start when the old server has let go of the data folder."""
        old, data = stop_local(), preferences.data_folder()
        session.in_thread(lambda: backend_process.wait_until_gone(old, data), self._start)
        return {"FINISHED"}

    @staticmethod
    def _start(_: object) -> None:
        try:
            start_local()
        except VivantError as error:  # the operator that could report it is gone
            mirror.notice(error)


class ConnectBackend(bpy.types.Operator):
    """Connect to the backend that the preferences name: another computer's, or one that runs here already"""

    bl_idname = "vivant.connect_backend"
    bl_label = "Connect"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Not while connected."""
        if not is_off():
            cls.poll_message_set("A backend is connected or starting already")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Begin to connect."""
        mirror.dismiss()
        try:
            session.connect()
        except VivantError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class DisconnectBackend(bpy.types.Operator):
    """Close the connection. The backend and its jobs go on"""

    bl_idname = "vivant.disconnect_backend"
    bl_label = "Disconnect"

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Close it, within a second."""
        session.disconnect()
        return {"FINISHED"}


class TryMock(bpy.types.Operator):
    """Walk through the panels with a stand-in that needs no installation: it pretends to build, and draws a figure of
    capsules instead of a person"""

    bl_idname = "vivant.try_mock"
    bl_label = "Try It Without a Backend"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Not while connected."""
        if not is_off():
            cls.poll_message_set("A backend is connected or starting already")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Start the mock server in a thread and connect to it."""
        mirror.dismiss()
        session.connect(backend_process.start_mock(compat.user_folder("mock")))
        return {"FINISHED"}


class FreeMemory(bpy.types.Operator):
    """Unload avatars and models from the backend's memory. They are loaded again when needed"""

    bl_idname = "vivant.free_memory"
    bl_label = "Free Memory"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a connection."""
        return needs_backend(cls)

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Ask the backend."""
        session.call(messages.MemoryFree(), on_reply=mirror.take_status)
        return {"FINISHED"}


class Refresh(bpy.types.Operator):
    """Ask the backend again for its jobs, avatars and memory"""

    bl_idname = "vivant.refresh"
    bl_label = "Refresh"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a connection."""
        return needs_backend(cls)

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Ask the backend."""
        session.refresh()
        return {"FINISHED"}


class TestPython(bpy.types.Operator):
    """Run `vivant doctor` with this Python: what is installed, and what each stage would use"""

    bl_idname = "vivant.test_python"
    bl_label = "Test"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a Python with Vivant."""
        if preferences.python() is None:
            cls.poll_message_set(NO_PYTHON)
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Run it in a thread; the preferences show the lines when they come."""
        python = preferences.python()
        assert python is not None
        preferences.show_doctor(["Running vivant doctor ..."])
        session.in_thread(
            lambda: backend_process.doctor(python),
            lambda text: preferences.show_doctor(text.splitlines()),
            lambda error: preferences.show_doctor([str(error)]),
        )
        return {"FINISHED"}


class Dismiss(bpy.types.Operator):
    """Hide this message"""

    bl_idname = "vivant.dismiss"
    bl_label = "Dismiss"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Hide it."""
        mirror.dismiss()
        return {"FINISHED"}


class CopyText(bpy.types.Operator):
    """Copy the whole text to the clipboard"""

    bl_idname = "vivant.copy_text"
    bl_label = "Copy"
    bl_options = {"INTERNAL"}

    text: StringProperty()

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Copy it."""
        context.window_manager.clipboard = self.text
        self.report({"INFO"}, "Copied")
        return {"FINISHED"}


class OpenPreferences(bpy.types.Operator):
    """Where the backend is: its Python on this computer, or another computer"""

    bl_idname = "vivant.open_preferences"
    bl_label = "Preferences"
    bl_options = {"INTERNAL"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Show the extension's preferences."""
        bpy.ops.preferences.addon_show(module=preferences.VivantPreferences.bl_idname)
        return {"FINISHED"}


def needs_backend(operator: type[bpy.types.Operator]) -> bool:
    """Part of a `poll`: whether a backend is connected; says what to do if not."""
    if session.is_ready():
        return True
    operator.poll_message_set("Needs a backend: start or connect one in the Backend panel")
    return False


CLASSES = (
    StartBackend,
    StopBackend,
    RestartBackend,
    ConnectBackend,
    DisconnectBackend,
    TryMock,
    FreeMemory,
    Refresh,
    TestPython,
    Dismiss,
    CopyText,
    OpenPreferences,
)


def register() -> None:
    """Add the operators."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take them away."""
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
