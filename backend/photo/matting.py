"""From a soft prior to an alpha matte: local colour evidence, then closed-form matting in the band that is unsure."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from pymatting import cf_laplacian, cg, estimate_foreground_ml, ichol
from scipy.spatial import cKDTree

DECIDE_WEIGHT, DRAW_WEIGHT = 0.1, 0.02
"""Of the evidence against the matting Laplacian: more to decide on which side a region lies, less to draw its edge."""
SMOOTHNESS, LEAST = 1e-6, 1e-6  # of the Laplacian; of what keeps an undecided region without edges solvable
NARROWING = 0.2  # of the band, for drawing the edge
DOUBT = 0.03  # a prior within this of 0 or 1 is firm
PRIOR_WEIGHT = 0.7  # of the prior's log odds; its edges are some pixels off
COLOUR_SCALE = 0.04  # this much nearer in colour (of 1) to one side counts one unit of log odds
COLOUR_LIMIT = 5.0  # log odds that colour may reach, more than the prior's: it opens gaps the prior closes
REACH = 0.15  # one person's width away counts as much as this difference of colour
SAMPLES = 20_000
NEIGHBOURS = 32  # fewer find a stripe's mixed edge that happens to have the background's colour


@dataclass(frozen=True)
class Knowledge:
    """What is known about every pixel before its colour is looked at."""

    prior: np.ndarray  # [H, W] probability of the person
    sure: np.ndarray  # [H, W] bool: certainly the person (skeleton, face)
    never: np.ndarray  # [H, W] bool: certainly not the person
    gaps: np.ndarray  # [H, W] bool: unsure however firm the prior
    band: np.ndarray  # [H, W] pixels: half width of the unsure band


def alpha_from_prior(rgb: np.ndarray, known: Knowledge) -> np.ndarray:
    """Alpha [H, W] float32 in [0, 1] of `rgb` [H, W, 3] float64 in [0, 1].

    Twice, in a wide and then in a narrow band, minimises a' L a + w (a - evidence)^2 over the unsure pixels: L is the
    matting Laplacian of Levin et al. (2008), the evidence is weighted by its confidence as in Wang and Cohen, "Robust
    Matting" (2007). The first time decides what belongs to the person, the second draws the edge without haze.
    """
    inner, outer = _depths(known.prior)
    foreground = (inner > known.band) & (known.prior > 1 - DOUBT) & ~known.gaps
    background = (outer > known.band) & (known.prior < DOUBT)
    # A closed gap looks as firm in the prior as an arm does: there colour decides alone.
    belief = np.where(known.gaps, np.minimum(known.prior, 0.5), known.prior)
    decided = _matte(rgb, known, belief, foreground, background, DECIDE_WEIGHT)
    inner, outer = _depths(decided)
    narrow = NARROWING * known.band
    return _matte(rgb, known, decided, inner > narrow, outer > narrow, DRAW_WEIGHT)


def foreground_colours(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The person's own colours [H, W, 3] uint8 of `rgb` [H, W, 3] float64, the background taken out of mixed pixels."""
    colours = estimate_foreground_ml(rgb, alpha.astype(np.float64))
    return np.round(255 * np.clip(colours, 0, 1)).astype(np.uint8)


def _depths(belief: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances in pixels [H, W] to where the belief changes its mind, from inside and from outside."""
    inside = (belief > 0.5).astype(np.uint8)
    return cv2.distanceTransform(inside, cv2.DIST_L2, 5), cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)


def _matte(
    rgb: np.ndarray,
    known: Knowledge,
    belief: np.ndarray,
    foreground: np.ndarray,
    background: np.ndarray,
    weight: float,
) -> np.ndarray:
    foreground = (foreground & ~known.never) | known.sure
    background = (background | known.never) & ~foreground
    unsure = ~(foreground | background)
    alpha = foreground.astype(np.float64)
    if unsure.any():
        evidence = _evidence(rgb, belief, foreground, background, unsure)
        alpha[unsure] = spread(rgb, alpha, unsure, evidence, weight)
    return np.clip(alpha, 0, 1).astype(np.float32)


def _evidence(
    rgb: np.ndarray, belief: np.ndarray, foreground: np.ndarray, background: np.ndarray, unsure: np.ndarray
) -> np.ndarray:
    """Probability [U] of foreground for the unsure pixels: the belief, corrected by the colours certain nearby."""
    place = REACH / np.sqrt(foreground.sum() + 1) * np.moveaxis(np.indices(belief.shape), 0, 2)
    features = np.concatenate([rgb, place], axis=2)
    near = cv2.dilate(unsure.astype(np.uint8), np.ones((41, 41), np.uint8)).astype(bool)
    nearer = _distance(features[background & near], features[unsure])
    nearer -= _distance(features[foreground & near], features[unsure])
    clipped = np.clip(belief[unsure], 0.02, 0.98)
    log_odds = PRIOR_WEIGHT * np.log(clipped / (1 - clipped))
    log_odds += np.clip(nearer / COLOUR_SCALE, -COLOUR_LIMIT, COLOUR_LIMIT)
    return 1 / (1 + np.exp(-log_odds))


def _distance(samples: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Mean distance [U] of `queries` [U, 5] to their nearest `samples` [S, 5]; 1 if there are too few."""
    if len(samples) < NEIGHBOURS:
        return np.ones(len(queries))
    chosen = samples[np.random.default_rng(0).permutation(len(samples))[:SAMPLES]]
    return cKDTree(chosen).query(queries, k=NEIGHBOURS, eps=0.2)[0].mean(axis=1)


def spread(
    rgb: np.ndarray,
    alpha: np.ndarray,
    unsure: np.ndarray,
    evidence: np.ndarray,
    weight: float,
    smoothness: float = SMOOTHNESS,
    least: float = LEAST,
) -> np.ndarray:
    """Alpha [U] of the unsure pixels [H, W] of a picture `rgb` [H, W, 3] in [0, 1], the others held as they are.

    `evidence` [U] is what is believed of each before its neighbours are asked; `weight` is its part, `smoothness` makes
    the Laplacian blinder to small differences of colour, and what nothing decides is pulled to 0 by `least`.
    """
    flat = unsure.ravel()
    laplacian = cf_laplacian(rgb, epsilon=smoothness, is_known=~flat).tocsr()[flat]
    confidence = weight * np.abs(2 * evidence - 1)
    system = laplacian[:, flat].tocsc()
    system.setdiag(system.diagonal() + confidence + least)
    right = confidence * evidence - laplacian[:, ~flat] @ alpha.ravel()[~flat]
    return cg(system, right, M=ichol(system, discard_threshold=1e-4), rtol=1e-5, maxiter=500)
