"""What becomes of the photo's light when the person moves.

A photo's colours carry its light. Merely glued to the surface, a sleeve that turns to the window stays as dark as it
was, and hands before the chest throw no shadow. The light is modelled as a sky all round and one lamp
(`photo_light.py` finds them); how much of it a place catches follows from where it faces and from what of the person
stands in between. Only the ratio to the photo's own pose is ever applied, so the photo itself stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from backend.avatar.surface import Surface
from backend.body.geometry import face_normals
from backend.raster.shadow import Discs, in_sight, irradiance, unshaded
from backend.stages import Light

GAMMA = 2.2
"""Of display-referred colours, near enough to scale them by a ratio of light."""
MOST = 1.5
"""Factor of display-referred colours at most: a shadow brightened further shows the photo's noise."""
PATCH = 0.03
"""Metres that a disc stands for: fingers throw shadows, and some three thousand discs make a person."""
ROLLED_UP = 0.2
"""Share of a patch's area that must face one way: what is less (the mouth's lining) shades nothing."""
NEAREST = 3
"""Discs that a point takes its shade from."""


@dataclass(frozen=True)
class Room:
    """Who stands in the light: what of the person takes it, and from which of its points."""

    patches: Discs  # of the rest pose
    weights: Tensor  # [K, 55] skinning of the patches
    nearest: Tensor  # [N, NEAREST] int64 patches
    share: Tensor  # [N, NEAREST] of each in a point's shade

    @classmethod
    def of(cls, surface: Surface, points: Tensor) -> Room:
        """The room of the N `points` [N, 3] (metres, rest pose) of a surface; all on the CPU."""
        patches, weights = _patches(surface)
        distance, nearest = cKDTree(patches.position.numpy()).query(points.numpy(), k=NEAREST)
        closeness = 1.0 / (distance + 0.1 * PATCH) ** 2
        share = closeness / closeness.sum(1, keepdims=True)
        return cls(patches, weights, torch.as_tensor(nearest), torch.as_tensor(share, dtype=torch.float32))

    def to(self, device: torch.device) -> Room:
        """The same on `device`."""
        patches = Discs(*(values.to(device) for values in vars(self.patches).values()))
        return Room(patches, *(values.to(device) for values in (self.weights, self.nearest, self.share)))

    def posed(self, transforms: Tensor) -> PosedRoom:
        """The room of a body posed by `transforms` [55, 4, 4]."""
        blended = (self.weights @ transforms[:, :3].reshape(-1, 12)).view(-1, 3, 4)
        position = (blended[:, :, :3] @ self.patches.position[:, :, None])[:, :, 0] + blended[:, :, 3]
        normal = (blended[:, :, :3] @ self.patches.normal[:, :, None])[:, :, 0]
        normal = torch.nn.functional.normalize(normal, dim=1)
        return PosedRoom(replace(self.patches, position=position, normal=normal), self.nearest, self.share)


@dataclass(frozen=True)
class PosedRoom:
    """One pose of it."""

    discs: Discs  # world
    nearest: Tensor  # [N, NEAREST] int64 discs
    share: Tensor  # [N, NEAREST]

    def light_on(self, normal: Tensor, light: Light) -> Tensor:
        """What points of unit `normal` [N, 3] (world) catch of a light [N]; the mean of the sky alone is 1."""
        sky, lamp = (torch.as_tensor(part, dtype=torch.float32).to(normal) for part in (light.sky, light.lamp))
        caught = irradiance(normal, sky) * self.of_sky(sky)
        if not lamp.any():
            return caught
        towards = torch.nn.functional.normalize(lamp, dim=0)
        return caught + (normal @ lamp).clamp(min=0) * self.of_lamps(towards[None])[0]

    def of_sky(self, sky: Tensor) -> Tensor:
        """Share [N] of the light of `sky` [3] that the person leaves to each point."""
        return self._at_points(unshaded(self.discs, sky))

    def of_lamps(self, towards: Tensor) -> Tensor:
        """Share [L, N] of lamps in the unit directions `towards` [L, 3]."""
        return self._at_points(in_sight(self.discs, towards))

    def _at_points(self, values: Tensor) -> Tensor:
        return (values[..., self.nearest] * self.share).sum(-1)


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
