"""How much light a posed person takes from itself: hands before the chest, a chin over the neck.

The surface is a set of discs, each of which may stand between any other and the light (Bunnell, Dynamic Ambient
Occlusion and Indirect Lighting, GPU Gems 2, 2005). The light is a sky, whose radiance from the unit direction d is
1 + d . sky, and a lamp far away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numba import prange
from torch import Tensor

from backend.raster.jit import inlined, parallel_kernel

THROWN_BACK = 0.4
"""Share of the light that an occluder takes away and gives back by its own brightness."""
DARKEST = 0.15
"""Of the mean light, what a surface turned away from the sky's brighter side catches at least."""
LAMP_WIDTH = 0.15
"""Radians (standard deviation) that a lamp is wide: a window of two metres, four metres away."""
FAR = 4.0 * LAMP_WIDTH
"""Radians from a lamp's middle beyond which none of it is left."""


@dataclass(frozen=True)
class Discs:
    """K discs in the world."""

    position: Tensor  # [K, 3] metres
    normal: Tensor  # [K, 3] unit, outwards
    area: Tensor  # [K] square metres
    group: Tensor  # [K] int64: discs of one group do not shade each other


def irradiance(normal: Tensor, sky: Tensor) -> Tensor:
    """Light [...] that surfaces of unit `normal` [..., 3] catch from `sky` [3]; 1 is the mean of all directions."""
    return (1 + 2 / 3 * normal @ sky).clamp(min=DARKEST)


def unshaded(discs: Discs, sky: Tensor) -> Tensor:
    """Share [K] of the sky's light, in (0, 1], that the other discs leave to each."""
    if discs.position.is_cuda:
        return unshaded_reference(discs, sky)
    blocked = torch.from_numpy(_sky_blocked(*_arrays(discs), sky.numpy()))
    return _left(blocked, discs.normal, sky)


def in_sight(discs: Discs, lamps: Tensor) -> Tensor:
    """Share [L, K], in [0, 1], of lamps in the unit directions `lamps` [L, 3] that the other discs leave to each."""
    if discs.position.is_cuda:
        return in_sight_reference(discs, lamps)
    return (1 - torch.from_numpy(_lamps_hidden(*_arrays(discs), lamps.contiguous().numpy()))).clamp(min=0)


def unshaded_reference(discs: Discs, sky: Tensor) -> Tensor:
    """`unshaded` in plain PyTorch, all pairs at once: what the kernel is tested against, fast enough on a GPU."""
    direction, square, leaving, arriving = _between(discs)
    factor = discs.area * leaving * arriving / (torch.pi * square + discs.area)
    return _left((factor * (1 + direction @ sky).clamp(min=0)).sum(1), discs.normal, sky)


def in_sight_reference(discs: Discs, lamps: Tensor) -> Tensor:
    """`in_sight` in plain PyTorch."""
    direction, square, leaving, arriving = _between(discs)
    angle = discs.area * arriving * (leaving > 0) / (square + discs.area / torch.pi)
    off = 1 - torch.einsum("rok,lk->lro", direction, lamps)  # half the squared angle, near enough
    light = torch.exp(-off / LAMP_WIDTH**2) / (2 * torch.pi * LAMP_WIDTH**2) * (off < 1 - np.cos(FAR))
    return (1 - (angle * light).sum(2)).clamp(min=0)


def _between(discs: Discs) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """From each disc to each [K, K]: unit direction, squared metres, and the cosines at either end, 0 if hidden."""
    between = discs.position[None] - discs.position[:, None]  # [receiver, occluder, 3]
    square = between.square().sum(2).clamp(min=1e-12)
    direction = between / square.sqrt()[..., None]
    leaving = torch.einsum("rok,rk->ro", direction, discs.normal).clamp(min=0)
    arriving = -torch.einsum("rok,ok->ro", direction, discs.normal).clamp(max=0)
    return direction, square, leaving, arriving * (discs.group[:, None] != discs.group[None])


def _left(blocked: Tensor, normal: Tensor, sky: Tensor) -> Tensor:
    return torch.exp(-(1 - THROWN_BACK) * blocked / irradiance(normal, sky))


def _arrays(discs: Discs) -> tuple[np.ndarray, ...]:
    return tuple(values.contiguous().numpy() for values in (discs.position, discs.normal, discs.area, discs.group))


@inlined
def _way(position: np.ndarray, normal: np.ndarray, r: int, o: int) -> tuple[float, float, float, float, float]:
    """The way from disc r to disc o, metres, and how much of it goes out of the one and into the other."""
    x = position[o, 0] - position[r, 0]
    y = position[o, 1] - position[r, 1]
    z = position[o, 2] - position[r, 2]
    leaving = x * normal[r, 0] + y * normal[r, 1] + z * normal[r, 2]
    arriving = -(x * normal[o, 0] + y * normal[o, 1] + z * normal[o, 2])
    return x, y, z, leaving, arriving


@parallel_kernel
def _sky_blocked(
    position: np.ndarray, normal: np.ndarray, area: np.ndarray, group: np.ndarray, sky: np.ndarray
) -> np.ndarray:
    """Irradiance [K] that occluders take from each disc, as if none stood behind another."""
    blocked = np.zeros(len(position), np.float32)
    for r in prange(len(position)):
        for o in range(len(position)):
            x, y, z, leaving, arriving = _way(position, normal, r, o)
            if group[o] == group[r] or leaving <= 0 or arriving <= 0:
                continue
            square = x * x + y * y + z * z
            radiance = 1 + (x * sky[0] + y * sky[1] + z * sky[2]) / np.sqrt(square)
            if radiance > 0:
                blocked[r] += radiance * area[o] * leaving * arriving / (square * (np.pi * square + area[o]))
    return blocked


@parallel_kernel
def _lamps_hidden(
    position: np.ndarray, normal: np.ndarray, area: np.ndarray, group: np.ndarray, lamps: np.ndarray
) -> np.ndarray:
    """Share [L, K] of each lamp that occluders hide from each disc, as if none stood behind another."""
    hidden = np.zeros((len(lamps), len(position)), np.float32)
    nearest = np.cos(FAR) ** 2
    for r in prange(len(position)):
        for o in range(len(position)):
            x, y, z, leaving, arriving = _way(position, normal, r, o)
            if group[o] == group[r] or leaving <= 0 or arriving <= 0:
                continue
            square = x * x + y * y + z * z
            for lamp in range(len(lamps)):
                along = x * lamps[lamp, 0] + y * lamps[lamp, 1] + z * lamps[lamp, 2]
                if along > 0 and along * along > nearest * square:
                    distance = np.sqrt(square)
                    angle = area[o] * arriving / (distance * (square + area[o] / np.pi))
                    light = np.exp((along / distance - 1) / LAMP_WIDTH**2) / (2 * np.pi * LAMP_WIDTH**2)
                    hidden[lamp, r] += angle * light
    return hidden
