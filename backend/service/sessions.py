"""Who is connected: one session per client window, over reconnects, and the key that owns it."""

from __future__ import annotations

import hmac
import logging
import uuid
from collections import Counter
from collections.abc import Callable, Iterable

from backend import __version__
from backend.service.connections import Connections
from backend.service.keys import AllowList
from backend.service.post import Parcel, Post, Sent
from backend.service.same_host import SameHost
from backend.service.session import Session
from shared.wire import limits
from shared.wire.codec import Buffers, Envelope, encode
from shared.wire.compression import FEATURES
from shared.wire.errors import WireError
from shared.wire.mapped import FEATURE as MAPPED
from shared.wire.messages import Error, Hello, Join, Welcome
from shared.wire.schema import Message
from shared.wire.sockets import CONTROL, FRAMES

LOCAL_OWNER = "local"
"""Owner of everything where libzmq has no CURVE."""

log = logging.getLogger(__name__)


class Sessions:
    """All of them, and what is said to them."""

    def __init__(
        self, control: Post, keys: AllowList, token: str, same_host: SameHost, now: Callable[[], float]
    ) -> None:
        """`token` is empty where CURVE says who somebody is."""
        self.boot = str(uuid.uuid4())
        self._control, self._keys, self._token, self._now = control, keys, token, now
        self._same_host = same_host
        self._by_id: dict[str, Session] = {}
        self._by_routing: dict[bytes, Session] = {}
        self._malformed: Counter[bytes] = Counter()
        self._used = now()
        self.connections = Connections(now)
        self.greeted: list[Callable[[Session], None]] = []  # called at each hello
        self.freed: list[Callable[[Session], None]] = []

    def __len__(self) -> int:
        return len(self._by_id)

    def hello(self, parcel: Parcel, hello: Hello) -> tuple[Session, Welcome]:
        """Begin a session, or take it up again; another connection that holds it is told to stop.

        Raises:
            WireError: version, not_allowed or busy.
        """
        _check_version(hello)
        owner = self._owner(parcel, hello)
        session = self._by_id.get(hello.session)
        if session is None:
            session = self._begin(hello, owner, parcel)
        elif session.owner != owner:
            raise WireError("not_allowed", "This session belongs to another key. Take a new session id.", "session")
        self._move(session, parcel.routing)
        offered = (*FEATURES, MAPPED) if session.local else FEATURES
        session.features = tuple(feature for feature in hello.features if feature in offered)
        session.ticket, session.frames = str(uuid.uuid4()), None
        session.unsent.clear()  # of the connection before
        self.connections.leave(session)
        self.connections.begin((CONTROL.name, parcel.connection), session)
        for call in self.greeted:
            call(session)
        return session, Welcome(
            self.boot,
            session.ticket,
            min(hello.minor, limits.MINOR),
            features=session.features,
            version=__version__,
            loopback=session.local,
            mapped=str(self._same_host.path) if session.is_mapped else "",
        )

    def _begin(self, hello: Hello, owner: str, parcel: Parcel) -> Session:
        local = self.is_local(owner)
        self._make_room(owner, local)
        session = Session(hello.session, owner, local, parcel.routing, self._now())
        self._by_id[session.id] = session
        return session

    def is_local(self, owner: str) -> bool:
        """Whether that is the key of this computer's own user."""
        return self._keys.is_local(owner) or bool(self._token)

    def _make_room(self, owner: str, local: bool) -> None:
        """For one more session of this owner. Others cannot keep the key of this computer out, nor one key another."""
        own = self.of(owner)
        if len(own) >= limits.CLIENTS and not self._free_one_that_vanished(own):
            words = f"{limits.CLIENTS} clients are connected with this key already."
            raise WireError("busy", f"{words} Close a Blender window, or end a `vivant client`.", retryable=True)
        remote = [session for session in self._by_id.values() if not session.local]
        if local or len(remote) < limits.PLACES:
            return
        if not self._free_one_that_vanished(own) and not self._free_one_that_vanished(remote):
            words = f"{limits.PLACES} clients are connected, as many as this server takes."
            raise WireError("busy", f"{words} Try again when one has left.", retryable=True)

    def _move(self, session: Session, routing: bytes) -> None:
        if session.routing != routing:
            self._by_routing.pop(session.routing, None)
            told = Error("superseded", "Another connection took this session over. This one stops.")
            self._control.send(session.routing, Envelope(told, session=session.id))
        before = self._by_routing.get(routing)
        if before is not None and before is not session:
            self.free(before)
        session.routing = routing
        session.heard = self._now()
        self._by_routing[routing] = session

    def _owner(self, parcel: Parcel, hello: Hello) -> str:
        if not self._token:
            if parcel.user not in self._keys:  # of a connection that stood before it was revoked
                raise WireError("not_allowed", "This key was revoked. Ask for a new one to be allowed.")
            return parcel.user
        if not hmac.compare_digest(hello.token.encode(), self._token.encode()):
            raise WireError("not_allowed", "The token is wrong. Read the connection file again.", "token")
        return LOCAL_OWNER

    def speaking(self, parcel: Parcel) -> Session:
        """The session of who sent this on the control socket.

        Raises:
            WireError: unknown_session.
        """
        session = self.at(parcel)
        if session is None:
            raise WireError("unknown_session", "Say hello first: the server does not know this connection.")
        session.heard = self._now()
        return session

    def at(self, parcel: Parcel) -> Session | None:
        """Whose connection on the control socket this came from."""
        session = self._by_routing.get(parcel.routing)
        known = session is not None and (bool(self._token) or session.owner == parcel.user)
        return session if known else None

    def note_use(self) -> None:
        """Somebody asked for more than a sign of life."""
        self._used = self._now()

    def unused_for(self) -> float:
        """Seconds since somebody did."""
        return self._now() - self._used

    def join(self, parcel: Parcel, join: Join) -> Session:
        """Tie a connection on the frames socket to its session.

        Raises:
            WireError: not_allowed.
        """
        session = self._by_id.get(join.session)
        same_key = session is not None and (bool(self._token) or session.owner == parcel.user)
        if session is None or not same_key or not hmac.compare_digest(session.ticket, join.ticket):
            raise WireError("not_allowed", "The ticket is not the one of this session's welcome.", "ticket")
        self._settle_mapping(session, join.proof)
        session.frames = parcel.routing
        self.connections.begin((FRAMES.name, parcel.connection), session)
        return session

    def _settle_mapping(self, session: Session, proof: str) -> None:
        """Frames come in mapped memory if that was offered, and the client has shown that it can read it."""
        if not session.is_mapped:
            return
        if not proof:
            session.features = tuple(feature for feature in session.features if feature != MAPPED)
        elif not self._same_host.is_proven(session.ticket, proof):
            raise WireError("not_allowed", "The proof is not that of the file named in the welcome.", "proof")

    def mapped(self) -> int:
        """How many have their frames in mapped memory."""
        return sum(session.frames is not None and session.is_mapped for session in self._by_id.values())

    def ignores(self, routing: bytes) -> bool:
        """Whether this peer sent so much nonsense that nothing of it is read any more."""
        return self._malformed[routing] >= limits.MALFORMED_BEFORE_IGNORED

    def count_malformed(self, routing: bytes) -> None:
        """Remember that nonsense came, of as many peers as one may wonder about."""
        if len(self._malformed) > limits.PEERS_REMEMBERED:
            self._malformed.clear()
        self._malformed[routing] += 1

    def send(self, session: Session, message: Message, buffers: Buffers | None = None, re: str = "") -> None:
        """Answer a client; what it does not take now it gets later. Who takes none of too many is soon forgotten."""
        if len(session.unsent) <= limits.UNSENT:
            session.unsent.append(Envelope(message, buffers or {}, re=re, session=session.id))
        self._flush(session)

    def offer(self, session: Session, message: Message, buffers: Buffers | None = None, re: str = "") -> Sent:
        """Tell a client something that is kept elsewhere, if it takes it now."""
        if session.unsent:
            return Sent.FULL
        return self._control.send(session.routing, Envelope(message, buffers or {}, re=re, session=session.id))

    def pending(self) -> bool:
        """Whether answers wait for a client to take them."""
        return any(session.unsent for session in self._by_id.values())

    def flush(self) -> None:
        """Send the answers that clients take now."""
        for session in self._by_id.values():
            self._flush(session)

    def _flush(self, session: Session) -> None:
        while session.unsent:
            answer = session.unsent[0]
            sent, tracker = self._control.send_parts(session.routing, encode(answer), track=bool(answer.buffers))
            if sent is Sent.FULL:
                return
            session.unsent.popleft()
            session.leaving = tracker or session.leaving

    def owners(self) -> list[str]:
        """Who is connected."""
        return sorted({session.owner for session in self._by_id.values()})

    def of(self, owner: str) -> list[Session]:
        """The sessions of one owner."""
        return [session for session in self._by_id.values() if session.owner == owner]

    def get(self, session: str) -> Session | None:
        """The session with this id."""
        return self._by_id.get(session)

    def silence(self, session: Session) -> float:
        """Seconds since anything came."""
        return self._now() - session.heard

    def free(self, session: Session) -> None:
        """Forget it and all that was kept for it."""
        del self._by_id[session.id]
        if self._by_routing.get(session.routing) is session:
            del self._by_routing[session.routing]
        self._malformed.pop(session.routing, None)
        self.connections.leave(session)
        for call in self.freed:
            call(session)

    def _free_one_that_vanished(self, sessions: Iterable[Session]) -> bool:
        """The one of these that is silent for longest, if it is so long that nobody may be there."""
        silent = max(sessions, key=self.silence, default=None)
        if silent is None or self.silence(silent) <= limits.VANISHED_LIVE_S:
            return False
        self.free(silent)
        return True

    def tick(self) -> None:
        """Answer those that take more; free those that vanished, take no answers, or whose key was revoked."""
        self.flush()
        self.connections.tell(self._by_id)
        for session in list(self._by_id.values()):
            revoked = not self._token and session.owner not in self._keys
            deaf = len(session.unsent) > limits.UNSENT
            if deaf:
                log.warning("A client of %s asks and takes no answers: its session is forgotten.", session.owner)
            if deaf or revoked or self.silence(session) > limits.VANISHED_STATE_S:
                self.free(session)


def _check_version(hello: Hello) -> None:
    if hello.major == limits.MAJOR:
        return
    older = "client (in Blender: the extension)" if hello.major < limits.MAJOR else "server"
    raise WireError(
        "version",
        f"The client speaks version {hello.major} of the protocol, the server {limits.MAJOR}: update the {older}.",
    )
