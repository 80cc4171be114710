"""gsplat's own pure-PyTorch rasterisation, made to run without a GPU so that it can be timed.

Projection, tile lists and blending are gsplat's code, unchanged (`gsplat.cuda._torch_impl`). Two things that code
calls exist for CUDA alone and are replaced by PyTorch here: `rasterize_to_indices_in_range`, which lists the pixels
each Gaussian touches, and the two functions of `nerfacc` that sum along rays.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING
from unittest import mock

import torch
from gsplat.cuda import _torch_impl as gsplat
from torch import Tensor

from backend.raster.footprint import ALPHA_CUTOFF, ALPHA_MAX, DILATION, NEAR, TILE, TRANSMITTANCE_STOP
from backend.raster.splats import Rendered

if TYPE_CHECKING:
    from backend.raster.bench import Scene

Projected = tuple[Tensor, Tensor, Tensor, Tensor]  # radii, centres, depths, conics; one camera in front
Lists = tuple[Tensor, Tensor]  # where each tile's list starts; the lists


def draw(scene: Scene, lists: Lists | None = None) -> Rendered:
    """The scene as gsplat's PyTorch code draws it; `lists` spares it its slowest part, a Python loop over Gaussians."""
    radii, centres, depths, conics = _project(scene)
    starts, gaussians = lists or _lists(scene, radii, centres, depths)
    replaced = SimpleNamespace(
        render_weight_from_alpha=_render_weight_from_alpha, accumulate_along_rays=_accumulate_along_rays
    )
    with (
        mock.patch.dict(sys.modules, {"nerfacc": replaced}),
        mock.patch("gsplat.cuda._wrapper.rasterize_to_indices_in_range", _rasterize_to_indices_in_range),
    ):
        image, alpha = gsplat._rasterize_to_pixels(
            centres,
            conics,
            torch.cat([scene.colors, depths[0, :, None]], dim=1)[None],
            scene.opacities[None],
            scene.camera.width,
            scene.camera.height,
            TILE,
            starts,
            gaussians,
        )
    depth = image[0, ..., 3] / alpha[0, ..., 0].clamp_min(ALPHA_CUTOFF)
    return Rendered(image[0, ..., :3], alpha[0, ..., 0], depth)


def intersections(scene: Scene) -> Lists:
    """The tile lists of a scene, for `draw`."""
    radii, centres, depths, _ = _project(scene)
    return _lists(scene, radii, centres, depths)


def _project(scene: Scene) -> Projected:
    covariances, _ = gsplat._quat_scale_to_covar_preci(scene.quats_wxyz, scene.scales, compute_preci=False)
    view, K = (torch.as_tensor(a, dtype=torch.float32)[None] for a in (scene.camera.world_to_camera, scene.camera.K))
    width, height = scene.camera.width, scene.camera.height
    projected = gsplat._fully_fused_projection(
        scene.means, covariances, view, K, width, height, eps2d=DILATION, near_plane=NEAR
    )
    return projected[:4]


def _lists(scene: Scene, radii: Tensor, centres: Tensor, depths: Tensor) -> Lists:
    columns, rows = -(-scene.camera.width // TILE), -(-scene.camera.height // TILE)
    _, keys, gaussians = gsplat._isect_tiles(centres, radii, depths, TILE, columns, rows)
    return gsplat._isect_offset_encode(keys, 1, columns, rows), gaussians


@torch.no_grad()
def _rasterize_to_indices_in_range(
    first: int,
    last: int,  # batches of TILE x TILE list entries, [first, last)
    transmittances: Tensor,  # [1, H, W]
    centres: Tensor,  # [1, N, 2]
    conics: Tensor,  # [1, N, 3]
    opacities: Tensor,  # [1, N]
    width: int,
    height: int,
    tile: int,
    starts: Tensor,  # [1, rows, columns]
    gaussians: Tensor,  # [M]
) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs of a Gaussian and a pixel it is blended into, by pixel and then front to back."""
    ends = [*starts.flatten().tolist()[1:], len(gaussians)]
    ids, pixels = [gaussians[:0].long()], [gaussians[:0].long()]
    for index, (start, end) in enumerate(zip(starts.flatten().tolist(), ends, strict=True)):
        top, left = index // starts.shape[2] * tile, index % starts.shape[2] * tile
        y, x = torch.meshgrid(
            torch.arange(top, min(top + tile, height)), torch.arange(left, min(left + tile, width)), indexing="ij"
        )
        y, x = y.reshape(-1, 1), x.reshape(-1, 1)
        near = gaussians[start + first * tile * tile : min(end, start + last * tile * tile)].long()
        dx, dy = x + 0.5 - centres[0, near, 0], y + 0.5 - centres[0, near, 1]  # [P, n]
        a, b, c = conics[0, near].unbind(1)
        alpha = (opacities[0, near] * torch.exp(-0.5 * (a * dx * dx + c * dy * dy) - b * dx * dy)).clamp(max=ALPHA_MAX)
        touched = alpha >= ALPHA_CUTOFF
        left_after = transmittances[0, y, x] * torch.cumprod(torch.where(touched, 1 - alpha, 1.0), dim=1)
        pixel, gaussian = torch.nonzero(touched & (left_after > TRANSMITTANCE_STOP), as_tuple=True)
        ids.append(near[gaussian])
        pixels.append((y * width + x)[pixel, 0])
    by_pixel = torch.argsort(torch.cat(pixels), stable=True)
    pixel_ids = torch.cat(pixels)[by_pixel]
    return torch.cat(ids)[by_pixel], pixel_ids, torch.zeros_like(pixel_ids)


def _render_weight_from_alpha(alphas: Tensor, ray_indices: Tensor, n_rays: int) -> tuple[Tensor, Tensor]:
    passed = torch.log1p(-alphas.double())
    before = torch.cumsum(passed, 0) - passed
    counts = torch.bincount(ray_indices, minlength=n_rays)
    first = torch.cumsum(counts, 0) - counts
    transmittance = torch.exp(before - before[first[ray_indices]]).to(alphas)
    return alphas * transmittance, transmittance


def _accumulate_along_rays(weights: Tensor, values: Tensor | None, ray_indices: Tensor, n_rays: int) -> Tensor:
    weighted = weights[:, None] if values is None else weights[:, None] * values
    return torch.zeros(n_rays, weighted.shape[1]).index_add(0, ray_indices, weighted)
