"""Frames between two processes of one user on one computer: pixels lie in a file that both have mapped.

The server has frames drawn into the slots of ring files in its data folder. A frame's message then names the place of
its pixels; the client copies them out and says `FrameCopied`, after which the slot is used again. So no slot changes
while it is read, and what a client hands on is its own. That both share a computer is proven by reading a file, for a
tunnel makes any address look like this one.
"""

from __future__ import annotations

import hmac
import mmap
import re
from dataclasses import dataclass
from pathlib import Path

from .errors import WireError
from .limits import RING_KEY_BYTES

FEATURE = "mapped"
_RING = re.compile(r"ring-\d{1,15}")


@dataclass(frozen=True)
class Place:
    """Where the bytes of a buffer lie instead of in the message."""

    ring: str  # name of a file beside the key file
    offset: int


def proof(key: bytes, ticket: str) -> str:
    """What shows, without telling it, that one has read the key file; good for this ticket alone."""
    return hmac.new(key, ticket.encode(), "sha256").hexdigest()


class Maps:
    """A server's ring files, as its client has them mapped: the one of the newest frame is kept."""

    def __init__(self, key_file: Path) -> None:
        """Read the key. Raises `OSError` where that cannot be done: on another computer, or as another user."""
        with key_file.open("rb") as file:
            self._key = file.read(RING_KEY_BYTES)
        self._folder, self._name = key_file.parent, ""
        self._map: mmap.mmap | None = None

    def proof(self, ticket: str) -> str:
        """For `Join`."""
        return proof(self._key, ticket)

    def read(self, place: Place, nbytes: int) -> bytes:
        """A copy of what lies there.

        Raises:
            WireError: malformed, where that is no place in a ring.
        """
        if self._map is None or place.ring != self._name:
            self._map = self._opened(place.ring)
        data = self._map[place.offset : place.offset + nbytes]
        if len(data) != nbytes:
            raise WireError("malformed", f"{place.ring} does not hold {nbytes} bytes at {place.offset}.")
        return data

    def close(self) -> None:
        """Let the file go."""
        if self._map is not None:
            self._map.close()
        self._map = None

    def _opened(self, ring: str) -> mmap.mmap:
        self.close()
        if not _RING.fullmatch(ring):
            raise WireError("malformed", f"{ring[:40]!r} is not the name of a ring.")
        self._name = ring
        try:
            with (self._folder / ring).open("rb") as file:
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:  # ValueError: it is empty
            raise WireError("malformed", f"The frame lies in {ring}, which cannot be mapped: {error}.") from error
