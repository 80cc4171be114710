"""Progress for people and for programs: a bar on a terminal, plain lines in a log, JSON lines for a caller."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from backend.progress import Event, Progress

KINDS = ("auto", "json")
_BAR = 24  # characters
_REDRAW_S, _LINE_S = 0.1, 30.0
"""A bar is drawn anew ten times a second at most; a log gets a line of a long stage every half minute."""


@contextmanager
def reporting(kind: str, stream: TextIO) -> Iterator[Progress]:
    """Give the callback that shows progress on `stream`: `json`, or `auto` for what suits the stream."""
    if kind == "json":
        yield JsonLines(stream)
        return
    shown = Bar(stream) if stream.isatty() else Lines(stream)
    try:
        yield shown
    finally:
        shown.close()


class JsonLines:
    """One JSON object per event: stage, step, total, message, and seconds since the start."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock, self._start = stream, clock, clock()

    def __call__(self, event: Event) -> None:
        """Write one line."""
        told = {name: getattr(event, name) for name in ("stage", "step", "total", "message")}
        line = {**told, "seconds": round(self._clock() - self._start, 3)}
        print(json.dumps(line), file=self._stream, flush=True)


class _ByStage:
    """Follows which stage runs and since when. Stages with the same name and total run as one."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._stage, self._began, self._shown = ("", 0), clock(), 0.0
        self._finished = False

    def __call__(self, event: Event) -> None:
        """Show the event where it tells something new. Whole sentences are for the user to keep: they get a line."""
        now = self._clock()
        changed = (event.stage, event.total) != self._stage
        if changed:
            self._leave()
            self._stage, self._finished, self._began = (event.stage, event.total), False, now
        if event.message.endswith("."):
            self._say(event.message)
        elif not self._finished:
            self._finished = event.step >= event.total
            self._show(event, now, changed)

    def close(self) -> None:
        """End the last line."""
        self._leave()

    def _leave(self) -> None: ...

    def _say(self, sentence: str) -> None:
        print(sentence, file=self._stream, flush=True)

    def _show(self, event: Event, now: float, changed: bool) -> None: ...


class Lines(_ByStage):
    """A line when a stage starts and ends, and now and then between."""

    def _show(self, event: Event, now: float, changed: bool) -> None:
        if not (changed or self._finished or now - self._shown > _LINE_S):
            return
        self._shown = now
        words = [f"{event.stage} {event.step}/{event.total}", event.message]
        print(": ".join(word for word in words if word), file=self._stream, flush=True)


class Bar(_ByStage):
    """One line per stage, redrawn as it proceeds."""

    _drawn = ""

    def _leave(self) -> None:
        if self._drawn:
            print(file=self._stream, flush=True)
            self._drawn = ""

    def _say(self, sentence: str) -> None:
        if self._drawn:
            print("\r" + " " * len(self._drawn) + "\r", end="", file=self._stream)
        super()._say(sentence)
        if self._drawn:
            print(self._drawn, end="", file=self._stream, flush=True)

    def _show(self, event: Event, now: float, changed: bool) -> None:
        if not (changed or self._finished) and now - self._shown < _REDRAW_S:
            return
        self._shown = now
        line = _bar_line(event, now - self._began)[: shutil.get_terminal_size().columns - 1]
        print("\r" + line.ljust(len(self._drawn)), end="", file=self._stream, flush=True)
        self._drawn = line


def _bar_line(event: Event, elapsed: float) -> str:
    done = event.step / event.total
    filled = round(_BAR * done)
    if done >= 1:
        when = f"{_clock(elapsed)}     "
    else:
        when = f"{_clock(elapsed * (1 - done) / done)} left" if event.step else " " * 9
    bar = "#" * filled + "." * (_BAR - filled)
    return f"{event.stage:<12} [{bar}] {f'{event.step}/{event.total}':>9} {when}  {event.message}".rstrip()


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def say_plainly() -> None:
    """Let a terminal that lacks a character show another instead of failing (Windows' code pages)."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
