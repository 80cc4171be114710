"""The first stage: a photo file in, what it shows of one person out."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from backend.progress import Event, Progress, silent
from backend.stages import Landmarks, Observations
from shared.errors import VivantError

from .crops import Box
from .decode import Photo, read_photo
from .detectors import MEDIAPIPE, MEDIAPIPE_LICENCE, Detectors
from .landmarks import Measured, measure
from .matte import Matte, choose_provider, given_matte, made_matte
from .people import Person, choose_person, find_people, torso_length
from .prior import person_prior
from .regions import Scene

MAX_PERSON_PX = 1024


def observe(path: Path, *, person: int | None = None, matte: str = "auto", progress: Progress = silent) -> Observations:
    """Find one person in the photo at `path` and measure landmarks and matte.

    `person` counts from the left, 1 is the first; None takes the largest and most central. `matte` is auto, photo
    (the file's alpha channel), rembg or mediapipe.

    Raises:
        VivantError: the file, the person or the wish cannot be used; the sentence names the cause and the way out.
    """
    progress(Event("photo", 0, 4, "reading the photo"))
    photo = read_photo(path)
    provider = choose_provider(matte, photo.alpha is not None)
    with Detectors() as detectors:
        progress(Event("photo", 1, 4, "looking for people"))
        people = find_people(photo.rgb, detectors)
        chosen, choice = choose_person(people, photo.rgb.shape, person)
        progress(Event("photo", 2, 4, "measuring body, face and hands"))
        measured = _measured(photo, chosen, choice, detectors)
        others = [one for one in people if one is not chosen]
        prior = person_prior(photo.rgb, chosen, others, measured, detectors)
    progress(Event("photo", 3, 4, "cutting out the person"))
    observations = _observations(photo, chosen, others, measured, prior, provider, choice)
    progress(Event("photo", 4, 4))
    return observations


def _measured(photo: Photo, chosen: Person, choice: str, detectors: Detectors) -> Measured:
    """The person's landmarks; a refusal also says that there is somebody else to choose."""
    try:
        return measure(photo.rgb, chosen, detectors)
    except VivantError as error:
        raise VivantError(f"{error} {choice}".strip()) from error


def _observations(
    photo: Photo,
    chosen: Person,
    others: list[Person],
    measured: Measured,
    prior: np.ndarray,
    provider: str,
    choice: str,
) -> Observations:
    scale = _working_scale(photo, chosen, prior, provider)
    scene = _scene(photo, others, measured, prior, scale)
    cut_out = _matte(photo, scene, provider, scale)
    return Observations(
        rgb=scene.rgb,
        foreground=cut_out.foreground,
        alpha=cut_out.alpha,
        box=_person_box(cut_out),
        focal=None if photo.focal is None else scale * photo.focal,
        body=_scaled(measured.body, scale),
        body_world=measured.world,
        face=_scaled(measured.face, scale),
        left_hand=_scaled(measured.left_hand, scale),
        right_hand=_scaled(measured.right_hand, scale),
        providers={"landmarks": MEDIAPIPE, "matte": cut_out.provider},
        licences={"landmarks": MEDIAPIPE_LICENCE, "matte": cut_out.licence},
        notes=tuple(note for note in (choice, *photo.notes, *measured.notes, *cut_out.notes) if note),
    )


def _working_scale(photo: Photo, chosen: Person, prior: np.ndarray, provider: str) -> float:
    """The factor, at most 1, that makes the person's box as large as allowed."""
    seen = photo.alpha if provider == "photo" and photo.alpha is not None else prior
    ys, xs = np.nonzero(seen > 0.3)
    box = chosen.box.union(Box(xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)) if len(xs) else chosen.box
    return min(1.0, MAX_PERSON_PX / box.longer)


def _scene(photo: Photo, others: list[Person], measured: Measured, prior: np.ndarray, scale: float) -> Scene:
    return Scene(
        rgb=_resized(photo.rgb, scale),
        prior=_resized(prior, scale),
        body=scale * measured.body.points,
        confidence=measured.body.confidence,
        face=scale * measured.face.points,
        hands=[scale * hand.points for hand in (measured.left_hand, measured.right_hand) if hand.found],
        others=[scale * other.points for other in others],
        torso=scale * torso_length(measured.body.points),
    )


def _matte(photo: Photo, scene: Scene, provider: str, scale: float) -> Matte:
    if provider != "photo" or photo.alpha is None:
        return made_matte(provider, scene)
    alpha = _resized(photo.alpha, scale)
    # Premultiplied while it is resized, so that the unseen colours under transparency stay out.
    premultiplied = _resized(photo.straight * photo.alpha[..., None], scale)
    straight = np.round(premultiplied / np.maximum(alpha, 1e-3)[..., None])
    return given_matte(alpha, np.clip(straight, 0, 255).astype(np.uint8), scene)


def _resized(image: np.ndarray, scale: float) -> np.ndarray:
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    return image if scale == 1.0 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _scaled(landmarks: Landmarks, scale: float) -> Landmarks:
    return Landmarks(scale * landmarks.points, landmarks.confidence)


def _person_box(matte: Matte) -> tuple[int, int, int, int]:
    ys, xs = np.nonzero(matte.alpha > 0.1)
    return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1
