"""The panel of all jobs: fits, builds and renders of this user, with their errors and logs."""

from __future__ import annotations

from typing import Any

import bpy

from .. import mirror, properties
from .drawing import JOB_ICONS, VivantPanel, job_progress, problem, sentence

TASKS = {"register": "Fit", "build": "Build", "render": "Render"}


class JobRows(bpy.types.UIList):
    """The jobs, newest first."""

    bl_idname = "VIVANT_UL_jobs"

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: Any,
        data: Any,
        item: Any,
        icon: Any,
        active_data: Any,
        active_property: Any,
        index: Any,
        flt_flag: Any,
    ) -> None:
        """State, what it is, and how far."""
        row = layout.row(align=True)
        row.label(text=f"{TASKS[item.task]} {item.label}", icon=JOB_ICONS[item.state])
        if item.state == "running" and item.total:
            share = row.row()
            share.alignment = "RIGHT"
            share.label(text=f"{item.step / item.total:.0%}")


class JobsPanel(VivantPanel, bpy.types.Panel):
    """What the backend works on, and what became of it."""

    bl_idname = "VIVANT_PT_jobs"
    bl_label = "Jobs"
    bl_order = 60
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """The list, what can be done with its active row, and details."""
        layout, state = self.layout, properties.state(context)
        if not state.jobs:
            layout.label(text="No jobs")
            return
        row = layout.row()
        row.template_list(JobRows.bl_idname, "", state, "jobs", state, "active_job", rows=4)
        column = row.column(align=True)
        item = state.jobs[min(state.active_job, len(state.jobs) - 1)]
        if item.state in ("queued", "running"):
            column.operator("vivant.cancel_job", text="", icon="CANCEL").job = item.job
        elif item.state in ("interrupted", "cancelled") or item.retryable:
            column.operator("vivant.resume_job", text="", icon="PLAY").job = item.job
        column.operator("vivant.open_log", text="", icon="TEXT").job = item.job
        if item.state not in ("queued", "running", "interrupted"):
            column.operator("vivant.forget_job", text="", icon="X").job = item.job
        column.separator()
        column.operator("vivant.forget_finished", text="", icon="TRASH")
        self._draw_details(context, item.job)

    def _draw_details(self, context: bpy.types.Context, job: str) -> None:
        info = mirror.job(job)
        if info is None:
            return
        if info.state in ("queued", "running"):
            job_progress(self.layout, info)
        elif info.state == "failed":
            problem(self.layout, context, info.error)
        else:
            sentence(self.layout, context, info.error or info.message or info.state.capitalize())


CLASSES = (JobRows, JobsPanel)


def register() -> None:
    """Add list and panel."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take them away."""
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
