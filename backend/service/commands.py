"""What `vivant serve` and `vivant keys` do."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from backend.atomic import ensure_writable
from backend.progress import Progress
from backend.service import keys
from backend.service.lock import FolderLock, is_locked
from backend.service.options import PORT
from backend.service.server import Server, ServeSettings, announcement
from shared.errors import VivantError
from shared.wire.calls import connect
from shared.wire.client import Client
from shared.wire.connection import (
    LOOPBACK,
    Connection,
    connection_file,
    data_folder,
    load_connection,
    save_connection,
)
from shared.wire.errors import WireError
from shared.wire.limits import REPLY_S, STOP_S
from shared.wire.messages import ServerStop, Status, StatusGet
from shared.wire.schema import Message

T = TypeVar("T", bound=Message)


def serve(arguments: Namespace, progress: Progress) -> Iterable[object]:
    """Serve until stopped; or ask, or stop, the server that runs."""
    data = arguments.data or data_folder()
    if arguments.status:
        return _status(data)
    if arguments.stop:
        return _stop(data)
    if arguments.mock:
        return _mock(data)
    default = 0 if arguments.bind in LOOPBACK else PORT
    port = default if arguments.port is None else arguments.port
    server = Server(ServeSettings(data, arguments.bind, port))
    if arguments.until_eof:
        threading.Thread(target=_interrupt_at_eof, name="stdin", daemon=True).start()
    server.run(sys.stdout)
    return []


def _interrupt_at_eof() -> None:
    sys.stdin.buffer.read()
    _thread.interrupt_main()


def _status(data: Path) -> Iterator[str]:
    _ensure_running(data)
    with connect(load_connection(connection_file(data)), "vivant serve") as client:
        yield from status_lines(ask(client, StatusGet(), Status))


def _stop(data: Path) -> Iterator[str]:
    _ensure_running(data)
    with connect(load_connection(connection_file(data)), "vivant serve") as client:
        client.call(ServerStop())
    until = time.monotonic() + STOP_S
    while is_locked(data):
        if time.monotonic() > until:
            raise VivantError(f"The server is still running after {STOP_S:.0f} s. Its log is in {data / 'logs'}.")
        time.sleep(0.05)
    yield "stopped"


def _ensure_running(data: Path) -> None:
    if not is_locked(data):
        raise VivantError(f"No server runs on {data}. Start one with `vivant serve`, or give its --data.")


def _mock(data: Path) -> Iterator[str]:
    from shared.mock.server import MockServer

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    lock = FolderLock(data)
    server = MockServer(data)
    try:
        yield announcement(server.start(), data)
        server.wait()
    except KeyboardInterrupt:
        server.stop()
    finally:
        lock.release()


def ask(client: Client, message: Message, kind: type[T], timeout: float = REPLY_S) -> T:
    """The answer, which must be of this kind. Raises `WireError`."""
    answer = client.call(message, timeout=timeout).message
    if not isinstance(answer, kind):
        raise WireError("unknown_kind", f"The server answers with {answer.kind!r}. Update both sides.")
    return answer


def status_lines(status: Status) -> Iterator[str]:
    """For people."""
    gigabyte = 1e9
    yield f"version    {status.version}, up for {status.uptime_s:.0f} s"
    yield f"device     {status.device or '-'} ({status.device_name})"
    yield f"memory     {status.memory_used / gigabyte:.1f} of {status.memory_total / gigabyte:.1f} GB"
    yield f"jobs       {status.running} running, {status.queued} queued"
    yield f"avatars    {status.open_avatars} open"
    yield f"clients    {status.clients}, {status.mapped} with frames in mapped memory"
    yield f"data       {status.data_folder}"
    for note in status.notes:
        yield f"note       {note}"


def manage_keys(arguments: Namespace, progress: Progress) -> Iterable[object]:
    """`vivant keys`."""
    return _KEYS[arguments.action](arguments.data or data_folder(), arguments)


def _new(data: Path, arguments: Namespace) -> Iterator[object]:
    ensure_writable(arguments.out.parent)
    pair, server = keys.new_pair(), keys.own_pair(data, keys.SERVER)
    if not pair.public:
        raise VivantError(
            "This pyzmq has no CURVE encryption, so there are no keys. "
            "Install pyzmq's own wheel: python -m pip install --force-reinstall pyzmq."
        )
    keys.allow(data, arguments.name, pair.public)
    connection = Connection(arguments.host, arguments.port, arguments.port + 1, server.public, pair.public, pair.secret)
    save_connection(arguments.out, connection)
    yield arguments.out
    yield f"{arguments.name} may come in. Hand the file over secretly; it is the only copy of that key."


def _allow(data: Path, arguments: Namespace) -> Iterator[object]:
    keys.allow(data, arguments.name, arguments.key)
    yield f"{arguments.name} may come in. The server's public key is {keys.own_pair(data, keys.SERVER).public}"


def _list(data: Path, arguments: Namespace) -> Iterator[object]:
    yield f"{keys.own_pair(data, keys.SERVER).public}  (this server)"
    for public, name in keys.allowed(data).items():
        yield f"{public}  {name}"


def _revoke(data: Path, arguments: Namespace) -> Iterator[object]:
    keys.revoke(data, arguments.name)
    yield f"{arguments.name} is shut out."


_KEYS: dict[str, Callable[[Path, Namespace], Iterable[object]]] = {
    "new": _new,
    "allow": _allow,
    "list": _list,
    "revoke": _revoke,
}
