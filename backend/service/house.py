"""All rooms of the server put together: which handler answers which message, and which room hears which worker."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from backend.service.assets import Assets
from backend.service.avatars import AvatarDesk
from backend.service.background import Background
from backend.service.downloads import Downloads
from backend.service.ended import Ended
from backend.service.foreman import Foreman
from backend.service.jobs import JobDesk
from backend.service.journal import Journal
from backend.service.kept import Kept
from backend.service.ledger import Ledger, Step
from backend.service.library import Library
from backend.service.pool import Pool, Worker
from backend.service.poses import Poses
from backend.service.post import Post
from backend.service.relay import Relay
from backend.service.renders import Renders
from backend.service.replay import Replays
from backend.service.session import Session
from backend.service.sessions import Sessions
from backend.service.slots import sweep
from backend.service.status import StatusDesk
from backend.service.work import (
    WorkDone,
    WorkFailed,
    WorkFrame,
    WorkMemory,
    WorkProgress,
    WorkReady,
    WorkRefused,
)
from shared.errors import VivantError
from shared.wire import limits
from shared.wire import messages as m
from shared.wire.codec import Buffers, Envelope, Part, decode
from shared.wire.errors import WireError
from shared.wire.schema import Message

if TYPE_CHECKING:
    from backend.service.front import Front, Handler

log = logging.getLogger(__name__)


class House:
    """Journal, jobs, avatars, files and frames, without the sockets of clients."""

    def __init__(
        self,
        data: Path,
        journal: Journal,
        sessions: Sessions,
        pool: Pool,
        frames: Post,
        background: Background,
        now: Callable[[], float],
    ) -> None:
        self._data, self._journal, self._pool, self._now = data, journal, pool, now
        self._sessions = sessions
        self._replays = Replays(journal, sessions)
        self._ledger = Ledger(journal, self._replays.announce, now)
        self._kept = Kept(data, journal, background, sessions.is_local)
        self._assets = Assets(data, journal, self._kept, background, self._reply, self._refuse)
        self._library = Library(data, journal)
        self._foreman = Foreman(journal, self._ledger, pool, self._library, self._kept, data, now)
        self._renders = Renders(journal, self._ledger, Poses(data))
        self.relay = Relay(frames, sessions, pool, self._renders, self._library, background, data)
        self._ended = Ended(data, journal, self._assets, self._kept, background)
        self._jobs = JobDesk(
            data,
            journal,
            self._ledger,
            self._foreman,
            self.relay,
            self._replays,
            self._assets,
            self._renders,
            self._ended,
            self._library,
            self._kept,
        )
        self._avatars = AvatarDesk(journal, self._library, sessions, pool, background, self._reply, self._refuse, now)
        self._downloads = Downloads(data, journal, self._library, background, self._reply, self._refuse)
        self._status = StatusDesk(data, journal, sessions, pool, self._reply)
        self._front: Front
        self._unheard: list[tuple[Worker, Envelope]] = []
        self._retry_at = 0.0
        self._troubled = -1.0  # when there was trouble last
        pool.lost = self._lost
        sessions.freed.append(self._downloads.drop)

    def answer_through(self, front: Front) -> None:
        """Where answers go that take their time."""
        self._front = front

    def handlers(self, stop: Handler) -> Mapping[type[Message], Handler]:
        """Who answers what."""
        return {
            m.AssetPut: later(self._assets.put),
            m.FilesList: later(self._downloads.list),
            m.FileGet: later(self._downloads.get),
            m.JobSubmit: self._jobs.submit,
            m.JobCancel: self._jobs.cancel,
            m.JobResume: self._jobs.resume,
            m.JobForget: self._jobs.forget,
            m.JobList: self._jobs.list,
            m.JobEvents: self._jobs.events,
            m.JobLog: self._jobs.log,
            m.AvatarList: self._avatars.list,
            m.AvatarOpen: self._avatars.open,
            m.AvatarClose: self._avatars.close,
            m.AvatarRename: self._avatars.rename,
            m.AvatarDelete: self._avatars.delete,
            m.AvatarImport: later(self._avatars.adopt),
            m.RenderLive: self.relay.live,
            m.RenderStop: self.relay.stop,
            m.RenderFrames: self._jobs.render,
            m.RenderCredit: self.relay.credit,
            m.FrameCopied: self.relay.copied,
            m.StatusGet: self._status.get,
            m.MemoryFree: later(self._status.free),
            m.ServerStop: stop,
        }

    def recover(self) -> None:
        """Bring the disk into order after whatever ended the last server."""
        sweep(self._data)
        self._assets.sweep()
        self._library.recover()
        self._ended.sweep()
        self._kept.recover()
        self._foreman.recover()
        self._renders.recover()

    def hear(self, worker: Worker, parts: Sequence[Part]) -> None:
        """A worker said something."""
        with self._trouble_told():
            self._take_in(worker, decode(parts))

    def _take_in(self, worker: Worker, envelope: Envelope) -> None:
        """If the journal cannot be written, that a job ended is taken in again later."""
        try:
            self._hear(worker, envelope)
        except WireError:
            if isinstance(envelope.message, (WorkDone, WorkFailed)):
                self._unheard.append((worker, envelope))
            raise

    def tick(self) -> None:
        """Everything that time does."""
        with self._trouble_told():
            self._pool.tick()
            self._sessions.tick()
        if self._now() < self._retry_at:
            return
        self._retry_at = self._now() + limits.RETRY_S  # unless all goes well
        with self._trouble_told():
            for _ in range(len(self._unheard)):
                self._take_in(*self._unheard.pop(0))
            for room in (
                self._foreman,
                self._ledger,
                self._replays,
                self._downloads,
                self._avatars,
                self._status,
                self.relay,
            ):
                room.tick()
            self._retry_at = 0.0
            if self._troubled < self._now():  # in this turn all went well, here and before
                self._status.trouble = ""

    def pending(self) -> bool:
        """Whether something waits for a socket or a slot, which nobody announces."""
        return self.relay.pending() or self._sessions.pending()

    def pump(self) -> None:
        """Answers and frames alone."""
        with self._trouble_told():
            self._sessions.flush()
            self.relay.pump()

    @contextmanager
    def _trouble_told(self) -> Iterator[None]:
        """A full disk stops nothing for good: status tells it, a later tick tries again."""
        try:
            yield
        except (VivantError, OSError) as error:
            if self._status.trouble != str(error):  # which it may be in each turn of the loop
                log.warning("%s", error)
            self._status.trouble, self._troubled = str(error), self._now()

    def stop(self) -> None:
        """The server ends."""
        self._foreman.stop()
        self._renders.interrupt_all("The server was stopped. Resume to have the frames that are missing.")

    def _hear(self, worker: Worker, envelope: Envelope) -> None:
        said = envelope.message
        if isinstance(said, WorkFrame):
            self.relay.frame(worker, said)
        elif isinstance(said, WorkProgress):
            step = Step(said.stage, said.step, said.total, said.message, envelope.buffers.get("preview"))
            self._foreman.progress(worker, said, step)
        elif isinstance(said, WorkDone):
            self._foreman.done(worker, said)
        elif isinstance(said, WorkFailed):
            self._foreman.failed(worker, said)
        elif isinstance(said, WorkRefused):
            self.relay.refused(worker, said)
            self._avatars.refused(said)
        elif isinstance(said, (WorkReady, WorkMemory)):
            self._pool.take_note(worker, said)
            self._avatars.memory_changed(worker)
            self._status.memory_changed(worker)

    def _lost(self, worker: Worker, reason: str) -> None:
        log.warning("The %s worker %d was lost: %s", worker.role, worker.process.pid, reason)
        if worker.role == "build":
            self._foreman.lost(worker, reason)
        else:
            self.relay.lost(worker, reason)
            self._avatars.lost(worker, reason)

    def _reply(self, session: Session, envelope: Envelope, message: Message, buffers: Buffers) -> None:
        session.asked -= 1
        self._front.reply(session, envelope, message, buffers)

    def _refuse(self, session: Session, envelope: Envelope, error: Exception) -> None:
        session.asked -= 1
        self._front.refuse(session, envelope, error)


def later(handler: Handler) -> Handler:
    """A handler whose answers may take their time, for so many requests of one client at once."""

    def bounded(session: Session, envelope: Envelope) -> Message | None:
        if session.asked >= limits.REQUESTS:
            raise WireError("busy", f"{limits.REQUESTS} requests of yours wait for answers already.", retryable=True)
        session.asked += 1
        try:
            answer = handler(session, envelope)
        except Exception:
            session.asked -= 1
            raise
        if answer is not None:
            session.asked -= 1
        return answer

    return bounded
