"""Shaded capsules, each ray-cast inside its bounding box: colour with soft edges, and planar depth."""

from __future__ import annotations

import numpy as np

from ..camera import Camera
from .person import CAPSULES, Capsule

_LIGHT = np.array([0.35, 0.65, 0.67]) / np.linalg.norm([0.35, 0.65, 0.67])  # towards the light, world axes
_NEAREST = 0.01  # metres before the camera; capsules that begin nearer are left out

Segment = tuple[np.ndarray, np.ndarray]
"""Start and end of a capsule's axis, [3] f4 metres, camera axes."""
Picture = tuple[np.ndarray, np.ndarray, np.ndarray]
"""rgb [H, W, 3] sRGB premultiplied, alpha [H, W], depth [H, W] metres (alpha-normalised; 0 where alpha is 0)."""


def draw(starts: np.ndarray, ends: np.ndarray, camera: Camera) -> Picture:
    """Draw capsules from `starts` to `ends` [C, 3] (metres, world), in the order and with the looks of `CAPSULES`."""
    rotation, shift = camera.world_to_camera[:3, :3], camera.world_to_camera[:3, 3]
    light = (rotation @ _LIGHT).astype(np.float32)
    starts, ends = ((points @ rotation.T + shift).astype(np.float32) for points in (starts, ends))
    layers = np.zeros((camera.height, camera.width, 5), np.float32)  # rgb, alpha, alpha x depth
    for k in np.argsort(starts[:, 2] + ends[:, 2]):  # the near ones first, for they hide the rest
        axis = (starts[k], ends[k])
        box = _box(axis, CAPSULES[k].radius, camera)
        if box is not None:
            _add(layers[box[1], box[0]], axis, CAPSULES[k], _rays(camera, box), 1 / camera.K[0, 0], light)
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


def _rays(camera: Camera, box: tuple[slice, slice]) -> np.ndarray:
    """Rays [h, w, 3] (x, y, 1), so that the distance along them is planar depth."""
    x = (np.arange(box[0].start, box[0].stop) + 0.5 - camera.K[0, 2]) / camera.K[0, 0]
    y = (np.arange(box[1].start, box[1].stop) + 0.5 - camera.K[1, 2]) / camera.K[1, 1]
    return np.stack([*np.meshgrid(x, y), np.ones((len(y), len(x)))], axis=-1).astype(np.float32)


def _add(
    layers: np.ndarray,  # [h, w, 5], changed
    axis: Segment,
    capsule: Capsule,
    rays: np.ndarray,  # [h, w, 3]
    pixel: float,  # size of a pixel one metre away
    light: np.ndarray,  # [3] camera
) -> None:
    """Lay one capsule over or under what is there, by depth, pixel by pixel."""
    depth, missed = _closest(rays, axis)
    coverage = np.clip(0.5 + (capsule.radius - missed) / (np.float32(pixel) * depth), 0, 1)
    hidden = (layers[..., 3] >= 1) & (depth - capsule.radius > layers[..., 4])
    keep = (coverage > 0) & ~hidden
    rays, depth, cover, below = rays[keep], depth[keep], coverage[keep], layers[keep]  # [n, ...] from here
    depth = _entry(rays, axis, capsule.radius, depth)
    rgb = _shade(rays * depth[:, None], axis, light) * np.asarray(capsule.color, np.float32)
    over = depth * below[:, 3] < below[:, 4]
    share = np.where(over, cover, cover * (1 - below[:, 3]))[:, None]
    stays = np.where(over, 1 - cover, 1)[:, None]
    layers[keep] = below * stays + share * np.c_[np.clip(rgb, 0, 1), np.ones_like(depth), depth]


def _shade(points: np.ndarray, axis: Segment, light: np.ndarray) -> np.ndarray:  # [n, 1]
    """How bright the surface is at `points` [n, 3]: one lamp, and a sky that is brighter above."""
    along = axis[1] - axis[0]
    s = np.clip((points - axis[0]) @ along / max(float(along @ along), 1e-12), 0, 1)
    normals = points - axis[0] - s[:, None] * along
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    return (0.55 - 0.18 * normals[:, 1] + 0.42 * np.maximum(normals @ light, 0))[:, None]


def _closest(rays: np.ndarray, axis: Segment) -> tuple[np.ndarray, np.ndarray]:
    """Depth [h, w] where each ray comes nearest to the segment, and how near."""
    start, along = axis[0], axis[1] - axis[0]
    rr, ra, rs = (rays**2).sum(-1), rays @ along, rays @ start
    aa, slant = along @ along, along @ start
    turned = aa * rr - ra**2
    s = np.divide(ra * rs - slant * rr, turned, out=np.zeros_like(rr), where=turned > 1e-12)
    s = np.clip(s, 0, 1)
    depth = (rs + s * ra) / rr
    return depth, np.linalg.norm(rays * depth[..., None] - start - s[..., None] * along, axis=-1)


def _entry(rays: np.ndarray, axis: Segment, radius: float, otherwise: np.ndarray) -> np.ndarray:
    """Depth [n] where rays [n, 3] enter the capsule; `otherwise` where they only graze it."""
    start, along = axis[0], axis[1] - axis[0]
    rr, ra, rs = (rays**2).sum(-1), rays @ along, rays @ start
    aa, slant = along @ along, along @ start
    a = aa * rr - ra**2
    b = ra * slant - aa * rs
    c = aa * (start @ start) - slant**2 - np.float32(radius**2) * aa
    with np.errstate(invalid="ignore", divide="ignore"):
        side = (-b - np.sqrt(b**2 - a * c)) / a
        height = ra * side - slant
        side = np.where((height > 0) & (height < aa), side, np.nan)
        first = np.fmin(side, np.fmin(_ball(rays, axis[0], radius), _ball(rays, axis[1], radius)))
    return np.where(np.isnan(first), otherwise, first)


def _ball(rays: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    rr, rc = (rays**2).sum(-1), rays @ centre
    return (rc - np.sqrt(rc**2 - rr * (centre @ centre - np.float32(radius**2)))) / rr
