"""The client: one thread that owns the connection, futures for answers, an inbox for the rest. Blender's and ours."""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType

import numpy as np
import zmq

from ..errors import VivantError
from . import compression, limits, mapped
from .codec import Buffers, Envelope, Part, encode
from .connection import Connection, load_connection
from .errors import WireError
from .link import Link, Waker, as_error
from .messages import Error, Hello, Message, Welcome
from .sockets import new_context

FEATURES = (*compression.FEATURES, mapped.FEATURE)
_TURN_S = 0.25


@dataclass(frozen=True)
class StateChange:
    """The client's state is another one, or has another reason."""

    state: str
    error: WireError | None


@dataclass(frozen=True)
class _Request:
    id: str
    parts: list[Part]
    deadline: float
    answer: Future[Envelope] | None


_NOBODY = _Request("", [], 0.0, None)


class Client:
    """A connection to a server that comes back by itself. Nothing here waits for the network but `call` and `close`.

    Given a connection file, it looks there again while the server is lost: one that was started again on this computer
    listens at other ports. Making a client raises `VivantError` where the file cannot be read.

    `inbox` receives in order what nobody asked for: `Envelope`s of `JobEvent`, `Frame` and `Error` (of a posted
    message), and each `StateChange`. `state` is connecting, ready, lost (another try follows) or refused (`error` says
    why; the client has ended). A server that was restarted shows another `welcome.boot`. Credit is the consumer's:
    post `RenderCredit` at each change to ready, and one for each frame consumed (or `calls.ask_live` again).
    """

    def __init__(
        self,
        connection: Connection | Path,
        *,
        session: str = "",
        program: str = "",
        features: tuple[str, ...] = FEATURES,
    ) -> None:
        self.session = session or str(uuid.uuid4())
        self.inbox: SimpleQueue[Envelope | StateChange] = SimpleQueue()
        self.state = "connecting"
        self.error: WireError | None = None
        self.welcome: Welcome | None = None
        self._file = connection if isinstance(connection, Path) else None
        self._connection = load_connection(connection) if isinstance(connection, Path) else connection
        self._program, self._features = program, features
        self._requests: SimpleQueue[_Request] = SimpleQueue()
        self._waiting: dict[str, _Request] = {}
        self._waits = _back_off()
        self._waker = Waker()
        self._lock = threading.Lock()  # guards `_over` against a request that comes while the thread ends
        self._over: WireError | None = None
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._run, name="vivant-client", daemon=True)
        self._thread.start()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def minor(self) -> int:
        """The minor version that both sides speak, of the newest greeting; 0 before the first."""
        return min(limits.MINOR, self.welcome.minor) if self.welcome is not None else 0

    def send(
        self, message: Message, buffers: Buffers | None = None, timeout: float = limits.REPLY_S
    ) -> Future[Envelope]:
        """Ask; the future gets the answer or a `WireError`. While connecting it waits for that try, at most 5 s more.

        Raises:
            WireError: the message is over a limit, or the process was forked.
        """
        answer: Future[Envelope] = Future()
        answer.set_running_or_notify_cancel()  # nobody can take it back once it is on its way
        self._submit(message, buffers or {}, timeout, answer)
        return answer

    def call(self, message: Message, buffers: Buffers | None = None, timeout: float = limits.REPLY_S) -> Envelope:
        """Ask and wait for the answer. Raises `WireError`: what the server says, a time-out, a lost connection."""
        return self.send(message, buffers, timeout).result()

    def post(self, message: Message, buffers: Buffers | None = None) -> str:
        """Tell, for messages without an answer; dropped without a connection. Returns the id, for an `Error`'s `re`."""
        return self._submit(message, buffers or {}, 0.0, None)

    def close(self, timeout: float = limits.CLOSE_S) -> None:
        """End the thread and all that waits. Does nothing in a forked process, whose parent still needs it."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            if self._over is None:
                self._waker.stop()
        self._thread.join(timeout)

    def _submit(self, message: Message, buffers: Buffers, timeout: float, answer: Future[Envelope] | None) -> str:
        if os.getpid() != self._pid:
            raise WireError("forked", "This client belongs to the process that made it. Make another one here.")
        envelope = Envelope(message, {name: np.asarray(value) for name, value in buffers.items()}, session=self.session)
        parts: list[Part] = [bytes(part) for part in encode(envelope)]  # the caller may change its arrays at once
        if max(map(len, parts)) > limits.CONTROL_PART_BYTES:  # the server would hang up on it without a word
            raise WireError(
                "too_large", f"An array of {message.kind} is too long for one message. Ask for less at once."
            )
        with self._lock:
            if self._over is None and (answer is not None or self.state == "ready"):
                self._requests.put(_Request(envelope.id, parts, time.monotonic() + timeout, answer))
                self._waker.wake()
            elif answer is not None and self._over is not None:
                answer.set_exception(self._over)
        return envelope.id

    # The thread

    def _run(self) -> None:
        context = new_context()
        over = WireError("closed", "The client was closed.")
        try:
            while True:
                try:
                    self._live(context)
                except WireError as error:
                    if not error.retryable:
                        over = error
                        return
                    self._lose("lost", error)
                    self._pause(next(self._waits), error)
        except WireError as error:  # closed, out of the pause
            over = error
        finally:
            with self._lock:
                self._over = over
            self._lose("refused", over)
            self._waker.close()
            context.destroy(linger=0)

    def _live(self, context: zmq.Context) -> None:
        """One connection; ends by the `WireError` that tells why."""
        link = Link(context, self._connection, self._waker)
        try:
            token = self._connection.token
            self.welcome = link.greet(Hello(self.session, features=self._features, program=self._program, token=token))
            self._waits = _back_off()
            self._become("ready", None)
            while True:
                for request in self._taken():
                    link.queue(request.parts)
                self._receive_all(link.turn(_TURN_S))
                self._expire()
        finally:
            link.close(farewell=self._waker.stopped)

    def _taken(self) -> Iterator[_Request]:
        while not self._requests.empty():
            request = self._requests.get_nowait()
            if request.answer is not None:
                self._waiting[request.id] = request
            yield request

    def _receive_all(self, messages: list[Envelope | WireError]) -> None:
        """Keeps nothing: a frame's memory is free when its consumer lets go of it, and the next one can have it."""
        for came in messages:
            self._receive(came)

    def _receive(self, came: Envelope | WireError) -> None:
        answer = self._waiting.pop(came.re, _NOBODY).answer
        if isinstance(came, WireError):
            self._receive_unreadable(came, answer)
        elif isinstance(came.message, Error):
            self._receive_error(came, answer)
        elif answer is not None:
            answer.set_result(came)
        elif not came.re:  # else it is a pong, or an answer that came too late
            self.inbox.put(came)

    def _receive_unreadable(self, error: WireError, answer: Future[Envelope] | None) -> None:
        if answer is not None:
            answer.set_exception(error)
        if error.code == "version":
            raise error
        if answer is None and error.code != "unknown_kind":  # a newer server may say what we do not know
            self.inbox.put(Envelope(Error(error.code, error.message, error.field)))

    def _receive_error(self, came: Envelope, answer: Future[Envelope] | None) -> None:
        error = as_error(came)
        if error.code == "unknown_session":
            error = WireError("lost", "The server forgot this session. Greeting it again.", retryable=True)
        if answer is not None:
            answer.set_exception(error)
        if error.code in ("superseded", "version", "lost"):
            raise error
        if answer is None:
            self.inbox.put(came)

    def _expire(self) -> None:
        now = time.monotonic()
        for request in [request for request in self._waiting.values() if request.deadline < now]:
            del self._waiting[request.id]
            if request.answer is not None:
                request.answer.set_exception(WireError("timeout", "The server did not answer in time.", retryable=True))

    def _pause(self, seconds: float, error: WireError) -> None:
        """Wait before the next try, unless the server has moved. What is asked meanwhile fails at once."""
        poller, until = zmq.Poller(), time.monotonic() + seconds
        poller.register(self._waker.fileno(), zmq.POLLIN)
        while (left := until - time.monotonic()) > 0 and not self._has_moved():
            if poller.poll(math.ceil(1000 * min(left, limits.LOOK_S))):
                self._waker.answer()
            self._fail_all(error)

    def _has_moved(self) -> bool:
        """Whether the connection file says something new, which is then what the next try uses."""
        known = self._connection
        if self._file is not None:
            with contextlib.suppress(VivantError):  # it has not come back yet
                self._connection = load_connection(self._file)
        return self._connection != known

    def _lose(self, state: str, error: WireError) -> None:
        self._become(state, error)
        self._fail_all(error)

    def _fail_all(self, error: WireError) -> None:
        for _ in self._taken():
            pass
        for request in self._waiting.values():
            if request.answer is not None:
                request.answer.set_exception(error)
        self._waiting.clear()

    def _become(self, state: str, error: WireError | None) -> None:
        known = (self.state, self.error and self.error.message)
        self.state, self.error = state, error
        if known != (state, error and error.message):
            self.inbox.put(StateChange(state, error))


def _back_off() -> Iterator[float]:
    wait, longest = limits.BACK_OFF_S
    while True:
        yield wait
        wait = min(2 * wait, longest)
