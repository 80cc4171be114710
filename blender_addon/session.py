"""The connection to the backend, seen from Blender's main thread.

The wire's client owns the sockets in a thread of its own. Whatever it brings is put into queues, which one timer
empties on the main thread; only there are properties written and callbacks called. In background mode, where timers
do not tick, `wait` empties them.
"""

from __future__ import annotations

import queue
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy
from bpy.app.handlers import persistent

from . import mirror
from ._shared.errors import VivantError
from ._shared.wire.errors import WireError
from ._shared.wire.limits import REPLY_S
from .late import messages

if TYPE_CHECKING:  # numpy and pyzmq are loaded by the first connection: enabling the extension stays fast
    from ._shared.wire.client import Client
    from ._shared.wire.codec import Envelope
    from ._shared.wire.connection import Connection
    from ._shared.wire.schema import Message

OnError = Callable[[VivantError], None]

SESSION = str(uuid.uuid4())
"""Of this Blender: the backend knows it again after a reconnect."""

TICK_BUDGET_S = 0.02
STREAMING_S, BUSY_S, QUIET_S = 0.02, 0.05, 1.0  # between ticks: frames expected, answers expected, neither
ASK_AGAIN_S = 5.0
CLOSE_S = 0.9
CREDIT = 3
"""Frames under way: one being drawn, one travelling, one being written or shown."""


class _Session:
    """What lives as long as one connection."""

    def __init__(self) -> None:
        self.client: Client | None = None
        self.threads: list[threading.Thread] = []
        self.heard = 0.0  # when jobs were told of last
        self.asked = 0.0  # when the device was asked about last


_now = _Session()
_done: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
_pending = 0  # outcomes that are still to be put into `_done`
_listeners: dict[str, Callable[[Envelope], None]] = {}
_job_callbacks: list[Callable[[messages.JobInfo], None]] = []
_ready_callbacks: list[Callable[[], None]] = []


def client() -> Client | None:
    """The client, whatever its state; None while nothing is connected."""
    return _now.client


def is_ready() -> bool:
    """Whether messages can be sent now."""
    return _now.client is not None and _now.client.state == "ready"


def connect(connection: Connection | Path | None = None) -> None:
    """Begin to connect, by default to what the preferences name; returns at once, `client().state` tells how it goes.

    Raises:
        VivantError: the preferences name nothing that could be connected to.
    """
    from ._shared.wire.client import Client
    from .preferences import chosen_connection

    connection = connection or chosen_connection()
    disconnect()
    _now.client = Client(connection, session=SESSION, program=f"Blender {bpy.app.version_string}")
    start_pump()


def disconnect() -> None:
    """Close the sockets and end their threads, within a second. What is under way fails with `closed`."""
    global _now
    old, _now = _now, _Session()
    if old.client is not None:
        old.client.close(CLOSE_S)
    for thread in old.threads:
        thread.join(CLOSE_S)
    mirror.clear()


def call(
    message: Message,
    buffers: Mapping[str, Any] | None = None,
    on_reply: Callable[[Envelope], None] = lambda envelope: None,
    on_error: OnError = mirror.notice,
    timeout: float = REPLY_S,
) -> None:
    """Send and return at once. One of the callbacks is called later, on the main thread."""
    try:
        future = _connected().send(message, buffers or {}, timeout)
    except VivantError as error:
        on_error(error)
        return
    _watch(future, on_reply, on_error)


def run(work: Callable[[Client], Any], on_done: Callable[[Any], None], on_error: OnError = mirror.notice) -> None:
    """Do blocking work with the client (an upload, a download) in a thread, then call back on the main thread."""
    try:
        client = _connected()
    except VivantError as error:
        on_error(error)
        return
    in_thread(lambda: work(client), on_done, on_error)


def in_thread(work: Callable[[], Any], on_done: Callable[[Any], None], on_error: OnError = mirror.notice) -> None:
    """Do blocking work that touches nothing of Blender in a thread, then call back on the main thread."""
    future: Future[Any] = Future()
    _watch(future, on_done, on_error)
    thread = threading.Thread(target=_fulfil, args=(future, work), name="vivant-work", daemon=True)
    _now.threads = [other for other in _now.threads if other.is_alive()] + [thread]
    thread.start()


def listen(key: str, callback: Callable[[Envelope], None]) -> None:
    """Hand frames of this view or job to `callback`, which must `acknowledge` each when it is consumed."""
    _listeners[key] = callback
    start_pump()


def unlisten(key: str) -> None:
    """No more frames for this view or job; late ones are dropped."""
    _listeners.pop(key, None)


def acknowledge() -> None:
    """Return the credit of one frame that has been consumed. From any thread."""
    if is_ready():
        _connected().post(messages.RenderCredit(1))


def on_job(callback: Callable[[messages.JobInfo], None]) -> None:
    """Call back at every event of every job, after the panel's list has been brought up to date."""
    _job_callbacks.append(callback)


def off_job(callback: Callable[[messages.JobInfo], None]) -> None:
    """Undo `on_job`."""
    _job_callbacks.remove(callback)


def on_ready(callback: Callable[[], None]) -> None:
    """Call back whenever a connection stands, for the first time or again, and jobs and avatars have been listed."""
    _ready_callbacks.append(callback)


def off_ready(callback: Callable[[], None]) -> None:
    """Undo `on_ready`."""
    _ready_callbacks.remove(callback)


def refresh() -> None:
    """Ask for everything that the panels list: the device, jobs, avatars."""
    call(messages.StatusGet(), on_reply=mirror.take_status)
    _list_jobs(lambda: list_avatars(_tell_ready))


