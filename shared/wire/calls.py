"""Blocking conversations on top of `Client`, for the command line, tests and threads; the inbox is theirs meanwhile.

Every function raises `WireError`; the iterators outlive a lost connection as long as the server comes back.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from queue import Empty
from typing import Any

import numpy as np

from . import limits
from .batches import batches
from .client import FEATURES, Client
from .codec import Buffers, Envelope
from .connection import Connection
from .errors import WireError
from .messages import (
    FINAL_STATES,
    AssetPut,
    AvatarInfo,
    AvatarList,
    Error,
    FileChunk,
    FileGet,
    Frame,
    JobCancel,
    JobEvent,
    JobEvents,
    JobInfo,
    JobList,
    JobResume,
    Message,
    Ping,
    RenderCredit,
    RenderFrames,
    RenderLive,
)
from .pixels import depth_from_u2, paste

Progress = Callable[[int, int], None]  # bytes done, bytes in all

CREDIT = 3
"""Frames under way: one being drawn, one travelling, one being looked at."""
CONSUMED_SINCE = 3
"""The minor version that brought `RenderLive.consumed`."""


def connect(connection: Connection | Path, program: str = "", features: tuple[str, ...] = FEATURES) -> Client:
    """A client that is ready, with a connection or a connection file. It is told within `limits.CONNECT_S` if not.

    Raises:
        VivantError: the file cannot be read, or (`WireError`) the server cannot be reached.
    """
    client = Client(connection, program=program, features=features)
    try:
        client.call(Ping())
    except BaseException:
        client.close()
        raise
    return client


def jobs(client: Client) -> list[JobInfo]:
    """All jobs of this owner: those that are not done, then the others, newest first. See `pages.SINCE`."""
    return list({info.job: info for page in _pages(client, JobList) for info in page.jobs}.values())


def avatars(client: Client) -> list[AvatarInfo]:
    """All avatars of this owner, newest first. See `pages.SINCE`."""
    return list({info.avatar: info for page in _pages(client, AvatarList) for info in page.avatars}.values())


def upload(client: Client, data: bytes, progress: Progress | None = None) -> str:
    """Give the server a photo; returns its SHA-256. Goes on where an earlier try ended, sends nothing that is known."""
    sha256, total = hashlib.sha256(data).hexdigest(), len(data)
    offset = _ask(client, AssetPut(sha256, total)).offset
    while offset < total:
        chunk = np.frombuffer(data[offset : offset + limits.CHUNK_BYTES], "u1")
        offset = _ask(client, AssetPut(sha256, total, offset), {"data": chunk}).offset
        if progress:
            progress(offset, total)
    return sha256


def download(client: Client, owner: str, name: str, progress: Progress | None = None) -> bytes:
    """A file of an avatar or of a finished register job."""
    data, total, sha256 = bytearray(), -1, ""
    while len(data) != total:
        answer = client.call(FileGet(owner, name, len(data)))
        chunk, part = answer.message, answer.buffers["data"]
        assert isinstance(chunk, FileChunk)
        if (sha256 or chunk.sha256) != chunk.sha256 or (not len(part) and len(data) != chunk.total):
            raise WireError("wrong_hash", f"{name} changed while it was read. Try again.", retryable=True)
        sha256, total = chunk.sha256, chunk.total
        data += part.tobytes()
        if progress:
            progress(len(data), total)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise WireError("wrong_hash", f"{name} arrived damaged. Try again.", retryable=True)
    return bytes(data)


def follow(
    client: Client, job: str, since: int = 0, on_preview: Callable[[np.ndarray], None] | None = None
) -> Iterator[JobEvent]:
    """What happens to a job after event `since`, each event once and in order, until it is final."""
    seen, state = since, ""
    _attend(client)
    client.call(JobEvents(job, seen))
    while state not in FINAL_STATES or not client.inbox.empty():  # of a resumed job, more lies behind a final event
        came = _next(client)
        if came is None:
            client.call(JobEvents(job, seen))
            continue
        event = came.message
        if not isinstance(event, JobEvent) or event.info.job != job or event.info.last_event <= seen:
            continue
        if event.info.last_event > seen + 1:  # what lies between was dropped: all comes again, in order
            client.call(JobEvents(job, seen))
            continue
        seen, state = event.info.last_event, event.info.state
        if on_preview and "preview" in came.buffers:
            on_preview(came.buffers["preview"])
        yield event


def finish(client: Client, job: str) -> JobInfo:
    """Wait for the end of a job. Raises `WireError` with the job's own code if it did not finish well."""
    *_, last = follow(client, job)
    return _finished(last.info)


