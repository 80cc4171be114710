"""What the landmarks say about pixels before their colour is looked at: bones, gaps beside arms, other people, hair."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .crops import Box

ARMS = ((11, 13), (13, 15), (12, 14), (14, 16))
LEGS = ((23, 25), (25, 27), (24, 26), (26, 28))
FEET = ((27, 29), (29, 31), (28, 30), (30, 32))
GIRDLES, SIDES = ((11, 12), (23, 24)), ((11, 23), (12, 24))
TORSO = (*GIRDLES, *SIDES)
FINGERS = tuple((0 if k == 0 else base + k - 1, base + k) for base in (1, 5, 9, 13, 17) for k in range(4))
TORSO_CORNERS = [11, 12, 24, 23]
WAIST = 0.075
"""Share of a torso's width by which it may be slimmer, on each side, than the line from shoulder to hip."""


@dataclass(frozen=True)
class Scene:
    """What the matte is made from, in pixels of the working image."""

    rgb: np.ndarray  # [H, W, 3] uint8
    prior: np.ndarray  # [H, W] probability of the chosen person
    body: np.ndarray  # [33, 2] landmarks of the chosen person
    confidence: np.ndarray  # [33]
    face: np.ndarray  # [478, 2]
    hands: list[np.ndarray]  # [21, 2] of each hand that was made out
    others: list[np.ndarray]  # [33, 2] points of each other person
    torso: float  # pixels


def skeleton(scene: Scene, radius: float = 0.025) -> np.ndarray:
    """The chosen person's bones, fingers and face as a mask [H, W] bool; `radius` of the limbs in torsos."""
    visible, shape, pixels = scene.confidence > 0.5, scene.prior.shape, radius * scene.torso
    mask = _bones(scene.body, (*ARMS, *LEGS, *GIRDLES), visible, pixels, shape)
    mask |= _bones(_slimmed(scene.body), SIDES, visible, pixels, shape)
    mask |= _bones(scene.body, FEET, visible, 0.4 * pixels, shape)
    for hand in scene.hands:
        mask |= _bones(hand, FINGERS, np.ones(21, bool), 0.3 * pixels, shape)
    hull = cv2.convexHull(scene.face.astype(np.float32)).astype(np.int32)
    cv2.fillConvexPoly(mask, hull, (1,))
    return mask.astype(bool)


def gaps(scene: Scene) -> np.ndarray:
    """Where the background may show between arm and torso, which the prior's coarse masks close: [H, W] bool."""
    visible, shape, torso = scene.confidence > 0.5, scene.prior.shape, scene.torso
    beside = _bones(scene.body, ARMS, visible, 0.4 * torso, shape)
    core = _bones(scene.body, ARMS, visible, 0.05 * torso, shape)
    core |= _bones(scene.body, LEGS, visible, 0.15 * torso, shape)
    if visible[TORSO_CORNERS].all():
        cv2.fillConvexPoly(core, np.round(_slimmed(scene.body)[TORSO_CORNERS]).astype(np.int32), (1,))
    return (beside & ~core).astype(bool)


def _slimmed(body: np.ndarray) -> np.ndarray:
    """The landmarks `body` [33, 2] with the torso's corners drawn in as far as a waist may be slimmer."""
    slim = body.copy()
    slim[TORSO_CORNERS] += WAIST * (body[[12, 11, 23, 24]] - body[TORSO_CORNERS])
    return slim


def other_people(scene: Scene) -> np.ndarray:
    """The bones of everybody else, as a mask [H, W] bool."""
    mask = np.zeros(scene.prior.shape, np.uint8)
    for points in scene.others:
        mask |= _bones(points, (*ARMS, *LEGS, *TORSO), np.ones(33, bool), 0.08 * scene.torso, scene.prior.shape)
    return mask.astype(bool)


def unsure_band(scene: Scene) -> np.ndarray:
    """Half width [H, W] in pixels of the band that is unsure about its side: twice as wide where hair may be."""
    face = Box.around(scene.face)
    rows, columns = np.indices(scene.prior.shape)
    distance = np.hypot(columns - face.centre[0], rows - face.centre[1]) / face.longer
    return (0.035 * scene.torso + 2) * (1 + np.clip((2 - distance) / 0.5, 0, 1))


def _bones(
    points: np.ndarray,
    bones: tuple[tuple[int, int], ...],
    usable: np.ndarray,
    radius: float,
    shape: tuple[int, ...],
) -> np.ndarray:
    mask = np.zeros(shape[:2], np.uint8)
    for start, end in bones:
        if usable[start] and usable[end]:
            first, last = np.round(points[[start, end]]).astype(int).tolist()
            cv2.line(mask, first, last, (1,), max(int(2 * radius), 1))
    return mask
