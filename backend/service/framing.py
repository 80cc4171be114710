"""A drawn frame as messages: pixels stay in their slot, what is over the limit of a message goes in strips."""

from __future__ import annotations

import numpy as np

from backend.service.ring import aligned
from backend.service.streams import Outgoing, Shot
from backend.service.work import WorkFrame
from shared.wire import limits
from shared.wire.codec import Envelope, encode
from shared.wire.mapped import Place
from shared.wire.messages import Frame, RenderFrames, RenderLive
from shared.wire.pixels import strips


def is_packed(shot: Shot) -> bool:
    """Whether the frame is compressed, which takes longer than a loop may be kept waiting."""
    session = shot.stream.session
    return "zstd" in session.features and not session.local


def messages_of(shot: Shot, drawn: WorkFrame) -> list[Outgoing]:
    """The frame as messages of at most `limits.FRAME_PART_BYTES`, whose pixels lie in the slot or are packed."""
    rgba, depth = _pictures(shot, drawn)
    row_bytes = drawn.box_width * (rgba.itemsize * 4 + depth.itemsize)
    rows = strips(drawn.box_height, row_bytes, limits.FRAME_PART_BYTES)
    session = shot.stream.session
    pack, mapped = is_packed(shot), session.is_mapped
    messages = []
    for strip, (first, last) in enumerate(rows):
        buffers = {"rgba": rgba[first:last], "depth": depth[first:last]}
        envelope = Envelope(_frame(shot, drawn, first, strip, len(rows)), buffers, session=session.id)
        places = _places(shot, rgba, depth, first) if mapped else {}
        messages.append(Outgoing(shot, envelope.id, encode(envelope, pack, places), strip, strip == len(rows) - 1))
    return messages


def _pictures(shot: Shot, drawn: WorkFrame) -> tuple[np.ndarray, np.ndarray]:  # [h, w, 4] u1 | f2; [h, w] u2 | f4
    memory = shot.slot.bytes()
    shape = (drawn.box_height, drawn.box_width)
    count = shape[0] * shape[1]
    colour, distance = ("u1" if pixel_kind(shot.asked) == "rgba8" else "<f2"), ("<f4" if shot.take else "<u2")
    rgba = np.frombuffer(memory, colour, 4 * count).reshape(*shape, 4)
    return rgba, np.frombuffer(memory, distance, count, aligned(rgba.nbytes)).reshape(shape)


def _places(shot: Shot, rgba: np.ndarray, depth: np.ndarray, first: int) -> dict[str, Place]:
    """Where the rows from `first` on lie."""
    slot = shot.slot
    return {"rgba": slot.place(rgba[:first].nbytes), "depth": slot.place(aligned(rgba.nbytes) + depth[:first].nbytes)}


def _frame(shot: Shot, drawn: WorkFrame, first: int, strip: int, count: int) -> Frame:
    asked = shot.asked
    where = (
        {"view": asked.view, "seq": asked.seq}
        if isinstance(asked, RenderLive)
        else {"job": asked.job, "number": asked.first + shot.row}
    )
    return Frame(
        width=asked.width,
        height=asked.height,
        x=drawn.x,
        y=drawn.y + first,
        near=drawn.near,
        far=drawn.far,
        strip=strip,
        strips=count,
        render_ms=drawn.render_ms,
        notes=drawn.notes,
        **where,  # type: ignore[arg-type]
    )


def slot_bytes(asked: RenderLive | RenderFrames) -> int:
    """Of a box as large as the picture."""
    count = asked.width * asked.height
    colour, distance = (4 if pixel_kind(asked) == "rgba8" else 8), (2 if isinstance(asked, RenderLive) else 4)
    return aligned(colour * count) + aligned(distance * count)


def pixel_kind(asked: RenderLive | RenderFrames) -> str:
    """`rgba8` or `half`."""
    return "rgba8" if isinstance(asked, RenderLive) else asked.pixels
