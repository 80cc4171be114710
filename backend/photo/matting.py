"""From a soft prior to an alpha matte: local colour evidence, then closed-form matting in the band that is unsure."""

from __future__ import annotations

import cv2
import numpy as np
from pymatting import cf_laplacian, cg, estimate_foreground_ml, ichol
from scipy.spatial import cKDTree

EVIDENCE_WEIGHT = 0.02  # of the colour evidence against the matting Laplacian
COLOUR_SCALE = 0.05  # a colour difference (of 1) that tells two surfaces apart
SAMPLES = 20_000
NEIGHBOURS = 8


def alpha_from_prior(
    rgb: np.ndarray,  # [H, W, 3] float64 in [0, 1]
    prior: np.ndarray,  # [H, W] probability
    sure: np.ndarray,  # [H, W] bool: certainly the person (skeleton, face)
    never: np.ndarray,  # [H, W] bool: certainly not the person
    band: np.ndarray,  # [H, W] pixels: half width of the unsure band
) -> np.ndarray:
    """Alpha [H, W] float32 in [0, 1].

    Minimises a' L a + w (a - evidence)^2 over the unsure pixels, L the matting Laplacian of Levin et al. (2008), with
    the evidence weighted by its confidence as in Wang and Cohen, "Robust Matting" (2007).
    """
    foreground, background = _certain(prior, sure, never, band)
    unsure = ~(foreground | background)
    alpha = foreground.astype(np.float64)
    if unsure.any() and foreground.any():
        evidence = _evidence(rgb, prior, foreground, background, unsure)
        alpha[unsure] = _solve(rgb, alpha, unsure, evidence)
    return np.clip(alpha, 0, 1).astype(np.float32)


def foreground_colours(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The person's own colours [H, W, 3] uint8 of `rgb` [H, W, 3] float64, the background taken out of mixed pixels."""
    colours = estimate_foreground_ml(rgb, alpha.astype(np.float64))
    return np.round(255 * np.clip(colours, 0, 1)).astype(np.uint8)


def _certain(prior: np.ndarray, sure: np.ndarray, never: np.ndarray, band: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Masks of certain foreground and background: further than `band` from where the prior changes its mind."""
    to_background = cv2.distanceTransform((prior > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    to_foreground = cv2.distanceTransform((prior <= 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    foreground = ((to_background > band) & (prior > 0.9) & ~never) | sure
    background = ((to_foreground > band) & (prior < 0.1) & ~sure) | never
    return foreground, background & ~foreground


def _evidence(
    rgb: np.ndarray, prior: np.ndarray, foreground: np.ndarray, background: np.ndarray, unsure: np.ndarray
) -> np.ndarray:
    """Probability [U] of foreground for the unsure pixels: the prior, corrected by the colours certain nearby."""
    reach = 0.15 / np.sqrt(foreground.sum())  # one person's width is as far as a strong difference of colour
    features = np.concatenate([rgb, reach * np.moveaxis(np.indices(prior.shape), 0, 2)], axis=2)
    near = cv2.dilate(unsure.astype(np.uint8), np.ones((41, 41), np.uint8)).astype(bool)
    to_foreground = _distance(features[foreground & near], features[unsure])
    to_background = _distance(features[background & near], features[unsure])
    colour = np.clip((to_background - to_foreground) / COLOUR_SCALE, -4, 4)
    clipped = np.clip(prior[unsure], 0.05, 0.95)
    return 1 / (1 + np.exp(-(colour + np.log(clipped / (1 - clipped)))))


def _distance(samples: np.ndarray, queries: np.ndarray) -> np.ndarray:
    if len(samples) < NEIGHBOURS:
        return np.ones(len(queries))
    chosen = samples[np.random.default_rng(0).permutation(len(samples))[:SAMPLES]]
    return cKDTree(chosen).query(queries, k=NEIGHBOURS, eps=0.2)[0].mean(axis=1)


def _solve(rgb: np.ndarray, alpha: np.ndarray, unsure: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    flat = unsure.ravel()
    laplacian = cf_laplacian(rgb, epsilon=1e-6, is_known=~flat).tocsr()[flat]
    weight = EVIDENCE_WEIGHT * np.abs(2 * evidence - 1)
    system = laplacian[:, flat].tocsc()
    system.setdiag(system.diagonal() + weight + 1e-6)
    right = weight * evidence - laplacian[:, ~flat] @ alpha.ravel()[~flat]
    return cg(system, right, M=ichol(system, discard_threshold=1e-4), rtol=1e-5, maxiter=500)
