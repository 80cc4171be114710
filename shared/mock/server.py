"""The mock server: the real protocol on loopback, with CURVE, in one thread of whoever starts it."""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import zmq
from zmq.auth.thread import ThreadAuthenticator

from ..errors import VivantError
from ..wire import limits
from ..wire.codec import Buffers, Envelope, Part, decode, encode
from ..wire.connection import Connection, connection_file, save_connection
from ..wire.errors import WireError
from ..wire.link import Waker
from ..wire.messages import Bye, Error, Frame, Hello, Join, Ok, ServerStop, Welcome
from ..wire.schema import Message
from ..wire.sockets import CONTROL, FRAMES, ZAP_DOMAIN, bind, has_curve, new_context, server_socket
from .desk import Answer, Desk
from .streams import Stream

_TURN_MS = 10
_HOST = "127.0.0.1"


@dataclass
class _Session:
    """One client window, over reconnects."""

    ticket: str
    control: bytes  # routing ids
    frames: bytes = b""
    stream: Stream = field(default_factory=Stream)
    heard: float = field(default_factory=time.monotonic)


class MockServer:
    """`start()` gives the connection, also written into the data folder; `stop()` ends it, so does a client's message.

    `pace` stretches (above 1) or shortens the time that jobs pretend to take.
    """

    def __init__(self, data_folder: Path, *, version: str = "mock", pace: float = 1.0) -> None:
        self._file = connection_file(data_folder)
        self._desk = Desk(version, pace, lambda: len(self._sessions))
        self._version, self._boot = version, str(uuid.uuid4())
        self._sessions: dict[str, _Session] = {}
        self._unsent: dict[tuple[zmq.Socket, bytes], deque[list[Part]]] = {}  # to peers that take no more now
        self._ports = (0, 0)
        self._waker = Waker()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="vivant-mock", daemon=True)

    def start(self) -> Connection:
        """Listen on two free ports of this computer. Raises `VivantError` where the folder cannot be written to."""
        (public, secret), (client_public, client_secret) = (_key_pair(), _key_pair())
        self._secret, self._allowed = secret, client_public
        token = "" if secret else secrets.token_urlsafe(32)
        self._token = token
        self._thread.start()
        self._started.wait()
        self.connection = Connection(
            _HOST, *self._ports, *(public, client_public, client_secret, token), os.getpid(), self._version
        )
        try:
            save_connection(self._file, self.connection)
        except VivantError:
            self.stop()
            raise
        return self.connection

    def stop(self) -> None:
        """End the thread and remove the connection file. Calling it again does nothing."""
        if self._thread.is_alive():
            with contextlib.suppress(OSError):  # a client's message has just ended it
                self._waker.stop()
        self.wait()

    def wait(self) -> None:
        """Until somebody stops it."""
        self._thread.join()
        with contextlib.suppress(OSError):  # it never was there
            self._file.unlink()

    # The thread

    def _run(self) -> None:
        context = new_context()
        with _authenticated(context, self._allowed):
            self._control, self._frames = (
                server_socket(context, channel, self._secret, 0) for channel in (CONTROL, FRAMES)
            )
            self._ports = (bind(self._control, _HOST), bind(self._frames, _HOST))
            self._started.set()
            with contextlib.suppress(WireError):  # how the waker says stop
                self._serve()
        self._waker.close()
        context.destroy(linger=200)

    def _serve(self) -> None:
        poller = zmq.Poller()
        for one in (self._waker.fileno(), self._control, self._frames):
            poller.register(one, zmq.POLLIN)
        while True:
            ready = dict(poller.poll(_TURN_MS))
            if self._waker.fileno() in ready:
                self._waker.answer()
            for one in (self._control, self._frames):
                if one in ready:
                    self._receive(one)
            self._forget_the_silent()
            self._desk.tick(self._tell)
            self._flush()
            for session in self._sessions.values():
                self._send_frame(session)

    def _forget_the_silent(self) -> None:
        now = time.monotonic()
        for name in [name for name, one in self._sessions.items() if now - one.heard > limits.VANISHED_STATE_S]:
            del self._sessions[name]

    def _receive(self, one: zmq.Socket) -> None:
        peer, *parts = one.recv_multipart()
        try:
            envelope = decode(parts)
            answer = self._answer(peer, envelope)
        except WireError as error:
            told = Error(error.code, error.message, error.field, error.retryable)
            self._send(one, peer, Envelope(told, re=error.refused or envelope.id))
            return
        if answer is not None:
            message, buffers = answer if isinstance(answer, tuple) else (answer, {})
            self._send(one, peer, Envelope(message, buffers, re=envelope.id))
        if isinstance(envelope.message, ServerStop):
            self._waker.stop()

    def _answer(self, peer: bytes, envelope: Envelope) -> Answer | Message | None:
        message = envelope.message
        if isinstance(message, Hello):
            return self._greet(peer, message)
        if isinstance(message, Join):
            return self._join(peer, message)
        name = next((name for name, session in self._sessions.items() if session.control == peer), "")
        if not name:  # told by the peer, for pings and farewells name no session
            raise WireError("unknown_session", "Say hello first.", retryable=True)
        session = self._sessions[name]
        session.heard = time.monotonic()
        if isinstance(message, Bye):
            del self._sessions[name]
        if isinstance(message, (Bye, ServerStop)):
            return Ok()
        return self._desk.answer(message, envelope.buffers, session.stream, self._tell)

    def _greet(self, peer: bytes, hello: Hello) -> Message:
        if not hmac.compare_digest(hello.token, self._token):
            raise WireError("not_allowed", "The token is wrong. Read the connection file again.", "token")
        ticket = str(uuid.uuid4())
        known = self._sessions.get(hello.session)
        if known is None:
            if len(self._sessions) >= limits.CLIENTS:
                raise WireError("busy", f"{limits.CLIENTS} clients are connected. Close one.", retryable=True)
            self._sessions[hello.session] = _Session(ticket, peer)
        else:
            self._send(self._control, known.control, Envelope(Error("superseded", "Another connection took over.")))
            known.stream.restart()
            self._sessions[hello.session] = _Session(ticket, peer, stream=known.stream)
        return Welcome(self._boot, ticket, min(hello.minor, limits.MINOR), version=self._version, mock=True)

    def _join(self, peer: bytes, join: Join) -> Message:
        session = self._sessions.get(join.session)
        if session is None or session.ticket != join.ticket:
            raise WireError("not_allowed", "This ticket is not valid. Say hello again.", "ticket")
        session.frames = peer
        return Ok()

    def _tell(self, message: Message, buffers: Buffers) -> None:
        for session in self._sessions.values():
            self._send(self._control, session.control, Envelope(message, buffers))

    def _send_frame(self, session: _Session) -> None:
        envelope = session.stream.next(self._tell) if session.frames else None
        if envelope is not None:
            assert isinstance(envelope.message, Frame)
            self._send(self._frames, session.frames, envelope)

    def _send(self, one: zmq.Socket, peer: bytes, envelope: Envelope) -> None:
        self._unsent.setdefault((one, peer), deque()).append(encode(envelope))
        self._flush()

    def _flush(self) -> None:
        """What each peer takes now; one that is gone asks again when it is back."""
        for (one, peer), waiting in list(self._unsent.items()):
            try:
                while waiting:
                    one.send_multipart([peer, *waiting[0]], zmq.NOBLOCK)
                    waiting.popleft()
            except zmq.Again:
                continue
            except zmq.ZMQError as error:
                if error.errno != zmq.EHOSTUNREACH:
                    raise
            del self._unsent[one, peer]


def _key_pair() -> tuple[str, str]:
    """Public and secret key in Z85; both empty where libzmq has no CURVE."""
    if not has_curve():
        return "", ""
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


class _OneKey:
    """Lets in the client that has read the connection file."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def callback(self, domain: str, key: bytes) -> bool:
        """What pyzmq's authenticator asks."""
        return hmac.compare_digest(key, self._key)


@contextlib.contextmanager
def _authenticated(context: zmq.Context, allowed: str) -> Iterator[None]:
    authenticator = ThreadAuthenticator(context)
    authenticator.start()
    authenticator.configure_curve_callback(ZAP_DOMAIN, _OneKey(allowed))
    try:
        yield
    finally:
        authenticator.stop()
