"""The objective of the fit: how far a body is from what the photo says and from what is usual."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from backend.body.posing import Posable
from shared.skeleton import LEFT_HAND, RIGHT_HAND

from .contour import Silhouette
from .evidence import WRONG_AFTER, Evidence
from .levenberg import Solution, minimise
from .parameters import Layout, Prior
from .rig import joined, posed

NEAREST = 0.1
"""Metres in front of the camera to which points are kept, so that no step turns the picture inside out."""
FINGER_COUPLING_STD = 0.12
"""Radians by which a finger's last joint may stray from two thirds of the middle one's bend."""


@dataclass(frozen=True)
class View:
    """The fitting camera: at the origin, level, looking along -Z; only its focal length is fitted."""

    width: int
    height: int

    def project(self, points: Tensor, log_focal: Tensor) -> Tensor:
        """World points [B, N, 3] to pixels [B, N, 2]."""
        flat = points[..., :2] * torch.tensor([1.0, -1.0], dtype=points.dtype)
        depth = (-points[..., 2:]).clamp(min=NEAREST)
        return flat / depth * log_focal.exp()[:, None] + torch.tensor([self.width / 2, self.height / 2])


@dataclass(frozen=True)
class Objective:
    """Everything that a stage of the fit compares."""

    view: View
    prior: Prior
    landmarks: Posable  # the points of the evidence's rows
    evidence: Evidence
    silhouette: Silhouette | None = None

    @cached_property
    def points(self) -> Posable:
        """The landmarks, then the silhouette's samples."""
        return self.landmarks if self.silhouette is None else joined([self.landmarks, self.silhouette.points])

    def minimise(self, start: Tensor, free: list[int], steps: int) -> Solution:
        """Move the free entries of `start` [P] to a nearby minimum."""
        weight, scale = self._robustness()
        pixels_per_metre = self._pixels_per_metre(start)
        residuals = self._residuals(free, pixels_per_metre)
        return minimise(residuals, weight, scale, start, free, self.prior.low, self.prior.high, steps=steps)

    def with_evidence(self, evidence: Evidence) -> Objective:
        """The same objective for other evidence about the same points."""
        return replace(self, evidence=evidence)

    def errors(self, x: Tensor) -> np.ndarray:
        """Distance between seen and fitted landmarks in sigmas, [M]."""
        missed = self.predict(x)[: len(self.evidence.pixels)].numpy() - self.evidence.pixels
        return np.linalg.norm(missed, axis=1) / (self.evidence.sigma * self._pixels_per_metre(x))

    def predict(self, x: Tensor) -> Tensor:
        """Pixels [M, 2] of the points for the fitted numbers `x` [P]."""
        return self.view.project(self._pose(x[None]), x[None, Layout.LOG_FOCAL])[0]

    def _pose(self, x: Tensor) -> Tensor:
        layout = self.prior.layout
        parts = (Layout.POSE, Layout.TRANSL, layout.betas, layout.expression)
        return posed(self.points, *(x[:, part] for part in parts))

    def _pixels_per_metre(self, x: Tensor) -> float:
        depth = -self._pose(x[None])[0, : len(self.evidence.pixels), 2]
        return float(x[Layout.LOG_FOCAL].exp() / depth.median().clamp(min=NEAREST))

    def _robustness(self) -> tuple[Tensor, Tensor]:
        weight = torch.from_numpy(self.evidence.weight)
        scale = torch.full_like(weight, WRONG_AFTER)
        if self.silhouette is None:
            return weight, scale
        more = self.silhouette.robustness()
        return torch.cat([weight, more[0]]), torch.cat([scale, more[1]])

    def _residuals(self, free: list[int], pixels_per_metre: float) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        observed, sigma = torch.from_numpy(self.evidence.pixels), torch.from_numpy(self.evidence.sigma)
        count, index = len(observed), torch.tensor(free)
        coupled = _finger_pairs(free)

        def residuals(x: Tensor) -> tuple[Tensor, Tensor]:
            points = self._pose(x)
            pixels = self.view.project(points, x[:, Layout.LOG_FOCAL])
            robust = (pixels[:, :count] - observed) / (sigma * pixels_per_metre)[:, None]
            if self.silhouette is not None:
                robust = torch.cat([robust, self.silhouette.residuals(pixels[:, count:], pixels_per_metre)], dim=1)
            usual = self.prior.deviation(x)[:, index]
            coupling = (x[:, coupled[:, 1]] - x[:, coupled[:, 0]] * 2 / 3) / FINGER_COUPLING_STD
            return robust, torch.cat([usual, coupling, self._limbs(points)], dim=1)

        return residuals

    def _limbs(self, points: Tensor) -> Tensor:
        """Deviation of limb directions from MediaPipe's guess in depth, [B, 3 L]."""
        bones = points[:, self.evidence.limb[:, 1]] - points[:, self.evidence.limb[:, 0]]
        direction = bones / (bones.square().sum(-1, keepdim=True) + 1e-8).sqrt()
        weight = torch.from_numpy(np.sqrt(self.evidence.limb_weight))[:, None]
        return ((direction - torch.from_numpy(self.evidence.limb_direction)) * weight).flatten(1)


def _finger_pairs(free: list[int]) -> Tensor:
    """[N, 2] entries: bend of a finger's middle joint and of its last one, where both are free. Thumbs are left out."""
    first_joints = (*range(LEFT_HAND.start, LEFT_HAND.stop - 3, 3), *range(RIGHT_HAND.start, RIGHT_HAND.stop - 3, 3))
    pairs = [(3 * (joint + 1) + 2, 3 * (joint + 2) + 2) for joint in first_joints]
    kept = [pair for pair in pairs if pair[0] in free and pair[1] in free]
    return torch.tensor(kept, dtype=torch.long).reshape(-1, 2)
