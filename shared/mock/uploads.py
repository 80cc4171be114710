"""Photos that clients uploaded to the mock: in memory, as many as a server keeps on its disk."""

from __future__ import annotations

import hashlib
from collections.abc import Container

from ..wire import limits
from ..wire.errors import WireError
from ..wire.messages import AssetPut


class Uploads:
    """What has come of each, the one that was touched last at the end."""

    def __init__(self) -> None:
        self._held: dict[str, bytearray] = {}

    def put(self, asked: AssetPut, data: bytes, used: Container[str]) -> int:
        """Take a chunk if it is the next one; how far it is now. Of those that are not `used` the newest stay."""
        held = self._held.pop(asked.sha256, bytearray())
        if asked.offset == len(held) < asked.total:
            held += data
        if len(held) >= asked.total and hashlib.sha256(held).hexdigest() != asked.sha256:
            raise WireError("wrong_hash", "What came does not have the SHA-256 announced. Send it again.", "sha256")
        if held:
            self._held[asked.sha256] = held
        for oldest in [sha256 for sha256 in self._held if sha256 not in used][: -limits.SPARE_UPLOADS]:
            del self._held[oldest]
        return len(held)

    def photo(self, sha256: str) -> bytes:
        """A whole one.

        Raises:
            WireError: unknown_file.
        """
        photo = bytes(self._held.get(sha256, b""))
        if hashlib.sha256(photo).hexdigest() != sha256:
            raise WireError("unknown_file", "Upload the photo first.", "photo")
        return photo

    def drop(self, sha256: str) -> None:
        """The last job that used it was forgotten."""
        self._held.pop(sha256, None)
