"""The ceiling of what all clients together make the I/O process hold: pixels in rings, poses of renders."""

from __future__ import annotations

from shared.wire import limits
from shared.wire.errors import WireError


class Budget:
    """Bytes in use. Who would go beyond the limit is told to come again."""

    def __init__(self) -> None:
        self.used = 0

    def check(self, size: int) -> None:
        """Raise `WireError` (busy) if `size` more bytes are too many."""
        if self.used + size > limits.SERVER_BYTES:
            raise WireError(
                "busy",
                f"{size:,} bytes of memory are needed, and of {limits.SERVER_BYTES:,} other clients have taken "
                f"{self.used:,}. Ask for smaller pictures, or try again later.",
                retryable=True,
            )

    def take(self, size: int) -> None:
        """Count `size` bytes in. Raises `WireError` (busy), and nothing is counted."""
        self.check(size)
        self.used += size

    def give_back(self, size: int) -> None:
        """Count them out."""
        self.used -= size
