"""The rings that a layer of long hair is lofted through, in the head's rest frame.

They run along the hair's outline at the sides, off the skull where it is widest, behind the head as far off it as
there, and hang straight below.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from backend.registration.hair_sights import TEMPLES
from backend.registration.wearer import Wearer
from shared.skeleton import JOINT_INDEX

LEVEL = 0.004  # metres between rings
AROUND = 128  # vertices in a ring
CLEARANCE = 0.006  # metres between skin or cloth and the hair over it
FRONT_DEPTH = 0.06  # metres from the middle plane to the front of the free ellipse
CROWN_HEIGHT = 0.03  # metres from the hair's top within which the back rounds off
FULLNESS = 2.7  # exponent of the superellipse that a ring of hair is; 2 is an ellipse
OVER_EARS = 0.035  # metres from the eyes up to where a skull is widest
BESIDE = 0.01  # metres: where skin of the head reaches so much farther to a side than hair, it hides what hangs there
FEWEST_RINGS = 8
SKULL = [JOINT_INDEX["head"], JOINT_INDEX["jaw"]]


@dataclass(frozen=True)
class HairRings:
    """K rings at equal height, top down; the first half of each runs before the middle plane, from right to left."""

    points: np.ndarray  # [K, AROUND, 3] metres
    back: np.ndarray  # [K] z of the hair behind the head


def hair_rings(
    plane: np.ndarray,  # [P, 2] metres, x and y of the hair's pixels on the head's middle plane
    bare: np.ndarray,  # [Q, 2] metres, the same of what of the head shows skin
    body: np.ndarray,  # [V, 3] metres, the clothed body as the photo poses it, in the head's rest frame
    wearer: Wearer,
) -> HairRings | None:
    """The rings of this hair; None if too little of it is in the picture."""
    heights, left, right = _outline(plane, bare, wearer.joints[JOINT_INDEX["head"], 0])
    if len(heights) < FEWEST_RINGS:
        return None
    ears, neck, eye = (wearer.joints[JOINT_INDEX[name]] for name in ("head", "neck", "left_eye"))
    off = np.where(heights > ears[1], _thickness(heights, left, right, wearer), CLEARANCE)
    back = _back_line(heights, left, right, body, off)
    rings = _straight_behind(_rings(heights, left, right, back, ears[2]), heights > neck[1], ears[2])
    skull = body[np.isin(wearer.dominant, SKULL)]
    return HairRings(_beside_skull(rings, skull, ears, eye[1] + OVER_EARS), back)


def _outline(plane: np.ndarray, bare: np.ndarray, middle: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Heights of the rings, top down, and the hair's leftmost and rightmost x there.

    Where the face hides one side of it, because the head is turned, that reaches as far from the `middle` as the other.
    """
    present = np.unique(np.floor(plane[:, 1] / LEVEL).astype(int))[::-1]
    reach, skin = (_farthest(points, present, middle) for points in (plane, bare))
    hidden = skin > reach + BESIDE
    reach = np.where(hidden & ~hidden[::-1], np.maximum(reach, reach[::-1]), reach)
    left, right = gaussian_filter1d(reach, 2.0, axis=1, mode="nearest")
    return (present + 0.5) * LEVEL, middle - left, middle + right


def _farthest(points: np.ndarray, levels: np.ndarray, middle: float) -> np.ndarray:
    """How far to the left and to the right of the `middle` points [P, 2] reach at each of the levels [K], [2, K]."""
    level, aside = np.floor(points[:, 1] / LEVEL).astype(int), points[:, 0] - middle
    sides = [[(sign * aside[level == k]).max(initial=-np.inf) for k in levels] for sign in (-1.0, 1.0)]
    return np.array(sides)


def _thickness(heights: np.ndarray, left: np.ndarray, right: np.ndarray, wearer: Wearer) -> float:
    """Metres that hair stands off the skull at the sides, from ears to temples; the back is taken alike.

    The skull is measured over the ears: they stand off it themselves, and hair lies over them.
    """
    ears, eyes = (wearer.joints[JOINT_INDEX[name], 1] for name in ("head", "left_eye"))
    level = (heights > ears) & (heights < eyes + 0.04)
    if not level.any():
        return 2 * CLEARANCE
    over_ears = np.abs(wearer.vertices[:, 1] - eyes - OVER_EARS) < 0.015
    bare = np.ptp(wearer.vertices[(wearer.dominant == JOINT_INDEX["head"]) & over_ears, 0])
    return max(0.5 * float(np.percentile((right - left)[level], 90) - bare), 2 * CLEARANCE)


