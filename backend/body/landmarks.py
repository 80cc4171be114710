"""Where MediaPipe's 478 face landmarks lie on a body, found by rendering its head and running the detector on it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from backend.atomic import write_arrays
from backend.cache import cache_dir

from .model import OPEN_BODY_SHA256, BodyModel

NUM_LANDMARKS = 478
IRISES = {"right_eye": range(468, 473), "left_eye": range(473, 478)}
"""MediaPipe's iris points, by the person's own side; all others lie on the skin."""
FIRM, LOOSE = 0.003, 0.008
"""Metres a landmark moves over the skin between views: at FIRM it has half weight, beyond LOOSE none."""
SLIVER = 1e-12
"""Square of a triangle's sine below which its corners lie on one line."""
_VERSION = 1  # of the method: part of the cache's file name


@dataclass(frozen=True)
class LandmarkEmbedding:
    """Each landmark as a point of a triangle, mirror symmetric where the body is."""

    face: np.ndarray  # [478] int64, row of the body's `faces`
    barycentric: np.ndarray  # [478, 3] float64, non-negative, rows sum to 1
    weight: np.ndarray  # [478] in [0, 1]; 0: do not use (contour: it follows the silhouette, not the skin)

    def points(self, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """Positions [478, 3] on a body with `vertices` [V, 3] and `faces` [F, 3]."""
        return np.einsum("lk,lkd->ld", self.barycentric, vertices[faces[self.face]])

    def save(self, path: Path) -> None:
        """Write an `.npz`, whole or not at all."""
        write_arrays(path, vars(self))

    @classmethod
    def load(cls, path: Path) -> LandmarkEmbedding:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as archive:
            return cls(archive["face"], archive["barycentric"], archive["weight"])


def face_landmarks(model: BodyModel) -> LandmarkEmbedding:
    """The model's embedding: packaged for the open body, else computed once (about 10 s) and kept in the cache.

    Raises:
        VivantError: no face is found on the rendered head.
    """
    if model.sha256 == OPEN_BODY_SHA256:
        with resources.as_file(resources.files("backend.body.assets") / "open_body_landmarks.npz") as packaged:
            return LandmarkEmbedding.load(packaged)
    kept = cache_dir() / f"landmarks{_VERSION}_{model.sha256}.npz"
    if not kept.exists():
        embed_landmarks(model).save(kept)
    return LandmarkEmbedding.load(kept)


def embed_landmarks(model: BodyModel) -> LandmarkEmbedding:
    """Detect the landmarks on renderings of the head, take the middle of views and mirror, attach to the surface.

    Landmarks that slide over the skin when the head turns lose weight; beyond `LOOSE` they are not used.

    Raises:
        VivantError: no face is found on the rendered head.
    """
    from backend.photo.mirror import FACE_MIRROR

    from .landmark_views import CONTOUR, Head, detect_on_head

    head = Head.of(model)
    seen, facing = detect_on_head(head)
    middle = symmetry_plane(model)
    samples = np.concatenate([seen, mirrored(seen[:, FACE_MIRROR], middle)])
    points, spread = geometric_median(samples, np.concatenate([facing, facing[:, FACE_MIRROR]]))
    face = np.empty(NUM_LANDMARKS, dtype=np.int64)
    barycentric = np.empty((NUM_LANDMARKS, 3))
    for part, chosen in {"skin": range(468), **IRISES}.items():
        rows = np.array(chosen)
        face[rows], barycentric[rows] = attach(points[rows], head.vertices, head.faces, head.part == part)
    weight = np.where(spread < LOOSE, 1 / (1 + (spread / FIRM) ** 2), 0)
    weight[CONTOUR] = 0
    return LandmarkEmbedding(face, barycentric, weight)


def symmetry_plane(model: BodyModel) -> float:
    """The x, metres, of the plane that mirrors the rest pose, midway between the eyeballs."""
    eyes = np.isin(model.part, ["left_eye", "right_eye"])
    x = model.template.numpy()[model.faces[eyes], 0]
    return float(x.min() + x.max()) / 2


def mirrored(points: np.ndarray, middle: float) -> np.ndarray:
    """`points` [..., 3] reflected at the plane x = `middle`."""
    return points * [-1, 1, 1] + [2 * middle, 0, 0]


def geometric_median(
    samples: np.ndarray,  # [S, N, 3]
    weights: np.ndarray,  # [S, N]
) -> tuple[np.ndarray, np.ndarray]:  # [N, 3], [N] weighted rms distance from it
    """The point of least summed distance to the samples (Weiszfeld), which one stray sample hardly moves."""
    pull = weights
    for _ in range(50):
        median = (samples * pull[..., None]).sum(0) / pull.sum(0)[:, None]
        distance = np.linalg.norm(samples - median, axis=-1)
        pull = weights / np.maximum(distance, 1e-5)
    return median, np.sqrt((distance**2 * weights).sum(0) / weights.sum(0))


def attach(
    points: np.ndarray,  # [N, 3]
    vertices: np.ndarray,  # [V, 3]
    faces: np.ndarray,  # [F, 3]
    allowed: np.ndarray,  # [F] bool
) -> tuple[np.ndarray, np.ndarray]:  # [N] row of faces, [N, 3] barycentric
    """The closest point of the allowed triangles to each point."""
    rows = np.flatnonzero(allowed)
    corners = vertices[faces[rows]].astype(np.float64)  # [R, 3, 3]
    near = cKDTree(corners.mean(axis=1)).query(points, k=min(48, len(rows)))[1]  # [N, K]
    barycentric = closest_barycentric(points[:, None], corners[near])  # [N, K, 3]
    gap = np.linalg.norm(np.einsum("nkc,nkcd->nkd", barycentric, corners[near]) - points[:, None], axis=-1)
    best = gap.argmin(axis=1)
    each = np.arange(len(points))
    return rows[near[each, best]], barycentric[each, best]


def closest_barycentric(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Where in each triangle `corners` [..., 3, 3] the point nearest to `points` [..., 3] is: barycentric [..., 3].

    Inside the triangle that is the projection; otherwise the nearest of the three edges' nearest points.
    """
    a, b, c = np.moveaxis(corners, -2, 0)
    inner = _project(points - a, b - a, c - a)
    edges = []
    for start, end in ((0, 1), (1, 2), (2, 0)):
        along = corners[..., end, :] - corners[..., start, :]
        t = np.clip(((points - corners[..., start, :]) * along).sum(-1) / (along * along).sum(-1), 0, 1)
        edge = np.zeros((*t.shape, 3))
        edge[..., start], edge[..., end] = 1 - t, t
        edges.append(edge)
    candidates = np.stack(edges)  # [3, ..., 3]
    gaps = np.linalg.norm(np.einsum("e...c,...cd->e...d", candidates, corners) - points, axis=-1)
    nearest = np.take_along_axis(candidates, gaps.argmin(axis=0)[None, ..., None], axis=0)[0]
    return np.where((inner >= 0).all(-1, keepdims=True), inner, nearest)


def _project(offset: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Barycentric coordinates of `offset` (from the first corner) projected on the plane of two edges.

    Negative where these lie on one line: such slivers fall to their edges.
    """
    d11, d12, d22 = ((p * q).sum(-1) for p, q in ((first, first), (first, second), (second, second)))
    d01, d02 = (offset * first).sum(-1), (offset * second).sum(-1)
    determinant = d11 * d22 - d12 * d12
    sliver = determinant <= SLIVER * d11 * d22
    determinant = np.where(sliver, 1.0, determinant)
    v = np.where(sliver, -1.0, (d22 * d01 - d12 * d02) / determinant)
    w = np.where(sliver, -1.0, (d11 * d02 - d12 * d01) / determinant)
    return np.stack([1 - v - w, v, w], axis=-1)
