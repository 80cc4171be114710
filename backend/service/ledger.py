"""Where each job stands: every change is checked, committed and only then told to the job's owner."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backend.service.journal import Event, Job, Journal
from backend.service.states import check_move
from shared.wire import limits
from shared.wire.messages import JobInfo

Announce = Callable[[str, Event], None]
"""Called with the owner after each commit."""


@dataclass(frozen=True)
class Step:
    """Progress of a running job."""

    stage: str
    step: int
    total: int
    message: str = ""
    preview: np.ndarray | None = None  # [H, W, 3] uint8 sRGB


@dataclass
class _Pace:
    """How a running job's steps come."""

    stage: str
    began: float
    first_step: int
    told: float = -1e9
    pause: float = 0.0  # seconds until the next one may be told
    waiting: Step | None = None


class Ledger:
    """The one place that changes jobs."""

    def __init__(self, journal: Journal, announce: Announce, now: Callable[[], float]) -> None:
        self._journal, self._announce, self._now = journal, announce, now
        self._paces: dict[str, _Pace] = {}

    def add(self, job: Job) -> None:
        """Accept a new job."""
        self._journal.add(job)
        self._announce(job.owner, Event(job.info))

    def move(self, job_id: str, state: str, deaths: int | None = None, **changes: Any) -> JobInfo:
        """Bring a job into another state. Never thinned; steps that wait are part of it."""
        job = self._known(job_id)
        check_move(job.info.state, state)
        pace = self._paces.pop(job_id, None)
        waiting = pace.waiting if pace else None
        info = replace(_with_step(job.info, waiting, -1.0), state=state, eta_s=-1.0, **changes)
        if state == "finished":
            info = replace(info, step=info.total)
        elif state == "queued" and info.task != "render":  # which goes on in the middle of its only stage
            info = replace(info, stage="", step=0, total=0)
        return self._record(job, info, job.deaths if deaths is None else deaths, waiting)

    def progress(self, job_id: str, step: Step) -> None:
        """A step of a running job, told as often as `_pause` says; the newest is never lost."""
        pace = self._paces.get(job_id)
        if pace is None:
            pace = _Pace(step.stage, self._now(), step.step, pause=_pause(self._known(job_id).info))
        elif pace.stage != step.stage:
            pace = _Pace(step.stage, self._now(), step.step, pace.told, pace.pause)
        self._paces[job_id] = pace
        if pace.waiting is not None and step.preview is None:
            step = replace(step, preview=pace.waiting.preview)
        pace.waiting = step
        self._tell_if_due(job_id, pace)

    def tick(self) -> None:
        """Tell the steps that waited for their turn."""
        for job_id, pace in list(self._paces.items()):
            self._tell_if_due(job_id, pace)

    def _tell_if_due(self, job_id: str, pace: _Pace) -> None:
        if pace.waiting is None or self._now() - pace.told < pace.pause:
            return
        job, step = self._known(job_id), pace.waiting
        pace.told, pace.waiting = self._now(), None
        info = self._record(job, _with_step(job.info, step, self._eta(pace, step)), job.deaths, step)
        pace.pause = _pause(info)

    def _eta(self, pace: _Pace, step: Step) -> float:
        """Seconds until the stage ends, -1 while nothing can be said."""
        done = step.step - pace.first_step
        if done <= 0:
            return -1.0
        return (self._now() - pace.began) / done * max(step.total - step.step, 0)

    def _record(self, job: Job, info: JobInfo, deaths: int, step: Step | None) -> JobInfo:
        preview = step.preview if step else None
        info = self._journal.record(info, deaths, preview)
        self._announce(job.owner, Event(info, preview))
        return info

    def _known(self, job_id: str) -> Job:
        job = self._journal.job(job_id)
        assert job is not None, job_id
        return job


def _pause(info: JobInfo) -> float:
    """Seconds between two steps: ever more, so that the story of the longest job has an end."""
    if info.last_event >= limits.EVENTS:
        return math.inf
    return float(2 ** (info.last_event // limits.EVENTS_AS_FAST)) / limits.PROGRESS_HZ


def _with_step(info: JobInfo, step: Step | None, eta_s: float) -> JobInfo:
    if step is None:
        return info
    return replace(info, stage=step.stage, step=step.step, total=step.total, message=step.message, eta_s=eta_s)
