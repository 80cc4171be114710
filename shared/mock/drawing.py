"""Shaded capsules, each ray-cast inside its bounding box: colour with soft edges, and planar depth."""

from __future__ import annotations

import numpy as np

from ..camera import Camera
from .person import CAPSULES, Capsule

_LIGHT = np.array([0.35, 0.65, 0.67]) / np.linalg.norm([0.35, 0.65, 0.67])  # towards the light, world axes
_NEAREST = 0.01  # metres before the camera; capsules that begin nearer are left out

Segment = tuple[np.ndarray, np.ndarray]
"""Start and end of a capsule's axis, [3] metres, camera axes."""
Picture = tuple[np.ndarray, np.ndarray, np.ndarray]
"""rgb [H, W, 3] sRGB premultiplied, alpha [H, W], depth [H, W] metres (alpha-normalised; 0 where alpha is 0)."""


def draw(starts: np.ndarray, ends: np.ndarray, camera: Camera) -> Picture:
    """Draw capsules from `starts` to `ends` [C, 3] (metres, world), in the order and with the looks of `CAPSULES`."""
    rotation, shift = camera.world_to_camera[:3, :3], camera.world_to_camera[:3, 3]
    light = rotation @ _LIGHT
    starts, ends = (points @ rotation.T + shift for points in (starts, ends))
    x = (np.arange(camera.width) + 0.5 - camera.K[0, 2]) / camera.K[0, 0]
    y = (np.arange(camera.height) + 0.5 - camera.K[1, 2]) / camera.K[1, 1]
    layers = np.zeros((camera.height, camera.width, 5), np.float32)  # rgb, alpha, alpha x depth
    for k in np.argsort(starts[:, 2] + ends[:, 2]):  # the near ones first, for they hide the rest
        axis = (starts[k], ends[k])
        box = _box(axis, CAPSULES[k].radius, camera)
        if box is not None:
            _add(layers[box[1], box[0]], axis, CAPSULES[k], x[box[0]], y[box[1]], 1 / camera.K[0, 0], light)
    alpha, weighted = layers[..., 3], layers[..., 4]
    depth = np.divide(weighted, alpha, out=np.zeros_like(alpha), where=alpha > 0)
    return layers[..., :3], alpha, depth


def _box(axis: Segment, radius: float, camera: Camera) -> tuple[slice, slice] | None:
    """Columns and rows that a capsule can touch; None where it is out of view."""
    if min(axis[0][2], axis[1][2]) - radius < _NEAREST:
        return None
    reach = radius * np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    corners = np.concatenate([point + reach for point in axis])
    pixels = corners[:, :2] / corners[:, 2:] * np.diag(camera.K)[:2] + camera.K[:2, 2]
    low = np.maximum(np.floor(pixels.min(axis=0)) - 1, 0)
    high = np.minimum(np.ceil(pixels.max(axis=0)) + 1, (camera.width, camera.height))
    if (low >= high).any():
        return None
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))


def _add(
    layers: np.ndarray,  # [h, w, 5], changed
    axis: Segment,
    capsule: Capsule,
    x: np.ndarray,  # [w]: rays are (x, y, 1), so that the distance along them is planar depth
    y: np.ndarray,  # [h]
    pixel: float,  # size of one, a metre away
    light: np.ndarray,  # [3] camera
) -> None:
    """Lay one capsule over or under what is there, by depth, pixel by pixel."""
    start, along = axis[0], axis[1] - axis[0]
    dots = np.stack([np.add.outer(y * y + 1, x * x), _dots(x, y, along), _dots(x, y, start)])
    depth, missed = _closest(dots, start, along)
    coverage = np.clip(0.5 + (capsule.radius - missed) / (pixel * depth), 0, 1)
    hidden = (layers[..., 3] >= 1) & (depth - capsule.radius > layers[..., 4])
    rows, columns = np.nonzero((coverage > 0) & ~hidden)
    rays = np.stack([x[columns], y[rows], np.ones(len(rows))], axis=1)  # [n, 3], and so on from here
    cover, below = coverage[rows, columns], layers[rows, columns]
    depth = _entry(dots[:, rows, columns], start, along, capsule.radius, depth[rows, columns])
    rgb = _shade(rays * depth[:, None], axis, light) * capsule.color
    over = depth * below[:, 3] < below[:, 4]
    share = np.where(over, cover, cover * (1 - below[:, 3]))[:, None]
    stays = np.where(over, 1 - cover, 1)[:, None]
    layers[rows, columns] = below * stays + share * np.c_[np.clip(rgb, 0, 1), np.ones_like(depth), depth]


def _dots(x: np.ndarray, y: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Products [h, w] of each ray with one vector."""
    return np.add.outer(y * vector[1] + vector[2], x * vector[0])


def _closest(dots: np.ndarray, start: np.ndarray, along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depth [h, w] where each ray comes nearest to the segment, and how near.

    `dots` [3, h, w] are the products of each ray with itself, with `along` and with `start`.
    """
    rr, ra, rs = dots
    aa, slant = along @ along, along @ start
    turned = aa * rr - ra**2
    s = np.divide(ra * rs - slant * rr, turned, out=np.zeros_like(rr), where=turned > 1e-12)
    s = np.clip(s, 0, 1)
    toward = rs + s * ra
    depth = toward / rr
    squared = start @ start + s * (2 * slant + s * aa) - depth * toward
    return depth, np.sqrt(np.maximum(squared, 0))


def _entry(
    dots: np.ndarray,  # [3, n] as above
    start: np.ndarray,
    along: np.ndarray,
    radius: float,
    otherwise: np.ndarray,  # [n]
) -> np.ndarray:  # [n]
    """Depth where rays enter the capsule; `otherwise` where they only graze it."""
    rr, ra, rs = dots
    aa, slant = along @ along, along @ start
    a = aa * rr - ra**2
    b = ra * slant - aa * rs
    c = aa * (start @ start) - slant**2 - radius**2 * aa
    end = start + along
    with np.errstate(invalid="ignore", divide="ignore"):
        side = (-b - np.sqrt(b**2 - a * c)) / a
        height = ra * side - slant
        side = np.where((height > 0) & (height < aa), side, np.nan)
        balls = np.fmin(_ball(rr, rs, start @ start, radius), _ball(rr, rs + ra, end @ end, radius))
    first = np.fmin(side, balls)
    return np.where(np.isnan(first), otherwise, first)


def _ball(rr: np.ndarray, rc: np.ndarray, cc: float, radius: float) -> np.ndarray:
    return (rc - np.sqrt(rc**2 - rr * (cc - radius**2))) / rr


def _shade(points: np.ndarray, axis: Segment, light: np.ndarray) -> np.ndarray:  # [n, 1]
    """How bright the surface is at `points` [n, 3]: one lamp, and a sky that is brighter above."""
    along = axis[1] - axis[0]
    s = np.clip((points - axis[0]) @ along / max(float(along @ along), 1e-12), 0, 1)
    normals = points - axis[0] - s[:, None] * along
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    return (0.55 - 0.18 * normals[:, 1] + 0.42 * np.maximum(normals @ light, 0))[:, None]
