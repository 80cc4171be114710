"""Render the avatars of the scene to files: with a timer in a window, waiting in background mode."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import bpy

from .. import backend_process, mirror, preferences, properties, session
from .._shared.errors import VivantError
from . import composite as composite_operators
from .backend import needs_backend, start_local
from .composite import needs_avatar

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

    from ..render_plan import Reading
    from ..render_run import RenderRun

TICK_S = 0.1
READ_S = 0.08  # of each tick, while a long range is read
BACKEND_S = 90.0  # for a backend to start on a cold computer

current: RenderRun | None = None
"""The newest run, for the panel; over or not."""

reading: Reading | None = None
"""Of the range that is about to be rendered."""


class RenderAvatar(bpy.types.Operator):
    """Render the avatars, only frames whose pose, camera or size changed. ESC cancels; doing it again goes on"""

    bl_idname = "vivant.render_avatar"
    bl_label = "Render Avatar"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs an avatar and a backend; in background mode one is started."""
        if is_running():
            cls.poll_message_set("A rendering is under way")
            return False
        return needs_avatar(cls, context) and (bpy.app.background or needs_backend(cls))

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Render and wait for the end, for `blender -b` and scripts."""
        try:
            ensure_backend()
            run = start(context)
            session.wait(lambda: not _polled(run), float("inf"))
            return self._finish(context)
        except VivantError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Render while Blender goes on."""
        if bpy.app.background:
            return self.execute(context)
        try:
            begin(context)
        except VivantError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self._timer = context.window_manager.event_timer_add(TICK_S, window=context.window)
        context.window_manager.modal_handler_add(self)
        self._show(context)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Go on at each tick of the timer."""
        if event.type == "ESC":
            cancel()
        elif event.type != "TIMER":
            return {"PASS_THROUGH"}
        try:
            if go_on(context):
                if progress_text() != self._shown:
                    self._show(context)
                return {"PASS_THROUGH"}
            result = self._finish(context)
        except VivantError as error:
            cancel()
            self.report({"ERROR"}, str(error))
            result = {"CANCELLED"}
        self._leave(context)
        return result

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends the operator: its window closes or a file is loaded."""
        cancel()
        self._leave(context)

    def _show(self, context: bpy.types.Context) -> None:
        """Tell the progress in status bar and panel."""
        self._shown = progress_text()
        context.workspace.status_text_set(f"{self._shown}   ESC cancels")
        mirror.redraw()

    def _leave(self, context: bpy.types.Context) -> None:
        context.window_manager.event_timer_remove(self._timer)
        context.workspace.status_text_set(None)
        mirror.redraw()

    def _finish(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Tell how it went, and let the composite see the new files.

        Raises:
            VivantError: the run failed.
        """
        from .. import composite_scene

        run = current
        if run is None:
            self.report({"INFO"}, "Rendering cancelled before the first frame")
            return {"CANCELLED"}
        if run.state == "failed":
            raise VivantError(run.error)
        composite_scene.refresh(context)
        composite_operators.notes[:] = composite_scene.notes(context)
        kept = run.total - run.to_render
        self.report({"INFO"}, f"Rendering {run.state}: {run.rendered} frames rendered, {kept} were up to date")
        return {"FINISHED"} if run.state == "finished" else {"CANCELLED"}


class CancelRender(bpy.types.Operator):
    """Stop rendering. What is rendered stays, and Render Avatar goes on from there"""

    bl_idname = "vivant.cancel_render"
    bl_label = "Cancel Rendering"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a run."""
        return is_running()

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Stop; the operator that renders notices at its next tick."""
        cancel()
        return {"FINISHED"}


def is_running() -> bool:
    """Whether avatars are being rendered."""
    return reading is not None or (current is not None and current.state == "running")


def begin(context: bpy.types.Context) -> None:
    """Begin to read what `go_on` then renders.

    Raises:
        VivantError: folder, range or an armature does not allow it.
    """
    global current, reading
    from ..render_plan import Reading

    current, reading = None, Reading(context)


def go_on(context: bpy.types.Context) -> bool:
    """Read, then render, a little at a time; whether there is more to do.

    Raises:
        VivantError: there is no camera, or an armature cannot be read.
    """
    global current, reading
    from ..render_run import RenderRun

    if reading is None:
        return current is not None and current.poll()
    if not reading.read(context, READ_S):
        current, reading = RenderRun(reading.plans()), None
    return True


def cancel() -> None:
    """Stop reading and rendering."""
    global reading
    reading = None
    if current is not None:
        current.cancel()


def start(context: bpy.types.Context) -> RenderRun:
    """Begin to render all avatars of the scene.

    Raises:
        VivantError: folder, range, camera or an armature does not allow it.
    """
    global current
    from ..render_plan import plans_of
    from ..render_run import RenderRun

    current = RenderRun(plans_of(context))
    return current


def ensure_backend() -> None:
    """Connect to the backend that the preferences name, started if need be, and wait for it.

    Raises:
        VivantError: there is none, or it does not answer.
    """
    if session.is_ready():
        return
    if session.client() is None and not backend_process.is_starting():
        start_local() if preferences.is_local() else session.connect()
    if not session.wait(lambda: session.is_ready() or _gave_up(), BACKEND_S) or not session.is_ready():
        notice = properties.state(bpy.context).notice
        raise VivantError(notice or f"The backend did not answer within {BACKEND_S:.0f} s. Look at its log.")


def _gave_up() -> bool:
    client = session.client()
    return client.state == "refused" if client is not None else not backend_process.is_starting()


def progress_text() -> str:
    """How far reading or rendering is, in words."""
    run = current
    if reading is not None:
        return f"Vivant: reading frame {reading.done} of {len(reading.frames)}"
    if run is None:
        return ""
    rest = "" if run.eta_s is None else f", {run.eta_s:.0f} s to go"
    return f"Vivant: {run.done} of {run.total} frames{rest}"


def _polled(run: RenderRun) -> bool:
    """Poll, and show the progress on standard error where a farm's log wants it."""
    before = run.done
    is_on = run.poll()
    if run.done != before:
        print(progress_text(), file=sys.stderr)
    return is_on


CLASSES = (RenderAvatar, CancelRender)


def register() -> None:
    """Add the operators."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Stop rendering and take the operators away."""
    global current
    cancel()
    current = None
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
