"""The worker that draws frames, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backend.raster.warm_up import warm_up
from backend.service.failures import out_of_memory
from backend.service.job_log import logger
from backend.service.link import Link
from backend.service.machine import ready
from backend.service.painter import Painter
from backend.service.work import WorkClose, WorkOpen, WorkRefused, WorkRender
from shared.errors import VivantError
from shared.wire.codec import Envelope
from shared.wire.limits import TEXT_CHARS
from shared.wire.schema import Message


def render_worker(link: Link) -> None:
    """Do what comes over the link, for ever."""
    device, hello = ready("render")
    warm_up()
    painter = Painter(device)
    link.send(hello)
    link.send(painter.memory())
    for envelope in link.work():
        _serve(envelope, painter, link)


def _serve(envelope: Envelope, painter: Painter, link: Link) -> None:
    message = envelope.message
    if isinstance(message, WorkRender):
        known = painter.names()
        link.send(attempted(message.request, lambda: painter.draw(message, envelope.buffers), painter.close))
        if painter.names() != known:  # drawing opens by itself
            link.send(painter.memory())
    elif isinstance(message, WorkOpen):
        link.send(
            attempted(message.avatar, lambda: painter.opened(message.avatar, Path(message.folder)), painter.close)
        )
    elif isinstance(message, WorkClose):
        painter.close(message.avatar)
        link.send(painter.memory())


def attempted(request: str, step: Callable[[], Message], make_room: Callable[[], None]) -> Message:
    """The step's answer, or why there is none. Where memory does not suffice it is tried again after `make_room`."""
    try:
        return _with_room(step, make_room)
    except VivantError as error:
        return WorkRefused(request, "bad_avatar", str(error)[:TEXT_CHARS])
    except Exception as error:  # a defect must not take the other avatars' frames down with it
        logger.exception("request %s", request)
        return WorkRefused(request, *_told(error))


def _with_room(step: Callable[[], Message], make_room: Callable[[], None]) -> Message:
    try:
        return step()
    except Exception as error:
        if not out_of_memory(error):
            raise
    make_room()
    return step()


def _told(error: Exception) -> tuple[str, str]:
    """Code and words."""
    if out_of_memory(error):
        return "oom", f"Out of memory: {error}. Ask for a smaller picture, or close other programs."[:TEXT_CHARS]
    return "internal", f"A defect of Vivant: {type(error).__name__}: {error}."[:TEXT_CHARS]
