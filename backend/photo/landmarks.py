"""Landmarks of the chosen person: medians over mirrored and scaled looks, each judged by the gates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.stages import Landmarks
from shared.errors import VivantError

from . import gates
from .crops import Box, Crop
from .detectors import Detectors, Pose
from .mirror import BODY_MIRROR, FACE_MIRROR
from .people import AWAY, LEFT_SHOULDER, NOSE, RIGHT_SHOULDER, Person, torso_length

BODY_LOOKS = (1.25, 1.1, 1.45)  # times the person's box, each also mirrored
FACE_LOOKS = (1.0, 1.25, 1.6)  # times the head's box
HAND_LOOKS = (1.0, 1.4)  # times twice the forearm
BODY_SIZE, FACE_SIZE, HAND_SIZE = 640, 640, 384
"""Longer side of the pictures given to the models. MediaPipe places points half a pixel of its input too far to the
upper left (measured with mirrored pairs at several sizes), so faces and hands are enlarged: it becomes a tenth."""
FACE_POINTS = slice(0, 11)
MIN_LOOKS = 2


@dataclass(frozen=True)
class Look:
    """One detection of the body, in pixels of the photo and as if not mirrored."""

    crop: Crop
    pose: Pose
    points: np.ndarray  # [33, 2] pixels
    hands: list[tuple[bool, np.ndarray]]  # (left, [21, 2] pixels)

    def shows(self, person: Person) -> bool:
        """Whether this is that person and not a neighbour the model snapped to."""
        return bool(np.linalg.norm(self.points[NOSE] - person.points[NOSE]) < 0.4 * person.torso)


@dataclass(frozen=True)
class Measured:
    """The chosen person, in pixels of the photo."""

    body: Landmarks
    world: np.ndarray  # [33, 3] metres
    face: Landmarks
    left_hand: Landmarks
    right_hand: Landmarks
    looks: list[Look]
    notes: tuple[str, ...]


def measure(rgb: np.ndarray, person: Person, detectors: Detectors) -> Measured:
    """Body, face and hands of `person` in `rgb` [H, W, 3] uint8.

    Raises:
        VivantError: the person is too small or mostly outside, or the face is turned away, hidden, tiny or cut off.
    """
    looks = _body_looks(rgb, person, detectors)
    body, world = _body(looks, rgb.shape)
    _check_body(body, person)
    face = _face(rgb, body.points, person, detectors)
    hands = _hands(rgb, body, looks, detectors)
    return Measured(body, world, face, hands[0], hands[1], looks, _notes(body))


def _body_looks(rgb: np.ndarray, person: Person, detectors: Detectors) -> list[Look]:
    looks = []
    for factor in BODY_LOOKS:
        crop = Crop.fit(person.box.scaled(factor), rgb.shape, BODY_SIZE)
        for view in (crop, crop.mirror()):
            look = look_at(rgb, view, detectors)
            if look is not None and look.shows(person):
                looks.append(look)
    if len(looks) < MIN_LOOKS:
        raise VivantError(
            f"The person's body cannot be made out: it is turned to the side, partly covered or cut off. {AWAY}"
        )
    return looks


def look_at(rgb: np.ndarray, crop: Crop, detectors: Detectors) -> Look | None:
    """Body and hands in one crop of `rgb` [H, W, 3] uint8; None if nobody is seen."""
    pose, hands = detectors.holistic(crop.cut(rgb))
    if pose is None:
        return None
    points = crop.to_photo(pose.points)
    return Look(
        crop=crop,
        pose=pose,
        points=points[BODY_MIRROR] if crop.mirrored else points,
        hands=[(hand.left != crop.mirrored, crop.to_photo(hand.points)) for hand in hands],
    )


def _body(looks: list[Look], shape: tuple[int, ...]) -> tuple[Landmarks, np.ndarray]:
    points = np.median([look.points for look in looks], axis=0)
    visibility = np.median([_unmirrored(look, look.pose.visibility) for look in looks], axis=0)
    world = np.median([_unmirrored(look, look.pose.world * (_sign(look), 1, 1)) for look in looks], axis=0)
    torso = torso_length(points)
    confidence = gates.body_confidence(points, visibility, torso, shape)
    return Landmarks(points, confidence * gates.agreement(np.array([look.points for look in looks]), torso)), world


def _unmirrored(look: Look, values: np.ndarray) -> np.ndarray:
    return values[BODY_MIRROR] if look.crop.mirrored else values


def _sign(look: Look) -> int:
    return -1 if look.crop.mirrored else 1


def _check_body(body: Landmarks, person: Person) -> None:
    if person.box.longer < gates.MIN_PERSON_PX:
        raise VivantError(
            f"The person is only {person.box.longer:.0f} pixels large in the photo. "
            "Use a larger or closer photo: 512 pixels from head to hips, or more."
        )
    if body.confidence[[LEFT_SHOULDER, RIGHT_SHOULDER]].max() < 0.3:
        raise VivantError(
            "The body is mostly cut off: no shoulder is in the photo. Use a photo of at least head and chest."
        )


def _face(rgb: np.ndarray, body: np.ndarray, person: Person, detectors: Detectors) -> Landmarks:
    """The face as the median over looks. Raises VivantError where none is usable."""
    head = _head_box(body, person)
    looks: list[np.ndarray] = []
    faults: list[str] = []
    for factor in FACE_LOOKS:
        crop = Crop.fit(head.scaled(factor), rgb.shape, FACE_SIZE)
        for view in () if crop.empty else (crop, crop.mirror()):
            face = _nearest_face(rgb, view, body[NOSE], detectors)
            fault = gates.face_fault(face, body[NOSE], head.longer / 2, rgb.shape)
            if face is not None and fault is None:
                looks.append(face)
            else:
                faults.append(str(fault))
    if len(looks) < len(faults):
        raise VivantError(f"The person's face {max(set(faults), key=faults.count)}. {AWAY}")
    stacked = np.array([look[:, :2] for look in looks])
    points = np.median(stacked, axis=0)
    confidence = gates.agreement(stacked, Box.around(points).longer) * gates.inside(points, rgb.shape)
    return Landmarks(points, confidence)


def _head_box(body: np.ndarray, person: Person) -> Box:
    """A square twice as large as the face."""
    if person.face is not None:
        return Box.square(person.face.centre, 2.0 * person.face.longer)
    features = Box.around(body[FACE_POINTS])  # eyes, ears, mouth: two thirds of a frontal face's height
    return Box.square(features.centre, 2.6 * max(features.longer, 0.2 * person.torso))


def _nearest_face(rgb: np.ndarray, crop: Crop, nose: np.ndarray, detectors: Detectors) -> np.ndarray | None:
    faces = []
    for found in detectors.face_meshes(crop.cut(rgb)):
        points = found[FACE_MIRROR] if crop.mirrored else found
        depth = points[:, 2:] * (crop.x1 - crop.x0)
        faces.append(np.concatenate([crop.to_photo(points[:, :2]), depth], axis=1))
    return min(faces, key=lambda face: np.linalg.norm(face[:, :2].mean(axis=0) - nose), default=None)


def _hands(rgb: np.ndarray, body: Landmarks, looks: list[Look], detectors: Detectors) -> tuple[Landmarks, Landmarks]:
    nothing = Landmarks(np.zeros((21, 2)), np.zeros(21))
    left, right = (_hand(rgb, left, body, looks, detectors) or nothing for left in (True, False))
    if left.found and right.found and gates.merged_hands(left.points, right.points):
        return (left, nothing) if left.confidence.mean() > right.confidence.mean() else (nothing, right)
    return left, right


def _hand(rgb: np.ndarray, left: bool, body: Landmarks, looks: list[Look], detectors: Detectors) -> Landmarks | None:
    """One hand as the median over the whole-body looks and closer looks at the wrist; None if few of them fit."""
    torso = torso_length(body.points)
    found = [points for look in looks for side, points in look.hands if side == left]
    closer = _wrist_crops(rgb, left, body.points, torso)
    for crop in closer:
        hands = detectors.hands(crop.cut(rgb))
        found += [crop.to_photo(hand.points) for hand in hands if (hand.left != crop.mirrored) == left]
    fitting = [points for points in found if gates.hand_fits(points, left, body.points, torso, rgb.shape)]
    if len(fitting) < MIN_LOOKS:
        return None
    stacked = np.array(fitting)
    points = np.median(stacked, axis=0)
    support = min(len(fitting) / (0.5 * (len(looks) + len(closer))), 1.0)
    confidence = support * gates.agreement(stacked, Box.around(points).longer) * gates.inside(points, rgb.shape)
    return Landmarks(points, confidence)


def _wrist_crops(rgb: np.ndarray, left: bool, body: np.ndarray, torso: float) -> list[Crop]:
    side = gates.LEFT if left else gates.RIGHT
    elbow, wrist = body[gates.ELBOWS[side]], body[gates.WRISTS[side]]
    length = gates.forearm_length(body, side, torso)
    centre = wrist + 0.3 * (wrist - elbow)
    crops = [Crop.fit(Box.square(centre, 2 * length * factor), rgb.shape, HAND_SIZE) for factor in HAND_LOOKS]
    return [view for crop in crops if not crop.empty for view in (crop, crop.mirror())]


def _notes(body: Landmarks) -> tuple[str, ...]:
    """What is wrong with the photo. Of parts that it does not show well enough, the fit says what it made of them."""
    notes = []
    parts = {"hips": (23, 24), "knees": gates.KNEES, "feet": gates.ANKLES, "elbows": gates.ELBOWS}
    unseen = [part for part, joints in parts.items() if body.confidence[list(joints)].max() < 0.3]
    if unseen:
        notes.append(f"Not in the photo: {', '.join(unseen)}.")
    if not gates.upright(body.points):
        notes.append("The person does not stand upright in the photo. If the photo lies on its side, turn it first.")
    return tuple(notes)
