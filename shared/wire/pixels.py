"""Frames on the wire: cut to the avatar's box, put back into the full picture, depth in 16 bits, strips."""

from __future__ import annotations

import numpy as np

DEPTH_STEPS = 65535

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels."""


def box_of(
    alpha: np.ndarray,  # [H, W], anything but 0 counts
) -> Box:
    """The smallest box around what is there; of size 0 where nothing is."""
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    if not len(rows):
        return 0, 0, 0, 0
    x, y = int(columns[0]), int(rows[0])
    return x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y


def cut(
    picture: np.ndarray,  # [H, W, ...]
    box: Box,
) -> np.ndarray:  # [height, width, ...], a view
    """The part of a picture inside a box."""
    x, y, width, height = box
    return picture[y : y + height, x : x + width]


def paste(
    picture: np.ndarray,  # [H, W, ...], changed
    part: np.ndarray,  # [h, w, ...]
    x: int,
    y: int,
) -> None:
    """Put what `cut` took, or a strip of it, back in its place."""
    picture[y : y + part.shape[0], x : x + part.shape[1]] = part


def depth_range(
    depth: np.ndarray,  # [H, W] metres
    alpha: np.ndarray,  # [H, W]
) -> tuple[float, float]:
    """Nearest and farthest depth where alpha is not 0, as numbers that float32 holds; (0, 0) where nothing is."""
    seen = depth[alpha != 0]
    return (float(np.float32(seen.min())), float(np.float32(seen.max()))) if seen.size else (0.0, 0.0)


def depth_to_u2(
    depth: np.ndarray,  # [H, W] metres, anything where nothing is
    near: float,
    far: float,
) -> np.ndarray:  # [H, W] u2
    """Depth in 65535 steps from `near` to `far`. What lies outside, or is no number, goes to the nearest end."""
    scale = DEPTH_STEPS / (far - near) if far > near else 0.0
    steps = (np.nan_to_num(depth, nan=near) - near) * np.float32(scale) + np.float32(0.5)
    return np.clip(steps, 0, DEPTH_STEPS).astype("<u2")


def depth_from_u2(
    steps: np.ndarray,  # [H, W] u2
    near: float,
    far: float,
) -> np.ndarray:  # [H, W] f4 metres
    """What `depth_to_u2` packed, to within half a step."""
    return steps.astype(np.float32) * np.float32((far - near) / DEPTH_STEPS) + np.float32(near)


def strips(
    height: int,
    row_bytes: int,
    at_most: int,  # bytes of one message
) -> list[tuple[int, int]]:
    """Rows [first, last) of each message that a picture needs; one, even if it is empty."""
    rows = max(1, at_most // max(1, row_bytes))
    return [(first, min(height, first + rows)) for first in range(0, max(1, height), rows)]
