"""What survives the server: jobs, their events, avatars and uploads, in SQLite. Committed first, told second."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from backend.service.crash_points import crash_point
from shared.errors import VivantError
from shared.wire import limits
from shared.wire.errors import WireError
from shared.wire.messages import AvatarInfo, JobInfo
from shared.wire.schema import from_json, to_json

SCHEMA = 1
_TABLES = """
CREATE TABLE jobs (job TEXT PRIMARY KEY, owner TEXT NOT NULL, state TEXT NOT NULL, place INTEGER NOT NULL,
    deaths INTEGER NOT NULL, content TEXT NOT NULL, request BLOB NOT NULL, info TEXT NOT NULL,
    preview BLOB, preview_width INTEGER, preview_event INTEGER);
CREATE INDEX jobs_by_owner ON jobs (owner);
CREATE INDEX jobs_by_state ON jobs (state);
CREATE TABLE events (job TEXT NOT NULL, number INTEGER NOT NULL, info TEXT NOT NULL, PRIMARY KEY (job, number))
    WITHOUT ROWID;
CREATE TABLE avatars (avatar TEXT PRIMARY KEY, owner TEXT NOT NULL, whole INTEGER NOT NULL, info TEXT NOT NULL);
CREATE TABLE assets (owner TEXT NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (owner, sha256)) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Job:
    """A job as the journal holds it."""

    info: JobInfo
    owner: str
    content: str  # hash of what was asked for
    request: bytes  # what was asked for, as `jobs` packs it
    place: int = 0  # in the queue
    deaths: int = 0  # of workers, since its owner last asked for it

    @property
    def id(self) -> str:
        """The job's id."""
        return self.info.job


@dataclass(frozen=True)
class Event:
    """One numbered event."""

    info: JobInfo
    preview: np.ndarray | None = None  # [H, W, 3] sRGB


@dataclass(frozen=True)
class OwnedAvatar:
    """An avatar and whose it is."""

    info: AvatarInfo
    owner: str


