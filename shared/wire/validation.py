"""What numbers in bulk must satisfy before anything computes with them: poses, expressions, cameras."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from . import limits
from .errors import WireError

_LAST_OF_LENS = np.array((0, 0, 1), np.float32)
_LAST_OF_PLACE = np.array((0, 0, 0, 1), np.float32)
_NO_TURN = np.eye(3)

Buffers = Mapping[str, np.ndarray]


def check_motion(buffers: Buffers, expression_names: tuple[str, ...]) -> None:
    """Poses [F, 165], places [F, 3], expressions [F, E] that are there. Raises `WireError` with the buffer's name."""
    for name, largest in (
        ("full_pose", limits.ANGLE_RAD),
        ("transl", limits.PLACE_M),
        ("expression", limits.WEIGHT),
    ):
        if name in buffers:
            _check_size(name, buffers[name], largest)
    columns = buffers["expression"].shape[1] if "expression" in buffers else 0
    if columns != len(expression_names):
        raise _wrong("expression_names", f"has {len(expression_names)} names for {columns} columns")


def check_cameras(buffers: Buffers) -> None:
    """One camera, or one for each of F >= 1 poses. Raises `WireError` with the buffer's name."""
    frames, cameras = len(buffers["full_pose"]), len(buffers["K"])
    if not 1 <= frames <= limits.JOB_FRAMES:
        raise _wrong("full_pose", f"has {frames} frames; 1 to {limits.JOB_FRAMES} are allowed")
    if cameras not in (1, frames):
        raise _wrong("K", f"has {cameras} cameras; one, or one for each of {frames} frames, is needed")
    _check_lens(buffers["K"].tobytes())
    _check_place(buffers["world_to_camera"].tobytes())


@lru_cache(maxsize=4)  # while a camera stands still, every live frame names it
def _check_lens(data: bytes) -> None:
    K = np.frombuffer(data, np.float32).reshape(-1, 3, 3)  # pixels
    shortest, longest = limits.FOCAL_PX
    _check_size("K", K, longest)
    fx, skew, fy, below = K[:, 0, 0], K[:, 0, 1], K[:, 1, 1], K[:, 1, 0]
    if min(fx.min(), fy.min()) < shortest:
        raise _wrong("K", f"has a focal length outside {shortest} to {longest:.0f} pixels")
    if np.abs(skew).max() > 1e-6 or below.any() or (K[:, 2] != _LAST_OF_LENS).any():
        raise _wrong("K", "is not [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]")


@lru_cache(maxsize=4)
def _check_place(data: bytes) -> None:
    world_to_camera = np.frombuffer(data, np.float32).reshape(-1, 4, 4)  # metres
    _check_size("world_to_camera", world_to_camera, limits.PLACE_M)
    turn = world_to_camera[:, :3, :3].astype(np.float64)
    off = np.abs(turn @ turn.transpose(0, 2, 1) - _NO_TURN).max()
    if off > 1e-3 or np.linalg.det(turn).min() < 0 or (world_to_camera[:, 3] != _LAST_OF_PLACE).any():
        raise _wrong("world_to_camera", "is not a rotation and a shift: scale and mirroring have no place in it")


def _check_size(name: str, values: np.ndarray, largest: float) -> None:
    found = float(np.abs(values).max(initial=0))  # not a number, if one of them is none
    if not math.isfinite(found):
        raise _wrong(name, "holds a number that is not finite")
    if found > largest:
        raise _wrong(name, f"holds a number beyond {largest:g}")


def _wrong(name: str, what: str) -> WireError:
    return WireError("out_of_range", f"{name} {what}.", name)
