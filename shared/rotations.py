"""Rotations: axis-angle (radians), unit quaternions (w, x, y, z) and 3x3 matrices. Leading axes broadcast."""

from __future__ import annotations

import numpy as np

_TINY = 1e-12
"""Below this angle the axis does not matter; well above the smallest float64, so that divisions stay finite."""


def quats_from_axis_angles(axis_angles: np.ndarray) -> np.ndarray:
    """Turn axis-angles [..., 3] radians into unit quaternions [..., 4] (w, x, y, z)."""
    half = 0.5 * np.linalg.norm(axis_angles, axis=-1, keepdims=True)
    return np.concatenate([np.cos(half), 0.5 * np.sinc(half / np.pi) * axis_angles], axis=-1)


def axis_angles_from_quats(quats_wxyz: np.ndarray) -> np.ndarray:
    """Turn unit quaternions [..., 4] into axis-angles [..., 3] with angles in [0, pi]."""
    quats = np.where(quats_wxyz[..., :1] < 0, -quats_wxyz, quats_wxyz)
    sine = np.linalg.norm(quats[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, quats[..., :1])
    return np.where(sine > _TINY, angle / np.maximum(sine, _TINY), 2.0) * quats[..., 1:]


def matrices_from_quats(quats_wxyz: np.ndarray) -> np.ndarray:
    """Turn unit quaternions [..., 4] into rotation matrices [..., 3, 3]."""
    w, x, y, z = np.moveaxis(quats_wxyz, -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def quats_from_matrices(matrices: np.ndarray) -> np.ndarray:
    """Turn rotation matrices [..., 3, 3] into unit quaternions [..., 4].

    Of the four textbook formulas the one with the largest divisor is taken per rotation, so that none degenerates.
    """
    m = np.moveaxis(matrices, (-2, -1), (0, 1))
    trace = m[0, 0] + m[1, 1] + m[2, 2]
    squares = [1 + trace, *(1 + 2 * m[i, i] - trace for i in range(3))]  # 4w^2, 4x^2, 4y^2, 4z^2
    wx, wy, wz = m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]
    xy, xz, yz = m[0, 1] + m[1, 0], m[0, 2] + m[2, 0], m[1, 2] + m[2, 1]
    candidates = np.stack(
        [
            np.stack([squares[0], wx, wy, wz], axis=-1),
            np.stack([wx, squares[1], xy, xz], axis=-1),
            np.stack([wy, xy, squares[2], yz], axis=-1),
            np.stack([wz, xz, yz, squares[3]], axis=-1),
        ],
        axis=-2,
    )
    best = np.argmax(np.stack(squares, axis=-1), axis=-1)
    quats = np.take_along_axis(candidates, best[..., None, None], axis=-2)[..., 0, :]
    return quats / np.linalg.norm(quats, axis=-1, keepdims=True)


def matrices_from_axis_angles(axis_angles: np.ndarray) -> np.ndarray:
    """Turn axis-angles [..., 3] radians into rotation matrices [..., 3, 3]."""
    return matrices_from_quats(quats_from_axis_angles(axis_angles))


def axis_angles_from_matrices(matrices: np.ndarray) -> np.ndarray:
    """Turn rotation matrices [..., 3, 3] into axis-angles [..., 3] with angles in [0, pi]."""
    return axis_angles_from_quats(quats_from_matrices(matrices))


def multiply_quats(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Hamilton product [..., 4]: the rotation `b`, then `a`."""
    aw, av = a[..., :1], a[..., 1:]
    bw, bv = b[..., :1], b[..., 1:]
    real = aw * bw - np.sum(av * bv, axis=-1, keepdims=True)
    return np.concatenate([real, aw * bv + bw * av + np.cross(av, bv)], axis=-1)


def slerp(start: np.ndarray, end: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Turn from unit quaternions `start` to `end` [..., 4] at constant speed, the shorter way.

    `weight` [...] is 0 at the start and 1 at the end. Where the two are half a turn apart any way is as short.
    """
    cosine = np.sum(start * end, axis=-1, keepdims=True)
    end = np.where(cosine < 0, -end, end)
    angle = np.arccos(np.clip(np.abs(cosine), 0.0, 1.0))
    weight = np.asarray(weight)[..., None]
    sine = np.sin(angle)
    near = sine < 1e-6  # there the chord is the arc to 1e-13, and the quotients would lose all digits
    safe = np.where(near, 1.0, sine)
    a = np.where(near, 1 - weight, np.sin((1 - weight) * angle) / safe)
    b = np.where(near, weight, np.sin(weight * angle) / safe)
    quats = a * start + b * end
    return quats / np.linalg.norm(quats, axis=-1, keepdims=True)
