"""The Gaussians' colours baked to a picture, so that the proxy mesh looks like the person in any viewport.

Each texel is a point of the surface and takes the colours of the nearest Gaussians there: those across a seam of the
map count like others, so no seam shows.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from backend.avatar.surface import Surface, clothed_surface
from backend.body.model import BodyModel
from backend.raster.mesh import rasterize_mesh
from backend.service.texture_map import corner_uvs
from backend.stages import Avatar
from shared.camera import Camera

NEAREST = 4
CLOSE = 5e-4
"""Metres. A Gaussian nearer than this counts no more than one at this distance."""


def bake(avatar: Avatar, model: BodyModel, size: int) -> np.ndarray:  # [size, size, 3] uint8 sRGB
    """The texture for `texture_map.corner_uvs`: first row is v = 1. What no triangle covers repeats its neighbour."""
    surface = clothed_surface(model, avatar.registration)
    face, barycentric = _texels(corner_uvs(model, surface), size)
    covered = face >= 0
    texture = np.zeros((size, size, 3))
    texture[covered] = _colors(avatar, surface, _groups(model, surface), face[covered], barycentric[covered])
    nearest = distance_transform_edt(~covered, return_distances=False, return_indices=True)
    return np.round(255 * texture[tuple(nearest)][::-1]).astype(np.uint8)


def _texels(uvs: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The triangle [size, size] that each texel's centre lies in (-1: none) and where [size, size, 3]; v downwards."""
    corners = np.concatenate([uvs.reshape(-1, 2) * size, np.ones((uvs.size // 2, 1))], axis=1)
    triangles = np.arange(len(corners)).reshape(-1, 3)
    buffers = rasterize_mesh(corners, triangles, Camera(size, size, np.eye(3), np.eye(4)))
    return buffers.face, buffers.barycentric


def _groups(model: BodyModel, surface: Surface) -> np.ndarray:  # [T] int
    """Triangles that share colours with each other alone: skin and clothes, each eye, teeth, tongue, hair."""
    parts = np.unique(model.part, return_inverse=True)[1]
    return np.pad(parts, (0, len(surface.faces) - surface.num_body_faces), constant_values=-1)


def _colors(
    avatar: Avatar,
    surface: Surface,
    group: np.ndarray,  # [T]
    face: np.ndarray,  # [M]
    barycentric: np.ndarray,  # [M, 3]
) -> np.ndarray:  # [M, 3] in [0, 1]
    """Means of the nearest Gaussians of the same group, the nearer the more they count."""
    own = _points(surface, avatar.face, avatar.barycentric)
    wanted = _points(surface, face, barycentric)
    painted = 1 / (1 + np.exp(-avatar.rgb))
    colors = np.full(wanted.shape, np.median(painted, axis=0))  # a group that no Gaussian belongs to is out of view
    for one in np.unique(group[avatar.face]):
        source, target = group[avatar.face] == one, group[face] == one
        colors[target] = _blended(own[source], painted[source], wanted[target])
    return colors


def _points(surface: Surface, face: np.ndarray, barycentric: np.ndarray) -> np.ndarray:  # [M, 3] metres, at rest
    return (surface.vertices.numpy()[surface.faces[face]] * barycentric[..., None]).sum(1)


def _blended(points: np.ndarray, colors: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    count = min(NEAREST, len(points))
    distance, index = cKDTree(points).query(wanted, k=np.arange(1, count + 1), workers=-1)
    weight = 1 / np.maximum(distance, CLOSE) ** 2
    return (colors[index] * weight[..., None]).sum(1) / weight.sum(1, keepdims=True)
