"""The one exception of the protocol."""

from __future__ import annotations

from ..errors import VivantError


class WireError(VivantError):
    """A message was refused, or answered with `Error`.

    `code` is for programs (docs/protocol.md lists them), the text for people: the cause and what to do next.
    """

    def __init__(self, code: str, message: str, field: str = "", retryable: bool = False, re: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.retryable = retryable
        self.re = re  # id of the message that was refused, if it could be read
