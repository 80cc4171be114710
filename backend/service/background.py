"""Work beside the loop: hashing and copying files, packing frames must not delay an answer to a ping."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from shared.wire.link import Waker

T = TypeVar("T")
Task = Callable[[], None]

LANES = ("files", "frames", "imports")
"""A frame does not wait until a file is hashed, and only imports, which read anywhere, wait for a drive that hangs."""


class Background:
    """A thread for each lane, one task after the other; what is done with a result is done by the loop, in order.

    Nobody can end a thread that hangs in a system call: it does not keep the process from ending.
    """

    def __init__(self) -> None:
        self._tasks: dict[str, queue.SimpleQueue[Task]] = {lane: queue.SimpleQueue() for lane in LANES}
        self._done: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._closing = False
        self.waker = Waker()
        self._threads = [
            threading.Thread(target=self._serve, args=(tasks,), name=lane, daemon=True)
            for lane, tasks in self._tasks.items()
        ]
        for thread in self._threads:
            thread.start()

    def run(
        self,
        work: Callable[[], T],
        then: Callable[[T], None],
        failed: Callable[[Exception], None],
        lane: str = "files",
    ) -> None:
        """Let the thread do `work`; the loop later calls `then` with its result, or `failed`."""

        def task() -> None:
            try:
                done = partial(then, work())
            except Exception as error:
                done = partial(failed, error)
            self._done.put(done)
            self.waker.wake()

        self._tasks[lane].put(task)

    def _serve(self, tasks: queue.SimpleQueue[Task]) -> None:
        while not self._closing:
            tasks.get()()

    def collect(self) -> None:
        """In the loop: deal with everything that is done."""
        self.waker.answer()
        while not self._done.empty():
            self._done.get()()

    def close(self, seconds: float) -> None:
        """Finish the tasks that run, unless one takes longer than so many seconds; drop those that wait."""
        self._closing = True
        for tasks in self._tasks.values():
            tasks.put(lambda: None)
        for thread in self._threads:
            thread.join(seconds)
        self.waker.close()


def swept_at_next_start(error: Exception) -> None:
    """What could not be removed now goes when the server starts again."""
