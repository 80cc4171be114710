"""`log.txt` of a job: what a person reads who wants to know what happened."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.wire import limits

LOG = "log.txt"
END = "The log ends here: it may not be longer. The job goes on, and its events tell how it ends."
_FORMAT = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
_ENCODING = ("utf-8", "backslashreplace")

logger = logging.getLogger("vivant")


@contextmanager
def job_log(folder: Path) -> Iterator[logging.Logger]:
    """Append what any library logs, and what the caller says, to the log in `folder`."""
    handler = _Bounded(folder / LOG)
    handler.setFormatter(_FORMAT)
    root = logging.getLogger()
    root.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield logger
    finally:
        root.removeHandler(handler)
        handler.close()


class _Bounded(logging.FileHandler):
    """Ends the file for good where one more record, and the words that say so, would be too long.

    The file is never begun anew: clients read it by offsets.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding=_ENCODING[0], errors=_ENCODING[1])
        self._path = path
        self._is_full = path.read_bytes().rstrip().endswith(END.encode())  # an earlier try of the job came so far

    def emit(self, record: logging.LogRecord) -> None:
        """Write it if there is room. One that cannot be written ends no job, as with any handler."""
        if self._is_full:
            return
        try:
            wanted = len(f"{self.format(record)}\n{END}\n".encode(*_ENCODING))
            self._is_full = self._path.stat().st_size + wanted > limits.JOB_LOG_BYTES
            if self._is_full:
                with self._path.open("a", encoding=_ENCODING[0]) as file:
                    file.write(f"{END}\n")
                return
        except Exception:
            self.handleError(record)
            return
        super().emit(record)
