"""The last step of the clothed surface: bring its outline in the photo onto the matte's.

Rings carry what is alike round the body; what is left over (a fold, a bulge, a collar) moves the surface sideways where
the photo shows it, and fades out over the neighbouring cloth.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from backend.raster.mesh import rasterize_mesh
from backend.registration.outline import Outline, matte_outline
from backend.registration.wearer import Wearer
from shared.camera import Camera

ROUNDS = 4
FINER = 2
"""The surface's outline is drawn at this many times the photo's resolution."""
TURN_COST = 0.05
"""Metres of distance that a right angle between two outlines costs in the matching."""
FARTHEST = 0.1
"""Metres between the outlines beyond which they are not of the same thing."""
STIFF, HELD = 0.3, 0.01
"""Weights of squared bending and displacement, against 1 for one matched outline point."""


def snapped(
    wearer: Wearer, offsets: np.ndarray, bending: csr_matrix, outline: Outline, camera: Camera
) -> np.ndarray:  # offsets [V, 3] -> [V, 3] metres, rest pose
    """Move the clothed surface within the image plane until its outline is the matte's, `outline`."""
    axes = camera.world_to_camera[:2, :3]
    for _ in range(ROUNDS):
        posed = wearer.posed(offsets)
        vertex, shift = _gaps(posed, wearer.faces, outline, camera)
        moved = _spread(vertex, shift, wearer.wearable, bending) @ axes  # [V, 3] metres, world
        offsets = offsets + np.einsum("vji,vj->vi", wearer.rotations, moved)
    return offsets


def _gaps(posed: np.ndarray, faces: np.ndarray, outline: Outline, camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [M] on the surface's outline, and how far [M, 2] metres across it the matte's lies."""
    depth = camera.project(posed)[1]
    rim, vertex_of = _rim(posed, faces, camera)
    metres = np.median(depth) / camera.K[0, 0]
    described, query = (
        np.concatenate([line.points * metres, line.normals * TURN_COST / np.sqrt(2)], axis=1) for line in (rim, outline)
    )
    distance, nearest = cKDTree(described).query(query, distance_upper_bound=FARTHEST)
    matched = np.isfinite(distance)
    vertex, normals = vertex_of[nearest[matched]], outline.normals[matched]
    pixels = ((outline.points[matched] - rim.points[nearest[matched]]) * normals).sum(1)
    return vertex, (pixels * depth[vertex] / camera.K[0, 0])[:, None] * normals


def _rim(posed: np.ndarray, faces: np.ndarray, camera: Camera) -> tuple[Outline, np.ndarray]:
    """The surface's outline as the camera sees it, and the vertex [M] nearest to each of its points."""
    fine = camera.resized(FINER * camera.width, FINER * camera.height)
    buffers = rasterize_mesh(posed, faces, fine)
    line = matte_outline((buffers.face >= 0).astype(np.float32))
    x, y = np.floor(line.points - line.normals).astype(int).T
    x, y = np.clip(x, 0, fine.width - 1), np.clip(y, 0, fine.height - 1)
    face, corner = buffers.face[y, x], buffers.barycentric[y, x].argmax(1)
    covered = face >= 0
    return Outline(line.points / FINER, line.normals).where(covered), faces[face, corner][covered]


def _spread(vertex: np.ndarray, shift: np.ndarray, movable: np.ndarray, bending: csr_matrix) -> np.ndarray:
    """The smooth displacement [V, 2] that is `shift` [M, 2] at `vertex` [M], and 0 on what is not `movable` [V]."""
    V = len(movable)
    measured = np.bincount(vertex, minlength=V).astype(float)
    held = diags(measured + np.where(movable, HELD, 1e3))
    target = np.stack([np.bincount(vertex, shift[:, k], minlength=V) for k in range(2)], axis=1)
    return movable[:, None] * splu((held + STIFF * bending).tocsc()).solve(target)
