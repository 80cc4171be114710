"""Who is in the photo, and which of them the avatar is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shared.errors import NoPersonError, VivantError

from .crops import Box, Crop
from .detectors import Detectors

NOSE, LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_HIP, RIGHT_HIP = 0, 11, 12, 23, 24
DETECTOR_SIZE = 512
SURE_VISIBILITY = 0.7
AWAY = "Use a photo in which the person faces the camera, with face and shoulders in full view."


@dataclass(frozen=True)
class Person:
    """One person of the photo, roughly measured."""

    points: np.ndarray  # [33, 2] pixels of the photo, may lie outside
    visibility: np.ndarray  # [33]
    face: Box | None  # the detector's face box; None for a turned or hidden face
    box: Box  # of what is visible, inside the photo

    @property
    def torso(self) -> float:
        """A length in pixels that tells the person's scale: shoulders to hips, or 1.2 times the shoulder width."""
        return torso_length(self.points)


def torso_length(points: np.ndarray) -> float:
    """The scale of a body in pixels from its 33 `points` [33, 2], whichever way it is turned."""
    shoulders, hips = points[LEFT_SHOULDER : RIGHT_SHOULDER + 1], points[LEFT_HIP : RIGHT_HIP + 1]
    height = float(np.linalg.norm(shoulders.mean(axis=0) - hips.mean(axis=0)))
    return max(height, 1.2 * float(np.linalg.norm(shoulders[0] - shoulders[1])), 1.0)


def find_people(rgb: np.ndarray, detectors: Detectors) -> list[Person]:
    """All people in `rgb` [H, W, 3] uint8 whose head and shoulders can be made out, from left to right.

    The body model sees one person at a time, so it is given the whole photo, overlapping tiles, and the
    surroundings of every face.
    """
    faces = _find_faces(rgb, detectors)
    people: list[Person] = []
    for window in [Box(0, 0, rgb.shape[1], rgb.shape[0]), *_tiles(rgb, 2)]:
        people = _merged(people, _look(rgb, window, faces, detectors))
    for face in faces:
        for reach in (1.0, 0.6, 0.4):  # narrower until the model no longer snaps to a neighbour
            if all(person.face is not face for person in people):
                people = _merged(people, _look(rgb, _surroundings(face, reach), faces, detectors))
    return sorted(people, key=lambda person: person.points[NOSE, 0])


def choose_person(people: list[Person], shape: tuple[int, ...], number: int | None) -> tuple[Person, str]:
    """The person numbered `number` from the left (1 is the first), or the largest and most central one.

    Returns the person and a sentence for the user, empty if there was no choice.

    Raises:
        VivantError: nobody was found, or nobody has that number.
    """
    if not people:
        raise NoPersonError(
            "No person was found in the photo: nobody is there, or head and shoulders are covered, turned away, cut "
            f"off or very small. {AWAY}"
        )
    if number is not None and not 1 <= number <= len(people):
        count = "is only person 1" if len(people) == 1 else f"are persons 1 to {len(people)}"
        raise VivantError(f"There is no person {number}: counted from the left, there {count} in the photo.")
    index = number - 1 if number is not None else int(np.argmax([_prominence(person, shape) for person in people]))
    if len(people) == 1:
        return people[0], ""
    reason = "as asked" if number is not None else "the largest and most central"
    return people[index], (
        f"{len(people)} people are in the photo; person {index + 1} from the left was taken, {reason}. "
        "--person N takes another."
    )


def _prominence(person: Person, shape: tuple[int, ...]) -> float:
    off_centre = abs(person.box.centre[0] / shape[1] - 0.5) * 2
    return person.box.area * (1 - 0.5 * off_centre) * (1.0 if person.face is not None else 0.5)


