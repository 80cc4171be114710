"""Linear blend skinning: a readable reference, and a compiled CPU version that skips the zero weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backend.raster.jit import kernel


@dataclass(frozen=True)
class SkinningWeights:
    """Skinning weights, dense and as compressed rows: a vertex follows 1.9 of 55 joints on average."""

    dense: Tensor  # [V, 55]
    start: np.ndarray  # [V + 1] int32, where each vertex's entries begin
    joint: np.ndarray  # [N] int32
    weight: np.ndarray  # [N]

    @classmethod
    def of(cls, dense: Tensor) -> SkinningWeights:
        """Compress `dense` [V, 55]."""
        rows = dense.cpu().numpy()
        vertex, joint = np.nonzero(rows)
        start = np.searchsorted(vertex, np.arange(len(rows) + 1)).astype(np.int32)
        return cls(dense, start, joint.astype(np.int32), rows[vertex, joint])


def skin(
    weights: SkinningWeights,
    transforms: Tensor,  # [B, 55, 4, 4] rest to world
    rest: Tensor,  # [B, V, 3] metres
) -> Tensor:  # [B, V, 3] metres, world
    """Skin on the tensors' own device; once differentiable in `transforms` and `rest`."""
    if rest.device.type == "cpu":
        return _CompiledSkin.apply(weights, transforms[:, :, :3], rest)
    return skin_reference(weights, transforms, rest)


def skin_reference(weights: SkinningWeights, transforms: Tensor, rest: Tensor) -> Tensor:
    """What `skin` computes: each vertex moved by the weighted mean of its joints' transforms."""
    blended = torch.einsum("vj,bjrc->bvrc", weights.dense, transforms[:, :, :3])  # [B, V, 3, 4]
    return (blended[..., :3] @ rest[..., None])[..., 0] + blended[..., 3]


class _CompiledSkin(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: SkinningWeights, transforms: Tensor, rest: Tensor) -> Tensor:
        transforms, rest = transforms.detach().contiguous(), rest.detach().contiguous()
        ctx.weights = weights
        ctx.save_for_backward(transforms, rest)
        skinned = torch.empty_like(rest)
        _skin(weights.start, weights.joint, weights.weight, transforms.numpy(), rest.numpy(), skinned.numpy())
        return skinned

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[None, Tensor, Tensor]:
        transforms, rest = ctx.saved_tensors
        sparse: SkinningWeights = ctx.weights
        to_transforms, to_rest = torch.zeros_like(transforms), torch.zeros_like(rest)
        arrays = [tensor.numpy() for tensor in (transforms, rest, upstream.contiguous(), to_transforms, to_rest)]
        _skin_backward(sparse.start, sparse.joint, sparse.weight, *arrays)
        return None, to_transforms, to_rest


# One thread each: 0.1 ms a frame is less than waking a second one costs when the machine is busy.


@kernel
def _skin(
    start: np.ndarray,
    joint: np.ndarray,
    weight: np.ndarray,
    transforms: np.ndarray,  # [B, 55, 3, 4]
    rest: np.ndarray,  # [B, V, 3]
    skinned: np.ndarray,  # [B, V, 3], written
) -> None:
    for b in range(rest.shape[0]):
        for v in range(rest.shape[1]):
            x, y, z = rest[b, v, 0], rest[b, v, 1], rest[b, v, 2]
            px = py = pz = weight.dtype.type(0)
            for n in range(start[v], start[v + 1]):
                w, T = weight[n], transforms[b, joint[n]]
                px += w * (T[0, 0] * x + T[0, 1] * y + T[0, 2] * z + T[0, 3])
                py += w * (T[1, 0] * x + T[1, 1] * y + T[1, 2] * z + T[1, 3])
                pz += w * (T[2, 0] * x + T[2, 1] * y + T[2, 2] * z + T[2, 3])
            skinned[b, v, 0], skinned[b, v, 1], skinned[b, v, 2] = px, py, pz


@kernel
def _skin_backward(
    start: np.ndarray,
    joint: np.ndarray,
    weight: np.ndarray,
    transforms: np.ndarray,  # [B, 55, 3, 4]
    rest: np.ndarray,  # [B, V, 3]
    upstream: np.ndarray,  # [B, V, 3]
    to_transforms: np.ndarray,  # [B, 55, 3, 4], added to
    to_rest: np.ndarray,  # [B, V, 3], added to
) -> None:
    for b in range(rest.shape[0]):
        for v in range(rest.shape[1]):
            x, y, z = rest[b, v, 0], rest[b, v, 1], rest[b, v, 2]
            gx, gy, gz = upstream[b, v, 0], upstream[b, v, 1], upstream[b, v, 2]
            for n in range(start[v], start[v + 1]):
                w, T, D = weight[n], transforms[b, joint[n]], to_transforms[b, joint[n]]
                for row, g in enumerate((w * gx, w * gy, w * gz)):
                    to_rest[b, v, 0] += g * T[row, 0]
                    to_rest[b, v, 1] += g * T[row, 1]
                    to_rest[b, v, 2] += g * T[row, 2]
                    D[row, 0] += g * x
                    D[row, 1] += g * y
                    D[row, 2] += g * z
                    D[row, 3] += g
