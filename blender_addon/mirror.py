"""What the backend told last, kept here and copied into the window manager's properties for the panels to draw.

The window manager's properties vanish when a file is loaded; this module's do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy

from ._shared.wire import messages

if TYPE_CHECKING:
    from ._shared.wire.codec import Envelope
    from ._shared.wire.errors import WireError

_jobs: dict[str, messages.JobInfo] = {}
_avatars: dict[str, messages.AvatarInfo] = {}
_status: messages.Status | None = None
_notice = ""


def job(name: str) -> messages.JobInfo | None:
    """The job of this id."""
    return _jobs.get(name)


def is_busy() -> bool:
    """Whether a job is waiting or running, so that events are to be expected."""
    return any(info.state in ("queued", "running") for info in _jobs.values())


def jobs(message: messages.Jobs) -> None:
    """Take over the backend's list of jobs."""
    _jobs.clear()
    _jobs.update({info.job: info for info in message.jobs})
    rewrite()


def job_event(envelope: Envelope) -> None:
    """Take over what happened to one job."""
    info = envelope.message.info
    _jobs[info.job] = info
    rewrite()


def avatars(message: messages.Avatars) -> None:
    """Take over the backend's list of avatars."""
    _avatars.clear()
    _avatars.update({info.avatar: info for info in message.avatars})
    rewrite()


def status(message: messages.Status) -> None:
    """Take over device and memory."""
    global _status
    _status = message
    rewrite()


def notice(error: WireError) -> None:
    """Show an error that no operator is left to report."""
    global _notice
    _notice = str(error)
    rewrite()


def clear() -> None:
    """Forget what a backend told that is connected no longer."""
    global _status, _notice
    _jobs.clear()
    _avatars.clear()
    _status, _notice = None, ""
    rewrite()


def rewrite() -> None:
    """Write everything into the window manager's properties and draw the sidebars again."""
    state = getattr(bpy.context.window_manager, "vivant", None)
    if state is None:  # the extension is being disabled: its properties are gone already
        return
    state.notice = _notice
    state.device = f"{_status.device_name} ({_status.device})" if _status else ""
    redraw()


def redraw() -> None:
    """Draw the 3D Views again."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()
