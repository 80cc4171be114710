"""The rendered frames of one avatar on disk: a folder of EXR files, each of which knows what it was rendered from.

No bpy here: a thread writes these files while Blender goes on.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ._shared.exr import empty_exr, read_header, write_exr, write_whole
from ._shared.wire.pixels import paste

if TYPE_CHECKING:
    from ._shared.wire.codec import Envelope

Picture = tuple[np.ndarray, np.ndarray]
"""[H, W, 4] float16, premultiplied linear; [H, W] float32 metres."""


def file_name(frame: int) -> str:
    """Of a scene's frame; Blender finds the number by itself."""
    return f"frame_{frame:04d}.exr"


def outdated(folder: Path, origins: dict[int, str]) -> list[int]:
    """The frames whose file is missing or was rendered from something else than its origin says."""
    return [frame for frame, origin in origins.items() if _origin(folder, frame) != origin]


def missing(folder: Path, frames: Iterable[int]) -> list[int]:
    """The frames that nobody has rendered: without a file, or with an empty one that only fills the gap."""
    return [frame for frame in frames if not _origin(folder, frame)]


def fill(folder: Path, frames: Iterable[int], width: int, height: int) -> None:
    """Put an empty picture wherever a frame was not rendered, for Blender 4.2 shows a missing file as magenta.

    Empty pictures of another size than `width` x `height` are replaced.

    Raises:
        OSError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = empty_exr(width, height)
    for frame in frames:
        path = folder / file_name(frame)
        header = read_header(path)
        if header is None or (not header.origin and (header.width, header.height) != (width, height)):
            write_whole(path, content)


def sizes(folder: Path, frames: Iterable[int]) -> set[tuple[int, int]]:
    """The widths and heights of the rendered frames."""
    headers = (read_header(folder / file_name(frame)) for frame in frames)
    return {(header.width, header.height) for header in headers if header is not None and header.origin}


def _origin(folder: Path, frame: int) -> str | None:
    header = read_header(folder / file_name(frame))
    return header.origin if header is not None else None


class FrameWriter:
    """A thread that puts frames of one job together and writes them, so that Blender's main thread need not.

    `written` grows by the scene's frame of each file; `error` is what ended the thread early. Each message of a frame
    is acknowledged by `acknowledge`, from the thread, when it is consumed.
    """

    def __init__(self, folder: Path, targets: Sequence[tuple[int, str]], acknowledge: Callable[[], None]) -> None:
        self.written: set[int] = set()
        self.error: OSError | None = None
        self._folder, self._targets, self._acknowledge = folder, targets, acknowledge
        self._queue: queue.SimpleQueue[Envelope | None] = queue.SimpleQueue()
        self._parts: dict[int, tuple[Picture, set[int]]] = {}
        self._thread = threading.Thread(target=self._run, name="vivant-frames", daemon=True)
        self._thread.start()

    def put(self, envelope: Envelope) -> None:
        """Take a `Frame` whose number counts the job's rows: target k is its scene frame and origin."""
        self._queue.put(envelope)

    def close(self, timeout: float) -> None:
        """Write what has been put, then end."""
        self._queue.put(None)
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            while (envelope := self._queue.get()) is not None:
                self._take(envelope)
                self._acknowledge()
        except OSError as error:
            self.error = error

    def _take(self, envelope: Envelope) -> None:
        frame = envelope.message
        number, origin = self._targets[frame.number]
        if number in self.written:  # sent twice, around a reconnect
            return
        (rgba, depth), strips = self._parts.setdefault(frame.number, (_canvas(frame.width, frame.height), set()))
        paste(rgba, envelope.buffers["rgba"], frame.x, frame.y)
        paste(depth, envelope.buffers["depth"], frame.x, frame.y)
        strips.add(frame.strip)
        if len(strips) == frame.strips:
            del self._parts[frame.number]
            write_exr(self._folder / file_name(number), rgba, depth, origin)
            self.written.add(number)


def _canvas(width: int, height: int) -> Picture:
    return np.zeros((height, width, 4), np.float16), np.zeros((height, width), np.float32)
