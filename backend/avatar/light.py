"""The photo's light, and what becomes of it when the person moves.

A photo's colours carry its light. Merely glued to the surface, a sleeve that turns to the window stays as dark as it
was, and hands before the chest throw no shadow. The light is modelled as coming from all sides, more of it from one;
how much of it a place catches follows from where it faces and from what of the person stands in between. Only the
ratio to the photo's own pose is ever applied, so the photo itself stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from scipy.spatial import cKDTree
from torch import Tensor

from backend.avatar.surface import Surface
from backend.body.geometry import face_normals
from backend.raster.shadow import Discs, irradiance, unshaded

GAMMA = 2.2
"""Of display-referred colours, near enough to scale them by a ratio of light."""
MOST = 1.5
"""Factor of display-referred colours at most: a shadow brightened further shows the photo's noise."""
PATCH = 0.05
"""Metres that a disc stands for: about a thousand make a person."""
ROLLED_UP = 0.2
"""Share of a patch's area that must face one way: what is less (the mouth's lining) shades nothing."""
NEAREST = 3
"""Discs that a point takes its shade from."""

FROM_ABOVE = (0.0, 0.3, 0.0)
"""What the light is taken for where the photo says nothing: most rooms and all skies are brighter above."""
PRIOR = 0.02
"""Weight of that against the mean of the photo's texels: colours vary by 15 % for other reasons, light by 30 % of its
mean, and a person's texels tell no more than about a dozen independent things."""
STRONGEST = 0.9
"""Length of `towards` at most: radiance is never negative."""
MATERIALS = 8
SAMPLES = 8000
ROUNDS = 12
DOUBTED = 0.15
"""Logarithm by which a texel may miss its material's brightness before it counts half."""
BLACK = 0.003
"""Linear light below which a photo's colours say nothing."""


