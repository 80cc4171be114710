"""What a client asked for, as the journal keeps it, and as a worker is told."""

from __future__ import annotations

import hashlib
from pathlib import Path

from backend.service.bundle import bundled, unbundled
from backend.service.journal import Job
from backend.service.work import WorkJob
from shared.wire.codec import Buffers, Envelope, decode, encode
from shared.wire.messages import JobSubmit
from shared.wire.schema import Message

NOT_ALIGNED = 1
"""The journals of all versions keep requests so."""


def packed(message: Message, buffers: Buffers) -> bytes:
    """A request as bytes that are the same for the same content."""
    return bundled(encode(Envelope(message, buffers, id="")), NOT_ALIGNED)


def unpacked(request: bytes) -> Envelope:
    """What `packed` took."""
    return decode(unbundled(request, NOT_ALIGNED))


def content_hash(request: bytes) -> str:
    """What tells whether the same was asked for."""
    return hashlib.sha256(request).hexdigest()


def photo_of(job: Job) -> str:
    """SHA-256 of a register or build job's photo; empty for a render."""
    return _submitted(job).photo if job.request else ""


def fit_of(job: Job) -> str:
    """Id of the registration that a build starts from; empty for other jobs."""
    return _submitted(job).registration if job.request else ""


def _submitted(job: Job) -> JobSubmit:
    message = unpacked(job.request).message
    assert isinstance(message, JobSubmit)
    return message


def work_order(job: Job, folder: Path, data: Path) -> tuple[WorkJob, Buffers]:
    """A register or build job as its worker is told."""
    submit = _submitted(job)
    fit = data / "jobs" / submit.registration / "result" / "registration.npz" if submit.registration else ""
    order = WorkJob(
        job=job.id,
        task=submit.task,
        folder=str(folder),
        photo=str(data / "assets" / submit.photo),
        registration=str(fit),
        person=submit.person,
        matte=submit.matte,
        options=submit.options,
        expression_names=submit.expression_names,
    )
    return order, unpacked(job.request).buffers
