"""The worker that draws frames, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backend.raster.warm_up import warm_up
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
        link.send(attempted(message.request, lambda: painter.draw(message, envelope.buffers)))
    elif isinstance(message, WorkOpen):
        link.send(attempted(message.avatar, lambda: painter.opened(message.avatar, Path(message.folder))))
    elif isinstance(message, WorkClose):
        painter.close(message.avatar)
        link.send(painter.memory())


def attempted(request: str, step: Callable[[], Message]) -> Message:
    """The step's answer, or why there is none."""
    try:
        return step()
    except VivantError as error:
        return WorkRefused(request, "bad_avatar", str(error))
    except Exception as error:  # a defect must not take the other avatars' frames down with it
        logger.exception("request %s", request)
        return WorkRefused(request, "internal", f"A defect of Vivant: {type(error).__name__}: {error}."[:TEXT_CHARS])
