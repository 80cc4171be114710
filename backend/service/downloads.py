"""Files of avatars and fits, for clients: by names from a listing, never by paths."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from backend.service.background import Background
from backend.service.journal import Journal
from backend.service.library import Library
from backend.service.sessions import Session
from shared.wire import limits
from shared.wire.codec import Buffers, Envelope
from shared.wire.errors import WireError
from shared.wire.messages import FileChunk, FileGet, FileInfo, Files, FilesList
from shared.wire.schema import Message

Reply = Callable[[Session, Envelope, Message, Buffers], None]
Refuse = Callable[[Session, Envelope, Exception], None]


class Downloads:
    """Reads beside the loop, for a file must be hashed before its first chunk is sent."""

    def __init__(
        self, data: Path, journal: Journal, library: Library, background: Background, reply: Reply, refuse: Refuse
    ) -> None:
        self._jobs, self._journal, self._library = data / "jobs", journal, library
        self._background, self._reply, self._refuse = background, reply, refuse
        self._hashes = Hashes()

    def list(self, session: Session, envelope: Envelope) -> None:
        """Answer `FilesList`."""
        asked = envelope.message
        assert isinstance(asked, FilesList)
        folder = self._folder(session.owner, asked.owner)
        self._background.run(
            lambda: Files(tuple(self._hashes.info(path) for path in listed(folder)[: limits.FILES])),
            lambda files: self._reply(session, envelope, files, {}),
            lambda error: self._refuse(session, envelope, error),
        )

    def get(self, session: Session, envelope: Envelope) -> None:
        """Answer `FileGet`."""
        asked = envelope.message
        assert isinstance(asked, FileGet)
        folder = self._folder(session.owner, asked.owner)
        self._background.run(
            lambda: self._chunk(folder, asked),
            lambda chunk: self._reply(session, envelope, chunk[0], {"data": chunk[1]}),
            lambda error: self._refuse(session, envelope, error),
        )

    def _chunk(self, folder: Path, asked: FileGet) -> tuple[FileChunk, np.ndarray]:
        path = next((path for path in listed(folder) if path.name == asked.name), None)
        if path is None:
            raise WireError("unknown_file", f"There is no file called {asked.name!r}. List the files again.", "name")
        info = self._hashes.info(path)
        with path.open("rb") as file:
            file.seek(asked.offset)
            data = file.read(limits.CHUNK_BYTES)
        return FileChunk(info.sha256, info.size, asked.offset), np.frombuffer(data, "u1")

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
    """SHA-256 of files, remembered until they change."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, int, int], str] = {}

    def info(self, path: Path) -> FileInfo:
        """Name, hash and size of a file."""
        state = path.stat()
        key = (path, state.st_size, state.st_mtime_ns)
        if key not in self._known:
            self._known[key] = _sha256(path)
        return FileInfo(path.name, self._known[key], state.st_size)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
