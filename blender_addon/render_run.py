"""Render what is out of date, from the first request to the last file. Nothing waits: who starts a run polls it.

Frames go from the session's pump to a writing thread; the main thread only counts.
"""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import session
from ._shared.errors import VivantError
from ._shared.wire import messages
from .frame_files import FrameWriter, outdated
from .render_plan import Plan

if TYPE_CHECKING:
    from ._shared.wire.codec import Envelope

BATCH = 2000  # frames of one request; their poses are 1.5 MB
SILENCE_S = 5.0  # after which the backend is asked what became of the job
GONE_S = 120.0  # how long a backend that went away is waited for
CLOSE_S = 5.0  # for the frame that is being written

Batch = tuple[Plan, list[int]]
"""Scene frames of one avatar."""


class RenderRun:
    """Several avatars, one after the other. `state` is running, finished, cancelled or failed (`error` tells why).

    Frames whose file is up to date count as done from the start, so a cancelled run is resumed by starting another.
    """

    def __init__(self, plans: Sequence[Plan]) -> None:
        self.state, self.error = "running", ""
        self.total = sum(len(plan.frames) for plan in plans)
        self.plans = plans
        self._origins = {plan.armature: plan.origins() for plan in plans}
        self._batches: deque[Batch] = deque()
        for plan in plans:
            frames = outdated(plan.folder, self._origins[plan.armature])
            self._batches.extend((plan, frames[k : k + BATCH]) for k in range(0, len(frames), BATCH))
        self.to_render = sum(len(frames) for _, frames in self._batches)
        self._written = 0  # of batches that are over
        self._job = ""
        self._began = self._heard = self._alive = time.monotonic()
        session.on_job(self._event)
        self._next()

    @property
    def rendered(self) -> int:
        """How many files this run has written."""
        return self._written + (len(self._writer.written) if self._job else 0)

    @property
    def done(self) -> int:
        """How many of `total` frames are up to date."""
        return self.total - self.to_render + self.rendered

    @property
    def eta_s(self) -> float | None:
        """Seconds to go, once a frame has come."""
        rendered = self.rendered
        return (time.monotonic() - self._began) / rendered * (self.to_render - rendered) if rendered else None

    def poll(self) -> bool:
        """Go on with whatever can go on; whether the run still runs. Call it often, on the main thread."""
        if self.state != "running":
            return False
        if self._writer.error is not None:
            error = self._writer.error
            self._fail(VivantError(f"Cannot write {error.filename}: {error.strerror}. Choose another folder."))
        elif len(self._writer.written) == len(self._frames):
            self._next()
        elif time.monotonic() - self._heard > SILENCE_S:
            self._enquire()
        return self.state == "running"

    def cancel(self) -> None:
        """Stop. What is on disk stays there."""
        if self.state == "running":
            self._stop_job()
            self._end("cancelled")

    def _next(self) -> None:
        """Begin with the next batch, or end."""
        self._close_writer()
        if self._batches:
            self._submit(*self._batches.popleft())
        else:
            self._end("finished")

    def _submit(self, plan: Plan, frames: list[int]) -> None:
        origins = self._origins[plan.armature]
        self._plan, self._frames, self._job = plan, frames, str(uuid.uuid4())
        self._writer = FrameWriter(plan.folder, [(frame, origins[frame]) for frame in frames], session.acknowledge)
        self._heard, self._all_sent = time.monotonic(), False
        session.listen(self._job, self._frame)
        session.call(*plan.request(self._job, frames), on_error=self._no_answer)

    def _frame(self, envelope: Envelope) -> None:
        self._heard = self._alive = time.monotonic()
        self._writer.put(envelope)

    def _event(self, info: messages.JobInfo) -> None:
        if info.job != self._job:
            return
        if info.state == "failed":
            self._fail(VivantError(info.error))
        elif info.state == "cancelled":
            self._end("cancelled")
        elif info.state == "interrupted":
            self._again()
        elif info.state == "finished":
            self._all_sent = True

    def _enquire(self) -> None:
        """Nothing came for a while: find out why. Frames can be lost where a connection breaks."""
        self._heard = time.monotonic()
        if not self._all_sent:
            session.call(messages.JobEvents(self._job), on_error=self._no_answer)
        elif self._writer.written:
            self._again()
        else:
            self._fail(VivantError("The backend rendered, but no frame arrived. Reconnect, then render again."))

    def _no_answer(self, error: VivantError) -> None:
        code = getattr(error, "code", "")
        if code == "unknown_job":  # the backend was started anew
            self._again()
        elif code not in ("lost", "timeout", "no_server") or self._is_gone():
            self._fail(error)

    def _is_gone(self) -> bool:
        """Whether the connection, which comes back by itself, has been away for long."""
        return not session.is_ready() and time.monotonic() - self._alive > GONE_S

    def _again(self) -> None:
        """Ask once more for what has not been written."""
        self._stop_job()  # the files tell better than the backend what is missing
        self._close_writer()
        left = outdated(self._plan.folder, {frame: self._origins[self._plan.armature][frame] for frame in self._frames})
        self._batches.appendleft((self._plan, left))
        self._next()

    def _fail(self, error: VivantError) -> None:
        if self.state == "running":
            self._stop_job()
            self.error = str(error)
            self._end("failed")

    def _stop_job(self) -> None:
        if session.is_ready():
            session.call(messages.JobCancel(self._job), on_error=lambda error: None)

    def _close_writer(self) -> None:
        if self._job:
            session.unlisten(self._job)
            self._writer.close(CLOSE_S)
            self._written += len(self._writer.written)
            self._job = ""

    def _end(self, state: str) -> None:
        self._close_writer()
        session.off_job(self._event)
        self.state = state
