"""What clients ask about avatars: list, open, close, rename, delete, import. Own avatars only."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from backend.service.background import Background, swept_at_next_start
from backend.service.downloads import Refuse, Reply
from backend.service.importing import copied
from backend.service.journal import Journal, OwnedAvatar
from backend.service.library import Library, folder_size
from backend.service.pool import Pool, Worker
from backend.service.session import Session
from backend.service.sessions import Sessions
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
    AvatarList,
    AvatarOpen,
    AvatarRename,
    Ok,
)
from shared.wire.pages import page_of_avatars
from shared.wire.schema import Message


@dataclass
class _Import:
    """A folder that is copied, and looked at by a worker, before it becomes an avatar."""

    session: Session
    envelope: Envelope
    source: str  # what is copied
    folder: Path  # the copy
    until: float
    info: AvatarInfo | None = None  # it is not copied yet
    worker: Worker | None = None  # none is ready yet


@dataclass
class _Opening:
    """An avatar, or an import, that a worker was told to open."""

    worker: Worker
    until: float
    unwanted: bool = False  # it is to be closed once it is open


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
        now: Callable[[], float],
    ) -> None:
        self._journal, self._library, self._sessions, self._pool = journal, library, sessions, pool
        self._background, self._reply, self._refuse, self._now = background, reply, refuse, now
        self._imports: dict[str, _Import] = {}
        self._late: list[str] = []  # folders whose copying nobody waits for any more, and which has not ended
        self._wanted: dict[str, None] = {}  # to be opened, in this order
        self._opening: dict[str, _Opening] = {}

    def list(self, session: Session, envelope: Envelope) -> Message:
        """Newest first."""
        asked = envelope.message
        assert isinstance(asked, AvatarList)
        return page_of_avatars([self._with_open(info) for info in self._library.list(session.owner)], asked.after)

    def open(self, session: Session, envelope: Envelope) -> Message:
        """Let a worker load it."""
        asked = envelope.message
        assert isinstance(asked, AvatarOpen)
        info = self._library.owned(session.owner, asked.avatar).info
        if asked.avatar in self._opening:
            self._opening[asked.avatar].unwanted = False
        self._wanted[asked.avatar] = None
        self._open_wanted()
        return AvatarIs(self._with_open(info))

    def _open_wanted(self) -> None:
        """The next one, when a worker is ready and opens no other: frames have their turn between two of them."""
        for worker in self._pool.ready("render")[:1]:
            missing = [avatar for avatar in self._wanted if avatar not in worker.memory.avatars]
            self._wanted = dict.fromkeys(missing)
            if missing and all(opening.worker is not worker for opening in self._opening.values()):
                del self._wanted[missing[0]]
                self._let_open(worker, missing[0], self._library.folder(missing[0]))

    def _let_open(self, worker: Worker, avatar: str, folder: Path) -> None:
        self._opening[avatar] = _Opening(worker, self._now() + limits.OPEN_S)
        self._pool.send(worker, WorkOpen(avatar, str(folder)))

    def close(self, session: Session, envelope: Envelope) -> Message:
        """Let all workers forget it, who opens it just now as soon as it is open."""
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
        if self._late:
            words = f"The server still reads {self._late[0]}: that drive is slow, or hangs."
            raise WireError("busy", f"{words} Look after it, or restart the server, then try again.", retryable=True)
        self._library.check_room(session.owner)
        self._library.coming[asked.avatar] = session.owner
        target = self._library.folder(f".{asked.avatar}.partial")
        found = self._imports[asked.avatar] = _Import(
            session, envelope, asked.folder, target, self._now() + limits.OPEN_S
        )
        waits = partial(self._waits, asked.avatar, found)
        self._background.run(
            lambda: copied(Path(asked.folder), target, asked.avatar, asked.name, waits),
            lambda info: self._copied(asked.avatar, found, info),
            lambda error: self._copied(asked.avatar, found, error),
            "imports",
        )
        return None

    def _waits(self, avatar: str, found: _Import) -> bool:
        """Whether somebody does for this import: one that takes too long is given up, and its client told so."""
        return self._imports.get(avatar) is found

    def _copied(self, avatar: str, found: _Import, outcome: AvatarInfo | Exception) -> None:
        if not self._waits(avatar, found):
            self._late.remove(found.source)
            shutil.rmtree(found.folder, ignore_errors=True)
        elif isinstance(outcome, Exception):
            self._drop_import(avatar, outcome)
        else:
            found.info, found.until = outcome, self._now() + limits.OPEN_S
            self._look(avatar, found)

    def _look(self, avatar: str, found: _Import) -> None:
        found.worker = next(iter(self._pool.ready("render")), None)
        if found.worker is not None:
            self._let_open(found.worker, avatar, found.folder)

    def tick(self) -> None:
        """End what takes too long; unload what nobody used for long: a Blender left open over night needs no memory."""
        for avatar, opening in list(self._opening.items()):
            if self._now() > opening.until and avatar in self._opening:  # its worker may just have gone with another
                self._pool.give_up(opening.worker, f"an avatar did not open within {limits.OPEN_S:.0f} s")
        for avatar, found in list(self._imports.items()):
            if found.worker is None and self._now() > found.until:
                self._give_up(avatar, found)
        self._open_wanted()
        if self._sessions.unused_for() > limits.UNUSED_S:
            self._sessions.note_use()
            for worker in self._pool.workers("render"):
                if worker.memory.avatars:
                    self._pool.send(worker, WorkClose())

    def _give_up(self, avatar: str, found: _Import) -> None:
        what = "Starting a worker that looks at this folder"
        if found.info is None:
            what = "Copying this folder, and those before it,"
            self._late.append(found.source)
        words = f"{what} took more than {limits.OPEN_S:.0f} s. Try again, or copy it to a faster disk."
        self._drop_import(avatar, WireError("timeout", words, retryable=True))

    def memory_changed(self, worker: Worker) -> None:
        """A worker is ready, or told what it has open: an import among it is good."""
        for avatar, found in self._imports.items():
            if found.info is not None and found.worker is None:
                self._look(avatar, found)
        for avatar in set(worker.memory.avatars) & self._opening.keys():
            if self._opening.pop(avatar).unwanted:
                self._close(avatar)
        for avatar in set(worker.memory.avatars) & self._imports.keys():
            found = self._take(avatar)
            assert found.info is not None
            info = replace(found.info, size=folder_size(found.folder))
            self._library.place(OwnedAvatar(info, found.session.owner), found.folder)
            self._reply(found.session, found.envelope, AvatarIs(replace(info, open=True)), {})
        self._open_wanted()

    def refused(self, said: WorkRefused) -> None:
        """A worker cannot open something: an import ends here."""
        self._opening.pop(said.request, None)
        if said.request in self._imports:
            self._drop_import(said.request, WireError(said.code, said.message))

    def lost(self, worker: Worker, reason: str) -> None:
        """A worker is gone: what it opened is not imported."""
        for avatar in [avatar for avatar, opening in self._opening.items() if opening.worker is worker]:
            words = f"The worker was lost over this folder ({reason}). Try again, or build the avatar anew."
            self.refused(WorkRefused(avatar, "worker_died", words))

    def _drop_import(self, avatar: str, error: Exception) -> None:
        found = self._take(avatar)
        shutil.rmtree(found.folder, ignore_errors=True)
        self._refuse(found.session, found.envelope, error)

    def _take(self, avatar: str) -> _Import:
        """An import that ends, well or not."""
        del self._library.coming[avatar]
        return self._imports.pop(avatar)

    def _close(self, avatar: str) -> None:
        self._wanted.pop(avatar, None)
        if avatar in self._opening:
            self._opening[avatar].unwanted = True
        for worker in self._pool.workers("render"):
            if avatar in worker.memory.avatars:
                self._pool.send(worker, WorkClose(avatar))
                others = tuple(other for other in worker.memory.avatars if other != avatar)
                worker.memory = replace(worker.memory, avatars=others)  # until it tells anew: it is asked once

    def _with_open(self, info: AvatarInfo) -> AvatarInfo:
        return replace(info, open=any(info.avatar in one.memory.avatars for one in self._pool.workers("render")))
