"""Events on their way to clients: live while the client takes them, else again from the journal, none left out."""

from __future__ import annotations

from dataclasses import dataclass

from backend.service.journal import Event, Journal
from backend.service.post import Sent
from backend.service.sessions import Session, Sessions
from shared.wire import limits
from shared.wire.messages import JobEvent, Ok


@dataclass
class _Replay:
    """One client reads one job's events from the journal."""

    since: int
    re: str  # the question that `Ok` answers at the end; empty if the server saw itself that the client is behind


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
            if key not in self._running and self._send(session, event) is Sent.FULL:
                self._running[key] = _Replay(event.info.last_event - 1, "")

    def ask(self, session: Session, job: str, since: int, re: str) -> None:
        """Begin to tell a client everything after event `since`."""
        self._running[session.id, job] = _Replay(since, re)
        self.tick()

    def tick(self) -> None:
        """Go on where clients are ready for more."""
        for (session_id, job), replay in list(self._running.items()):
            session = self._sessions.get(session_id)
            if session is None or self._go_on(session, job, replay):
                del self._running[session_id, job]

    def _go_on(self, session: Session, job: str, replay: _Replay) -> bool:
        """Returns whether it is at its end."""
        while events := self._journal.events(job, replay.since, limits.EVENTS_AT_ONCE):
            for event in events:
                sent = self._send(session, event)
                if sent is not Sent.YES:
                    return sent is Sent.GONE
                replay.since = event.info.last_event
        return not replay.re or self._sessions.send(session, Ok(), re=replay.re) is not Sent.FULL

    def _send(self, session: Session, event: Event) -> Sent:
        buffers = {} if event.preview is None else {"preview": event.preview}
        return self._sessions.send(session, JobEvent(event.info), buffers)

    def _drop(self, session: Session) -> None:
        for key in [key for key in self._running if key[0] == session.id]:
            del self._running[key]
