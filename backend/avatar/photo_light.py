"""Where a photo's light comes from: the sky and the lamp under which the seen surface's materials are most alike."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.cluster.vq import kmeans2

from backend.avatar.light import GAMMA, PosedRoom
from backend.raster.shadow import DARKEST
from backend.stages import Light

FROM_ABOVE = (0.0, 0.3, 0.0)
"""What the sky is taken for where the photo says nothing: most rooms and all skies are brighter above."""
UNLIKE = 0.15
"""Logarithm by which the colours of one material vary for other reasons than light; what misses more counts little."""
TELLING = 12
"""Independent things that a person's texels tell: folds and prints go over many of them."""
SKY_VARIES, LAMP_VARIES = 0.3, 1.0
"""How far (standard deviation) skies are from `FROM_ABOVE`, and how strong lamps are beside them."""
PRIOR = UNLIKE**2 / TELLING / np.array([SKY_VARIES, SKY_VARIES, SKY_VARIES, LAMP_VARIES]) ** 2
"""Weight of that against the mean of the photo's texels."""
STRONGEST = 0.9
"""Length of `sky` at most: radiance is never negative."""
BLACK = 0.003
"""Linear light below which a photo's colours say nothing."""
SAMPLES = 4000
MATERIALS = 8
LAMPS = 400
"""Directions all round, some 10 degrees apart, of which those in question are tried."""
SKY_ROUNDS, LAMP_ROUNDS, STEPS = 4, 3, 5
"""Rounds of grouping without and with a lamp, and steps of the fit in each."""


def estimate_light(color: np.ndarray, normal: np.ndarray, room: PosedRoom, to_camera: np.ndarray) -> Light:
    """The light that made the photo's texels what they are.

    The M texels `color` [M, 3] (sRGB in [0, 1]) with unit `normal` [M, 3] (world), at the points of `room`, are grouped
    into materials, and the light that makes each material most alike is found together with the grouping. A lamp is
    sought above the horizon, on the side where the unit vector `to_camera` [3] points: those behind the person light
    little that the photo shows.
    """
    guess = _Guess(np.array(FROM_ABOVE), 0.0, _Lamp(np.zeros(3), np.zeros(len(color))))
    if len(color) >= MATERIALS:
        lamps = _lamps(normal, room, to_camera)
        photo = _Photo.of(color, normal, room)
        groups = photo.grouped(guess, None)
        for _ in range(SKY_ROUNDS):
            groups = photo.grouped(guess, groups)
            guess = photo.improved(guess, groups)
        for _ in range(LAMP_ROUNDS):
            groups = photo.grouped(guess, groups)
            guess = min(
                (photo.improved(replace(guess, lamp=lamp), groups) for lamp in lamps), key=lambda tried: tried.cost
            )
    return Light(guess.sky, guess.strength * guess.lamp.towards)


@dataclass(frozen=True)
class _Lamp:
    """A lamp of strength 1 somewhere."""

    towards: np.ndarray  # [3] unit
    caught: np.ndarray  # [M] what the texels catch of it


@dataclass(frozen=True)
class _Guess:
    """A light, and how badly it explains the photo."""

    sky: np.ndarray  # [3]
    strength: float
    lamp: _Lamp
    cost: float = 0.0

    def stepped(self, step: np.ndarray) -> _Guess:
        """The nearest possible light to that after a `step` [4] of sky and strength."""
        sky = self.sky + step[:3]
        sky *= min(1.0, STRONGEST / max(float(np.linalg.norm(sky)), 1e-9))
        return replace(self, sky=sky, strength=max(self.strength + step[3], 0.0))

    @property
    def unusual(self) -> np.ndarray:
        """How far it is from what a light is expected to be, [4]."""
        return np.array([*(self.sky - FROM_ABOVE), self.strength])


