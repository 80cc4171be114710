"""Where MediaPipe's segmentation networks see the person: a map that knows who is who, but has soft, leaky edges."""

from __future__ import annotations

import cv2
import numpy as np

from .crops import Box, Crop
from .detectors import Detectors
from .landmarks import BODY_LOOKS, BODY_SIZE, Measured, look_at
from .people import NOSE, Person

SEGMENTER_SIZE = 512
REACHES = ((2.6, 1.8, 3.4), (1.3, 1.5, 1.1))
"""Half width, height above and below the nose of the closer looks, in detector faces: chest, then head alone."""


def person_prior(
    rgb: np.ndarray, person: Person, others: list[Person], measured: Measured, detectors: Detectors
) -> np.ndarray:
    """Probability [H, W] float32 that a pixel of `rgb` [H, W, 3] uint8 shows the chosen person.

    The pose model's masks (mean over the looks) tell the person from neighbours; the portrait segmenter, shown the
    person, the chest and the head at growing magnification, draws hair and shoulders more sharply.
    """
    own = _mean_mask([(look.crop, look.pose.mask) for look in measured.looks], rgb.shape)
    near = cv2.GaussianBlur(own, (0, 0), 0.03 * person.torso)  # a neighbour is not the person, however sharp
    logit, weight = _logit(own), np.ones_like(own)
    for box in _portraits(person, measured):
        crop = Crop.fit(box, rgb.shape, SEGMENTER_SIZE)
        if crop.empty:
            continue
        masks = [(view, detectors.person_mask(view.cut(rgb))) for view in (crop, crop.mirror())]
        portrait = np.minimum(_mean_mask(masks, rgb.shape), np.clip(3 * near, 0, 1))
        seen = _faded(crop, rgb.shape)
        logit += seen * _logit(portrait)
        weight += seen
    logit /= weight
    for other in others:
        if other.box.intersection(person.box.scaled(1.3)).area > 0:
            logit = np.minimum(logit, _logit(own) - _logit(_rival_mask(rgb, other, detectors)))
    return 1 / (1 + np.exp(-logit))


def _rival_mask(rgb: np.ndarray, other: Person, detectors: Detectors) -> np.ndarray:
    crop = Crop.fit(other.box.scaled(BODY_LOOKS[0]), rgb.shape, BODY_SIZE)
    looks = [look_at(rgb, view, detectors) for view in (crop, crop.mirror())]
    masks = [(look.crop, look.pose.mask) for look in looks if look is not None and look.shows(other)]
    return _mean_mask(masks, rgb.shape)


def _portraits(person: Person, measured: Measured) -> list[Box]:
    face = Box.around(measured.face.points).longer
    x, y = measured.body.points[NOSE]
    closer = [Box(x - side * face, y - up * face, x + side * face, y + down * face) for side, up, down in REACHES]
    return [person.box.scaled(1.15), *closer]


def _mean_mask(masks: list[tuple[Crop, np.ndarray]], shape: tuple[int, ...]) -> np.ndarray:
    """The mean [H, W] of masks over the crops that saw a pixel; 0 where none did."""
    total, count = np.zeros(shape[:2], np.float32), np.zeros(shape[:2], np.float32)
    for crop, mask in masks:
        canvas = np.zeros(shape[:2], np.float32)
        crop.paste(mask, canvas)
        total += canvas
        count += _rectangle(crop, shape)
    return total / np.maximum(count, 1)


def _rectangle(crop: Crop, shape: tuple[int, ...]) -> np.ndarray:
    inside = np.zeros(shape[:2], np.float32)
    inside[crop.y0 : crop.y1, crop.x0 : crop.x1] = 1
    return inside


def _faded(crop: Crop, shape: tuple[int, ...]) -> np.ndarray:
    """1 inside the crop, falling to 0 at its borders, except where the image itself ends."""
    inside = np.pad(_rectangle(crop, shape), 1, mode="edge").astype(np.uint8)
    margin = 0.15 * min(crop.x1 - crop.x0, crop.y1 - crop.y0)
    return np.clip(cv2.distanceTransform(inside, cv2.DIST_L2, 5)[1:-1, 1:-1] / margin, 0, 1)


def _logit(probability: np.ndarray) -> np.ndarray:
    clipped = np.clip(probability, 0.01, 0.99)
    return np.log(clipped / (1 - clipped))
