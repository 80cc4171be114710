"""What the mock answers to each message. It has one owner, forgets all at its end, and keeps files in memory.

It has the limits that the disk of a server has: on uploads, on jobs that have ended, and on avatars.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from functools import singledispatchmethod
from typing import TypeVar

import numpy as np

from ..wire import limits
from ..wire import messages as m
from ..wire.codec import Buffers
from ..wire.errors import WireError
from ..wire.pages import page_of_avatars, page_of_jobs
from ..wire.schema import Message
from . import views
from .jobs import Files, Job, PretendedJob, Tell
from .streams import RenderJob, Stream
from .uploads import Uploads

AnyJob = TypeVar("AnyJob", PretendedJob, RenderJob)
Answer = tuple[Message, Buffers]

_MEMORY, _PER_AVATAR = 8 << 30, 120 << 20


class Desk:
    """Assets, jobs and avatars. `answer` raises `WireError` for what cannot be done."""

    def __init__(self, version: str, pace: float, clients: Callable[[], int]) -> None:
        self._version, self._pace, self._clients = version, pace, clients
        self._began = time.monotonic()
        self._uploads = Uploads()
        self._jobs: dict[str, Job] = {}
        self._avatars: dict[str, m.AvatarInfo] = {}
        self._files: dict[str, Files] = {}

    def tick(self, tell: Tell) -> None:
        """Let the oldest job that is not done make its next step."""
        for job in self._jobs.values():
            if isinstance(job, PretendedJob) and job.info.state in ("queued", "running"):
                job.tick(time.monotonic(), self._pace, tell)
                if job.info.state == "finished":
                    self._keep(job)
                return

    @singledispatchmethod
    def answer(self, message: Message, buffers: Buffers, stream: Stream, tell: Tell) -> Answer | Message | None:
        """What to answer; None where a message has no answer."""
        raise WireError("unknown_kind", f"The mock does not take {message.kind}.", "kind")

    @answer.register
    def _(self, message: m.Ping, *_: object) -> Message:
        return m.Pong()

    # Files

    @answer.register
    def _(self, message: m.AssetPut, buffers: Buffers, *_: object) -> Message:
        data = buffers["data"].tobytes() if "data" in buffers else b""
        return m.AssetHave(message.sha256, self._uploads.put(message, data, self._photos()))

    @answer.register
    def _(self, message: m.FilesList, *_: object) -> Message:
        files = self._of(message.owner).items()
        return m.Files(tuple(m.FileInfo(name, hashlib.sha256(data).hexdigest(), len(data)) for name, data in files))

    @answer.register
    def _(self, message: m.FileGet, *_: object) -> Answer:
        data = self._of(message.owner).get(message.name)
        if data is None:
            raise WireError("unknown_file", f"There is no {message.name} here.", "name")
        chunk = np.frombuffer(data[message.offset : message.offset + limits.CHUNK_BYTES], "u1")
        told = m.FileChunk(hashlib.sha256(data).hexdigest(), len(data), min(message.offset, len(data)))
        return told, {"data": chunk}

    # Jobs

    @answer.register
    def _(self, message: m.JobSubmit, buffers: Buffers, stream: Stream, tell: Tell) -> Message:
        known = self._jobs.get(message.job)
        if known is None:
            photo = self._uploads.photo(message.photo)
            if message.task == "build":
                self._check_room()
            known = self._accept(PretendedJob.new(message, photo, time.time()), tell)
        elif not isinstance(known, PretendedJob) or known.submit != message:
            raise WireError("conflict", "Another job has this id already.", "job")
        return m.JobIs(known.info)

    @answer.register
    def _(self, message: m.RenderFrames, buffers: Buffers, stream: Stream, tell: Tell) -> Message:
        self._avatar(message.avatar)
        known = self._jobs.get(message.job)
        if known is None:
            known = self._accept(RenderJob.new(message, buffers), tell)
            stream.jobs.append(known)
        elif not isinstance(known, RenderJob) or known.request != message:
            raise WireError("conflict", "Another job has this id already.", "job")
        return m.JobIs(known.info)

    @answer.register
    def _(self, message: m.JobCancel, buffers: Buffers, stream: Stream, tell: Tell) -> Message:
        job = self._job(message.job)
        job.cancel(tell)
        return m.JobIs(job.info)

    @answer.register
    def _(self, message: m.JobResume, buffers: Buffers, stream: Stream, tell: Tell) -> Message:
        job = self._job(message.job)
        if job.info.state not in ("queued", "running"):
            if not isinstance(job, PretendedJob):
                raise WireError("conflict", "Ask for the frames that are missing with a new job.", "job")
            if job.info.task == "build" and job.info.retryable:
                self._check_room()
            job.resume(tell)
        return m.JobIs(job.info)

    @answer.register
    def _(self, message: m.JobForget, *_: object) -> Message:
        if self._job(message.job).info.state not in m.FINAL_STATES:
            raise WireError("conflict", "The job is not done. Cancel it first.", "job")
        self._forget(message.job)
        return m.Ok()

    @answer.register
    def _(self, message: m.JobList, *_: object) -> Message:
        return page_of_jobs([job.info for job in reversed(self._jobs.values())], message.after)

    @answer.register
    def _(self, message: m.JobEvents, buffers: Buffers, stream: Stream, tell: Tell) -> Message:
        for info in self._job(message.job).history[message.since :]:
            tell(m.JobEvent(info), {})
        return m.Ok()

    @answer.register
    def _(self, message: m.JobLog, *_: object) -> Message:
        log = self._job(message.job).log.encode()
        part = log[message.offset : message.offset + limits.LOG_BYTES]
        return m.JobLogText(part.decode(errors="replace"), min(message.offset, len(log)) + len(part))

    # Avatars

    @answer.register
    def _(self, message: m.AvatarList, *_: object) -> Message:
        return page_of_avatars(list(reversed(self._avatars.values())), message.after)

    @answer.register(m.AvatarOpen)
    @answer.register(m.AvatarClose)
    def _(self, message: m.AvatarOpen | m.AvatarClose, *_: object) -> Message:
        return self._change(message.avatar, open=isinstance(message, m.AvatarOpen))

    @answer.register
    def _(self, message: m.AvatarRename, *_: object) -> Message:
        return self._change(message.avatar, name=message.name)

    @answer.register
    def _(self, message: m.AvatarDelete, *_: object) -> Message:
        del self._avatars[self._avatar(message.avatar).avatar]
        del self._files[message.avatar]
        return m.Ok()

    # Frames and the server

    @answer.register
    def _(self, message: m.RenderLive, buffers: Buffers, stream: Stream, tell: Tell) -> None:
        stream.grant(message.consumed, tell)
        self._avatar(message.avatar)
        stream.live[message.view] = (message, buffers)

    @answer.register
    def _(self, message: m.RenderStop, buffers: Buffers, stream: Stream, tell: Tell) -> Message:
        stream.live.pop(message.view, None)
        return m.Ok()

    @answer.register
    def _(self, message: m.RenderCredit, buffers: Buffers, stream: Stream, tell: Tell) -> None:
        stream.grant(message.frames, tell)

    @answer.register
    def _(self, message: m.MemoryFree, *_: object) -> Message:
        for avatar in self._avatars:
            self._change(avatar, open=False)
        return self._status()

    @answer.register
    def _(self, message: m.StatusGet, *_: object) -> Message:
        return self._status()

    def _status(self) -> Message:
        states = [job.info.state for job in self._jobs.values()]
        opened = sum(avatar.open for avatar in self._avatars.values())
        return m.Status(
            *(self._version, "cpu", "mock", opened * _PER_AVATAR, _MEMORY, time.monotonic() - self._began),
            *(states.count("running"), states.count("queued"), opened, self._clients()),
            notes=("This is a mock: every photo becomes the same capsule person.",),
        )

    def _accept(self, job: AnyJob, tell: Tell) -> AnyJob:
        """A new one. Of those of its kind that have ended the newest stay, and fits from which a build starts."""
        is_render = isinstance(job, RenderJob)
        kind = [other for other in self._jobs.values() if isinstance(other, RenderJob) == is_render]
        ended = [other.info.job for other in kind if other.info.state in m.FINAL_STATES]
        self._jobs[job.info.job] = job
        pretended = [other for other in self._jobs.values() if isinstance(other, PretendedJob)]
        needed = {other.submit.registration for other in pretended if other.info.state not in m.FINAL_STATES}
        for oldest in ended[: -(limits.ENDED_RENDERS if is_render else limits.ENDED_JOBS)]:
            if oldest not in needed:
                self._forget(oldest)
        job.change(tell)
        return job

    def _forget(self, job_id: str) -> None:
        """With its photo, and its files if they are not an avatar's."""
        job = self._jobs.pop(job_id)
        if job_id not in self._avatars:
            self._files.pop(job_id, None)
        if isinstance(job, PretendedJob) and job.submit.photo not in self._photos():
            self._uploads.drop(job.submit.photo)

    def _photos(self) -> set[str]:
        """That jobs use."""
        return {job.submit.photo for job in self._jobs.values() if isinstance(job, PretendedJob)}

    def _check_room(self) -> None:
        """For one more avatar, beside those that are being built."""
        building = [job for job in self._jobs.values() if job.info.task == "build"]
        unfinished = sum(job.info.state not in m.FINAL_STATES for job in building)
        if len(self._avatars) + unfinished >= limits.KEPT_AVATARS:
            words = f"You have {limits.KEPT_AVATARS} avatars, with those that are being made: delete one first."
            raise WireError("busy", words, retryable=True)

    def _keep(self, job: PretendedJob) -> None:
        self._files[job.submit.job] = job.files
        if job.submit.task == "build":
            size = sum(map(len, job.files.values()))
            info = m.AvatarInfo(job.submit.job, job.submit.name or "Mock", time.time(), size=size)
            self._avatars[job.submit.job] = replace(info, body_sha256=views.BODY_SHA256)

    def _change(self, avatar: str, **changes: object) -> Message:
        self._avatars[avatar] = replace(self._avatar(avatar), **changes)  # type: ignore[arg-type]
        return m.AvatarIs(self._avatars[avatar])

    def _avatar(self, avatar: str) -> m.AvatarInfo:
        if avatar not in self._avatars:
            raise WireError("unknown_avatar", "There is no such avatar. Build it first.", "avatar")
        return self._avatars[avatar]

    def _job(self, job: str) -> Job:
        if job not in self._jobs:
            raise WireError("unknown_job", "There is no such job.", "job")
        return self._jobs[job]

    def _of(self, owner: str) -> Files:
        if owner not in self._files:
            raise WireError("unknown_avatar", "Nothing finished has this id.", "owner")
        return self._files[owner]
