"""Smooth colours for what has no pattern: skin, shoes and hair that the photo does not show."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

BLUR = 0.015
"""Metres over which seen colours are blended into the unseen; farther away, all of them count."""
DONORS = 600
"""Seen texels that are asked at most."""
AT_ONCE = 4096
"""Unseen texels that are looked at together, for memory's sake."""


def blended(
    query: np.ndarray,  # [U, 3] metres
    places: np.ndarray,  # [D, 3] metres, of seen texels
    color: np.ndarray,  # [D, 3] theirs
) -> np.ndarray:  # [U, 3]
    """A mean of all seen colours, the near ones first: no copy, for the edges of copies look like a mosaic on skin."""
    chosen = np.random.default_rng(0).permutation(len(places))[:DONORS]
    places, color = places[chosen], color[chosen]
    pieces = []
    for start in range(0, len(query), AT_ONCE):
        weight = (cdist(query[start : start + AT_ONCE], places, "sqeuclidean") + BLUR**2) ** -1.5
        pieces.append(weight @ color / weight.sum(1, keepdims=True))
    return np.concatenate(pieces) if pieces else np.zeros((0, 3))


def by_distance(apart: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Means [U, C] of the `values` [U, K, C] of K neighbours `apart` [U, K] metres, the near ones first."""
    weight = 1.0 / (apart + 1e-3) ** 2
    return (values * weight[..., None]).sum(1) / weight.sum(1, keepdims=True)
