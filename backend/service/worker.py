"""A worker process, started by the server's pool: `python -m backend.service.worker --role ROLE --connect ENDPOINT`.

`backend/service/work.py` says how it is started and what it is told. It ends with `WorkStop`, or when its standard
input ends: that is how it learns that the server is gone, however it went.

`WorkPing` is answered at any time, by a thread of its own. Everything else is done in turn.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from backend.service.link import Contact, Link, end_with

LOWER_PRIORITY = 10
"""Niceness of a build: both kinds of worker may use all cores, but frames come first."""
BELOW_NORMAL_PRIORITY_CLASS = 0x4000  # of Windows


def main(arguments: Sequence[str] | None = None) -> None:
    """Work until the server has no more use for this process."""
    parser = argparse.ArgumentParser(prog="backend.service.worker")
    parser.add_argument("--role", choices=("build", "render"), required=True)
    parser.add_argument("--connect", required=True, metavar="ENDPOINT")
    chosen = parser.parse_args(arguments)
    link = Link(chosen.connect, Contact.read(sys.stdin))
    end_with(sys.stdin)
    # Threads that spin while they wait take the cores from Blender and from the other worker. Read when torch loads.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Torch is imported behind the link: the server hears from this process while that takes seconds.
    if chosen.role == "build":
        step_back()
        from backend.service.build_worker import build_worker

        build_worker(link)
    else:
        from backend.service.render_worker import render_worker

        render_worker(link)


def step_back() -> None:
    """Let other processes go first."""
    if sys.platform == "win32":
        import ctypes

        kernel = ctypes.windll.kernel32
        kernel.SetPriorityClass(kernel.GetCurrentProcess(), BELOW_NORMAL_PRIORITY_CLASS)
    else:
        os.nice(LOWER_PRIORITY)


if __name__ == "__main__":
    main()
