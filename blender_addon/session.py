"""The connection to the backend, seen from Blender's main thread.

The wire's client owns the sockets in a thread of its own. Whatever it brings is put into queues, which one timer
empties on the main thread; only there are properties written and callbacks called. In background mode, where timers
do not tick, `wait` empties them.
"""

from __future__ import annotations

import queue
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import bpy
from bpy.app.handlers import persistent

from . import mirror
from ._shared.wire import messages
from ._shared.wire.errors import WireError

if TYPE_CHECKING:  # numpy and pyzmq are loaded by the first connection: enabling the extension stays fast
    from ._shared.wire.client import Client
    from ._shared.wire.codec import Envelope
    from ._shared.wire.connection import Connection
    from ._shared.wire.schema import Message

OnReply = Callable[["Envelope"], None]
OnError = Callable[[WireError], None]

SESSION = str(uuid.uuid4())
"""Of this Blender: the backend knows it again after a reconnect."""

TICK_BUDGET_S = 0.02
STREAMING_S, BUSY_S, QUIET_S = 0.02, 0.05, 1.0  # between ticks: frames expected, answers expected, neither
CLOSE_S = 0.9


class _Session:
    """Everything that lives as long as a connection."""

    def __init__(self) -> None:
        self.client: Client | None = None
        self.done: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.pending = 0  # answers and pieces of work that callbacks wait for
        self.listeners: dict[str, Callable[[Envelope], None]] = {}
        self.workers: list[threading.Thread] = []


_now = _Session()
_job_callbacks: list[Callable[[messages.JobInfo], None]] = []


def client() -> Client | None:
    """The client, whatever its state; None while nothing is connected."""
    return _now.client


def is_ready() -> bool:
    """Whether messages can be sent now."""
    return _now.client is not None and _now.client.state == "ready"


def connect(connection: Connection | None = None) -> None:
    """Begin to connect, by default to what the preferences name; returns at once, `client().state` tells how it goes.

    Raises:
        VivantError: the preferences name nothing that could be connected to.
    """
    from ._shared.wire.client import Client
    from .preferences import chosen_connection

    disconnect()
    _now.client = Client(
        connection or chosen_connection(), session=SESSION, program=f"Blender {bpy.app.version_string}"
    )
    start_pump()


def disconnect() -> None:
    """Close the sockets and end their threads, within a second. What was asked for and not answered is dropped."""
    global _now
    old, _now = _now, _Session()
    if old.client is not None:
        old.client.close(CLOSE_S)
    for worker in old.workers:
        worker.join(CLOSE_S)
    mirror.clear()


def call(
    message: Message,
    buffers: Mapping[str, Any] | None = None,
    on_reply: OnReply = lambda envelope: None,
    on_error: OnError | None = None,
) -> None:
    """Send and return at once. One of the callbacks is called later, on the main thread.

    Without `on_error` an error is shown in the Backend panel.
    """
    if _now.client is None:
        _fail(
            on_error, WireError("not_connected", "No backend is connected. Start or connect one in the Backend panel.")
        )
        return
    _watch(_now, _now.client.send(message, buffers or {}), on_reply, on_error)


def run(work: Callable[[Client], Any], on_done: Callable[[Any], None], on_error: OnError | None = None) -> None:
    """Do blocking work with the client (an upload, a download) in a thread, then call back on the main thread."""
    if _now.client is None:
        _fail(
            on_error, WireError("not_connected", "No backend is connected. Start or connect one in the Backend panel.")
        )
        return
    future: Future[Any] = Future()
    worker = threading.Thread(target=_work, args=(work, _now.client, future), name="vivant-work", daemon=True)
    _now.workers = [thread for thread in _now.workers if thread.is_alive()] + [worker]
    _watch(_now, future, on_done, on_error)
    worker.start()


def listen(key: str, callback: Callable[[Envelope], None]) -> None:
    """Hand frames of this view or job to `callback`. Return credit there, for each frame consumed."""
    _now.listeners[key] = callback
    start_pump()


