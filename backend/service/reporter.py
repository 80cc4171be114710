"""A job's progress, on its way from the pipeline's callback to the server."""

from __future__ import annotations

import logging
import time

from backend.progress import Cancelled, Event
from backend.service.link import Link
from backend.service.previews import small
from backend.service.work import WorkProgress
from shared.wire import limits


class Reporter:
    """The pipeline's `Progress` callback for one job; raises `Cancelled` where the server wants the job stopped."""

    def __init__(self, job: str, link: Link, log: logging.Logger) -> None:
        self.stage = ""
        self._job, self._link, self._log = job, link, log
        self._next_message = self._next_picture = 0.0

    def __call__(self, event: Event) -> None:
        """Pass the event on, unless it is one of many within a blink."""
        if self._link.cancelled(self._job):
            raise Cancelled
        now = time.monotonic()
        changed = event.stage != self.stage
        self.stage = event.stage
        if changed:
            self._next_picture = now
        if changed or event.step >= event.total or event.message.endswith("."):
            self._log.info("%s %d/%d %s", event.stage, event.step, event.total, event.message)
        elif now < self._next_message:
            return
        self._next_message = now + 1 / limits.PROGRESS_HZ
        self._send(event, now)

    def _send(self, event: Event, now: float) -> None:
        buffers = {}
        if event.picture is not None and now >= self._next_picture:
            buffers["preview"] = small(event.picture())
            self._next_picture = time.monotonic() + limits.PICTURE_S
        message = event.message[: limits.TEXT_CHARS]
        self._link.send(WorkProgress(self._job, event.stage, event.step, event.total, message), buffers)
