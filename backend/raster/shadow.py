"""How much light a posed person takes from itself: hands before the chest, a chin over the neck.

The surface is a set of discs, each of which may stand between any other and the light (Bunnell, Dynamic Ambient
Occlusion and Indirect Lighting, GPU Gems 2, 2005). The light comes from all sides, more of it from one: its radiance
from the unit direction d is 1 + d . towards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numba import prange
from torch import Tensor

from backend.raster.jit import parallel_kernel

THROWN_BACK = 0.4
"""Share of the light that an occluder takes away and gives back by its own brightness."""
DARKEST = 0.15
"""Of the mean light, what a surface turned away from it catches at least."""


@dataclass(frozen=True)
class Discs:
    """K discs in the world."""

    position: Tensor  # [K, 3] metres
    normal: Tensor  # [K, 3] unit, outwards
    area: Tensor  # [K] square metres
    group: Tensor  # [K] int64: discs of one group do not shade each other


def irradiance(normal: Tensor, towards: Tensor) -> Tensor:
    """Light [...] that surfaces of unit `normal` [..., 3] catch from `towards` [3]; 1 is the mean of all directions."""
    return (1 + 2 / 3 * normal @ towards).clamp(min=DARKEST)


def unshaded(discs: Discs, towards: Tensor) -> Tensor:
    """Share [K] of its light, in (0, 1], that the other discs leave to each."""
    if discs.position.is_cuda:
        return unshaded_reference(discs, towards)
    arrays = (values.contiguous().numpy() for values in (discs.position, discs.normal, discs.area, discs.group))
    blocked = torch.from_numpy(_blocked(*arrays, towards.numpy()))
    return _left(blocked, discs.normal, towards)


def unshaded_reference(discs: Discs, towards: Tensor) -> Tensor:
    """The same in plain PyTorch, all pairs at once: what the kernel is tested against, and fast enough on a GPU."""
    between = discs.position[None] - discs.position[:, None]  # [receiver, occluder, 3]
    square = between.square().sum(2).clamp(min=1e-12)
    direction = between / square.sqrt()[..., None]
    leaving = torch.einsum("rok,rk->ro", direction, discs.normal).clamp(min=0)
    arriving = -torch.einsum("rok,ok->ro", direction, discs.normal).clamp(max=0)
    factor = discs.area * leaving * arriving / (torch.pi * square + discs.area)
    other = discs.group[:, None] != discs.group[None]
    radiance = (1 + direction @ towards).clamp(min=0)
    return _left((factor * radiance * other).sum(1), discs.normal, towards)


def _left(blocked: Tensor, normal: Tensor, towards: Tensor) -> Tensor:
    return torch.exp(-(1 - THROWN_BACK) * blocked / irradiance(normal, towards))


@parallel_kernel
def _blocked(
    position: np.ndarray, normal: np.ndarray, area: np.ndarray, group: np.ndarray, towards: np.ndarray
) -> np.ndarray:
    """Irradiance [K] that occluders take from each disc, as if none stood behind another."""
    blocked = np.zeros(len(position), np.float32)
    for r in prange(len(position)):
        for o in range(len(position)):
            if group[o] == group[r]:
                continue
            x = position[o, 0] - position[r, 0]
            y = position[o, 1] - position[r, 1]
            z = position[o, 2] - position[r, 2]
            leaving = x * normal[r, 0] + y * normal[r, 1] + z * normal[r, 2]
            arriving = -(x * normal[o, 0] + y * normal[o, 1] + z * normal[o, 2])
            if leaving <= 0 or arriving <= 0:
                continue
            square = x * x + y * y + z * z
            radiance = 1 + (x * towards[0] + y * towards[1] + z * towards[2]) / np.sqrt(square)
            if radiance > 0:
                blocked[r] += radiance * area[o] * leaving * arriving / (square * (np.pi * square + area[o]))
    return blocked