def list_avatars(on_done: Callable[[], None]) -> None:
    """Bring the panel's list of avatars up to date, then call back."""
    gone = mirror.known_avatars()

    def take(page: Any) -> None:
        mirror.take_avatars(page)
        gone.difference_update(info.avatar for info in page.avatars)

    def end() -> None:
        mirror.drop_avatars(gone)
        on_done()

    _turn_pages(messages.AvatarList, take, end)


def _list_jobs(on_done: Callable[[], None] = lambda: None) -> None:
    gone = mirror.known_jobs()

    def take(page: Any) -> None:
        for info in mirror.take_jobs(page):
            _tell_job(info)
        gone.difference_update(info.job for info in page.jobs)

    def end() -> None:
        mirror.drop_jobs(gone)
        on_done()

    _now.heard = time.monotonic()
    _turn_pages(messages.JobList, take, end)


def _turn_pages(question: Callable[[str], Message], take: Callable[[Any], None], end: Callable[[], None]) -> None:
    """Each page is taken as it comes, lest it undo an event that came behind it."""

    def turn(envelope: Envelope) -> None:
        page: Any = envelope.message
        take(page)
        if page.next:
            call(question(page.next), on_reply=turn)
        else:
            end()

    call(question(""), on_reply=turn)


def _tell_job(info: messages.JobInfo) -> None:
    for callback in list(_job_callbacks):
        callback(info)


def _tell_ready() -> None:
    for callback in list(_ready_callbacks):
        callback()


# The pump


def start_pump() -> None:
    """Let the timer run. It ends by itself when nothing is connected and nothing is under way."""
    if not bpy.app.background and not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=STREAMING_S, persistent=True)


def wait(predicate: Callable[[], bool], timeout: float) -> bool:
    """Do the timer's work here until `predicate()` holds or `timeout` seconds are over; says which. For -b."""
    end = time.monotonic() + timeout
    while not (holds := predicate()) and time.monotonic() < end:
        _pump()
        time.sleep(0.005)
    return holds


def _tick() -> float | None:
    """The timer. A fault in one callback is printed and must not end it: Blender drops timers that raise."""
    try:
        return _pump()
    except Exception:
        traceback.print_exc()
        return BUSY_S


def _pump() -> float | None:
    """Handle what has arrived; the seconds until the next tick, or None for no further tick."""
    end = time.monotonic() + TICK_BUDGET_S
    while time.monotonic() < end and _handle_one():
        pass
    if _now.client is None:
        return BUSY_S if _pending else None
    if is_ready():
        _ask_again()
    if _listeners:
        return STREAMING_S
    return BUSY_S if _pending or mirror.is_busy() or _now.client.state != "ready" else QUIET_S


def _ask_again() -> None:
    """What nobody tells by itself: device and memory, and events that were dropped lest a slow client delay others."""
    now, status = time.monotonic(), mirror.status()
    changing = mirror.is_busy() or (status is not None and not status.device)  # its workers are still starting
    if changing and now - _now.asked > ASK_AGAIN_S:
        _now.asked = now
        call(messages.StatusGet(), on_reply=mirror.take_status)
    if mirror.is_busy() and now - _now.heard > ASK_AGAIN_S:
        _list_jobs()


def _handle_one() -> bool:
    """Handle one thing that has arrived; False if there is none."""
    try:
        _done.get_nowait()()
        return True
    except queue.Empty:
        pass
    try:
        if _now.client is not None:
            _arrived(_now.client.inbox.get_nowait())
            return True
    except queue.Empty:
        pass
    return False


def _arrived(item: Any) -> None:
    message = getattr(item, "message", None)
    if isinstance(message, messages.Frame):
        _listeners.get(message.view or message.job, lambda _: acknowledge())(item)
    elif isinstance(message, messages.JobEvent):
        _now.heard = time.monotonic()
        mirror.take_job(item)
        _tell_job(message.info)
    elif isinstance(message, messages.Error):
        mirror.notice(WireError(message.code, message.message))
    else:  # the client's state is another one
        mirror.redraw()
        if is_ready():
            _connected().post(messages.RenderCredit(CREDIT))
            refresh()


def _connected() -> Client:
    if _now.client is None:
        raise WireError("not_connected", "No backend is connected. Start or connect one in the Backend panel.")
    return _now.client


def _watch(future: Future[Any], on_done: Callable[[Any], None], on_error: OnError) -> None:
    """Queue what `future` brings, whichever thread fulfils it."""
    global _pending
    _pending += 1

    def settle() -> None:
        global _pending
        _pending -= 1
        error = future.exception()
        if error is None:
            on_done(future.result())
        elif isinstance(error, VivantError):
            on_error(error)
        else:
            raise error

    future.add_done_callback(lambda _: _done.put(settle))
    start_pump()


def _fulfil(future: Future[Any], work: Callable[[], Any]) -> None:
    try:
        future.set_result(work())
    except Exception as error:  # raised again on the main thread, by `settle`
        future.set_exception(error)


@persistent
def _file_loaded(*_: object) -> None:
    """A file was loaded: the window manager's properties are empty again, the connection stands."""
    mirror.rewrite()


def register() -> None:
    """Follow file loads. Connects to nothing."""
    bpy.app.handlers.load_post.append(_file_loaded)


def unregister() -> None:
    """Close the connection and forget everything."""
    global _pending
    bpy.app.handlers.load_post.remove(_file_loaded)
    disconnect()
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    while not _done.empty():
        _done.get()
    _listeners.clear()
    _pending = 0
