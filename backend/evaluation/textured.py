"""A mesh with one picture wrapped round it, as any renderer draws it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

from backend.avatar.projection import sample_image
from backend.avatar.surface import Surface
from backend.avatar.texels import Texels
from backend.body.model import BodyModel
from backend.raster.mesh import rasterize_mesh
from backend.stages import Frame
from shared.camera import Camera

_SUPERSAMPLING = 2


@dataclass(frozen=True)
class TexturedMesh:
    """A surface with colours: a UV texture on the body, points on the hair layer, which has no UV map."""

    surface: Surface
    uv: np.ndarray  # [T, 2] in [0, 1]
    uv_faces: np.ndarray  # [F, 3]
    texture: np.ndarray  # [R, R, 3] float32 in [0, 1]
    hair_points: cKDTree | None  # of the hair samples, rest pose
    hair_colors: np.ndarray  # [H, 3]

    @classmethod
    def paint(
        cls,
        model: BodyModel,
        surface: Surface,
        texels: Texels,  # every texel of a resolution x resolution map, and the hair layer's samples
        colors: np.ndarray,  # [M, 3] in [0, 1]
        resolution: int,
    ) -> TexturedMesh:
        """Wrap colours given per texel round `surface`."""
        on_map = texels.uv[:, 0] >= 0
        hair = texels.subset(~on_map).interpolate(surface.vertices.numpy(), surface.faces)
        texture = _fill_gaps(texels.uv[on_map], colors[on_map], resolution)
        tree = cKDTree(hair) if len(hair) else None
        return cls(surface, model.uv, model.uv_faces, texture, tree, colors[~on_map])

    def render(
        self,
        transforms: torch.Tensor,  # [55, 4, 4] rest pose to world
        expression: torch.Tensor,  # [E]
        camera: Camera,
    ) -> Frame:
        """Draw one frame, each pixel the mean of 2 x 2 samples."""
        vertices = self.surface.pose(transforms, expression).numpy()
        fine = camera.resized(camera.width * _SUPERSAMPLING, camera.height * _SUPERSAMPLING)
        buffers = rasterize_mesh(vertices, self.surface.faces, fine)
        covered = buffers.face >= 0
        colors = np.zeros((*covered.shape, 3), dtype=np.float32)
        colors[covered] = self.shade(buffers.face[covered], buffers.barycentric[covered])
        alpha = _box_filter(covered.astype(np.float32))
        depth = _box_filter(np.where(covered, buffers.depth, 0.0)) / np.maximum(alpha, 1e-6)
        return Frame(_box_filter(colors), alpha, depth.astype(np.float32))

    def shade(self, face: np.ndarray, barycentric: np.ndarray) -> np.ndarray:
        """Look the colours [P, 3] up at points of the surface: `face` [P], `barycentric` [P, 3]."""
        colors = np.empty((len(face), 3), dtype=np.float32)
        body = face < self.surface.num_body_faces
        uv = np.einsum("pk,pkc->pc", barycentric[body], self.uv[self.uv_faces[face[body]]])
        colors[body] = sample_image(self.texture, uv * len(self.texture))
        if self.hair_points is not None:
            corners = self.surface.vertices.numpy()[self.surface.faces[face[~body]]]
            _, nearest = self.hair_points.query(np.einsum("pk,pkc->pc", barycentric[~body], corners))
            colors[~body] = self.hair_colors[nearest]
        return colors


def _fill_gaps(uv: np.ndarray, colors: np.ndarray, resolution: int) -> np.ndarray:
    """A square texture whose empty texels repeat the nearest painted one, so that islands do not bleed at seams."""
    texture = np.zeros((resolution, resolution, 3), dtype=np.float32)
    empty = np.ones((resolution, resolution), dtype=bool)
    texture[uv[:, 1], uv[:, 0]] = colors
    empty[uv[:, 1], uv[:, 0]] = False
    nearest = distance_transform_edt(empty, return_distances=False, return_indices=True)
    return texture[nearest[0], nearest[1]]


def _box_filter(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[0] // _SUPERSAMPLING, image.shape[1] // _SUPERSAMPLING
    return image.reshape(height, _SUPERSAMPLING, width, _SUPERSAMPLING, *image.shape[2:]).mean((1, 3))
