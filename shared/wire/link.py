"""One connection, from the greeting to its loss: both sockets, their monitors, the ping. One thread owns it."""

from __future__ import annotations

import contextlib
import math
import socket
import time
from collections import deque
from pathlib import Path
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

from . import limits
from .codec import Envelope, Part, decode, encode
from .connection import Connection
from .errors import WireError
from .mapped import FEATURE, Maps
from .messages import Bye, Error, FrameCopied, Hello, Join, Ping, Welcome
from .sockets import CONTROL, FRAMES, READABLE, WRITABLE, client_socket, connect, receive, send

_WATCHED = zmq.EVENT_CONNECTED | zmq.EVENT_CLOSED | zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_AUTH


class Waker:
    """Ends the owner's poll from any thread: a pair of plain sockets, for ZeroMQ's own may not change threads."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)
        self.stopped = False

    def fileno(self) -> int:
        """What to poll."""
        return self._far.fileno()

    def wake(self) -> None:
        """From any thread; never waits."""
        with contextlib.suppress(BlockingIOError):  # full: more than enough calls wait already
            self._near.send(b"!")

    def stop(self) -> None:
        """From any thread: the owner shall end."""
        self.stopped = True
        self.wake()

    def answer(self) -> None:
        """Owner: take the calls. Raises `WireError` (closed) if one of them was `stop`."""
        with contextlib.suppress(BlockingIOError):
            self._far.recv(4096)
        if self.stopped:
            raise WireError("closed", "The client was closed.")

    def close(self) -> None:
        """Give both descriptors back."""
        self._near.close()
        self._far.close()


class Link:
    """Both sockets of one try to connect. Methods raise `WireError`; its `retryable` says whether to try again."""

    def __init__(self, context: zmq.Context, connection: Connection, waker: Waker) -> None:
        self._connection, self._waker = connection, waker
        self._unsent: deque[list[Part]] = deque()
        self._heard = self._spoke = time.monotonic()
        self._pinged: float | None = None  # when the ping went out that nothing has answered yet
        self._reached = self._greeted = False
        self._maps: Maps | None = None
        self._control = client_socket(context, CONTROL, connection)
        self._frames = client_socket(context, FRAMES, connection)
        self._monitors = [one.get_monitor_socket(_WATCHED) for one in (self._control, self._frames)]
        self._poller = zmq.Poller()
        for one in (waker.fileno(), self._control, self._frames, *self._monitors):
            self._poller.register(one, zmq.POLLIN)

    def greet(self, hello: Hello) -> Welcome:
        """Connect, say hello, join the frames socket, all within `limits.CONNECT_S`."""
        until = time.monotonic() + limits.CONNECT_S
        connect(self._control, CONTROL, self._connection)  # not before the monitors listen: a refusal comes at once
        connect(self._frames, FRAMES, self._connection)
        welcome = self._ask(self._control, Envelope(hello, session=hello.session), until)
        if not isinstance(welcome, Welcome):
            raise WireError("malformed", "The server answered the greeting with something else. Update both sides.")
        self._maps = _maps(welcome) if self._connection.loopback else None
        proof = self._maps.proof(welcome.ticket) if self._maps is not None else ""
        self._ask(self._frames, Envelope(Join(hello.session, welcome.ticket, proof), session=hello.session), until)
        self._greeted = True
        self._heard = self._spoke = time.monotonic()
        return welcome

    def queue(self, parts: list[Part]) -> None:
        """Send on control as soon as it takes more."""
        self._unsent.append(parts)

    def turn(self, seconds: float) -> list[Envelope | WireError]:
        """Send what waits, then what came within `seconds`; an error stands for a message that cannot be read."""
        self._flush()
        self._poller.modify(self._control, READABLE | (WRITABLE if self._unsent else 0))
        ready = self._poll(seconds)
        if any(monitor in ready for monitor in self._monitors):
            # What was sent before the connection broke comes first.
            self._control.poll(round(1000 * limits.LAST_WORDS_S))
            ready = self._poll(0)
        came = [_receive(self._control)] if ready.get(self._control, 0) & READABLE else []
        if ready.get(self._frames, 0) & READABLE:
            came.append(self._receive_frame())
        if came:
            self._heard, self._pinged = time.monotonic(), None
        else:
            self._judge(ready)
        self._keep_alive()
        return came

    def close(self, farewell: bool) -> None:
        """Let the sockets go. With `farewell` the server is told, if that takes no more than a moment."""
        farewell = farewell and self._greeted  # else the greeting could still go out, and nobody would take it back
        if farewell:
            self.queue(list(encode(Envelope(Bye()))))
            self._flush()
        if self._maps is not None:
            self._maps.close()
        for one in (self._control, self._frames):
            one.disable_monitor()
        for one in self._monitors:
            one.close(0)
        self._frames.close(0)
        self._control.close(round(1000 * limits.FAREWELL_S) if farewell else 0)

    def _receive_frame(self) -> Envelope | WireError:
        """A frame; if its pixels lay in mapped memory they are copied now, and the server is told so."""
        came = _receive(self._frames, self._maps)
        frame = came.refused if isinstance(came, WireError) else came.id
        if self._maps is not None and frame:
            self.queue(encode(Envelope(FrameCopied(frame))))
        return came

    def _ask(self, one: zmq.Socket, question: Envelope, until: float) -> Any:
        self._poller.modify(one, zmq.POLLOUT)
        self._wait_for(one, until)
        one.send_multipart(encode(question), zmq.NOBLOCK)
        self._poller.modify(one, zmq.POLLIN)
        self._wait_for(one, until)
        answer = _receive(one)
        if isinstance(answer, WireError):
            raise answer
        if isinstance(answer.message, Error):
            raise as_error(answer)
        return answer.message

    def _wait_for(self, one: zmq.Socket, until: float) -> None:
        while one not in (ready := self._poll(until - time.monotonic())):
            self._judge(ready)
            if time.monotonic() > until:
                raise self._broken()

    def _poll(self, seconds: float) -> dict[Any, int]:
        ready = dict(self._poller.poll(max(0, math.ceil(1000 * seconds))))
        if self._waker.fileno() in ready:
            self._waker.answer()
        return ready

    def _flush(self) -> None:
        with contextlib.suppress(zmq.Again):
            while self._unsent:
                send(self._control, self._unsent[0])
                self._unsent.popleft()
                self._spoke = time.monotonic()

    def _keep_alive(self) -> None:
        """Ping where one of the two sides was silent: the server too must hear that this one lives."""
        now = time.monotonic()
        if self._pinged is None and now - min(self._heard, self._spoke) > limits.PING_S:
            self.queue(list(encode(Envelope(Ping()))))
            self._pinged = now
        elif self._pinged is not None and now - self._pinged > limits.PING_S * (limits.PINGS_MISSED - 1):
            raise self._broken()

    def _judge(self, ready: dict[Any, int]) -> None:
        for monitor in self._monitors:
            if monitor not in ready:
                continue
            event = recv_monitor_message(monitor)["event"]
            if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                raise WireError(
                    "not_allowed", "The server does not know this key. Have it allowed there: `vivant keys allow`."
                )
            if event != zmq.EVENT_CONNECTED:
                raise self._broken()
            self._reached = True

    def _broken(self) -> WireError:
        place = f"{self._connection.host}, port {self._connection.control_port}"
        if self._greeted:
            return WireError("lost", f"The connection to the server at {place} broke.", retryable=True)
        if self._reached:
            return WireError(
                "no_server",
                f"What listens at {place} does not answer as the server of this key file. It may have been started "
                "with other keys: read its connection file again.",
                retryable=True,
            )
        return WireError("no_server", f"No server answers at {place}. Start it with `vivant serve`.", retryable=True)


def _maps(welcome: Welcome) -> Maps | None:
    """None where frames come in messages: nobody offered more, or the two sides do not share their files."""
    if FEATURE not in welcome.features:
        return None
    try:
        return Maps(Path(welcome.mapped))
    except OSError:  # behind a tunnel, or in a container
        return None


def _receive(one: zmq.Socket, maps: Maps | None = None) -> Envelope | WireError:
    try:
        return decode([part.buffer for part in receive(one)], maps)
    except WireError as error:
        return error


def as_error(answer: Envelope) -> WireError:
    """The exception that an `Error` message stands for."""
    error = answer.message
    assert isinstance(error, Error)
    return WireError(error.code, error.message, error.field, error.retryable, answer.re)
