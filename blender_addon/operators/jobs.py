"""Cancel, resume, forget jobs, and read their logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import bpy
from bpy.props import StringProperty

from .. import mirror, properties, session
from ..late import messages
from .backend import needs_backend

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

    from .._shared.wire.codec import Envelope

LOG_TEXT = "Vivant Log"


class _OnJob(bpy.types.Operator):
    """Base of the operators on one job of the list."""

    job: StringProperty(name="Job", description="Its id on the backend; empty takes the selected one")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a backend, and a job on it."""
        if not needs_backend(cls):
            return False
        if not selected(context):
            cls.poll_message_set("There is no job in the list")
            return False
        return True

    def target(self, context: bpy.types.Context) -> str:
        """The job's id."""
        return self.job or selected(context)


class CancelJob(_OnJob):
    """Stop the job within some seconds. It can be resumed"""

    bl_idname = "vivant.cancel_job"
    bl_label = "Cancel Job"

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Ask the backend."""
        session.call(messages.JobCancel(self.target(context)), on_reply=mirror.take_job)
        return {"FINISHED"}


class ResumeJob(_OnJob):
    """Go on from the last finished stage"""

    bl_idname = "vivant.resume_job"
    bl_label = "Resume Job"

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Ask the backend."""
        session.call(messages.JobResume(self.target(context)), on_reply=mirror.take_job)
        return {"FINISHED"}


class ForgetJob(_OnJob):
    """Take the job from the list. What it made stays"""

    bl_idname = "vivant.forget_job"
    bl_label = "Remove from List"

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Ask the backend."""
        _forget(self.target(context))
        return {"FINISHED"}


class ForgetFinished(bpy.types.Operator):
    """Take all finished and cancelled jobs from the list. What they made stays"""

    bl_idname = "vivant.forget_finished"
    bl_label = "Remove Finished"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a connection."""
        return needs_backend(cls)

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Ask the backend, job by job."""
        for row in properties.state(context).jobs:
            if row.state in ("finished", "cancelled"):
                _forget(row.job)
        return {"FINISHED"}


class OpenLog(_OnJob):
    """Fetch the job's log into the text "Vivant Log", and show it in a window of its own"""

    bl_idname = "vivant.open_log"
    bl_label = "Open Log"

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Read the log from its beginning, piece by piece."""
        text: bpy.types.Text = bpy.data.texts.get(LOG_TEXT) or bpy.data.texts.new(LOG_TEXT)
        text.clear()
        _read_on(self.target(context), 0)
        if not bpy.app.background:
            bpy.ops.wm.window_new()
            area = context.window_manager.windows[-1].screen.areas[0]
            area.type = "TEXT_EDITOR"
            area.spaces.active.text = text
        return {"FINISHED"}


def _forget(job: str) -> None:
    if mirror.is_ours(job):
        mirror.forget_job(job)
    else:
        session.call(messages.JobForget(job), on_reply=lambda _: mirror.forget_job(job))


def _read_on(job: str, offset: int) -> None:
    def take(envelope: Envelope) -> None:
        piece = cast(messages.JobLogText, envelope.message)
        text: bpy.types.Text = bpy.data.texts.get(LOG_TEXT)
        if text is None:
            return  # the user has removed it
        if not offset and piece.path:
            text.write(f"{piece.path}\n\n")
        text.write(piece.text)
        if piece.offset > offset:
            _read_on(job, piece.offset)

    session.call(messages.JobLog(job, offset), on_reply=take)


def selected(context: bpy.types.Context) -> str:
    """The id of the job selected in the list; empty if the list is."""
    state = properties.state(context)
    rows = state.jobs
    return rows[min(state.active_job, len(rows) - 1)].job if len(rows) else ""


CLASSES = (CancelJob, ResumeJob, ForgetJob, ForgetFinished, OpenLog)


def register() -> None:
    """Add the operators."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take them away."""
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
