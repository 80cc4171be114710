"""Which pixels of the photo are hair: it spreads from the crown over what looks alike, as far as skin and clothes.

The crown tells hair's colours ill: lengths lie in another light. So the matting Laplacian carries what is known from
pixel to pixel, and a colour model of this person's hair, skin and clothes decides only where that says little.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2
from scipy.ndimage import (
    binary_closing,
    binary_erosion,
    binary_opening,
    distance_transform_edt,
    gaussian_filter,
    label,
)

from backend.photo.matting import spread

GAMMA = 2.2
SEED_LIMIT = 4000
CLUSTERS = 5
BALD_SHARE = 0.3
"""Of a bald scalp's pixels about half look more like face; of hair, few."""
SHADED = 0.4
"""Of the hair's median light: what is darker lies in the shade of other hair."""
SIDE = 320
"""Pixels of the longer side at which hair is looked for."""
FIRM = 0.9
"""Share of a shrunk pixel that must be seed."""
MIN_SEEDS = 20
"""Fewer shrunk pixels than this: the head is cropped or tiny, and no hair is looked for."""
RIM = 0.15
"""Of the face's size: so near its outline it may lie under hair."""
BROW = 0.25
"""Of the face's size: what is less high is a brow, or a stray lock that lies level."""
TYPICAL = 0.5
"""Share of the skin's pixels, those next to their median colour, that no hair falls over."""
STRANDS = 0.15
"""Share of the clothes' pixels that a colour must have to be the clothes', not that of hair which falls there."""
WEIGHT, LEAST = 1e-3, 1e-5
"""Of the colours' evidence against the Laplacian, and of what draws an undecided region to skin and clothes."""
SMOOTHNESS = 1e-5
"""Of the Laplacian: the larger, the farther hair spreads over strands and shine."""
ODDS_SCALE, ODDS_LIMIT = 4.0, 3.0
"""Difference of log density that counts one unit of log odds, and how many count at most."""
STRANGE = 6.0
"""Log density by which what may be hair looks less like it than all that is sure."""
PERHAPS = 0.4
"""How far a pixel must be hair to link what is hair to the crown."""
STRAY = 0.1
"""Share of all hair that a lock must be which hangs apart from the rest."""
NOWHERE = (1.0, 0.0, 1.0)
"""A colour that nobody wears, for what lies beside the person: nothing spreads over it."""


@dataclass(frozen=True)
class Sights:
    """What the fitted naked body shows in each pixel; all [H, W] bool."""

    scalp: NDArray[np.bool_]  # the upper scalp
    skin: NDArray[np.bool_]  # bare skin of the lower face
    features: NDArray[np.bool_]  # the middle of the face, from between the eyes to the chin
    throat: NDArray[np.bool_]  # bare or clothed
    clothes: NDArray[np.bool_]  # trunk and arms below the neck
    beside: NDArray[np.bool_]  # over the chin, nothing next to the head, or the head behind the temples
    upper: NDArray[np.bool_]  # of that, what lies over the ears
    reach: NDArray[np.bool_]  # where hair of this head could be


def hair_mask(
    rgb: NDArray[np.uint8],  # [H, W, 3] the person's colours
    alpha: NDArray[np.float32],  # [H, W]
    sights: Sights,
) -> NDArray[np.bool_]:  # [H, W]
    """Hair pixels connected to the crown. Empty for a bald head, whose scalp looks like its face."""
    person = alpha > 0.5
    near = person & sights.reach
    hair = np.zeros_like(person)
    if not (near & sights.scalp).any():
        return hair
    crop = _box(near)
    shown = near[crop]
    small = _small_hair(_shrunk(rgb[crop]), _shrunk(shown) > 0.5, _shrunk_sights(sights, crop, person))
    hair[crop] = cv2.resize(small, shown.shape[::-1], interpolation=cv2.INTER_LINEAR) > 0.5
    return binary_opening(hair & near)


def _small_hair(rgb: np.ndarray, near: np.ndarray, sights: Sights) -> np.ndarray:
    """How far each pixel is hair, [h, w] in [0, 1]; `rgb` [h, w, 3] of 0 to 255, `near` [h, w] bool."""
    nothing = np.zeros(near.shape, np.float32)
    skin = distance_transform_edt(sights.skin) > RIM * np.sqrt(sights.skin.sum())
    if sights.scalp.sum() < MIN_SEEDS or skin.sum() < MIN_SEEDS:
        return nothing
    crown, face = _log_density(rgb, sights.scalp), _log_density(rgb, skin)
    if _bald(crown[sights.scalp], face[sights.scalp]):
        return nothing
    bare = (_typical(rgb, skin), _worn(rgb, sights.clothes))
    others = np.max([_log_density(rgb, seed) for seed in bare], axis=0)
    beside = sights.beside & (crown > others)
    hair = _connected_to(beside | sights.scalp, (beside & sights.upper) | sights.scalp)
    likely = np.maximum(crown, _log_density(rgb, hair))
    evidence = _evidence(likely, others, hair)
    throat = sights.throat & (evidence < 0.5)
    unsure = near & ~np.any([hair, throat, sights.features, *bare], axis=0)
    picture = np.where(near[..., None], rgb / 255.0, NOWHERE)
    known = hair.astype(np.float64)
    if unsure.any():
        known[unsure] = spread(picture, known, unsure, evidence[unsure], WEIGHT, SMOOTHNESS, LEAST)
    hangs = binary_opening(known > 0.5, np.ones((round(BROW * np.sqrt(sights.skin.sum())), 1)))
    linked = _connected_to(near & (known > PERHAPS), sights.scalp)
    return (known * _large(hangs & linked)).astype(np.float32)


