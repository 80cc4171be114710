"""Photos that clients upload: in chunks, resumable, named after their SHA-256 and checked against it."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from backend.service.background import Background
from backend.service.crash_points import crash_point
from backend.service.disk import telling_disk_full
from backend.service.downloads import Refuse, Reply
from backend.service.journal import Journal
from backend.service.kept import Kept
from backend.service.orders import photo_of
from backend.service.session import Session
from shared.wire import limits
from shared.wire.codec import Envelope
from shared.wire.errors import WireError
from shared.wire.messages import AssetHave, AssetPut
from shared.wire.schema import Message

_Waiting = list[tuple[Session, Envelope]]


class Assets:
    """The folder `assets`. An owner sees only what it uploaded itself.

    What no job of its owner uses takes bounded room: the oldest such upload goes when there are too many of them. When
    all of one has come it is hashed, as far as it was not, and synced beside the loop: for 64 MiB that takes long.
    """

    def __init__(
        self, data: Path, journal: Journal, kept: Kept, background: Background, reply: Reply, refuse: Refuse
    ) -> None:
        self._folder, self._journal, self._kept = data / "assets", journal, kept
        self._background, self._reply, self._refuse = background, reply, refuse
        self._folder.mkdir(exist_ok=True)
        self._digests: dict[Path, hashlib._Hash] = {}  # of what has come of each upload that is under way
        self._checking: dict[Path, _Waiting] = {}  # uploads of which all has come, and who asked about each

    def put(self, session: Session, envelope: Envelope) -> Message | None:
        """Take a chunk. One at the wrong place is not written; the answer says where to go on.

        The last one, and whatever is asked until then, is answered when all was checked.
        """
        put = envelope.message
        assert isinstance(put, AssetPut)
        if self._journal.has_asset(session.owner, put.sha256):
            return AssetHave(put.sha256, put.total)
        partial = self._partial(session.owner, put.sha256)
        if partial in self._checking:
            self._checking[partial].append((session, envelope))
            return None
        data = envelope.buffers["data"].tobytes() if "data" in envelope.buffers else b""
        size = partial.stat().st_size if partial.exists() else 0
        if len(data) and put.offset == size:
            if not size:
                self._make_room(session.owner, put.total)
            self._append(partial, size, data)
            size += len(data)
        if size < put.total:
            return AssetHave(put.sha256, size)
        self._check(partial, [(session, envelope)])
        return None

    def _append(self, partial: Path, size: int, data: bytes) -> None:
        digest = self._digests.pop(partial, None) if size else hashlib.sha256()
        with telling_disk_full(partial, len(data)), partial.open("ab") as file:
            file.write(data)
        if digest is None:
            return
        digest.update(data)
        self._digests[partial] = digest
        if len(self._digests) > limits.UPLOADS:
            del self._digests[next(iter(self._digests))]  # made anew of the whole file when all has come, and no sooner

    def path(self, owner: str, sha256: str) -> Path:
        """Where an upload lies.

        Raises:
            WireError: unknown_file, if this owner did not upload it.
        """
        if not self._journal.has_asset(owner, sha256):
            raise WireError("unknown_file", f"The photo {sha256[:12]} is not here. Upload it first.", "photo")
        return self._folder / sha256

    def drop(self, owner: str, sha256: str) -> None:
        """Forget that this owner uploaded it; off the disk if no other owner did."""
        self._journal.drop_asset(owner, sha256)
        if not self._journal.asset_is_owned(sha256):
            (self._folder / sha256).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove uploads that nobody went on with for a day, and what a crash left without an owner."""
        for partial in self._folder.glob(".*.part"):
            if time.time() - partial.stat().st_mtime > limits.UPLOAD_KEPT_S:
                partial.unlink()
        for whole in self._folder.glob("[0-9a-f]" * 64):
            if not self._journal.asset_is_owned(whole.name):
                whole.unlink()

    def _make_room(self, owner: str, size: int) -> None:
        """For one more upload that no job uses yet. One under way is touched with each chunk, and so among the last."""
        partials = list(self._folder.glob(f".*.{_mark(owner)}.part"))
        self._kept.check(owner, size + sum(path.stat().st_size for path in partials))
        whole = self._journal.assets_of(owner)
        if len(partials) + len(whole) < limits.SPARE_UPLOADS:
            return  # without a look at the jobs
        used = {photo_of(job) for job in self._journal.jobs_of(owner)}
        spare = [*partials, *(self._folder / sha256 for sha256 in whole if sha256 not in used)]
        spare.sort(key=lambda path: path.stat().st_mtime)
        for oldest in spare[: max(0, len(spare) + 1 - limits.SPARE_UPLOADS)]:
            if oldest in partials:
                self._digests.pop(oldest, None)
                self._checking.pop(oldest, None)
                oldest.unlink()
            else:
                self.drop(owner, oldest.name)

    def _check(self, partial: Path, waiting: _Waiting) -> None:
        self._checking[partial] = waiting
        digest = self._digests.pop(partial, None)
        self._background.run(
            lambda: _synced(partial, digest),
            lambda sha256: self._answer(partial, waiting, sha256),
            lambda error: self._answer(partial, waiting, error),
        )

    def _answer(self, partial: Path, waiting: _Waiting, outcome: str | Exception) -> None:
        try:
            answer = self._finished(partial, waiting, outcome)
        except Exception as error:  # whatever it is, those who wait must hear of it
            for session, envelope in waiting:
                self._refuse(session, envelope, error)
        else:
            for session, envelope in waiting:
                self._reply(session, envelope, answer, {})

    def _finished(self, partial: Path, waiting: _Waiting, outcome: str | Exception) -> AssetHave:
        session, envelope = waiting[0]
        put = envelope.message
        assert isinstance(put, AssetPut)
        if self._checking.get(partial) is not waiting:
            raise WireError("unknown_file", "This upload made room for newer ones. Upload it again.", "sha256", True)
        del self._checking[partial]
        if isinstance(outcome, Exception):
            raise outcome
        if outcome != put.sha256:
            partial.unlink()
            raise WireError("wrong_hash", "What came is not what was announced. Upload it again.", "sha256", True)
        crash_point("assets:checked")
        os.replace(partial, self._folder / put.sha256)
        crash_point("assets:renamed")
        self._journal.put_asset(session.owner, put.sha256)
        return AssetHave(put.sha256, put.total)

    def _partial(self, owner: str, sha256: str) -> Path:
        return self._folder / f".{sha256}.{_mark(owner)}.part"


def _mark(owner: str) -> str:
    """Stands for an owner in the name of a file."""
    return hashlib.sha256(owner.encode()).hexdigest()[:16]


def _synced(partial: Path, digest: hashlib._Hash | None) -> str:
    """Its SHA-256, once it is on the disk."""
    with telling_disk_full(partial), partial.open("rb+") as file:
        os.fsync(file.fileno())
        return (digest or hashlib.sha256(file.read())).hexdigest()
