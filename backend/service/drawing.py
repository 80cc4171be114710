"""What a worker is told to draw: the next frame of a live view or of a take, into a slot of its stream."""

from __future__ import annotations

from pathlib import Path

from backend.service.framing import pixel_kind, slot_bytes
from backend.service.streams import Shot, Stream, Take
from backend.service.work import WorkRender
from shared.wire.codec import Buffers, Envelope, fresh_id
from shared.wire.messages import RenderFrames, RenderLive


def aimed(stream: Stream, source: Envelope | Take) -> Shot | None:
    """The next frame of `source`, with a slot to be drawn into; None while all slots are in use.

    Raises:
        WireError: disk_full, where there is no room for the slots.
    """
    asked = source.asked if isinstance(source, Take) else source.message
    assert isinstance(asked, (RenderLive, RenderFrames))
    slot = stream.slots.take(slot_bytes(asked))
    if slot is None:
        return None
    request = fresh_id()
    if isinstance(source, Take):
        return Shot(stream, stream.epoch, request, asked, slot, take=source, row=source.next)
    return Shot(stream, stream.epoch, request, asked, slot, live=source)


def order(shot: Shot, folder: Path) -> tuple[WorkRender, Buffers]:
    """The frame as its worker is told; `folder` is the avatar's."""
    asked, take = shot.asked, shot.take
    buffers = take.buffers if take is not None else shot.live.buffers if shot.live is not None else {}
    one = slice(shot.row, shot.row + 1)
    rows = {name: array if len(array) == 1 else array[one] for name, array in buffers.items()}
    told = WorkRender(
        request=shot.request,
        avatar=asked.avatar,
        folder=str(folder),
        width=asked.width,
        height=asked.height,
        pixels=pixel_kind(asked),
        live=take is None,
        ring=str(shot.slot.ring.path),
        slot=shot.slot.index,
        expression_names=asked.expression_names,
    )
    return told, rows
