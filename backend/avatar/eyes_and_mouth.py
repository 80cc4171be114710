"""Eyes completed round their axis, lashes, and a mouth's inside, which no closed mouth shows."""

from __future__ import annotations

import numpy as np

from backend.avatar.anatomy import Anatomy
from shared.skeleton import JOINT_INDEX

MOUTH = {
    "upper_teeth": np.array([0.64, 0.60, 0.55]),
    "lower_teeth": np.array([0.48, 0.44, 0.40]),
    "tongue": np.array([0.52, 0.27, 0.26]),
    "cavity": np.array([0.25, 0.10, 0.10]),
}
"""sRGB of a mouth's inside, in the lips' shade, under light that shows skin at `SKIN_LUMA`."""
SKIN_LUMA = 0.62
IRIS, WHITE = np.array([0.18, 0.13, 0.10]), np.array([0.82, 0.80, 0.78])
"""sRGB of eyes that the photo does not show."""
IRIS_ANGLE, WHITE_ANGLE = 0.45, 0.75
"""Radians from the eye's axis: where an unseen iris ends, and beyond which all is white."""
FEWEST_SEEN = 4
"""Texels of an eye, or of a mouth's inside, below which it counts as unseen."""
LASHES = 0.4
"""How dark a lid is where the lashes grow: of a closed eye they are all that shows."""
TEETH = {"upper_teeth": 1.0, "lower_teeth": 0.85}
"""How bright they are beside the brightest that a smile shows: the lower ones lie in the shadow of the lip."""


def fill_eye(color: np.ndarray, known: np.ndarray, anatomy: Anatomy, eye: str, joints: np.ndarray) -> None:
    """Complete an eyeball by what is seen at the same angle from its axis, the white beyond."""
    here = np.flatnonzero(anatomy.part == eye)
    if not len(here):
        return
    direction = anatomy.position[here] - joints[JOINT_INDEX[eye]]
    angle = np.arccos(np.clip(direction[:, 2] / np.linalg.norm(direction, axis=1), -1, 1))
    seen = known[here]
    if seen.sum() < FEWEST_SEEN:
        color[here] = np.where(angle[:, None] < IRIS_ANGLE, IRIS, WHITE)
        return
    order = np.argsort(angle[seen])
    white = np.percentile(color[here[seen]], 85, axis=0)
    unseen = here[~seen]
    widest = angle[seen].max()
    for channel in range(3):
        along = np.interp(angle[~seen], angle[seen][order], color[here[seen]][order, channel])
        color[unseen, channel] = np.where(angle[~seen] > min(widest, WHITE_ANGLE), white[channel], along)


def paint_lashes(color: np.ndarray, known: np.ndarray, anatomy: Anatomy) -> None:
    """Darken the edges of the upper lids, which have the skin's colour already."""
    color[anatomy.lash & ~known] *= LASHES


def paint_mouth(color: np.ndarray, known: np.ndarray, anatomy: Anatomy) -> None:
    """Teeth, tongue and lining that the photo hides, as bright as the person's skin is in this light.

    A smile shows teeth, wherever the fit has them: the others are as bright, or a turned head would lose half of them.
    """
    face = known & anatomy.face & (anatomy.part == "skin")
    skin = float(np.median(color[face].mean(1))) if face.any() else SKIN_LUMA
    light = float(np.clip(skin / SKIN_LUMA, 0.6, 1.15))
    paint = {part: tint * light for part, tint in MOUTH.items()}
    seen = color[known & np.isin(anatomy.part, list(MOUTH))]
    if len(seen) >= FEWEST_SEEN:
        brightest = np.percentile(seen, 85, axis=0)
        if brightest.mean() > skin:
            paint |= {part: brightest * share for part, share in TEETH.items()}
    for part, tint in paint.items():
        color[(anatomy.part == part) & ~known] = tint