def estimate_light(color: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Where the photo's light comes from: the vector `towards` [3] of `raster/shadow.py`, in the normals' frame.

    The texels `color` [M, 3] (sRGB in [0, 1]) with unit `normal` [M, 3] are grouped into materials, and the light
    that makes each material most alike is found together with the grouping.
    """
    step = max(1, len(color) // SAMPLES)
    linear, normal = color[::step].astype(np.float64) ** GAMMA + BLACK, normal[::step].astype(np.float64)
    towards = np.array(FROM_ABOVE)
    if len(linear) < MATERIALS:
        return towards
    brightness = np.log(linear.mean(1))
    hue = 2.0 * np.log(linear / linear.mean(1, keepdims=True))
    centres: np.ndarray | None = None
    for _ in range(ROUNDS):
        bare = brightness - np.log(caught(normal, towards))
        looks = np.concatenate([bare[:, None], hue], axis=1)
        start = MATERIALS if centres is None else centres
        centres, material = kmeans2(looks, start, iter=5, minit="++" if centres is None else "matrix", seed=0)
        towards = _improved(towards, bare - centres[material, 0], material, normal)
    return towards


def caught(normal: np.ndarray, towards: np.ndarray) -> np.ndarray:
    """`irradiance` for arrays."""
    return irradiance(torch.from_numpy(normal), torch.from_numpy(towards)).numpy()


def _improved(towards: np.ndarray, residual: np.ndarray, material: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """One Gauss-Newton step of the robust fit of log brightness, each material's own brightness free."""
    weight = 1.0 / (1.0 + (residual / DOUBTED) ** 2)
    slope = 2 / 3 * normal / caught(normal, towards)[:, None]
    total = np.maximum(np.bincount(material, weight), 1e-9)
    residual = residual - (np.bincount(material, weight * residual) / total)[material]
    means = np.stack([np.bincount(material, weight * column) for column in slope.T], axis=1) / total[:, None]
    slope = slope - means[material]
    system = (weight[:, None] * slope).T @ slope / len(slope) + PRIOR * np.eye(3)
    pull = (weight * residual) @ slope / len(slope) - PRIOR * (towards - FROM_ABOVE)
    improved = towards + np.linalg.solve(system, pull)
    return improved * min(1.0, STRONGEST / max(float(np.linalg.norm(improved)), 1e-9))


@dataclass(frozen=True)
class Room:
    """The light that a person's points move in."""

    towards: Tensor  # [3] world
    patches: Discs  # of the rest pose
    weights: Tensor  # [K, 55] skinning of the patches
    nearest: Tensor  # [N, NEAREST] int64 patches
    share: Tensor  # [N, NEAREST] of each in a point's shade

    @classmethod
    def of(cls, surface: Surface, points: Tensor, towards: np.ndarray) -> Room:
        """The room of the N `points` [N, 3] (metres, rest pose) of a surface; all on the CPU."""
        patches, weights = _patches(surface)
        distance, nearest = cKDTree(patches.position.numpy()).query(points.numpy(), k=NEAREST)
        closeness = 1.0 / (distance + 0.1 * PATCH) ** 2
        share = closeness / closeness.sum(1, keepdims=True)
        return cls(
            torch.as_tensor(towards, dtype=torch.float32),
            patches,
            weights,
            torch.as_tensor(nearest),
            torch.as_tensor(share, dtype=torch.float32),
        )

    def to(self, device: torch.device) -> Room:
        """The same on `device`."""
        patches = Discs(*(values.to(device) for values in vars(self.patches).values()))
        others = (values.to(device) for values in (self.weights, self.nearest, self.share))
        return Room(self.towards.to(device), patches, *others)

    def light_on(self, normal: Tensor, transforms: Tensor) -> Tensor:
        """Light [N] that reaches points of unit `normal` [N, 3] (world) on a body posed by `transforms` [55, 4, 4]."""
        blended = (self.weights @ transforms[:, :3].reshape(-1, 12)).view(-1, 3, 4)
        position = (blended[:, :, :3] @ self.patches.position[:, :, None])[:, :, 0] + blended[:, :, 3]
        facing = (blended[:, :, :3] @ self.patches.normal[:, :, None])[:, :, 0]
        facing = facing / facing.norm(dim=1, keepdim=True)
        left = unshaded(Discs(position, facing, self.patches.area, self.patches.group), self.towards)
        return irradiance(normal, self.towards) * (left[self.nearest] * self.share).sum(1)


def gain(light: Tensor, before: Tensor) -> Tensor:
    """Factor [N] of display-referred colours where `light` [N] falls instead of `before` [N]."""
    return ((light / before) ** (1 / GAMMA)).clamp(1 / MOST, MOST)


def _patches(surface: Surface) -> tuple[Discs, Tensor]:
    """One disc for the surface of each joint in each cell of `PATCH`, in the rest pose, and their skinning [K, 55]."""
    vertices, weights = surface.vertices.numpy().astype(np.float64), surface.weights.numpy()
    directed = np.zeros_like(vertices)  # a vertex' share of the triangles around it, as area vectors
    np.add.at(directed, surface.faces, face_normals(vertices, surface.faces)[:, None] / 6)
    joint = weights.argmax(1)
    cells = np.concatenate([np.floor(vertices / PATCH).astype(np.int64), joint[:, None]], axis=1)
    _, first, patch = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    area = np.linalg.norm(directed, axis=1)

    def gather(values: np.ndarray) -> np.ndarray:
        total = np.zeros((len(first), values.shape[1]))
        np.add.at(total, patch.ravel(), values)
        return total

    whole, facing = gather(area[:, None]), gather(directed)
    flat = np.linalg.norm(facing, axis=1, keepdims=True)
    kept = (flat > ROLLED_UP * whole)[:, 0] & (flat > 0)[:, 0]
    mean = [(gather(area[:, None] * values)[kept] / whole[kept]) for values in (vertices, weights)]
    position, blended, normal = (
        torch.as_tensor(values, dtype=torch.float32) for values in (*mean, facing[kept] / flat[kept])
    )
    discs = Discs(
        position, normal, torch.as_tensor(flat[kept, 0], dtype=torch.float32), torch.as_tensor(joint[first][kept])
    )
    return discs, blended
