"""Where Gaussians sit: the texels of the body's UV map, and even samplings of eyes, lids and the hair layer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from backend.avatar.surface import Surface
from backend.body.geometry import face_normals
from backend.body.model import BodyModel
from backend.raster.mesh import rasterize_mesh
from shared.camera import Camera

HAIR_SPACING = 0.0035
"""Metres between samples of the hair layer: the spacing that a 512 x 512 map gives on the body."""
HAIR_OVERLAP = 1.5
"""How much larger they are than their spacing: they lie unevenly, and shirts would shine through the gaps."""
EYE_SPACING = 0.0012
"""Metres between samples of eyeballs and lids: a UV map gives each eye a few dozen texels, an iris two."""
LID_MOVES = 0.002
"""Metres that a blink moves a vertex of a lid at least."""
EYES = ("left_eye", "right_eye")


COARSE = 2.25
"""Pixels of the photo that a texel spans at most where the photo shows it; wider ones are divided."""
PIXELS_APART = 1.4
"""Pixels between the samples that such texels are divided into."""
FINER = 2.0
"""Samples in a row that a texel is divided into at most: the map's side still says how fine an avatar is."""


@dataclass(frozen=True)
class SeenFaces:
    """What a photo shows of a surface."""

    faces: np.ndarray  # [K] int
    pixel: float  # metres that a pixel spans at the person


NOTHING_SEEN = SeenFaces(np.zeros(0, dtype=np.int64), np.inf)


@dataclass(frozen=True)
class Texels:
    """M points bound to triangles of a `Surface`."""

    face: np.ndarray  # [M] int32
    barycentric: np.ndarray  # [M, 3] float32
    spacing: np.ndarray  # [M] float32 metres to the neighbouring samples on the rest surface
    uv: np.ndarray  # [M, 2] int32 texel column and row; -1 where samples do not follow the map

    def __len__(self) -> int:
        return len(self.face)

    def subset(self, keep: np.ndarray) -> Texels:
        """Only the texels where `keep` [M] is true."""
        return Texels(self.face[keep], self.barycentric[keep], self.spacing[keep], self.uv[keep])

    def interpolate(self, per_vertex: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """Barycentric mean [M, ...] of a per-vertex quantity [V, ...]."""
        corners = per_vertex[faces[self.face]]
        weight = self.barycentric.reshape(len(self), 3, *([1] * (per_vertex.ndim - 1)))
        return (corners * weight).sum(1)


def sample_texels(model: BodyModel, surface: Surface, resolution: int, seen: SeenFaces = NOTHING_SEEN) -> Texels:
    """One sample at the centre of each texel of a `resolution` x `resolution` UV map; those of eyes, lids and hair.

    Triangles that the photo resolves more finely than the map does are sampled by its pixels instead.
    """
    closed = eyes_closed(model, surface)
    lids = (np.abs(closed - surface.vertices.numpy()).max(1) > LID_MOVES)[surface.faces].any(1)
    lids[: surface.num_body_faces] &= ~np.isin(model.part, EYES)
    fine = np.flatnonzero(lids | np.pad(np.isin(model.part, EYES), (0, len(lids) - surface.num_body_faces)))
    hair = np.arange(surface.num_body_faces, len(surface.faces))
    spacing = _map_spacing(model, surface, resolution)
    mapped = _uv_texels(model, spacing, resolution)
    mapped = mapped.subset(~np.isin(mapped.face, fine))
    pixels = _by_pixels(surface, spacing, seen)
    return _join(
        mapped.subset(~np.isin(mapped.face, pixels.face)),
        pixels,
        _even_samples(closed, surface.faces, fine, EYE_SPACING),
        _widened(_even_samples(surface.vertices.numpy(), surface.faces, hair, HAIR_SPACING), HAIR_OVERLAP),
    )


def _by_pixels(surface: Surface, spacing: np.ndarray, seen: SeenFaces) -> Texels:
    """Samples of the seen triangles whose texels are more than `COARSE` pixels wide; `spacing` [F] is the map's."""
    faces = seen.faces[seen.faces < surface.num_body_faces]
    faces = faces[spacing[faces] > COARSE * seen.pixel]
    apart = np.maximum(PIXELS_APART * seen.pixel, spacing[faces] / FINER)
    return _even_samples(surface.vertices.numpy(), surface.faces, faces, apart)


def eyes_closed(model: BodyModel, surface: Surface) -> np.ndarray:
    """The rest surface [V+H, 3] with both lids down: an open lid is folded away, and would be stretched to holes."""
    return (surface.vertices + surface.expression_deltas[model.blinks].sum(0)).numpy()


def _map_spacing(model: BodyModel, surface: Surface, resolution: int) -> np.ndarray:
    """Metres between neighbouring texels on each triangle of the body [F]."""
    area = 0.5 * np.linalg.norm(face_normals(surface.vertices.numpy(), surface.faces), axis=1)
    u, v = np.moveaxis(resolution * model.uv[model.uv_faces], -1, 0)
    uv_area = 0.5 * np.abs((u[:, 1] - u[:, 0]) * (v[:, 2] - v[:, 0]) - (u[:, 2] - u[:, 0]) * (v[:, 1] - v[:, 0]))
    return np.sqrt(area[: len(uv_area)] / np.maximum(uv_area, 1e-9)).astype(np.float32)


def _uv_texels(model: BodyModel, spacing: np.ndarray, resolution: int) -> Texels:
    flat = np.concatenate([model.uv * resolution, np.ones((len(model.uv), 1))], axis=1)
    buffers = rasterize_mesh(flat, model.uv_faces, Camera(resolution, resolution, np.eye(3), np.eye(4)))
    row, column = np.nonzero(buffers.face >= 0)
    face = buffers.face[row, column]
    place = np.stack([column, row], 1).astype(np.int32)
    return Texels(face, buffers.barycentric[row, column], spacing[face], place)


def _even_samples(
    vertices: np.ndarray,  # [V, 3] metres
    all_faces: np.ndarray,  # [F, 3]
    faces: np.ndarray,  # [K] triangles to sample
    spacing: float | np.ndarray,  # metres, of all or of each [K]
) -> Texels:
    """Samples of some triangles, as many on each as its area asks for, at low-discrepancy places."""
    area = 0.5 * np.linalg.norm(face_normals(vertices, all_faces[faces]), axis=1)
    wanted = np.cumsum(area / np.square(spacing))
    count = np.diff(np.floor(np.concatenate([[0.0], wanted])).astype(int))
    face = np.repeat(faces, count)
    golden = np.arange(len(face))[:, None] * np.array([0.7548776662, 0.5698402910]) % 1.0
    folded = np.where(golden.sum(1, keepdims=True) > 1, 1 - golden, golden)
    barycentric = np.concatenate([folded, 1 - folded.sum(1, keepdims=True)], axis=1)
    return Texels(
        face.astype(np.int32),
        barycentric.astype(np.float32),
        np.repeat(np.broadcast_to(spacing, faces.shape), count).astype(np.float32),
        np.full((len(face), 2), -1, dtype=np.int32),
    )


def _widened(texels: Texels, factor: float) -> Texels:
    return replace(texels, spacing=texels.spacing * np.float32(factor))


def _join(*parts: Texels) -> Texels:
    return Texels(*(np.concatenate(values) for values in zip(*(vars(part).values() for part in parts), strict=True)))
