"""What the photo says about each texel: where it falls, whether it is seen, and its colour."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, map_coordinates, maximum_filter, minimum_filter

from backend.avatar.limbs import LIMB_NAMES, limb_of
from backend.avatar.surface import Surface
from backend.avatar.texels import Texels
from backend.body.geometry import vertex_normals
from backend.raster.mesh import rasterize_mesh
from backend.stages import Observations
from shared.camera import Camera

FACING = 0.3
"""Cosine to the view below which a texel is seen too flat to trust its colour."""
EDGE_PIXELS = 2
"""Pixels next to the matte's edge, or next to something nearer, whose colour may be another surface's."""
HAIRLINE = 0.008
"""Metres next to where hair begins, at least `EDGE_PIXELS`, in which single strands hang and the fit's outline errs."""
STEP_METRES = 0.02
"""A nearer surface this much in front counts as another one."""
BURIED_METRES = 0.008
"""A texel this far behind the visible surface is hidden by it."""
BORDER_METRES = 0.04
"""Width of the soft edge where the photo ends."""


@dataclass(frozen=True)
class Evidence:
    """The photo's word on M texels."""

    color: np.ndarray  # [M, 3] sRGB in [0, 1]; meaningless where not known
    pixels: np.ndarray  # [M, 2] where it falls
    visible: np.ndarray  # [M] bool: in the photo, and nothing of the person stands before it
    bared: np.ndarray  # [M] bool: in the photo, and no other limb stands before it, or just beside that
    known: np.ndarray  # [M] bool: visible, and plainly enough to take the colour
    facing: np.ndarray  # [M] cosine between normal and view
    normal: np.ndarray  # [M, 3] unit, world, in the photo's pose
    inside: np.ndarray  # [M] in [0, 1]: 0 beyond the photo's border, 1 well inside
    hair: np.ndarray  # [M] bool: falls on a hair pixel
    hairline: np.ndarray  # [M] bool: falls on a pixel where hair begins
    to_outline: np.ndarray  # [M] metres to where more of the person shows behind the surface's end; inf if nowhere


def project_photo(
    observations: Observations,
    surface: Surface,
    texels: Texels,
    posed: np.ndarray,  # [V+H, 3] metres, world: the surface in the photo's pose
    hair: np.ndarray,  # [H, W] bool: the photo's hair pixels
    camera: Camera,
) -> Evidence:
    """Look every texel up in the photo."""
    points = texels.interpolate(posed, surface.faces)
    normals = texels.interpolate(vertex_normals(posed, surface.faces), surface.faces)
    normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    rays = camera.centre - points
    facing = (normals * rays).sum(1) / np.linalg.norm(rays, axis=1)
    pixels, depth = camera.project(points)
    drawn = rasterize_mesh(posed, surface.faces, camera)
    buffer = drawn.depth
    inside = _inside(pixels, depth, camera)
    trusted = _trusted_pixels(observations.alpha, buffer)
    column = np.clip(pixels[:, 0].astype(int), 0, camera.width - 1)
    row = np.clip(pixels[:, 1].astype(int), 0, camera.height - 1)
    visible = (inside > 0) & (depth < buffer[row, column] + BURIED_METRES) & (facing > 0)
    limb = _limbs(surface)
    return Evidence(
        color=sample_image(observations.foreground / np.float32(255.0), pixels),
        pixels=pixels,
        visible=visible,
        bared=(inside > 0) & ~_veiled(limb[texels.face], depth, np.append(limb, -1)[drawn.face], buffer, row, column),
        known=visible & trusted[row, column] & (facing > FACING),
        facing=facing,
        normal=normals,
        inside=inside,
        hair=hair[row, column],
        hairline=_edge(hair, max(EDGE_PIXELS, int(HAIRLINE * camera.K[0, 0] / np.median(depth))))[row, column],
        to_outline=_to_outline(buffer)[row, column] * depth / camera.K[0, 0],
    )


def sample_image(image: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Bilinear samples [M, C] of `image` [H, W, C] at `pixels` [M, 2], pixel centres at +0.5, clamped at the border."""
    at = (pixels - 0.5).T[::-1]
    return np.stack(
        [map_coordinates(image[..., c], at, order=1, mode="nearest") for c in range(image.shape[2])], axis=1
    )


def _trusted_pixels(alpha: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Pixels whose colour belongs to the surface drawn there: off the matte's edge and off whatever stands nearer."""
    deep_inside = distance_transform_edt(np.pad(alpha > 0.9, 1, mode="edge"))[1:-1, 1:-1] > EDGE_PIXELS
    nearest = minimum_filter(depth, size=2 * EDGE_PIXELS + 1)
    return deep_inside & (depth < nearest + STEP_METRES)


def _limbs(surface: Surface) -> np.ndarray:
    """The limb of each triangle [T]; the hair layer's is one of its own."""
    limb = limb_of(surface.weights.numpy()[surface.faces].mean(1))
    limb[surface.num_body_faces :] = len(LIMB_NAMES)
    return limb


def _veiled(
    limb: np.ndarray,  # [M]
    depth: np.ndarray,  # [M]
    limbs: np.ndarray,  # [H, W] what is drawn
    depths: np.ndarray,  # [H, W]
    row: np.ndarray,  # [M] where the texels fall
    column: np.ndarray,  # [M]
) -> np.ndarray:  # [M] bool
    """Whether another limb stands nearer, there or in the next pixel."""
    veiled = np.zeros(len(limb), dtype=bool)
    for down, right in itertools.product((-1, 0, 1), repeat=2):
        at = (np.clip(row + down, 0, len(limbs) - 1), np.clip(column + right, 0, limbs.shape[1] - 1))
        veiled |= (limbs[at] != limb) & (depths[at] < depth - BURIED_METRES)
    return veiled


def _to_outline(depth: np.ndarray) -> np.ndarray:
    """Pixels [H, W] from each to the nearest next to which, in `depth` [H, W], more of the person lies behind."""
    outline = maximum_filter(np.where(np.isfinite(depth), depth, -np.inf), size=3) > depth + STEP_METRES
    return distance_transform_edt(~outline) if outline.any() else np.full(depth.shape, np.inf)


def _edge(mask: np.ndarray, reach: int) -> np.ndarray:
    """Pixels [H, W] within `reach` of where `mask` [H, W] begins or ends."""
    size = 2 * reach + 1
    return maximum_filter(mask, size) & ~minimum_filter(mask, size)


def _inside(pixels: np.ndarray, depth: np.ndarray, camera: Camera) -> np.ndarray:
    margin = np.minimum(pixels, np.array([camera.width, camera.height]) - pixels).min(1)
    metres = margin * depth / camera.K[0, 0]
    ramp = np.clip(metres / BORDER_METRES, 0.0, 1.0)
    return ramp * ramp * (3 - 2 * ramp)
