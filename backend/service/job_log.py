"""`log.txt` of a job: what a person reads who wants to know what happened."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOG = "log.txt"
_FORMAT = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")

logger = logging.getLogger("vivant")


@contextmanager
def job_log(folder: Path) -> Iterator[logging.Logger]:
    """Append what any library logs, and what the caller says, to the log in `folder`."""
    handler = logging.FileHandler(folder / LOG, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(_FORMAT)
    root = logging.getLogger()
    root.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield logger
    finally:
        root.removeHandler(handler)
        handler.close()
