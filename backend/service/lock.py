"""One server per data folder: a lock that the system takes back when its owner dies, however it dies."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from shared.errors import VivantError

_BYTE = 1 << 20  # the one that is locked, behind the text: Windows lets nobody read a locked byte


class FolderLock:
    """Held until `release`, or until the process ends."""

    def __init__(self, folder: Path) -> None:
        """Take the lock, and write who holds it.

        Raises:
            VivantError: another server holds it, or the folder cannot be written to.
        """
        self.path = folder / "lock"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = open(self.path, "a+b")  # noqa: SIM115 (open as long as the lock is held)
        except OSError as error:
            raise VivantError(
                f"Cannot write {self.path}: {error.strerror}. Choose a folder that you may write to with --data."
            ) from error
        if not _lock(self._file.fileno()):
            self._file.close()
            raise VivantError(
                f"A server ({_holder(self.path)}) already runs on {folder}. Use that one, stop it with "
                "`vivant serve --stop`, or give another folder with --data."
            )
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()}\n".encode())
        self._file.flush()

    def release(self) -> None:
        """Let another server have the folder."""
        _unlock(self._file.fileno())
        self._file.close()


def is_locked(folder: Path) -> bool:
    """Whether a server holds the folder now."""
    try:
        with (folder / "lock").open("rb+") as file:
            free = _lock(file.fileno())
            if free:
                _unlock(file.fileno())
            return not free
    except FileNotFoundError:
        return False


def _holder(path: Path) -> str:
    return path.read_text(encoding="utf-8").strip() or "starting just now"


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> bool:
        os.lseek(descriptor, _BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, _BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