def _find_faces(rgb: np.ndarray, detectors: Detectors) -> list[Box]:
    """Faces of the photo; finer tiles only while nothing is found, as the detector misses faces below 5 % of a tile."""
    faces = _faces_in([Box(0, 0, rgb.shape[1], rgb.shape[0]), *_tiles(rgb, 2)], rgb, detectors)
    return faces or _faces_in(_tiles(rgb, 4), rgb, detectors)


def _faces_in(windows: list[Box], rgb: np.ndarray, detectors: Detectors) -> list[Box]:
    faces: list[Box] = []
    for window in windows:
        crop = Crop.fit(window, rgb.shape, DETECTOR_SIZE)
        for corners in detectors.faces(crop.cut(rgb)):
            face = Box.around(crop.to_photo(corners.reshape(2, 2)))
            if all(face.overlap(other) < 0.3 for other in faces):
                faces.append(face)
    return faces


def _tiles(rgb: np.ndarray, count: int) -> list[Box]:
    """Tiles of 1/count of each side, half overlapping."""
    width, height = rgb.shape[1] / count, rgb.shape[0] / count
    steps = [step / 2 for step in range(2 * count - 1)]
    return [Box(x * width, y * height, (x + 1) * width, (y + 1) * height) for y in steps for x in steps]


def _surroundings(face: Box, reach: float) -> Box:
    """Where the body of a face is: a standing adult measures about 10 detector faces, of which `reach` is taken."""
    x, y = face.centre
    side = face.longer
    return Box(x - 3.2 * reach * side, y - 2 * side, x + 3.2 * reach * side, y + 9.5 * reach * side)


def _look(rgb: np.ndarray, window: Box, faces: list[Box], detectors: Detectors) -> Person | None:
    crop = Crop.fit(window, rgb.shape, DETECTOR_SIZE)
    pose = None if crop.empty else detectors.pose(crop.cut(rgb))
    if pose is None:
        return None
    points = crop.to_photo(pose.points)
    scale = torso_length(points)
    own = [face for face in faces if face.scaled(1.3).contains(points[NOSE]) and 0.12 < face.longer / scale < 1.2]
    face = min(own, key=lambda face: np.linalg.norm(face.centre - points[NOSE]), default=None)
    if face is None and pose.visibility[[NOSE, LEFT_SHOULDER, RIGHT_SHOULDER]].min() < SURE_VISIBILITY:
        return None
    return Person(points, pose.visibility, face, person_box(points, pose.visibility, face, rgb.shape))


def person_box(points: np.ndarray, visibility: np.ndarray, face: Box | None, shape: tuple[int, ...]) -> Box:
    """The box of the visible body with room for hair, hands and feet, inside an image of `shape`."""
    seen = points[
        (visibility > 0.5) | np.isin(np.arange(33), (NOSE, LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_HIP, RIGHT_HIP))
    ]
    margin = 0.12 * torso_length(points)
    box = Box.around(np.concatenate([seen - margin, seen + margin]))
    head = face.scaled(1.7) if face is not None else Box.square(points[NOSE], 5 * margin)
    x0, y0, x1, y1 = box.union(head).pixels(shape)
    return Box(x0, y0, x1, y1)


def _merged(people: list[Person], new: Person | None) -> list[Person]:
    """Add `new` unless it is known; of two looks at one person keep the one with the face, then the surer one."""
    if new is None:
        return people
    for index, old in enumerate(people):
        if _same(old, new):
            better = max(old, new, key=lambda one: (one.face is not None, one.visibility.mean()))
            return [*people[:index], better, *people[index + 1 :]]
    return [*people, new]


def _same(old: Person, new: Person) -> bool:
    if old.face is not None and new.face is not None:
        return old.face is new.face
    near = np.linalg.norm(old.points[NOSE] - new.points[NOSE]) < 0.35 * max(old.torso, new.torso)
    # A limb or a piece of cloth is sometimes taken for a small faceless person.
    inside = old.box.intersection(new.box).area > 0.8 * min(old.box.area, new.box.area)
    return bool(near or inside)
