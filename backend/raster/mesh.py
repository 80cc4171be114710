"""A z-buffer for triangle meshes: which triangle each pixel centre sees, and where in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import prange

from backend.raster.jit import inlined, parallel_kernel
from shared.camera import Camera

NEAR = 0.01
"""Metres. A triangle with a vertex nearer than this is dropped whole."""

_BAND = 32  # rows per unit of parallel work
_INSIDE = -1e-9  # pixels^2 over the triangle's area: closes rounding gaps along shared edges


@dataclass(frozen=True)
class MeshBuffers:
    """What each pixel centre sees."""

    face: np.ndarray  # [H, W] int32, -1 none
    barycentric: np.ndarray  # [H, W, 3] float32, perspective-correct, 0 where no face
    depth: np.ndarray  # [H, W] float32 metres, planar z, inf where no face


def rasterize_mesh(
    vertices: np.ndarray,  # [V, 3] metres, world
    faces: np.ndarray,  # [F, 3] int, counter-clockwise seen from outside
    camera: Camera,
    *,
    cull: bool = False,  # drop triangles seen from behind
) -> MeshBuffers:
    """Sample the mesh at pixel centres. The nearest triangle wins; at equal depth the one listed first."""
    face = np.full((camera.height, camera.width), -1, dtype=np.int32)
    barycentric = np.zeros((camera.height, camera.width, 3), dtype=np.float32)
    depth = np.full((camera.height, camera.width), np.inf, dtype=np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):  # depth 0 is dropped below, like all that is too near
        pixels, z = camera.project(np.asarray(vertices, dtype=np.float64))
    corners = np.concatenate([pixels, z[:, None]], axis=1)[faces]  # [F, 3, 3] u, v pixels, z metres
    kept = np.flatnonzero(_drawn(corners, camera, cull)).astype(np.int32)
    _fill(np.ascontiguousarray(corners[kept]), kept, face, barycentric, depth)
    return MeshBuffers(face, barycentric, depth)


def _drawn(corners: np.ndarray, camera: Camera, cull: bool) -> np.ndarray:  # [F] bool
    u, v, z = np.moveaxis(corners, -1, 0)  # each [F, 3]
    area = (u[:, 1] - u[:, 0]) * (v[:, 2] - v[:, 0]) - (u[:, 2] - u[:, 0]) * (v[:, 1] - v[:, 0])
    facing = area < 0 if cull else area != 0  # counter-clockwise is negative where y points down
    on_image = (u.max(1) > 0) & (u.min(1) < camera.width) & (v.max(1) > 0) & (v.min(1) < camera.height)
    return facing & on_image & (z.min(1) > NEAR)


@parallel_kernel
def _fill(corners: np.ndarray, kept: np.ndarray, face: np.ndarray, barycentric: np.ndarray, depth: np.ndarray) -> None:
    height = face.shape[0]
    for band in prange((height + _BAND - 1) // _BAND):
        top, bottom = band * _BAND, min(height, band * _BAND + _BAND)
        for k in range(kept.size):
            _fill_triangle(corners[k], kept[k], top, bottom, face, barycentric, depth)


@inlined
def _fill_triangle(
    corners: np.ndarray,  # [3, 3] u, v, z
    index: int,
    top: int,  # rows [top, bottom) alone
    bottom: int,
    face: np.ndarray,
    barycentric: np.ndarray,
    depth: np.ndarray,
) -> None:
    u0, v0, z0 = corners[0]
    u1, v1, z1 = corners[1]
    u2, v2, z2 = corners[2]
    first_row = max(top, int(np.ceil(min(v0, v1, v2) - 0.5)))
    last_row = min(bottom - 1, int(np.floor(max(v0, v1, v2) - 0.5)))
    first_column = max(0, int(np.ceil(min(u0, u1, u2) - 0.5)))
    last_column = min(face.shape[1] - 1, int(np.floor(max(u0, u1, u2) - 0.5)))
    scale = 1.0 / ((u1 - u0) * (v2 - v0) - (u2 - u0) * (v1 - v0))
    for y in range(first_row, last_row + 1):
        for x in range(first_column, last_column + 1):
            du, dv = x + 0.5 - u0, y + 0.5 - v0
            b1 = (du * (v2 - v0) - (u2 - u0) * dv) * scale
            b2 = ((u1 - u0) * dv - du * (v1 - v0)) * scale
            b0 = 1.0 - b1 - b2
            if b0 < _INSIDE or b1 < _INSIDE or b2 < _INSIDE:
                continue
            z = np.float32(1.0 / (b0 / z0 + b1 / z1 + b2 / z2))
            if z < depth[y, x]:
                depth[y, x] = z
                face[y, x] = index
                barycentric[y, x, 0] = b0 / z0 * z
                barycentric[y, x, 1] = b1 / z1 * z
                barycentric[y, x, 2] = b2 / z2 * z
