"""Frames to one client window: live ones latest first, a job's in order, all of them against credit."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..camera import Camera
from ..wire import limits
from ..wire.codec import Buffers, Envelope
from ..wire.messages import FINAL_STATES, Frame, JobInfo, RenderFrames, RenderLive
from ..wire.pixels import box_of, cut, depth_range, depth_to_u2, strips
from . import views
from .jobs import Job, Tell

EVERY = 10
"""Frames between two events of a render job."""


@dataclass(kw_only=True)
class RenderJob(Job):
    """Frames in order, none left out."""

    request: RenderFrames
    buffers: Buffers
    row: int = 0  # of the next frame to draw

    @classmethod
    def new(cls, request: RenderFrames, buffers: Buffers) -> RenderJob:
        """Queued."""
        rows = len(buffers["full_pose"])
        info = JobInfo(request.job, "render", request.name, "queued", time.time(), total=rows)
        return cls(info, request=request, buffers=buffers)


@dataclass
class Stream:
    """What one window waits for. `under_way` are frames sent and not acknowledged: job (None if live) and row."""

    live: dict[str, tuple[RenderLive, Buffers]] = field(default_factory=dict)
    jobs: deque[RenderJob] = field(default_factory=deque)
    credit: int = 0
    under_way: deque[tuple[RenderJob | None, int]] = field(default_factory=deque)
    drawn: deque[tuple[Envelope, RenderJob | None, int]] = field(default_factory=deque)  # strips not sent yet

    def restart(self) -> None:
        """The window said hello again: no credit, and what it may not have seen is drawn again."""
        for job, row in (*self.under_way, *((job, row) for _, job, row in self.drawn)):
            if job is not None:
                job.row = min(job.row, row)
        self.credit = 0
        self.under_way.clear()
        self.drawn.clear()

    def grant(self, frames: int, tell: Tell) -> None:
        """Credit came; what was under way longest has arrived."""
        self.credit = min(self.credit + frames, limits.CREDIT)
        for _ in range(min(frames, len(self.under_way))):
            job, _row = self.under_way.popleft()
            if job and job.info.state == "running" and job.row == job.info.total and not self._holds(job):
                job.change(tell, state="finished", step=job.row)

    def _holds(self, job: RenderJob) -> bool:
        """Whether a frame of this job is not acknowledged yet."""
        return any(one is job for one, _ in self.under_way) or any(one is job for _, one, _ in self.drawn)

    def next(self, tell: Tell) -> Envelope | None:
        """The next message that may be sent, if there is one."""
        if not self.credit:
            return None
        if not self.drawn:
            self._draw(tell)
        if not self.drawn:
            return None
        envelope, job, row = self.drawn.popleft()
        self.credit -= 1
        self.under_way.append((job, row))
        return envelope

    def _draw(self, tell: Tell) -> None:
        while self.jobs and self.jobs[0].info.state in FINAL_STATES:
            self.jobs.popleft()
        if self.live:
            view = next(iter(self.live))
            request, buffers = self.live.pop(view)
            self.drawn += ((one, None, 0) for one in _live_frame(request, buffers))
        elif self.jobs and self.jobs[0].row < self.jobs[0].info.total:
            job = self.jobs[0]
            self.drawn += ((one, job, job.row) for one in _job_frame(job))
            job.row += 1
            _report(job, tell)


def _report(job: RenderJob, tell: Tell) -> None:
    if job.info.state != "running" or job.row % EVERY == 0:
        job.change(tell, state="running", stage="render", step=job.row)


def _live_frame(request: RenderLive, buffers: Buffers) -> list[Envelope]:
    camera = _camera(request.width, request.height, buffers, 0)
    began = time.perf_counter()
    rgba, depth = views.frame("rgba8", camera, buffers, 0, request.expression_names)
    near, far = depth_range(depth, rgba[..., 3])
    depth = depth_to_u2(depth, near, far)
    told = {"view": request.view, "seq": request.seq, "near": near, "far": far}
    return _messages(camera, rgba, depth, began, notes=views.unknown(request.expression_names), **told)


def _job_frame(job: RenderJob) -> list[Envelope]:
    request = job.request
    camera = _camera(request.width, request.height, job.buffers, job.row)
    began = time.perf_counter()
    rgba, depth = views.frame(request.pixels, camera, job.buffers, job.row, request.expression_names)
    told = {"job": request.job, "number": request.first + job.row, "notes": views.unknown(request.expression_names)}
    return _messages(camera, rgba, depth, began, **told)


def _messages(camera: Camera, rgba: np.ndarray, depth: np.ndarray, began: float, **told: Any) -> list[Envelope]:
    x, y, width, height = box = box_of(rgba[..., 3])
    rgba, depth = cut(rgba, box), cut(depth, box)
    rows = strips(height, width * (4 * rgba.itemsize + depth.itemsize), limits.MESSAGE_BYTES)
    took = 1000 * (time.perf_counter() - began)
    return [
        Envelope(
            Frame(
                *(camera.width, camera.height, x, y + first),
                **told,
                strip=k,
                strips=len(rows),
                render_ms=took,
            ),
            {"rgba": rgba[first:last], "depth": depth[first:last]},
        )
        for k, (first, last) in enumerate(rows)
    ]


def _camera(width: int, height: int, buffers: Buffers, row: int) -> Camera:
    row = min(row, len(buffers["K"]) - 1)
    return Camera(width, height, buffers["K"][row].astype(float), buffers["world_to_camera"][row].astype(float))