def _back_line(
    heights: np.ndarray, left: np.ndarray, right: np.ndarray, body: np.ndarray, off: np.ndarray
) -> np.ndarray:
    """z of the hair behind the head at each height: `off` [K] metres off the body, below the scalp hanging straight."""
    behind = np.empty(len(heights))
    for k, height in enumerate(heights):
        near = (np.abs(body[:, 1] - height) < LEVEL) & (body[:, 0] > left[k]) & (body[:, 0] < right[k])
        behind[k] = body[near, 2].min() if near.any() else np.nan
    known = np.flatnonzero(np.isfinite(behind))
    behind = np.interp(np.arange(len(heights)), known, behind[known]) - off
    return np.minimum.accumulate(gaussian_filter1d(behind, 3.0, mode="nearest"))


def _rings(heights: np.ndarray, left: np.ndarray, right: np.ndarray, back: np.ndarray, z: float) -> np.ndarray:
    """Superellipses [K, AROUND, 3] through the outline and the back line."""
    angle = np.linspace(0, 2 * np.pi, AROUND, endpoint=False)
    centre, half_width = 0.5 * (left + right), 0.5 * (right - left)
    crown = np.maximum.accumulate(half_width) / half_width.max()
    rounded = np.sqrt(np.clip((heights[0] - heights + LEVEL) / CROWN_HEIGHT, 0.0, 1.0))
    depth = np.where(np.sin(angle) > 0, FRONT_DEPTH * crown[:, None], ((z - back) * rounded)[:, None])
    return np.stack(
        [
            centre[:, None] + half_width[:, None] * _fuller(np.cos(angle)),
            np.broadcast_to(heights[:, None], (len(heights), AROUND)),
            z + depth * _fuller(np.sin(angle)),
        ],
        axis=-1,
    )


def _straight_behind(rings: np.ndarray, beside: np.ndarray, z: float) -> np.ndarray:
    """Draw the rings' back [K, AROUND, 3] in to where hair is `beside` [K] the head: wider, it lies before the body."""
    drawn = rings.copy()
    x = rings[..., 0]
    drawn[..., 0] = np.where(drawn[..., 2] < z, np.clip(x, x[beside].min(), x[beside].max()), x)
    return drawn


def _fuller(coordinate: np.ndarray) -> np.ndarray:
    """An ellipse's coordinate on the superellipse."""
    return np.sign(coordinate) * np.abs(coordinate) ** (2.0 / FULLNESS)


def _beside_skull(rings: np.ndarray, skull: np.ndarray, centre: np.ndarray, widest: float) -> np.ndarray:
    """Move what of the rings' sides [K, AROUND, 3] lies within the `skull` [S, 3] out from its axis.

    Up to the height `widest`: over it hair lies on the skull, not beside it.
    """
    moved = rings.copy()
    for k in np.flatnonzero(rings[:, 0, 1] < widest):
        near = skull[np.abs(skull[:, 1] - rings[k, 0, 1]) < 2 * LEVEL]
        if len(near):
            reach, towards = _polar(near, centre)
            radius, angle = _polar(rings[k], centre)
            least = np.interp(angle, towards, reach, period=2 * np.pi) + CLEARANCE
            inside = (radius < least) & (rings[k, :, 2] < centre[2] + TEMPLES)
            scale = np.where(inside, least / radius, 1.0)[:, None]
            moved[k, :, [0, 2]] = (centre[[0, 2]] + (rings[k][:, [0, 2]] - centre[[0, 2]]) * scale).T
    return moved


def _polar(points: np.ndarray, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance [M] from the vertical axis through `centre`, and angle [M] round it."""
    beside = points[:, [0, 2]] - centre[[0, 2]]
    return np.linalg.norm(beside, axis=1), np.arctan2(beside[:, 1], beside[:, 0])
