"""What numbers in bulk must satisfy before anything computes with them: poses, expressions, cameras."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from . import limits
from .errors import WireError

LARGEST_ANGLE = 1000.0  # radians; beyond, float32 no longer tells turns apart
LARGEST_DISTANCE = 10_000.0  # metres, of body and camera
LARGEST_WEIGHT = 100.0  # of an expression; 1 is the full one
FOCAL = (1e-3, 1e7)  # pixels
LARGEST_CENTRE = 1e7  # pixels, of the principal point

Buffers = Mapping[str, np.ndarray]


def check_motion(buffers: Buffers, expression_names: tuple[str, ...]) -> None:
    """Poses [F, 165], places [F, 3], expressions [F, E] that are there. Raises `WireError` with the buffer's name."""
    for name, largest in (
        ("full_pose", LARGEST_ANGLE),
        ("transl", LARGEST_DISTANCE),
        ("expression", LARGEST_WEIGHT),
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
    _check_lens(buffers["K"])
    _check_place(buffers["world_to_camera"])


def _check_lens(K: np.ndarray) -> None:  # [C, 3, 3] pixels
    _check_size("K", K, FOCAL[1])
    focal = K[:, (0, 1), (0, 1)]
    if not ((focal >= FOCAL[0]) & (focal <= FOCAL[1])).all():
        raise _wrong("K", f"has a focal length outside {FOCAL[0]} to {FOCAL[1]:.0f} pixels")
    if (np.abs(K[:, 0, 1]) > 1e-6).any() or (K[:, 1, 0] != 0).any() or (K[:, 2] != (0, 0, 1)).any():
        raise _wrong("K", "is not [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]")


def _check_place(world_to_camera: np.ndarray) -> None:  # [C, 4, 4] metres
    _check_size("world_to_camera", world_to_camera, LARGEST_DISTANCE)
    turn = world_to_camera[:, :3, :3].astype(np.float64)
    off = np.abs(turn @ turn.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    if (off > 1e-3).any() or (np.linalg.det(turn) < 0).any() or (world_to_camera[:, 3] != (0, 0, 0, 1)).any():
        raise _wrong("world_to_camera", "is not a rotation and a shift: scale and mirroring have no place in it")


def _check_size(name: str, values: np.ndarray, largest: float) -> None:
    if not np.isfinite(values).all():
        raise _wrong(name, "holds a number that is not finite")
    if (np.abs(values) > largest).any():
        raise _wrong(name, f"holds a number beyond {largest:g}")


def _wrong(name: str, what: str) -> WireError:
    return WireError("out_of_range", f"{name} {what}.", name)