def unlisten(key: str) -> None:
    """No more frames for this view or job; late ones are dropped."""
    _now.listeners.pop(key, None)


def on_job(callback: Callable[[messages.JobInfo], None]) -> None:
    """Call back at every event of every job, after the panel's list has been brought up to date."""
    _job_callbacks.append(callback)


def off_job(callback: Callable[[messages.JobInfo], None]) -> None:
    """Undo `on_job`."""
    _job_callbacks.remove(callback)


# The pump


def start_pump() -> None:
    """Let the timer run. It ends by itself when nothing is connected and nothing waits."""
    if not bpy.app.background and not bpy.app.timers.is_registered(_pump):
        bpy.app.timers.register(_pump, first_interval=STREAMING_S, persistent=True)


def wait(predicate: Callable[[], bool], timeout: float) -> bool:
    """Do the timer's work here until `predicate()` holds or `timeout` seconds are over; says which. For -b."""
    end = time.monotonic() + timeout
    while not (holds := predicate()) and time.monotonic() < end:
        _pump()
        time.sleep(0.005)
    return holds


def _pump() -> float | None:
    """Handle what has arrived; the seconds until the next tick, or None for no further tick."""
    end = time.monotonic() + TICK_BUDGET_S
    while time.monotonic() < end and _handle_one():
        pass
    if _now.client is None:
        return None
    if _now.listeners:
        return STREAMING_S
    return BUSY_S if _now.pending or mirror.is_busy() or _now.client.state != "ready" else QUIET_S


def _handle_one() -> bool:
    """Handle one thing that has arrived; False if there is none."""
    try:
        _now.done.get_nowait()()
        return True
    except queue.Empty:
        pass
    if _now.client is None:
        return False
    try:
        _arrived(_now.client.inbox.get_nowait())
        return True
    except queue.Empty:
        return False


def _arrived(item: Any) -> None:
    message = getattr(item, "message", None)
    if isinstance(message, messages.Frame):
        listener = _now.listeners.get(message.view or message.job)
        if listener:
            listener(item)
    elif isinstance(message, messages.JobEvent):
        mirror.job_event(item)
        for callback in list(_job_callbacks):
            callback(message.info)
    else:
        _state_changed()


def _state_changed() -> None:
    mirror.redraw()
    if is_ready():
        refresh()


def refresh() -> None:
    """Ask for everything that the panels list: jobs, avatars, the device."""
    call(messages.JobList(), on_reply=lambda envelope: mirror.jobs(envelope.message))
    call(messages.AvatarList(), on_reply=lambda envelope: mirror.avatars(envelope.message))
    call(messages.StatusGet(), on_reply=lambda envelope: mirror.status(envelope.message))


def _watch(session: _Session, future: Future[Any], on_reply: Callable[[Any], None], on_error: OnError | None) -> None:
    """Queue the outcome of `future`, whichever thread brings it."""
    session.pending += 1

    def settle() -> None:
        session.pending -= 1
        error = future.exception()
        if error is None:
            on_reply(future.result())
        elif isinstance(error, WireError):
            _fail(on_error, error)
        else:
            raise error

    future.add_done_callback(lambda _: session.done.put(settle))
    start_pump()


def _work(work: Callable[[Client], Any], client: Client, future: Future[Any]) -> None:
    try:
        future.set_result(work(client))
    except Exception as error:  # reraised on the main thread, by `settle`
        future.set_exception(error)


def _fail(on_error: OnError | None, error: WireError) -> None:
    (on_error or mirror.notice)(error)


@persistent
def _file_loaded(*_: object) -> None:
    """A file was loaded: the window manager's properties are empty again, the connection stands."""
    mirror.rewrite()


def register() -> None:
    """Follow file loads. Connects to nothing."""
    bpy.app.handlers.load_post.append(_file_loaded)


def unregister() -> None:
    """Close the connection and forget everything."""
    bpy.app.handlers.load_post.remove(_file_loaded)
    disconnect()
    if bpy.app.timers.is_registered(_pump):
        bpy.app.timers.unregister(_pump)