def frames(
    client: Client, request: RenderFrames, buffers: Buffers
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:  # number; [H, W, 4] u1 or f2; [H, W] f4 metres
    """Render and give each frame as full pictures, in order. Depth is undefined where alpha is 0.

    A range too long for one job becomes several, one after the other. Leaving the iterator before its end cancels the
    one that runs. A job that its server or its worker left behind is resumed.
    """
    _attend(client)
    client.post(RenderCredit(CREDIT))
    for part, rows in batches(request, buffers):
        client.call(part, rows)
        yield from _frames_of(client, part, len(rows["full_pose"]))


def _frames_of(
    client: Client, request: RenderFrames, count: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:  # as `frames`
    done = 0
    try:
        for done in range(count):
            yield request.first + done, *_picture(client, request, done)
        done = count
    finally:
        if done < count and client.state == "ready":
            client.send(JobCancel(request.job))


def _picture(client: Client, request: RenderFrames, done: int) -> tuple[np.ndarray, np.ndarray]:
    """The frame behind the first `done`, put together from its strips; others were seen before and are passed over."""
    job, number = request.job, request.first + done
    missing = -1
    while missing:
        came = _next(client, CREDIT)
        if came is None:
            client.call(JobEvents(job))
            continue
        message = came.message
        if isinstance(message, JobEvent) and message.info.job == job:
            _keep_going(client, message.info, done)
        if not isinstance(message, Frame):
            continue
        if message.job == job and message.number == number:
            if message.strip == 0:
                picture, missing = _blank(message, came.buffers), message.strips
            _add(picture, message, came.buffers)
            missing -= 1
        client.post(RenderCredit(1))
    return picture


def live(
    client: Client, request: RenderLive, buffers: Buffers, timeout: float = limits.REPLY_S
) -> tuple[np.ndarray, np.ndarray]:  # [H, W, 4] u1; [H, W] f4 metres
    """One live frame as full pictures. Depth is undefined where alpha is 0."""
    _attend(client)
    asked = ask_live(client, request, buffers, consumed=1)
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        came = _next(client)
        if came is None:
            continue
        message = came.message
        if isinstance(message, Error) and came.re == asked:
            raise WireError(message.code, message.message, message.field, message.retryable)
        if isinstance(message, Frame) and message.view == request.view:
            picture = _blank(message, came.buffers)
            _add(picture, message, came.buffers)
            return picture
    raise WireError("timeout", "The frame did not come in time.", retryable=True)


def ask_live(client: Client, request: RenderLive, buffers: Buffers, consumed: int = 0) -> str:
    """Post a request, and before it the credit of frames consumed: in one message where the server knows that."""
    if client.minor >= CONSUMED_SINCE:
        return client.post(replace(request, consumed=consumed), buffers)
    if consumed:
        client.post(RenderCredit(consumed))
    return client.post(request, buffers)


def new_id() -> str:
    """For jobs, views and sessions."""
    return str(uuid.uuid4())


def _pages(client: Client, question: type[JobList] | type[AvatarList]) -> Iterator[Any]:
    page = _ask(client, question())
    yield page
    while page.next:
        page = _ask(client, question(page.next))
        yield page


def _ask(client: Client, message: Message, buffers: Buffers | None = None) -> Any:
    return client.call(message, buffers).message


def _attend(client: Client) -> None:
    """Be connected, and let go of what came before."""
    client.call(Ping())
    while not client.inbox.empty():
        client.inbox.get()


def _next(client: Client, credit: int = 0) -> Envelope | None:
    """What comes next; None after a silence, or after the connection was lost and found again, when one must ask."""
    while True:
        try:
            came = client.inbox.get(timeout=limits.JOB_SILENCE_S if client.state == "ready" else limits.COME_BACK_S)
        except Empty:
            if client.state == "ready":
                return None
            raise client.error or WireError("lost", "The server did not come back.", retryable=True) from None
        if isinstance(came, Envelope):
            return came
        if came.state == "refused" and came.error:
            raise came.error
        if came.state == "ready":
            if credit:
                client.post(RenderCredit(credit))
            return None


def _keep_going(client: Client, info: JobInfo, done: int) -> None:
    if info.state == "interrupted":
        client.call(JobResume(info.job, done))
    elif info.state in ("failed", "cancelled"):
        _finished(info)


def _finished(info: JobInfo) -> JobInfo:
    if info.state != "finished":
        raise WireError(info.error_code or info.state, info.error or f"The job was {info.state}.", "", info.retryable)
    return info


def _blank(frame: Frame, buffers: Buffers) -> tuple[np.ndarray, np.ndarray]:
    size = (frame.height, frame.width)
    return np.zeros((*size, 4), buffers["rgba"].dtype), np.zeros(size, np.float32)


def _add(picture: Any, frame: Frame, buffers: Buffers) -> None:
    rgba, depth = picture
    paste(rgba, buffers["rgba"], frame.x, frame.y)
    metres = buffers["depth"]
    if metres.dtype == np.uint16:
        metres = depth_from_u2(metres, frame.near, frame.far)
    paste(depth, metres, frame.x, frame.y)
