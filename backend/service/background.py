"""Work beside the loop: hashing and copying files, packing frames must not delay an answer to a ping."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from shared.wire.link import Waker

T = TypeVar("T")


LANES = ("files", "frames")
"""A frame does not wait until a folder is copied."""


class Background:
    """A thread for each lane, one task after the other; what is done with a result is done by the loop, in order."""

    def __init__(self) -> None:
        self._executors = {lane: ThreadPoolExecutor(1, lane) for lane in LANES}
        self._done: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.waker = Waker()

    def run(
        self,
        work: Callable[[], T],
        then: Callable[[T], None],
        failed: Callable[[Exception], None],
        lane: str = "files",
    ) -> None:
        """Let the thread do `work`; the loop later calls `then` with its result, or `failed`."""

        def finish(future: Future[T]) -> None:
            error = future.exception()
            if error is None:
                result = future.result()
                self._done.put(lambda: then(result))
            elif isinstance(error, Exception):
                self._done.put(lambda: failed(error))
            self.waker.wake()

        self._executors[lane].submit(work).add_done_callback(finish)

    def collect(self) -> None:
        """In the loop: deal with everything that is done."""
        self.waker.answer()
        while not self._done.empty():
            self._done.get()()

    def close(self) -> None:
        """Finish the tasks that run, drop those that wait."""
        for executor in self._executors.values():
            executor.shutdown(cancel_futures=True)
        self.waker.close()


def swept_at_next_start(error: Exception) -> None:
    """What could not be removed now goes when the server starts again."""
