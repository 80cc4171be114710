"""What several panels draw: sentences that wrap, jobs on their way, errors with a copy button."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import bpy

from .. import compat

if TYPE_CHECKING:
    from .._shared.wire.messages import JobInfo

CHARACTER_PIXELS = 6.6  # of Blender's interface font at scale 1, on average
MARGIN_PIXELS = 52

STAGES = {
    "kernels": "Compiling",
    "photo": "Looking at the photo",
    "registration": "Fitting the body",
    "training": "Training",
    "pictures": "Drawing pictures",
    "render": "Rendering",
}
JOB_ICONS = {
    "queued": "SORTTIME",
    "running": "PLAY",
    "interrupted": "PAUSE",
    "finished": "CHECKMARK",
    "failed": "ERROR",
    "cancelled": "CANCEL",
}


class VivantPanel:
    """Place of every panel: the tab Vivant in the sidebar of the 3D View."""

    bl_space_type: Any = "VIEW_3D"
    bl_region_type: Any = "UI"
    bl_category = "Vivant"


def sentence(layout: Any, context: bpy.types.Context, text: str, icon: str = "NONE") -> None:
    """A text in as many lines as the sidebar's width asks for."""
    column = layout.column(align=True)
    column.scale_y = 0.8
    for number, line in enumerate(textwrap.wrap(text, _letters(context) - (3 if icon != "NONE" else 0))):
        column.label(text=line, icon="BLANK1" if number and icon != "NONE" else icon)


def _letters(context: bpy.types.Context) -> int:
    """How many letters stand side by side in this region."""
    if bpy.app.background:
        return 40
    pixels = context.region.width / context.preferences.system.ui_scale - MARGIN_PIXELS
    return max(16, int(pixels / CHARACTER_PIXELS))


def problem(layout: Any, context: bpy.types.Context, text: str) -> Any:
    """An error with a button that copies it; returns the row for further buttons."""
    box = layout.box()
    sentence(box, context, text, icon="ERROR")
    row = box.row(align=True)
    row.operator("vivant.copy_text", text="Copy", icon="COPYDOWN").text = text
    return row


def job_progress(layout: Any, info: JobInfo) -> None:
    """How far a job is, with a button that cancels it."""
    row = layout.row(align=True)
    if info.state == "running" and info.total:
        compat.draw_progress(row, min(1.0, info.step / info.total), progress_text(info))
    else:
        row.label(text=progress_text(info), icon=JOB_ICONS[info.state])
    row.operator("vivant.cancel_job", text="", icon="CANCEL").job = info.job


def progress_text(info: JobInfo) -> str:
    """Stage, and time left or step, as short as a sidebar needs it; the bar behind it shows the step, too."""
    if info.state != "running":
        return info.message or info.state.capitalize()
    text = STAGES.get(info.stage, info.stage.capitalize() or "Starting")
    if info.eta_s >= 0:
        return f"{text}, {time_left(info.eta_s)}"
    return f"{text} {info.step}/{info.total}" if info.total > 1 else text


def time_left(seconds: float) -> str:
    """In words, no finer than one can trust."""
    if seconds < 90:
        return f"{seconds:.0f} s left"
    minutes = seconds / 60
    return f"{minutes:.0f} min left" if minutes < 90 else f"{minutes / 60:.1f} h left"
