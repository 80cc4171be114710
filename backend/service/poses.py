"""What renders are to draw, kept on the disk until they end, so that they go on after whatever ended the server."""

from __future__ import annotations

import os
from collections.abc import Container
from pathlib import Path

from backend.service.disk import telling_disk_full
from backend.service.journal import Job
from backend.service.orders import content_hash, unpacked
from shared.wire.codec import Envelope
from shared.wire.errors import WireError


class Poses:
    """One file for each render that has not ended; its hash stands in the journal."""

    def __init__(self, data: Path) -> None:
        self._folder = data / "poses"
        self._folder.mkdir(exist_ok=True)

    def keep(self, job: str, request: bytes) -> None:
        """Write what was asked for. A file cut short by a power failure is found out by its hash.

        Raises:
            WireError: disk_full.
        """
        path, partial = self._folder / job, self._folder / f".{job}"
        with telling_disk_full(path, len(request)):
            try:
                partial.write_bytes(request)
                os.replace(partial, path)
            except OSError:
                partial.unlink(missing_ok=True)
                raise

    def load(self, job: Job) -> Envelope:
        """What `keep` was given.

        Raises:
            WireError: unknown_file, if it is not there any more.
        """
        path = self._folder / job.id
        request = path.read_bytes() if path.exists() else b""
        if content_hash(request) != job.content:
            raise WireError(
                "unknown_file", "The poses of this render are lost. Ask for its frames with a new job.", "job"
            )
        return unpacked(request)

    def drop(self, job: str) -> None:
        """The render has ended."""
        (self._folder / job).unlink(missing_ok=True)

    def sweep(self, wanted: Container[str]) -> None:
        """Remove what belongs to no render that may go on."""
        for path in self._folder.iterdir():
            if path.name not in wanted:
                path.unlink()