class Journal:
    """The file `journal.sqlite`. Every method that changes it has committed when it returns."""

    def __init__(self, path: Path) -> None:
        """Open or make it.

        Raises:
            VivantError: the file is damaged, or of a newer version.
        """
        self._path = path
        self._known: dict[str, OwnedAvatar] = {}
        self._db = sqlite3.connect(path, timeout=limits.JOURNAL_S, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._db.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {SCHEMA}; COMMIT;")
        except sqlite3.DatabaseError as error:
            raise VivantError(
                f"Cannot read the journal {path}: {error}. Move that file away to start with an empty one; "
                "avatars stay on the disk and can be imported."
            ) from error
        if version > SCHEMA:
            raise VivantError(f"{path} was written by a newer Vivant. Update this one, or give another --data.")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            crash_point("journal:before_commit")
            self._db.execute("COMMIT")
            crash_point("journal:after_commit")
        except sqlite3.OperationalError as error:  # SQLite tells a full disk only by such words
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise WireError(
                "disk_full", f"Cannot write {self._path}: {error}. Free some space, then try again.", retryable=True
            ) from error
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    # Jobs

    def add(self, job: Job) -> None:
        """Keep a new job, at the end of the queue, with its first event."""
        with self._transaction() as db:
            (place,) = db.execute("SELECT coalesce(max(place), 0) + 1 FROM jobs").fetchone()
            text = _dump(job.info)
            row = (job.id, job.owner, job.info.state, place, job.deaths, job.content, job.request, text)
            db.execute("INSERT INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL)", row)
            db.execute("INSERT INTO events VALUES (?, ?, ?)", (job.id, job.info.last_event, text))

    def job(self, job: str) -> Job | None:
        """The job with this id."""
        return next(self._jobs("WHERE job = ?", job), None)

    def jobs_of(self, owner: str) -> list[Job]:
        """All of one owner, newest first."""
        return list(self._jobs("WHERE owner = ? ORDER BY place DESC", owner))

    def job_ids(self, owner: str) -> list[str]:
        """The same without a look at each."""
        return [job for (job,) in self._db.execute("SELECT job FROM jobs WHERE owner = ?", (owner,))]

    def jobs_in(self, state: str) -> list[Job]:
        """All in this state, in the order of the queue."""
        return list(self._jobs("WHERE state = ? ORDER BY place", state))

    def count(self, state: str, owner: str = "") -> int:
        """How many are in this state, of one owner or of all."""
        words, values = ("AND owner = ?", (state, owner)) if owner else ("", (state,))
        return int(self._db.execute(f"SELECT count(*) FROM jobs WHERE state = ? {words}", values).fetchone()[0])

    def _jobs(self, condition: str, *values: str) -> Iterator[Job]:
        columns = "info, owner, content, request, place, deaths"
        for info, *rest in self._db.execute(f"SELECT {columns} FROM jobs {condition}", values).fetchall():
            yield Job(_load(JobInfo, info), *rest)

    def record(self, info: JobInfo, deaths: int = 0, preview: np.ndarray | None = None) -> JobInfo:
        """Keep where a job stands now as its next event, and `preview` instead of the one before it."""
        info = replace(info, last_event=info.last_event + 1)
        with self._transaction() as db:
            text = _dump(info)
            db.execute(
                "UPDATE jobs SET state = ?, info = ?, deaths = ? WHERE job = ?", (info.state, text, deaths, info.job)
            )
            db.execute("INSERT INTO events VALUES (?, ?, ?)", (info.job, info.last_event, text))
            if preview is not None:
                values = (np.ascontiguousarray(preview).tobytes(), preview.shape[1], info.last_event, info.job)
                db.execute("UPDATE jobs SET preview = ?, preview_width = ?, preview_event = ? WHERE job = ?", values)
        return info

    def events(self, job: str, since: int, at_most: int) -> list[Event]:
        """What happened after event `since`, in order; the newest preview stands with its event."""
        rows = self._db.execute(
            "SELECT events.info, CASE preview_event WHEN number THEN preview END, preview_width FROM events "
            "JOIN jobs USING (job) WHERE job = ? AND number > ? ORDER BY number LIMIT ?",
            (job, since, at_most),
        ).fetchall()
        return [
            Event(_load(JobInfo, info), None if data is None else np.frombuffer(data, "u1").reshape(-1, width, 3))
            for info, data, width in rows
        ]

    def forget(self, jobs: Iterable[str]) -> None:
        """Drop jobs and their events."""
        rows = [(job,) for job in jobs]
        with self._transaction() as db:
            db.executemany("DELETE FROM events WHERE job = ?", rows)
            db.executemany("DELETE FROM jobs WHERE job = ?", rows)

    # Avatars: not whole while their folder is on its way to its place

    def put_avatar(self, avatar: OwnedAvatar, whole: bool) -> None:
        """Keep an avatar, new or changed."""
        with self._transaction() as db:
            row = (avatar.info.avatar, avatar.owner, whole, _dump(avatar.info))
            db.execute("INSERT OR REPLACE INTO avatars VALUES (?, ?, ?, ?)", row)
        self._known.pop(avatar.info.avatar, None)

    def drop_avatar(self, avatar: str) -> None:
        """Forget an avatar."""
        with self._transaction() as db:
            db.execute("DELETE FROM avatars WHERE avatar = ?", (avatar,))
        self._known.pop(avatar, None)

    def avatar(self, avatar: str) -> OwnedAvatar | None:
        """The whole avatar with this id. Every frame asks, so what is known is kept."""
        if avatar not in self._known and (found := next(self._avatars("WHERE avatar = ? AND whole", avatar), None)):
            self._known[avatar] = found
        return self._known.get(avatar)

    def avatars_of(self, owner: str) -> list[OwnedAvatar]:
        """The whole ones of one owner, newest first."""
        found = self._avatars("WHERE owner = ? AND whole", owner)
        return sorted(found, key=lambda avatar: avatar.info.created, reverse=True)

    def avatar_sizes(self, owner: str) -> dict[str, int]:
        """Bytes of each of one owner, those on their way among them."""
        rows = self._db.execute("SELECT avatar, info FROM avatars WHERE owner = ?", (owner,))
        return {avatar: json.loads(info)["size"] for avatar, info in rows}

    def all_avatars(self, whole: bool) -> list[OwnedAvatar]:
        """Everybody's."""
        return list(self._avatars("WHERE whole = ?", whole))

    def _avatars(self, condition: str, *values: object) -> Iterator[OwnedAvatar]:
        for info, owner in self._db.execute(f"SELECT info, owner FROM avatars {condition}", values).fetchall():
            yield OwnedAvatar(_load(AvatarInfo, info), owner)

    # Uploads

    def put_asset(self, owner: str, sha256: str) -> None:
        """Remember that this owner uploaded it."""
        with self._transaction() as db:
            db.execute("INSERT OR IGNORE INTO assets VALUES (?, ?)", (owner, sha256))

    def has_asset(self, owner: str, sha256: str) -> bool:
        """Whether this owner uploaded it. What another one uploaded is not known to this one."""
        row = self._db.execute("SELECT 1 FROM assets WHERE owner = ? AND sha256 = ?", (owner, sha256)).fetchone()
        return row is not None

    def assets_of(self, owner: str) -> list[str]:
        """SHA-256 of all that this owner uploaded."""
        return [sha256 for (sha256,) in self._db.execute("SELECT sha256 FROM assets WHERE owner = ?", (owner,))]

    def drop_asset(self, owner: str, sha256: str) -> None:
        """Forget that."""
        with self._transaction() as db:
            db.execute("DELETE FROM assets WHERE owner = ? AND sha256 = ?", (owner, sha256))

    def asset_is_owned(self, sha256: str) -> bool:
        """Whether anybody uploaded it."""
        return self._db.execute("SELECT 1 FROM assets WHERE sha256 = ?", (sha256,)).fetchone() is not None


def _dump(info: JobInfo | AvatarInfo) -> str:
    return json.dumps(to_json(info), separators=(",", ":"))


def _load(cls: type[Any], text: str) -> Any:
    return from_json(cls, json.loads(text))
