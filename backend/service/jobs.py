"""What clients ask about jobs: submit, cancel, resume, forget, list, events, log. Own jobs only."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

from backend.service.assets import Assets
from backend.service.ended import Ended
from backend.service.foreman import Foreman
from backend.service.journal import Job, Journal
from backend.service.kept import Kept
from backend.service.ledger import Ledger
from backend.service.library import Library
from backend.service.orders import content_hash, fit_of, packed
from backend.service.relay import Relay
from backend.service.renders import Renders
from backend.service.replay import Replays
from backend.service.session import Session
from backend.service.states import RESUMABLE, START, is_final
from shared.wire import limits
from shared.wire.codec import Envelope
from shared.wire.errors import WireError
from shared.wire.messages import (
    JobCancel,
    JobEvents,
    JobForget,
    JobInfo,
    JobIs,
    JobList,
    JobLog,
    JobLogText,
    JobResume,
    JobSubmit,
    Ok,
    RenderFrames,
)
from shared.wire.pages import page_of_jobs
from shared.wire.schema import Message


class JobDesk:
    """Answers for jobs."""

    def __init__(
        self,
        data: Path,
        journal: Journal,
        ledger: Ledger,
        foreman: Foreman,
        relay: Relay,
        replays: Replays,
        assets: Assets,
        renders: Renders,
        ended: Ended,
        library: Library,
        kept: Kept,
    ) -> None:
        self._folder, self._journal, self._ledger = data / "jobs", journal, ledger
        self._foreman, self._relay, self._replays, self._assets = foreman, relay, replays, assets
        self._renders, self._ended, self._library, self._kept = renders, ended, library, kept

    def submit(self, session: Session, envelope: Envelope) -> Message:
        """Register or build. The same again is answered with where it stands."""
        asked = envelope.message
        assert isinstance(asked, JobSubmit)
        request = packed(asked, envelope.buffers)
        if known := self._known(session, asked.job, request):
            return JobIs(known.info)
        self._assets.path(session.owner, asked.photo)
        self._check_registration(session, asked.registration)
        self._kept.check(session.owner)
        if asked.task == "build":
            self._library.check_room(session.owner)
        return self._accept(session, JobInfo(asked.job, asked.task, asked.name, START, time.time()), request)

    def render(self, session: Session, envelope: Envelope) -> Message:
        """Frames in order."""
        asked = envelope.message
        assert isinstance(asked, RenderFrames)
        request = packed(asked, envelope.buffers)
        if known := self._known(session, asked.job, request):
            return JobIs(known.info)
        self._relay.check(session, asked, envelope.buffers)
        total = len(envelope.buffers["full_pose"])
        info = JobInfo(asked.job, "render", asked.name, START, time.time(), total=total)
        answer = self._accept(session, info, request)
        self._relay.take(session, asked, envelope.buffers)
        return answer

    def _resume_render(self, session: Session, job: Job, done: int) -> Message:
        """Its frames go to who resumes it, from the first one on that nobody has consumed."""
        if job.info.state != "interrupted":
            raise WireError("conflict", f"This render is {job.info.state}. Ask for frames with a new job.", "job")
        self._check_room(session)
        kept = self._renders.load(job)
        assert isinstance(kept.message, RenderFrames)
        self._relay.check(session, kept.message, kept.buffers)
        self._renders.resume(job)
        self._relay.take(session, kept.message, kept.buffers, min(max(done, job.info.step), job.info.total))
        return JobIs(self._owned(session, job.id).info)

    def cancel(self, session: Session, envelope: Envelope) -> Message:
        """Stop it; what is final stays as it is."""
        asked = envelope.message
        assert isinstance(asked, JobCancel)
        job = self._owned(session, asked.job)
        if not is_final(job.info.state):
            (self._relay if job.info.task == "render" else self._foreman).cancel(job)
        return JobIs(self._owned(session, asked.job).info)

    def resume(self, session: Session, envelope: Envelope) -> Message:
        """Back into the queue."""
        asked = envelope.message
        assert isinstance(asked, JobResume)
        job = self._owned(session, asked.job)
        if job.info.state in (START, "running"):
            return JobIs(job.info)
        if job.info.last_event >= limits.EVENTS:
            words = f"This job has {job.info.last_event} events, as many as one may have."
            raise WireError("conflict", f"{words} Submit a new one.", "job")
        if job.info.task == "render":
            return self._resume_render(session, job, asked.done)
        if job.info.state not in RESUMABLE or not job.info.retryable:
            raise WireError("conflict", f"This job is {job.info.state} and cannot go on. Submit a new one.", "job")
        self._check_room(session)
        self._check_registration(session, fit_of(job))
        self._kept.check(session.owner)
        if job.info.task == "build" and is_final(job.info.state):
            self._library.check_room(session.owner)
        changes = {"error_code": "", "error": "", "retryable": False, "message": ""}
        return JobIs(self._ledger.move(job.id, START, deaths=0, **changes))

    def forget(self, session: Session, envelope: Envelope) -> Message:
        """Off the list."""
        asked = envelope.message
        assert isinstance(asked, JobForget)
        job = self._owned(session, asked.job)
        if not is_final(job.info.state):
            raise WireError("conflict", "Only a job that has ended can be forgotten. Cancel it first.", "job")
        others = self._journal.jobs_of(session.owner)
        if any(not is_final(other.info.state) and fit_of(other) == job.id for other in others):
            raise WireError("conflict", "A build that has not ended needs this fit. Wait, or cancel that first.", "job")
        self._ended.forget([job], others)
        return Ok()

    def list(self, session: Session, envelope: Envelope) -> Message:
        """What runs comes first, then what waits, then what has ended: clients before 1.2 see one page only."""
        asked = envelope.message
        assert isinstance(asked, JobList)
        infos = [job.info for job in self._journal.jobs_of(session.owner)]
        infos.sort(key=lambda info: (is_final(info.state), info.state != "running"))
        return page_of_jobs(infos, asked.after)

    def events(self, session: Session, envelope: Envelope) -> None:
        """Begin to tell again."""
        asked = envelope.message
        assert isinstance(asked, JobEvents)
        self._owned(session, asked.job)
        self._replays.ask(session, asked.job, asked.since, envelope.id)

    def log(self, session: Session, envelope: Envelope) -> Message:
        """A piece of the log file; a character cut in two by its end comes with the next piece."""
        asked = envelope.message
        assert isinstance(asked, JobLog)
        path = self._folder / self._owned(session, asked.job).id / "log.txt"
        if not path.exists():
            return JobLogText("", 0, str(path))
        with path.open("rb") as file:
            offset = min(asked.offset, file.seek(0, os.SEEK_END))
            file.seek(offset)
            data = file.read(limits.LOG_BYTES)
        return JobLogText(*_whole_characters(data, offset), str(path))

    def _known(self, session: Session, job_id: str, request: bytes) -> Job | None:
        """The job with this id, if the same was asked for before."""
        job = self._journal.job(job_id)
        if job is not None and (job.owner, job.content) != (session.owner, content_hash(request)):
            raise WireError("conflict", "This id belongs to another job. Take a new one.", "job")
        return job

    def _accept(self, session: Session, info: JobInfo, request: bytes) -> Message:
        self._check_room(session)
        if self._journal.avatar(info.job) is not None:
            raise WireError("conflict", "An avatar has this id. Take a new one.", "job")
        info = replace(info, last_event=1)
        is_render = info.task == "render"  # poses are many: they do not burden each look at the journal
        job = Job(info, session.owner, content_hash(request), b"" if is_render else request)
        self._ended.make_room(job)  # who is told that this failed has no job
        if is_render:
            self._renders.keep(info.job, request)
        self._ledger.add(job)
        return JobIs(info)

    def _check_room(self, session: Session) -> None:
        if self._journal.count(START, session.owner) >= limits.WAITING_JOBS:
            raise WireError("busy", f"{limits.WAITING_JOBS} jobs of yours are waiting already.", retryable=True)

    def _check_registration(self, session: Session, wanted: str) -> None:
        """That of a build, which may start without."""
        if not wanted:
            return
        job = self._journal.job(wanted)
        usable = job is not None and job.owner == session.owner and job.info.task == "register"
        if not usable or job is None or job.info.state != "finished":
            words = "You have no finished registration with this id. Register the photo, then build from that."
            raise WireError("unknown_job", words, "registration")

    def _owned(self, session: Session, job_id: str) -> Job:
        job = self._journal.job(job_id)
        if job is None or job.owner != session.owner:
            raise WireError("unknown_job", "You have no such job. List the jobs again.", "job")
        return job


def _whole_characters(data: bytes, offset: int) -> tuple[str, int]:
    """The text up to the last whole character, and the offset behind it."""
    for cut in range(4):
        try:
            text = data[: len(data) - cut].decode("utf-8")
            return text, offset + len(data) - cut
        except UnicodeDecodeError:
            continue
    return data.decode("utf-8", errors="replace"), offset + len(data)
