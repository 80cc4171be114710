"""How the server is: device, memory, queue, and what is not as it should be."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from backend import __version__
from backend.service.downloads import Reply
from backend.service.journal import Journal
from backend.service.pool import ROLES, Pool, Worker
from backend.service.session import Session
from backend.service.sessions import Sessions
from backend.service.work import WorkClose
from shared.wire import limits
from shared.wire.codec import Envelope
from shared.wire.messages import Status
from shared.wire.schema import Message
from shared.wire.sockets import has_curve

UNENCRYPTED = (
    "This pyzmq was built without CURVE: connections are not encrypted, a token in the connection file guards them. "
    "Install pyzmq's own wheel (pip install --force-reinstall pyzmq)."
)


@dataclass
class _Freeing:
    session: Session
    envelope: Envelope
    workers: list[Worker]
    asked: float = field(default_factory=time.monotonic)


class StatusDesk:
    """Answers for the server as a whole."""

    def __init__(self, data: Path, journal: Journal, sessions: Sessions, pool: Pool, reply: Reply) -> None:
        self._data, self._journal, self._sessions, self._pool, self._reply = data, journal, sessions, pool, reply
        self._began = time.monotonic()
        self._freeing: list[_Freeing] = []
        self.trouble = ""  # of the loop: a full disk

    def get(self, session: Session, envelope: Envelope) -> Message:
        """As it is now."""
        return self.status()

    def free(self, session: Session, envelope: Envelope) -> None:
        """Let idle workers unload everything, or for a client elsewhere its own; the answer waits until they did."""
        asked = [worker for role in ROLES for worker in self._pool.idle(role) if self._unload(worker, session)]
        self._freeing.append(_Freeing(session, envelope, asked))

    def _unload(self, worker: Worker, session: Session) -> bool:
        """Returns whether there was anything."""
        own = [avatar.info.avatar for avatar in self._journal.avatars_of(session.owner)]
        closing = [WorkClose()] if session.local else [WorkClose(one) for one in worker.memory.avatars if one in own]
        for message in closing:
            self._pool.send(worker, message)
        return bool(closing)

    def memory_changed(self, worker: Worker) -> None:
        """A worker told what it holds."""
        for freeing in self._freeing:
            if worker in freeing.workers:
                freeing.workers.remove(worker)

    def tick(self) -> None:
        """Answer those whose memory is free."""
        running = self._pool.workers()
        for freeing in list(self._freeing):
            left = [worker for worker in freeing.workers if worker in running]
            if not left or time.monotonic() - freeing.asked > limits.FREE_S:
                self._freeing.remove(freeing)
                self._reply(freeing.session, freeing.envelope, self.status(), {})

    def status(self) -> Status:
        """For every client the same, and nothing of another's."""
        workers = [worker for worker in self._pool.workers() if worker.ready is not None]
        first = workers[0].ready if workers else None
        notes = dict.fromkeys(note for worker in workers if worker.ready for note in worker.ready.notes)
        troubles = [self.trouble, "" if has_curve() else UNENCRYPTED, *(self._pool.trouble(role) for role in ROLES)]
        return Status(
            version=__version__,
            device=first.device if first else "",
            device_name=first.device_name if first else "workers are starting",
            memory_used=sum(worker.memory.used for worker in workers),
            memory_total=max((worker.memory.total for worker in workers), default=0),
            uptime_s=time.monotonic() - self._began,
            running=self._journal.count("running"),
            queued=self._journal.count("queued"),
            open_avatars=sum(len(worker.memory.avatars) for worker in workers),
            clients=min(len(self._sessions), limits.CLIENTS),
            mapped=min(self._sessions.mapped(), limits.CLIENTS),
            data_folder=str(self._data),
            notes=tuple(note for note in (*troubles, *notes) if note)[: limits.STATUS_NOTES],
        )
