"""Events on their way to clients: live while the client takes them, else again from the journal, none left out."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from backend.service.journal import Event, Journal
from backend.service.post import Sent
from backend.service.session import Session
from backend.service.sessions import Sessions
from shared.wire import limits
from shared.wire.errors import WireError
from shared.wire.messages import JobEvent, Ok


@dataclass
class _Replay:
    """One client reads one job's events from the journal."""

    since: int
    questions: deque[str]  # that `Ok` answers at the end; none if the server saw itself that the client is behind


class Replays:
    """Every event reaches every session of its owner once and in order."""

    def __init__(self, journal: Journal, sessions: Sessions) -> None:
        self._journal, self._sessions = journal, sessions
        self._running: dict[tuple[str, str], _Replay] = {}
        sessions.greeted.append(self._drop)
        sessions.freed.append(self._drop)

    def announce(self, owner: str, event: Event) -> None:
        """Tell an event that was just committed."""
        for session in self._sessions.of(owner):
            key = (session.id, event.info.job)
            if key not in self._running and self._offer(session, event) is Sent.FULL:
                self._running[key] = _Replay(event.info.last_event - 1, deque())

    def ask(self, session: Session, job: str, since: int, re: str) -> None:
        """Begin to tell a client everything after event `since`.

        Raises:
            WireError: busy, if it asked that too often without taking the answers.
        """
        asked = sum(len(replay.questions) for (of, _), replay in self._running.items() if of == session.id)
        if asked >= limits.REQUESTS:
            raise WireError("busy", "The events that you asked for are on their way to you already.", "job", True)
        replay = self._running.setdefault((session.id, job), _Replay(since, deque()))
        replay.since = min(replay.since, since)
        replay.questions.append(re)
        if len(replay.questions) == 1:
            self.tick()

    def tick(self) -> None:
        """Go on where clients are ready for more."""
        for (session_id, job), replay in list(self._running.items()):
            session = self._sessions.get(session_id)
            if session is None or self._go_on(session, job, replay):
                del self._running[session_id, job]

    def _go_on(self, session: Session, job: str, replay: _Replay) -> bool:
        """Returns whether it is at its end."""
        events = self._journal.events(job, replay.since, limits.EVENTS_AT_ONCE)
        for event in events:
            sent = self._offer(session, event)
            if sent is not Sent.YES:
                return sent is Sent.GONE
            replay.since = event.info.last_event
        if len(events) == limits.EVENTS_AT_ONCE:
            return False  # others have their turn first
        for question in replay.questions:
            self._sessions.send(session, Ok(), re=question)
        return True

    def _offer(self, session: Session, event: Event) -> Sent:
        buffers = {} if event.preview is None else {"preview": event.preview}
        return self._sessions.offer(session, JobEvent(event.info), buffers)

    def _drop(self, session: Session) -> None:
        for key in [key for key in self._running if key[0] == session.id]:
            del self._running[key]
