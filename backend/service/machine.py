"""What a worker computes on, and how much of its memory is taken."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import torch

from backend.progress import Event
from backend.raster.bench import cpu_model
from backend.raster.splats import choose_device
from backend.service.work import Role, WorkReady


def ready(role: Role) -> tuple[torch.device, WorkReady]:
    """The device that `auto` means here, and the worker's first message."""
    notes: list[str] = []

    def note(event: Event) -> None:
        notes.append(event.message)

    device = choose_device("auto", note)
    name = torch.cuda.get_device_name() if device.type == "cuda" else cpu_model()
    return device, WorkReady(role, os.getpid(), device.type, name, tuple(notes))


def release() -> None:
    """Give back what nothing refers to any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def memory(device: torch.device) -> tuple[int, int]:
    """Bytes that this process holds, and that there are: on the GPU if it computes there."""
    if device.type == "cuda":
        return torch.cuda.memory_reserved(), torch.cuda.mem_get_info()[1]
    return _resident(), _installed()


def memory_left(device: torch.device) -> int | None:
    """Bytes that could still be taken; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info()[0]
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return None
    line = next(line for line in meminfo.read_text(encoding="ascii").splitlines() if line.startswith("MemAvailable"))
    return int(line.split()[1]) * 1024


def _resident() -> int:
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS, and the most so far


def _installed() -> int:
    if sys.platform == "win32":
        return 0
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
