"""What clients ask about avatars: list, open, close, rename, delete, import. Own avatars only."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from backend.service.background import Background, swept_at_next_start
from backend.service.downloads import Refuse, Reply
from backend.service.importing import copied
from backend.service.jobs import newest
from backend.service.journal import Journal, OwnedAvatar
from backend.service.library import Library, folder_size
from backend.service.pool import Pool, Worker
from backend.service.sessions import Session, Sessions
from backend.service.work import WorkClose, WorkOpen, WorkRefused
from shared.wire import limits
from shared.wire.codec import Envelope
from shared.wire.errors import WireError
from shared.wire.messages import (
    AvatarClose,
    AvatarDelete,
    AvatarImport,
    AvatarInfo,
    AvatarIs,
    AvatarOpen,
    AvatarRename,
    Avatars,
    Ok,
)
from shared.wire.schema import Message


@dataclass(frozen=True)
class _Import:
    """A copied folder that a worker looks at before it becomes an avatar."""

    session: Session
    envelope: Envelope
    folder: Path
    info: AvatarInfo
    worker: Worker | None = None  # none is ready yet


class AvatarDesk:
    """Answers for avatars."""

    def __init__(
        self,
        journal: Journal,
        library: Library,
        sessions: Sessions,
        pool: Pool,
        background: Background,
        reply: Reply,
        refuse: Refuse,
    ) -> None:
        self._journal, self._library, self._sessions, self._pool = journal, library, sessions, pool
        self._background, self._reply, self._refuse = background, reply, refuse
        self._imports: dict[str, _Import] = {}
        self._wanted: set[str] = set()  # to be opened

    def list(self, session: Session, envelope: Envelope) -> Message:
        """The newest."""
        infos = self._library.list(session.owner)
        return newest(Avatars(), "avatars", tuple(self._with_open(info) for info in infos))

    def open(self, session: Session, envelope: Envelope) -> Message:
        """Let a worker load it."""
        asked = envelope.message
        assert isinstance(asked, AvatarOpen)
        info = self._library.owned(session.owner, asked.avatar).info
        self._wanted.add(asked.avatar)
        self._open_wanted()
        return AvatarIs(self._with_open(info))

    def _open_wanted(self) -> None:
        """As soon as a worker is ready."""
        for worker in self._pool.ready("render")[:1]:
            while self._wanted:
                avatar = self._wanted.pop()
                self._pool.send(worker, WorkOpen(avatar, str(self._library.folder(avatar))))

    def close(self, session: Session, envelope: Envelope) -> Message:
        """Let all workers forget it."""
        asked = envelope.message
        assert isinstance(asked, AvatarClose)
        info = self._library.owned(session.owner, asked.avatar).info
        self._close(asked.avatar)
        return AvatarIs(info)

    def rename(self, session: Session, envelope: Envelope) -> Message:
        """Another label."""
        asked = envelope.message
        assert isinstance(asked, AvatarRename)
        return AvatarIs(self._with_open(self._library.rename(session.owner, asked.avatar, asked.name)))

    def delete(self, session: Session, envelope: Envelope) -> Message:
        """Out of the list at once, off the disk a moment later."""
        asked = envelope.message
        assert isinstance(asked, AvatarDelete)
        aside = self._library.delete(session.owner, asked.avatar)
        self._close(asked.avatar)
        self._background.run(lambda: shutil.rmtree(aside), lambda _: None, swept_at_next_start)
        return Ok()

    def adopt(self, session: Session, envelope: Envelope) -> Message | None:
        """Copy a folder of this computer, let a worker load it, and only then call it an avatar."""
        asked = envelope.message
        assert isinstance(asked, AvatarImport)
        if not session.local:
            raise WireError("not_local", "Import works on the server's own computer only. Send the photo instead.")
        known = self._journal.avatar(asked.avatar)
        if known is not None and known.owner == session.owner:
            return AvatarIs(self._with_open(known.info))
        if known is not None or asked.avatar in self._imports or self._journal.job(asked.avatar) is not None:
            raise WireError("conflict", "This id is taken. Take a new one.", "avatar")
        if trouble := self._pool.trouble("render"):
            raise WireError("failed", trouble, retryable=True)
        target = self._library.folder(f".{asked.avatar}.partial")
        self._background.run(
            lambda: copied(Path(asked.folder), target, asked.avatar, asked.name),
            lambda info: self._look(_Import(session, envelope, target, info)),
            lambda error: self._drop_import(session, envelope, target, error),
        )
        return None

    def _look(self, found: _Import) -> None:
        worker = next(iter(self._pool.ready("render")), None)
        self._imports[found.info.avatar] = replace(found, worker=worker)
        if worker is not None:
            self._pool.send(worker, WorkOpen(found.info.avatar, str(found.folder)))

    def tick(self) -> None:
        """Give memory back that nobody has used for long: a Blender left open over night needs none."""
        if self._sessions.unused_for() > limits.UNUSED_S:
            self._sessions.note_use()
            for worker in self._pool.workers("render"):
                if worker.memory.avatars:
                    self._pool.send(worker, WorkClose())

    def memory_changed(self, worker: Worker) -> None:
        """A worker is ready, or told what it has open: an import among it is good."""
        self._open_wanted()
        for found in [found for found in self._imports.values() if found.worker is None]:
            self._look(found)
        for avatar in set(worker.memory.avatars) & self._imports.keys():
            found = self._imports.pop(avatar)
            info = replace(found.info, size=folder_size(found.folder))
            self._library.place(OwnedAvatar(info, found.session.owner), found.folder)
            self._reply(found.session, found.envelope, AvatarIs(replace(info, open=True)), {})

    def refused(self, said: WorkRefused) -> None:
        """A worker cannot open something: an import ends here."""
        if found := self._imports.pop(said.request, None):
            error = WireError(said.code, said.message)
            self._drop_import(found.session, found.envelope, found.folder, error)

    def lost(self, worker: Worker) -> None:
        """A worker is gone: what it looked at is not imported."""
        for avatar in [avatar for avatar, found in self._imports.items() if found.worker is worker]:
            self.refused(WorkRefused(avatar, "worker_died", "The worker was lost over this folder. Try again."))

    def _drop_import(self, session: Session, envelope: Envelope, folder: Path, error: Exception) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self._refuse(session, envelope, error)

    def _close(self, avatar: str) -> None:
        for worker in self._pool.workers("render"):
            if avatar in worker.memory.avatars:
                self._pool.send(worker, WorkClose(avatar))

    def _with_open(self, info: AvatarInfo) -> AvatarInfo:
        return replace(info, open=any(info.avatar in one.memory.avatars for one in self._pool.workers("render")))
