"""What worker processes print: through a pipe into a file that does not fill the disk, whatever they print."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO

from shared.wire import limits

PIECE_BYTES = 1 << 16  # as much as a pipe holds


def keep(said: IO[bytes], log: Path) -> threading.Thread:
    """Let a thread add to `log` what comes through the unbuffered pipe `said`, up to its end.

    A worker that dies leaves its last words in the pipe, and one whose server has died has a pipe that is closed, so
    that it does not wait for a reader.
    """
    thread = threading.Thread(target=_copy, args=(said, log), name=log.name, daemon=True)
    thread.start()
    return thread


def _copy(said: IO[bytes], log: Path) -> None:
    with said:
        while piece := said.read(PIECE_BYTES):
            with suppress(OSError):  # where the disk is full, words are lost, and no worker waits for it
                _add(log, piece)


def _add(log: Path, piece: bytes) -> None:
    """Where it would be too long, it is begun anew, and what it held is kept once."""
    if log.exists() and log.stat().st_size + len(piece) > limits.LOG_FILE_BYTES:
        os.replace(log, log.with_suffix(".old.log"))
    with log.open("ab") as file:
        file.write(piece)