@dataclass(frozen=True)
class _Groups:
    """Which texels are of one material."""

    centres: np.ndarray  # [MATERIALS, 4] log brightness without light, and hue
    of: np.ndarray  # [M] int

    def means(self, values: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Weighted means [MATERIALS, ...] of `values` [M, ...]."""
        shares = np.zeros((MATERIALS, len(self.of)))
        shares[self.of, np.arange(len(self.of))] = weight
        return ((shares @ values).T / np.maximum(shares.sum(1), 1e-9)).T


@dataclass(frozen=True)
class _Photo:
    """What the photo shows of M texels."""

    brightness: np.ndarray  # [M] log of linear light
    hue: np.ndarray  # [M, 3] log, twice as telling as brightness
    normal: np.ndarray  # [M, 3] unit, world
    sky_left: np.ndarray  # [M] share of the sky that the person leaves to them

    @classmethod
    def of(cls, color: np.ndarray, normal: np.ndarray, room: PosedRoom) -> _Photo:
        linear = color.astype(np.float64) ** GAMMA + BLACK
        mean = linear.mean(1)
        sky_left = room.of_sky(torch.tensor(FROM_ABOVE)).numpy().astype(np.float64)
        return cls(np.log(mean), 2.0 * np.log(linear / mean[:, None]), normal.astype(np.float64), sky_left)

    def caught(self, guess: _Guess) -> np.ndarray:
        """Light [M] that the texels catch."""
        sky = np.maximum(1 + 2 / 3 * self.normal @ guess.sky, DARKEST) * self.sky_left
        return sky + guess.strength * guess.lamp.caught

    def grouped(self, guess: _Guess, before: _Groups | None) -> _Groups:
        """The texels' materials, if the light is as guessed."""
        looks = np.concatenate([(self.brightness - np.log(self.caught(guess)))[:, None], self.hue], axis=1)
        start, how = (MATERIALS, "++") if before is None else (before.centres, "matrix")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "One of the clusters is empty")  # people may wear fewer materials
            return _Groups(*kmeans2(looks, start, iter=5, minit=how, seed=0))

    def improved(self, guess: _Guess, groups: _Groups) -> _Guess:
        """The guess after some Gauss-Newton steps of a robust fit in which each material's own brightness is free."""
        own = groups.centres[:, 0]
        for _ in range(STEPS):
            caught = self.caught(guess)
            bare = self.brightness - np.log(caught)
            weight = 1.0 / (1.0 + ((bare - own[groups.of]) / UNLIKE) ** 2)
            own = groups.means(bare, weight)
            slope = np.column_stack([2 / 3 * self.normal * self.sky_left[:, None], guess.lamp.caught]) / caught[:, None]
            slope -= groups.means(slope, weight)[groups.of]
            system = (weight[:, None] * slope).T @ slope / len(slope) + np.diag(PRIOR)
            pull = (weight * (bare - own[groups.of])) @ slope / len(slope) - PRIOR * guess.unusual
            guess = guess.stepped(np.linalg.solve(system, pull))
        missed = UNLIKE**2 * np.log1p(((bare - own[groups.of]) / UNLIKE) ** 2).mean()
        return replace(guess, cost=float(missed + PRIOR @ guess.unusual**2))


def _lamps(normal: np.ndarray, room: PosedRoom, to_camera: np.ndarray) -> list[_Lamp]:
    """The lamps in question, and what texels of unit `normal` [M, 3] at the points of `room` catch of each."""
    tried = [towards for towards in _all_round(LAMPS) if towards[1] > 0 and towards @ to_camera > 0]
    left = room.of_lamps(torch.as_tensor(np.array(tried), dtype=torch.float32)).numpy()
    return [_Lamp(towards, np.maximum(normal @ towards, 0) * share) for towards, share in zip(tried, left, strict=True)]


def _all_round(count: int) -> np.ndarray:
    """Unit vectors [count, 3], evenly spread: a spiral whose turns follow the golden ratio."""
    height = 1 - (2 * np.arange(count) + 1) / count
    turn = np.pi * (3 - 5**0.5) * np.arange(count)
    return np.column_stack([np.sqrt(1 - height**2) * np.sin(turn), height, np.sqrt(1 - height**2) * np.cos(turn)])
