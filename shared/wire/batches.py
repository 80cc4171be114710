"""Renders longer than a message, as several jobs that each fit one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID, uuid5

from . import limits
from .codec import Buffers
from .messages import RenderFrames


def batches(request: RenderFrames, buffers: Buffers) -> Iterator[tuple[RenderFrames, Buffers]]:
    """The frames of `request`, in order, numbered on. The first job has its id, each other always the same one."""
    widest = max(array[:1].nbytes for array in buffers.values())
    rows = min(limits.JOB_FRAMES, limits.CONTROL_PART_BYTES // max(1, widest))
    for start in range(0, max(1, len(buffers["full_pose"])), rows):
        job = str(uuid5(UUID(request.job), str(start))) if start else request.job
        part = {name: array if len(array) == 1 else array[start : start + rows] for name, array in buffers.items()}
        yield replace(request, job=job, first=request.first + start), part
