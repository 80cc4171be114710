"""What the backend told last, kept here and copied into the window manager's properties for the panels to draw.

The window manager's properties vanish when a file is loaded; what is kept here does not.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import bpy

from . import pictures
from .late import messages

if TYPE_CHECKING:
    from ._shared.errors import VivantError
    from ._shared.wire.codec import Envelope

_jobs: dict[str, messages.JobInfo] = {}
_ours: set[str] = set()  # jobs that the backend has not heard of: on their way to it, or not accepted
_avatars: dict[str, messages.AvatarInfo] = {}
_status: messages.Status | None = None
_notice = ""


def job(name: str) -> messages.JobInfo | None:
    """The job with this id, None if the backend told of none."""
    return _jobs.get(name)


def is_ours(name: str) -> bool:
    """Whether the backend has not heard of this job."""
    return name in _ours


def avatar(name: str) -> messages.AvatarInfo | None:
    """The avatar with this id, None if the backend told of none."""
    return _avatars.get(name)


def status() -> messages.Status | None:
    """Device and memory."""
    return _status


def is_busy() -> bool:
    """Whether a job waits or runs, so that events are to be expected."""
    return any(info.state in ("queued", "running") for info in _jobs.values())


# What arrives


def known_jobs() -> set[str]:
    """Those that the backend has told of."""
    return _jobs.keys() - _ours


def take_jobs(page: messages.Jobs) -> list[messages.JobInfo]:
    """A page of the backend's list of jobs; returns those that are another than we knew."""
    changed = [info for info in page.jobs if _jobs.get(info.job, info) != info]
    _jobs.update({info.job: info for info in page.jobs})
    rewrite()
    return changed


def drop_jobs(names: set[str]) -> None:
    """Jobs that no page names any more."""
    for name in names:
        _jobs.pop(name, None)
    rewrite()


def take_job(envelope: Envelope) -> None:
    """One job: an event, or the answer to submit, cancel and resume."""
    info = cast("messages.JobEvent | messages.JobIs", envelope.message).info
    if "preview" in envelope.buffers:
        pictures.show(info.job, envelope.buffers["preview"])
    is_new = info.job not in _jobs
    _jobs[info.job] = info
    _ours.discard(info.job)
    if is_new:
        rewrite()
        return
    row = next(row for row in _state().jobs if row.job == info.job)
    _write_job(row, info)
    redraw()


def submitted(job: str, task: str, name: str) -> None:
    """A job that was asked for a moment ago: shown before the backend knows of it."""
    _jobs[job] = messages.JobInfo(job, task, name, "queued", time.time(), message="Uploading the photo")
    _ours.add(job)
    rewrite()


def not_accepted(job: str, error: VivantError) -> None:
    """The backend did not take it, or the photo did not get there."""
    _jobs[job] = replace(_jobs[job], state="failed", error=str(error))
    rewrite()


def forget_job(name: str) -> None:
    """A job that the backend has dropped from its list, or has never had on it."""
    _jobs.pop(name, None)
    _ours.discard(name)
    rewrite()


def known_avatars() -> set[str]:
    """Those that the backend has told of."""
    return set(_avatars)


def take_avatars(page: messages.Avatars) -> None:
    """A page of the backend's list of avatars."""
    _avatars.update({info.avatar: info for info in page.avatars})
    rewrite()


def drop_avatars(names: set[str]) -> None:
    """Avatars that the backend has deleted."""
    for name in names:
        _avatars.pop(name, None)
    rewrite()


def take_avatar(envelope: Envelope) -> None:
    """One avatar: the answer to import, open, close and rename."""
    info = cast(messages.AvatarIs, envelope.message).info
    _avatars[info.avatar] = info
    rewrite()


def take_status(envelope: Envelope) -> None:
    """Device and memory."""
    global _status
    _status = cast(messages.Status, envelope.message)
    redraw()


def notice(error: VivantError) -> None:
    """Show an error in the Backend panel, where no operator is left to report it."""
    global _notice
    if getattr(error, "code", "") in ("closed", "lost", "no_server"):
        return  # the light shows it, and goes back to green by itself
    _notice = str(error)
    if (state := _state()) is not None:
        state.notice = _notice
    redraw()


def dismiss() -> None:
    """The user has read the notice."""
    global _notice
    _notice = ""
    rewrite()


def clear() -> None:
    """Forget what a backend told that is connected no longer."""
    global _status
    _jobs.clear()
    _ours.clear()
    _avatars.clear()
    _status = None
    rewrite()


# Into properties


def rewrite() -> None:
    """Write everything into the window manager's properties, newest first, and draw the sidebars again."""
    state = _state()
    if state is None:
        return
    state.notice = _notice
    state.jobs.clear()
    for job_info in sorted(_jobs.values(), key=lambda info: -info.created):
        _write_job(state.jobs.add(), job_info)
    state.avatars.clear()
    for avatar_info in sorted(_avatars.values(), key=lambda info: -info.created):
        _write_avatar(state.avatars.add(), avatar_info)
    redraw()


def redraw() -> None:
    """Draw the sidebars again; the 3D Views beside them may be expensive."""
    for window in bpy.data.window_managers[0].windows:
        for area in window.screen.areas:
            for region in area.regions if area.type == "VIEW_3D" else ():
                if region.type == "UI":
                    region.tag_redraw()


def _state() -> Any:
    """None while the extension is being disabled: its properties are gone first."""
    return getattr(bpy.data.window_managers[0], "vivant", None)


def _write_job(row: Any, info: messages.JobInfo) -> None:
    for name in (
        "job",
        "task",
        "state",
        "stage",
        "step",
        "total",
        "eta_s",
        "message",
        "error",
        "error_code",
        "retryable",
    ):
        setattr(row, name, getattr(info, name))
    row.label = info.name or info.task


def _write_avatar(row: Any, info: messages.AvatarInfo) -> None:
    row.avatar, row.label, row.is_open = info.avatar, info.name, info.open
    row.detail = f"{info.gaussians / 1000:.0f} k Gaussians, {info.size / 1e6:.0f} MB"
    if info.photo_psnr_db > 0:
        row.detail += f", photo {info.photo_psnr_db:.1f} dB"
