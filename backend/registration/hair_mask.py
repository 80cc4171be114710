"""Which pixels of the photo are hair: a colour model of this person's hair, skin and clothes, seeded by the fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2
from scipy.ndimage import binary_closing, binary_erosion, binary_opening, gaussian_filter, label

GAMMA = 2.2
SEED_LIMIT = 4000
CLUSTERS = 5
BALD_SHARE = 0.3
"""Of a bald scalp's pixels about half look more like face; of hair, few."""
SHADED = 0.4
"""Of the hair's median light: what is darker lies in the shade of other hair."""
MIN_SEEDS = 60
"""Fewer hair seeds than this: the head is cropped or tiny, and no hair is looked for."""


def hair_mask(
    rgb: NDArray[np.uint8],  # [H, W, 3] the person's colours
    alpha: NDArray[np.float32],  # [H, W]
    scalp: NDArray[np.bool_],  # [H, W] pixels where the fitted body shows the upper scalp
    skin: NDArray[np.bool_],  # [H, W] pixels where it shows bare face skin
    clothes: NDArray[np.bool_],  # [H, W] pixels where it shows the trunk and arms below the neck
    reach: NDArray[np.bool_],  # [H, W] pixels that hair of this head could reach
) -> NDArray[np.bool_]:  # [H, W]
    """Hair pixels connected to the crown. Empty for a bald head, whose scalp looks like its face."""
    person = alpha > 0.5
    smooth = gaussian_filter(rgb.astype(np.float32), (0.7, 0.7, 0))
    seeds = [binary_erosion(where & person, iterations=2) for where in (scalp, skin, clothes)]
    if seeds[0].sum() < MIN_SEEDS or seeds[1].sum() < MIN_SEEDS:
        return np.zeros_like(person)
    likely = np.stack([_log_density(smooth, seed) for seed in seeds])
    if _bald(likely[0][seeds[0]], likely[1][seeds[0]]):
        return np.zeros_like(person)
    hair = (likely[0] > likely[1:].max(0)) & person & reach & ~skin
    return _connected_to(binary_opening(hair, iterations=1), seeds[0])


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


def _connected_to(mask: np.ndarray, seed: np.ndarray) -> np.ndarray:
    labels, _ = label(mask)
    wanted = np.unique(labels[seed & mask])
    return np.isin(labels, wanted[wanted > 0])
