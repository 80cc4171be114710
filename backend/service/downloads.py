"""Files of avatars and fits, for clients: by names from a listing, never by paths."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from backend.service.background import Background
from backend.service.journal import Journal
from backend.service.library import Library
from backend.service.session import Session
from shared.wire import limits
from shared.wire.codec import Buffers, Envelope
from shared.wire.errors import WireError
from shared.wire.messages import FileChunk, FileGet, FileInfo, Files, FilesList
from shared.wire.schema import Message

Reply = Callable[[Session, Envelope, Message, Buffers], None]
Refuse = Callable[[Session, Envelope, Exception], None]


Read = Callable[[], tuple[Message, Buffers]]


@dataclass
class _Line:
    """What one client asked for, in order."""

    session: Session
    waiting: deque[tuple[Envelope, Read]] = field(default_factory=deque)
    reading: bool = False


class Downloads:
    """Reads beside the loop, for a file must be hashed before its first chunk is sent."""

    def __init__(
        self, data: Path, journal: Journal, library: Library, background: Background, reply: Reply, refuse: Refuse
    ) -> None:
        self._jobs, self._journal, self._library = data / "jobs", journal, library
        self._background, self._reply, self._refuse = background, reply, refuse
        self._hashes = Hashes()
        self._lines: dict[str, _Line] = {}  # by session

    def list(self, session: Session, envelope: Envelope) -> None:
        """Answer `FilesList`."""
        asked = envelope.message
        assert isinstance(asked, FilesList)
        folder = self._folder(session.owner, asked.owner)
        self._line_up(session, envelope, lambda: (self._files(folder), {}))

    def get(self, session: Session, envelope: Envelope) -> None:
        """Answer `FileGet`."""
        asked = envelope.message
        assert isinstance(asked, FileGet)
        folder = self._folder(session.owner, asked.owner)
        self._line_up(session, envelope, lambda: self._chunk(folder, asked))

    def tick(self) -> None:
        """Go on with clients whose last chunk has left."""
        for session_id, line in list(self._lines.items()):
            self._go_on(line)
            if not line.waiting and not line.reading:
                del self._lines[session_id]

    def drop(self, session: Session) -> None:
        """It has gone: nothing more is read for it."""
        if line := self._lines.get(session.id):
            line.waiting.clear()

    def _line_up(self, session: Session, envelope: Envelope, read: Read) -> None:
        line = self._lines.setdefault(session.id, _Line(session))
        line.waiting.append((envelope, read))
        self._go_on(line)

    def _go_on(self, line: _Line) -> None:
        """Read the next answer, if none of this client is being read or on its way: so much it takes of the memory."""
        if not line.waiting or line.reading or not line.session.takes:
            return
        envelope, read = line.waiting.popleft()
        line.reading = True

        def done(answer: tuple[Message, Buffers]) -> None:
            line.reading = False
            self._reply(line.session, envelope, *answer)
            self._go_on(line)

        def failed(error: Exception) -> None:
            line.reading = False
            self._refuse(line.session, envelope, error)
            self._go_on(line)

        self._background.run(read, done, failed)

    def _files(self, folder: Path) -> Files:
        return Files(tuple(self._hashes.info(path) for path in listed(folder)[: limits.FILES]))

    def _chunk(self, folder: Path, asked: FileGet) -> tuple[FileChunk, Buffers]:
        path = next((path for path in listed(folder) if path.name == asked.name), None)
        if path is None:
            raise WireError("unknown_file", f"There is no file called {asked.name!r}. List the files again.", "name")
        info = self._hashes.info(path)
        offset = min(asked.offset, info.size)  # far behind the end a file system may refuse to look
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(limits.CHUNK_BYTES)
        return FileChunk(info.sha256, info.size, offset), {"data": np.frombuffer(data, "u1")}

    def _folder(self, owner: str, wanted: str) -> Path:
        """Of an avatar, or of a finished register job."""
        avatar = self._journal.avatar(wanted)
        if avatar is not None and avatar.owner == owner:
            return self._library.folder(wanted)
        job = self._journal.job(wanted)
        if job is not None and job.owner == owner and (job.info.task, job.info.state) == ("register", "finished"):
            return self._jobs / wanted / "result"
        raise WireError("unknown_file", "You have no avatar and no finished fit with this id.", "owner")


def listed(folder: Path) -> list[Path]:
    """The files that may be downloaded."""
    try:
        paths = sorted(folder.iterdir())
    except FileNotFoundError as error:
        raise WireError("unknown_file", "Its files are gone. List the avatars again.", "owner") from error
    return [path for path in paths if path.is_file() and not path.is_symlink() and not path.name.startswith(".")]


class Hashes:
    """SHA-256 of files, remembered until they change; of so many of them."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, int, int], str] = {}

    def info(self, path: Path) -> FileInfo:
        """Name, hash and size of a file."""
        state = path.stat()
        key = (path, state.st_size, state.st_mtime_ns)
        sha256 = self._known[key] = self._known.pop(key, "") or _sha256(path)
        if len(self._known) > limits.HASHES:
            del self._known[next(iter(self._known))]  # the one that was not asked for longest
        return FileInfo(path.name, sha256, state.st_size)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
