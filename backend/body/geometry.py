"""Small facts about triangle surfaces, in numpy."""

from __future__ import annotations

import numpy as np


def face_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Normals [F, 3] of counter-clockwise triangles, as long as twice the triangle's area."""
    corners = vertices[faces]
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted unit normals [V, 3] of a counter-clockwise surface."""
    per_face = face_normals(vertices, faces)
    normals = np.stack(
        [np.bincount(faces.ravel(), np.repeat(per_face[:, k], 3), minlength=len(vertices)) for k in range(3)], axis=1
    )
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def edges(faces: np.ndarray) -> np.ndarray:
    """Undirected edges [E, 2] of a triangle mesh, each once."""
    pairs = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    return np.unique(pairs, axis=0)
