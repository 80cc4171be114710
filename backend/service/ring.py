"""The file through which rendered pixels pass from a worker to the server, or to a client on the same computer.

All of them have its slots mapped. The server owns them: it names one in each request, and uses it again when what was
in it has been sent, or copied by the client.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path

from shared.errors import VivantError

_HEADER = struct.Struct("<8sQQ")  # magic, slots, bytes of a slot
_MAGIC = b"VIVRING1"
_PAGE = 4096
ALIGNMENT = 64
"""What starts within a slot starts on a multiple of so many bytes."""


def aligned(size: int, to: int = ALIGNMENT) -> int:
    """The next multiple of `to`."""
    return -(-size // to) * to


class Ring:
    """`slots` areas of `slot_bytes` bytes in one mapped file that only this user may open."""

    def __init__(self, path: Path, mapped: mmap.mmap, slots: int, slot_bytes: int) -> None:
        self.path, self.slots, self.slot_bytes = path, slots, slot_bytes
        self._mapped = mapped
        self._stride = aligned(slot_bytes, _PAGE)

    @classmethod
    def create(cls, path: Path, slots: int, slot_bytes: int) -> Ring:
        """Make the file, its space on the disk reserved: a full disk is found here, and not by a signal later.

        Raises:
            OSError: the file cannot be made, or the disk has no room for it.
        """
        size = _PAGE + slots * aligned(slot_bytes, _PAGE)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        try:
            os.ftruncate(descriptor, size)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(descriptor, 0, size)
            mapped = mmap.mmap(descriptor, size)
        except OSError:
            path.unlink()
            raise
        finally:
            os.close(descriptor)
        mapped[: _HEADER.size] = _HEADER.pack(_MAGIC, slots, slot_bytes)
        return cls(path, mapped, slots, slot_bytes)

    @classmethod
    def open(cls, path: Path) -> Ring:
        """Map a file that `create` made.

        Raises:
            OSError: there is no such file.
            VivantError: it is no ring.
        """
        with path.open("r+b") as file:
            header = file.read(_HEADER.size)
            size = os.fstat(file.fileno()).st_size
            if len(header) < _HEADER.size or not header.startswith(_MAGIC):
                raise VivantError(f"{path} is no ring file. Restart the server: it makes its rings anew.")
            _, slots, slot_bytes = _HEADER.unpack(header)
            if size != _PAGE + slots * aligned(slot_bytes, _PAGE):
                raise VivantError(f"{path} has another size than it says. Restart the server.")
            return cls(path, mmap.mmap(file.fileno(), size), slots, slot_bytes)

    def slot(self, index: int) -> memoryview:
        """The writable bytes of a slot. A ring cannot be closed while such views are alive."""
        start = self.offset(index)
        return memoryview(self._mapped)[start : start + self.slot_bytes]

    def offset(self, index: int) -> int:
        """Where in the file a slot begins."""
        if not 0 <= index < self.slots:
            raise IndexError(f"slot {index} of {self.slots}")
        return _PAGE + index * self._stride

    def close(self) -> None:
        """Unmap; the file stays."""
        self._mapped.close()