def _evidence(likely: np.ndarray, others: np.ndarray, hair: np.ndarray) -> np.ndarray:
    """Probability of hair [h, w] by colour, from how `likely` [h, w] hair and `others` have it; `hair` is sure."""
    least = float(likely[hair].min()) - STRANGE  # what looks still less like hair is something unknown
    odds = likely - np.maximum(others, least)
    return 1 / (1 + np.exp(-np.clip(odds / ODDS_SCALE, -ODDS_LIMIT, ODDS_LIMIT)))


def _box(mask: np.ndarray) -> tuple[slice, slice]:
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _shrunk(picture: np.ndarray) -> np.ndarray:
    """A picture [H, W, ...] with at most `SIDE` pixels on its longer side, float32."""
    scale = min(1.0, SIDE / max(picture.shape[:2]))
    size = [max(1, round(scale * length)) for length in picture.shape[1::-1]]
    return cv2.resize(np.ascontiguousarray(picture, np.float32), size, interpolation=cv2.INTER_AREA)


def _shrunk_sights(sights: Sights, crop: tuple[slice, slice], person: np.ndarray) -> Sights:
    def firm(where: np.ndarray) -> np.ndarray:
        return binary_erosion(_shrunk((where & person)[crop]) > FIRM)

    return Sights(**{name: firm(where) for name, where in vars(sights).items()})


def _typical(rgb: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """The pixels of `seed` [h, w] that look most like its median, [h, w]: hair that falls there does not."""
    if not seed.any():
        return seed
    apart = ((rgb - np.median(rgb[seed], axis=0)) ** 2).sum(-1)
    return seed & (apart <= np.quantile(apart[seed], TYPICAL))


def _worn(rgb: np.ndarray, clothes: np.ndarray) -> np.ndarray:
    """The pixels of `clothes` [h, w] of colours that many of them have, [h, w]."""
    if clothes.sum() < CLUSTERS:
        return clothes
    _, member = kmeans2(rgb[clothes], CLUSTERS, seed=0, minit="++")
    worn = clothes.copy()
    worn[clothes] = np.bincount(member, minlength=CLUSTERS)[member] > STRANDS * len(member)
    return worn


def shaded_hair(
    mask: NDArray[np.bool_],  # [H, W] hair pixels
    rgb: NDArray[np.uint8],  # [H, W, 3] the person's colours
    alpha: NDArray[np.float32],  # [H, W]
    width: int,  # pixels: what is narrower is a gap between locks
) -> NDArray[np.bool_]:  # [H, W]
    """Hair that other hair keeps the light from: it hangs behind the neck and the cheeks, not beside them.

    A narrow strip between it and skin, where the colours of both mix, is counted in.
    """
    light = (rgb.astype(np.float32) / 255).mean(2) ** GAMMA
    covered = np.maximum(gaussian_filter(mask.astype(np.float32), 2.0), 1e-3)
    light = gaussian_filter(light * mask, 2.0) / covered
    dark = binary_opening(mask & (light < SHADED * np.median(light[mask])), iterations=max(width // 2, 1))
    skin = ~mask & (alpha > 0.5)
    strips = binary_closing(dark | skin, iterations=width) & mask
    return _connected_to(strips, dark)


def _bald(scalp: np.ndarray, skin: np.ndarray) -> bool:
    """Whether the scalp's pixels look like face skin as often as like themselves.

    `scalp` and `skin` [P] are the log-densities of the scalp's pixels under the two colour models.
    """
    return bool((skin > scalp).mean() > BALD_SHARE)


def _log_density(rgb: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """Log of a mixture of isotropic Gaussians around k-means centres of the seed pixels, per pixel [H, W]."""
    samples = rgb[seed]
    if len(samples) < CLUSTERS:
        return np.full(rgb.shape[:2], -np.inf, dtype=np.float32)
    samples = samples[:: max(1, len(samples) // SEED_LIMIT)]
    centres, member = kmeans2(samples, CLUSTERS, seed=0, minit="++")
    share = np.bincount(member, minlength=CLUSTERS) / len(samples)
    variance = np.array([_variance(samples[member == k], centres[k]) for k in range(CLUSTERS)])
    squared = ((rgb[:, :, None] - centres) ** 2).sum(-1)
    return np.max(np.log(share + 1e-4) - 0.5 * squared / variance - 1.5 * np.log(variance), axis=-1)


def _variance(samples: np.ndarray, centre: np.ndarray) -> float:
    floor = 36.0
    return floor if len(samples) == 0 else float(((samples - centre) ** 2).sum(1).mean() / 3 + floor)


def _large(mask: np.ndarray) -> np.ndarray:
    """What hangs together in pieces that are more than `STRAY` of it all."""
    labels, _ = label(mask)
    size = np.bincount(labels[mask], minlength=1)
    return mask & (size > STRAY * mask.sum())[labels]


def _connected_to(mask: np.ndarray, seed: np.ndarray) -> np.ndarray:
    labels, _ = label(mask)
    wanted = np.unique(labels[seed & mask])
    return np.isin(labels, wanted[wanted > 0])
