"""Whose each connection is: one that ends without a farewell is told in the log, one of nobody is cut in the end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Container

from backend.service.session import Session
from shared.wire import limits

Connection = tuple[str, int]
"""The door that it came in by, and its descriptor, which the system gives out again when it has ended."""

log = logging.getLogger(__name__)


class Connections:
    """All that are open. Those on which nobody says hello or joins take descriptors, so they are few, and not for long.

    ZeroMQ itself ends those that do not show a key in time.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._sessions: dict[Connection, Session] = {}
        self._nobodys: dict[Connection, float] = {}  # since when, the oldest first
        self._early: dict[Connection, Session] = {}  # on which somebody greeted who was not seen to come
        self._expected: set[Connection] = set()  # to end, so that nobody wonders why
        self._ended: list[tuple[Session, float]] = []  # and when: its farewell may still be on its way
        self._strangers = 0  # that ended, and of which the log does not tell yet
        self._told = -limits.STRANGERS_TOLD_S

    def accept(self, connection: Connection) -> None:
        """Somebody connected, and may have greeted already, where no key had to be asked for first."""
        if session := self._early.pop(connection, None):
            self._sessions[connection] = session
        else:
            self._nobodys[connection] = self._now()

    def begin(self, connection: Connection, session: Session) -> None:
        """It is this session's now, if it is open: its end may be known before its greeting is read."""
        is_open = self._nobodys.pop(connection, None) is not None or connection in self._sessions
        (self._sessions if is_open else self._early)[connection] = session

    def caught_up(self) -> None:
        """All who came until now are known: who greeted and is not among them had gone. A descriptor of theirs may be
        anybody's by now, and must not be cut.
        """
        self._ended += [(session, self._now()) for session in self._early.values()]
        self._early.clear()

    def leave(self, session: Session) -> None:
        """Its connections will end, for the session is over or has others."""
        for connection in [one for one, of in self._sessions.items() if of is session]:
            del self._sessions[connection]
            self._nobodys[connection] = self._now()
            self._expected.add(connection)
        for connection in [one for one, of in self._early.items() if of is session]:
            del self._early[connection]

    def end(self, connection: Connection) -> None:
        """It ended."""
        was_nobodys = self._nobodys.pop(connection, None) is not None
        if session := self._sessions.pop(connection, None):
            self._ended.append((session, self._now()))
        elif was_nobodys and connection not in self._expected:
            self._strangers += 1
        self._expected.discard(connection)

    def forget(self) -> None:
        """All were cut at once, which nobody tells."""
        for kept in (self._sessions, self._nobodys, self._early, self._expected):
            kept.clear()

    def surplus(self) -> list[Connection]:
        """Those to be cut: on which nobody has greeted in time, and the oldest where there are too many."""
        too_many = len(self._nobodys) - limits.STRANGERS
        late = self._now() - limits.GREETING_S
        return [one for place, (one, since) in enumerate(self._nobodys.items()) if place < too_many or since < late]

    def tell(self, sessions: Container[str]) -> None:
        """Log what ended of these. ZeroMQ cuts a peer that sends too much without a word, so it may have been that."""
        words = "it broke, or was cut because a part of a message was over its limit"
        while self._ended and self._now() - self._ended[0][1] >= limits.LAST_WORDS_S:
            session, _ = self._ended.pop(0)
            if session.id in sessions:
                log.warning("A connection of %s (session %s) ended: %s.", session.owner, session.id, words)
        if self._strangers and self._now() - self._told >= limits.STRANGERS_TOLD_S:
            log.warning("Connections ended on which nobody had said hello: %d.", self._strangers)
            self._strangers, self._told = 0, self._now()
