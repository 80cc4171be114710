"""Whose each connection is, so that one that ends without a farewell is told in the log."""

from __future__ import annotations

import logging
from collections.abc import Container
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.service.sessions import Session

log = logging.getLogger(__name__)


class Connections:
    """Those on which somebody said hello or joined, by their descriptors, which the system gives out again."""

    def __init__(self) -> None:
        self._sessions: dict[int, Session | None] = {}  # None: its session is over, or has another connection
        self._ended: list[Session] = []  # whose farewell may still wait to be read

    def begin(self, connection: int, session: Session) -> None:
        """It is this session's now."""
        self._sessions[connection] = session

    def leave(self, session: Session) -> None:
        """Its connections will end, and nobody wonders why."""
        for connection in [one for one, of in self._sessions.items() if of is session]:
            self._sessions[connection] = None

    def end(self, connection: int) -> None:
        """It ended."""
        if connection not in self._sessions:
            log.warning("A connection ended on which nobody had said hello.")
        elif session := self._sessions.pop(connection):
            self._ended.append(session)

    def tell(self, sessions: Container[str]) -> None:
        """Log what ended of these. ZeroMQ cuts a peer that sends too much without a word, so it may have been that."""
        words = "it broke, or was cut because a part of a message was over its limit"
        for session in self._ended:
            if session.id in sessions:
                log.warning("A connection of %s (session %s) ended: %s.", session.owner, session.id, words)
        self._ended.clear()
