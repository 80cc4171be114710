"""The door: decodes what clients send, finds who speaks, calls the handler, answers. No error leaves this module."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path

from backend.service.disk import FULL, disk_full
from backend.service.post import Parcel, Post
from backend.service.session import Session
from backend.service.sessions import Sessions
from shared.errors import VivantError
from shared.wire import limits
from shared.wire.codec import Buffers, Envelope, decode
from shared.wire.errors import WireError
from shared.wire.messages import Bye, Error, Hello, Join, Ok, Ping, Pong
from shared.wire.schema import Message

Handler = Callable[[Session, Envelope], Message | None]
"""Gives the answer, or None if there is none or it comes later. Raises `VivantError` for the client to read."""

UNDERSTOOD = ("unknown_kind", "out_of_range")
"""Refusals of messages that are whole: a newer client's, or one with a wrong value. It goes on being heard."""

log = logging.getLogger(__name__)


class Front:
    """Both sockets as the clients see them."""

    def __init__(
        self, control: Post, frames: Post, sessions: Sessions, handlers: Mapping[type[Message], Handler]
    ) -> None:
        self._control, self._frames, self._sessions = control, frames, sessions
        self._handlers: dict[type[Message], Handler] = {
            Ping: lambda session, envelope: Pong(),
            Bye: self._bye,
            **handlers,
        }

    def read_control(self, at_most: int) -> None:
        """Deal with messages on the control socket."""
        self._read(self._control, at_most, self._on_control)

    def read_frames(self, at_most: int) -> None:
        """Deal with messages on the frames socket: only greetings come there."""
        self._read(self._frames, at_most, self._on_frames)

    def reply(self, session: Session, envelope: Envelope, message: Message, buffers: Buffers) -> None:
        """An answer that took its time."""
        self._sessions.send(session, message, buffers, re=envelope.id)

    def refuse(self, session: Session, envelope: Envelope, error: Exception) -> None:
        """The same, if it went wrong."""
        self._sessions.send(session, as_message(error), re=envelope.id)

    def _read(self, post: Post, at_most: int, handle: Callable[[Parcel, Envelope], Message | None]) -> None:
        until = time.monotonic() + limits.READ_S
        for parcel in islice(post.parcels(), at_most):
            if not self._sessions.ignores(parcel.routing):
                self._answer(post, parcel, handle)
            if time.monotonic() > until:
                return

    def _answer(self, post: Post, parcel: Parcel, handle: Callable[[Parcel, Envelope], Message | None]) -> None:
        try:
            envelope = decode(parcel.parts)
        except WireError as error:
            if error.code not in UNDERSTOOD:
                self._sessions.count_malformed(parcel.routing)
            post.send(parcel.routing, Envelope(as_message(error), re=error.refused))
            return
        try:
            answer = handle(parcel, envelope)
        except Exception as error:  # whatever a client asks, the server lives on
            answer = as_message(error)
        if answer is None:
            return
        session = self._sessions.at(parcel) if post is self._control else None
        if session is not None:
            self._sessions.send(session, answer, re=envelope.id)
        else:
            post.send(parcel.routing, Envelope(answer, re=envelope.id))

    def _on_control(self, parcel: Parcel, envelope: Envelope) -> Message | None:
        if isinstance(envelope.message, Hello):
            return self._sessions.hello(parcel, envelope.message)[1]
        session = self._sessions.speaking(parcel)
        if not isinstance(envelope.message, Ping):
            self._sessions.note_use()
        handler = self._handlers.get(type(envelope.message))
        if handler is None:
            raise WireError("unknown_kind", f"A server takes no message of kind {envelope.message.kind!r}.", "kind")
        return handler(session, envelope)

    def _on_frames(self, parcel: Parcel, envelope: Envelope) -> Message:
        if not isinstance(envelope.message, Join):
            raise WireError("unknown_kind", "Only a join is understood on the frames socket.", "kind")
        self._sessions.join(parcel, envelope.message)
        return Ok()

    def _bye(self, session: Session, envelope: Envelope) -> Message:
        self._sessions.free(session)
        return Ok()


def as_message(error: Exception) -> Error:
    """What a client is told of an error. Defects are logged, and their details stay here."""
    if isinstance(error, OSError) and error.errno in FULL:
        error = disk_full(Path(error.filename or "."), error)
    if isinstance(error, WireError):
        return Error(error.code, error.message[: limits.TEXT_CHARS], error.field[: limits.NAME_CHARS], error.retryable)
    if isinstance(error, VivantError):
        return Error("failed", str(error)[: limits.TEXT_CHARS])
    log.error("A defect", exc_info=error)
    return Error("internal", "The server met a defect of its own. Its log tells more; please report it.")
