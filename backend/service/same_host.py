"""Who may have frames in mapped memory: a client that can read a file of this server's user on this computer."""

from __future__ import annotations

import hmac
import secrets
from pathlib import Path

from backend.service.keys import write_private
from shared.wire.mapped import proof


class SameHost:
    """The key file beside the rings. It lives as long as the server; the next one makes another."""

    def __init__(self, data: Path) -> None:
        self.path = data / "ring-key"
        self._key = b""

    def publish(self) -> None:
        """Write the key, for the eyes of this user alone."""
        write_private(self.path, secrets.token_hex(32))
        self._key = self.path.read_bytes()

    def is_proven(self, ticket: str, shown: str) -> bool:
        """Whether who holds this ticket has read the key."""
        return hmac.compare_digest(proof(self._key, ticket), shown)

    def withdraw(self) -> None:
        """The server ends."""
        self.path.unlink(missing_ok=True)
