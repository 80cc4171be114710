"""How many bytes each owner's avatars, jobs and photos hold: known when somebody asks, without a walk over the disk."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from backend.service.background import Background
from backend.service.journal import Journal
from shared.wire import limits
from shared.wire.errors import WireError

LARGEST = 3  # that a refusal names

log = logging.getLogger(__name__)


class Kept:
    """The journal tells sizes of avatars; folders of jobs are measured beside the loop, when work in them has ended."""

    def __init__(self, data: Path, journal: Journal, background: Background, is_local: Callable[[str], bool]) -> None:
        """What `is_local` says is the key of this computer's own user has no limit but the disk."""
        self._jobs, self._assets = data / "jobs", data / "assets"
        self._journal, self._background, self._is_local = journal, background, is_local
        self._folders: dict[str, int] = {}  # bytes by job

    def recover(self) -> None:
        """Measure what earlier servers left."""
        self._background.run(self._all, self._folders.update, _not_measured)

    def _all(self) -> dict[str, int]:
        return {folder.name: bytes_in(folder) for folder in self._jobs.iterdir()}

    def measure(self, job: str) -> None:
        """Nobody works in its folder now."""
        self._background.run(lambda: bytes_in(self._jobs / job), lambda size: self._note(job, size), _not_measured)

    def _note(self, job: str, size: int) -> None:
        if self._journal.job(job) is not None:  # it was not forgotten meanwhile
            self._folders[job] = size

    def forget(self, job: str) -> None:
        """Its folder goes."""
        self._folders.pop(job, None)

    def check(self, owner: str, coming: int = 0) -> None:
        """Before this owner's things become larger, by `coming` bytes as far as that is known.

        Raises:
            WireError: busy, naming what may be deleted.
        """
        if self._is_local(owner):
            return
        avatars = self._journal.avatar_sizes(owner)
        jobs = {job: self._folders.get(job, 0) for job in self._journal.job_ids(owner)}
        photos = sum(_size(self._assets / sha256) for sha256 in self._journal.assets_of(owner))
        if sum(avatars.values()) + sum(jobs.values()) + photos + coming <= limits.KEPT_BYTES:
            return
        held = f"avatars {_mb(sum(avatars.values()))}, jobs {_mb(sum(jobs.values()))}, photos {_mb(photos)}"
        raise WireError(
            "busy",
            f"One key may keep {_mb(limits.KEPT_BYTES)}, and you hold as much: {held}. Delete avatars or forget jobs "
            f"that you no longer need, then try again. The largest are {self._largest(avatars, jobs)}.",
            retryable=True,
        )

    def _largest(self, avatars: dict[str, int], jobs: dict[str, int]) -> str:
        sizes = [(size, "avatar", id_) for id_, size in avatars.items()]
        sizes += [(size, "job", id_) for id_, size in jobs.items()]
        return ", ".join(f"{what} {id_[:8]} ({_mb(size)})" for size, what, id_ in sorted(sizes, reverse=True)[:LARGEST])


def bytes_in(folder: Path) -> int:
    """Of the files in it and below; what goes meanwhile does not count."""
    return sum(_size(Path(place, name)) for place, _, names in os.walk(folder) for name in names)


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.lstat().st_size
    return 0


def _mb(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def _not_measured(error: Exception) -> None:
    log.warning("What a job holds on the disk cannot be measured, and does not count: %s", error)
