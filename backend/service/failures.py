"""Why a job failed: from what was raised to a code and words for the user."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import torch

from backend.progress import Cancelled
from backend.service.job_log import LOG
from backend.service.machine import memory_left
from backend.service.work import WorkFailed
from shared.errors import VivantError
from shared.wire import limits

DISK_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
"""A full disk, a file over the limit of its size, a full quota."""


def failed(job: str, folder: Path, stage: str, error: BaseException, device: torch.device) -> WorkFailed:
    """What the server is told. `stage` is the one that ran."""
    if isinstance(error, Cancelled):
        return WorkFailed(job, "cancelled", "Cancelled. Resume the job to go on from its last finished stage.", True)
    if _disk_full(error):
        return WorkFailed(job, "disk_full", _words(_room(error, folder)), True)
    if out_of_memory(error):
        return WorkFailed(job, "oom", _words(_need_and_have(error, stage, device)), True)
    if isinstance(error, VivantError):
        code = "bad_photo" if error.code == VivantError.code and stage == "photo" else error.code
        return WorkFailed(job, code, _words(str(error)), code == "diverged")
    return WorkFailed(job, "internal", _words(_defect(error, stage, folder)), True)


def out_of_memory(error: BaseException) -> bool:
    """Whether memory did not suffice: Python's or numpy's, torch's on the GPU, or torch's on the CPU."""
    allocator = isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    return allocator or isinstance(error, MemoryError | torch.cuda.OutOfMemoryError)


def _disk_full(error: BaseException | None) -> bool:
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return True
    return error is not None and _disk_full(error.__cause__)


def _room(error: BaseException, folder: Path) -> str:
    free = shutil.disk_usage(folder).free
    cause = str(error) if isinstance(error, VivantError) else f"Cannot write to {folder}: {error}."
    return f"{cause} {free:,} bytes are free there. Make room or raise the limit, then resume the job."


def _need_and_have(error: BaseException, stage: str, device: torch.device) -> str:
    left = memory_left(device)
    have = "" if left is None else f" {left:,} bytes are free."
    need = str(error).splitlines()[0] if str(error) else "no more could be allocated"
    return (
        f"Out of memory in the stage {stage or 'start'}, even with smaller settings: {need}.{have} Close other "
        "programs, or use a smaller texture and size, then resume the job."
    )


def _defect(error: BaseException, stage: str, folder: Path) -> str:
    return (
        f"A defect of Vivant in the stage {stage or 'start'}: {type(error).__name__}: {error}. "
        f"{folder / LOG} tells more; resume the job to try again."
    )


def _words(text: str) -> str:
    return text[: limits.TEXT_CHARS]
