"""The embedded default: numba kernels with a hand-written backward, float32, all threads, deterministic."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from backend.raster.footprint import TILE
from backend.raster.projection_kernels import SPLAT, SUMS, project, project_backward, view_parameters
from backend.raster.tile_kernels import bin_splats, composite, composite_backward, depth_order
from shared.camera import Camera


def render(
    means: Tensor,  # [N, 3] metres, world
    quats_wxyz: Tensor,  # [N, 4]
    scales: Tensor,  # [N, 3] metres
    opacities: Tensor,  # [N]
    colors: Tensor,  # [N, 3]
    camera: Camera,
) -> tuple[Tensor, Tensor, Tensor]:
    """Colour [H, W, 3], depth times alpha [H, W] and alpha [H, W] of the Gaussians, float32 on the CPU."""
    tensors = (tensor.float() for tensor in (means, quats_wxyz, scales, opacities, colors))
    return _Splatting.apply(*tensors, camera)


class _Splatting(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
        camera: Camera = arguments[-1]
        means, quats, scales, opacities, colors = (tensor.contiguous().numpy() for tensor in arguments[:-1])
        view = view_parameters(camera)
        splats = np.empty((len(means), SPLAT), np.float32)
        boxes = np.empty((len(means), 4), np.int32)
        project(means, quats, scales, opacities, colors, view, camera.width, camera.height, splats, boxes)
        order = _front_to_back(splats, boxes)
        pair_starts, tile_starts, splat, pair = bin_splats(
            order, boxes, -(-camera.width // TILE), -(-camera.height // TILE)
        )
        tiles = (_busiest_first(tile_starts), tile_starts, splat)
        rgb = torch.zeros(camera.height, camera.width, 3)
        depth, alpha = torch.zeros(2, camera.height, camera.width).unbind()
        composite(numba.get_num_threads(), *tiles, splats, boxes, rgb.numpy(), depth.numpy(), alpha.numpy())
        ctx.save_for_backward(rgb, depth, alpha)
        ctx.gaussians = (means, quats, scales, splats, view, pair_starts)
        ctx.tiles = (*tiles, pair, splats, boxes)
        return rgb, depth, alpha

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        means, quats, scales = ctx.gaussians[:3]
        pixels = (tensor.contiguous().numpy() for tensor in (*ctx.saved_tensors, *gradients))
        pair_sums = np.zeros((len(ctx.tiles[2]), SUMS), np.float32)
        composite_backward(numba.get_num_threads(), *ctx.tiles, *pixels, pair_sums)
        out = [torch.zeros(shape) for shape in (means.shape, quats.shape, scales.shape, len(means), means.shape)]
        project_backward(*ctx.gaussians, pair_sums, *(tensor.numpy() for tensor in out))
        return (*out, None)


def _front_to_back(splats: np.ndarray, boxes: np.ndarray) -> np.ndarray:  # [drawn] int32
    drawn = np.flatnonzero(boxes[:, 1]).astype(np.int32)
    return drawn[depth_order(splats[drawn, 9].view(np.uint32))]


def _busiest_first(tile_starts: np.ndarray) -> np.ndarray:  # [B]
    """Tiles with work, so ordered that dealing them out in turn gives every thread about as much of it."""
    load = np.diff(tile_starts)
    order = np.argsort(-load, kind="stable")
    return order[: np.count_nonzero(load)]
