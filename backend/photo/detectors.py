"""MediaPipe's models as plain functions from a picture to arrays. Points are fractions of the picture."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np

MEDIAPIPE = f"mediapipe {importlib.metadata.version('mediapipe')}"
MEDIAPIPE_LICENCE = "Apache-2.0 (MediaPipe's models)"


@dataclass(frozen=True)
class Pose:
    """One body."""

    points: np.ndarray  # [33, 2] fractions of the picture, may lie outside
    visibility: np.ndarray  # [33]
    world: np.ndarray  # [33, 3] metres, hip-centred, x right, y down, z away
    mask: np.ndarray  # [h, w] float32 person probability


@dataclass(frozen=True)
class Hand:
    """One hand of a picture that is not mirrored."""

    points: np.ndarray  # [21, 2] fractions of the picture
    left: bool  # the person's own left
    score: float


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep the C++ libraries from writing to the terminal; they ignore Python's stderr and every log level."""
    sys.stderr.flush()
    kept = os.dup(2)
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(sink)


class Detectors:
    """The models, loaded on entry and released on exit. Not for use by several threads at once."""

    def __enter__(self) -> Detectors:
        os.environ.setdefault("GLOG_minloglevel", "2")
        with quiet_stderr():
            import mediapipe  # 1 s and noisy: only when a photo is looked at

            solutions: Any = mediapipe.solutions
            self._faces = solutions.face_detection.FaceDetection(model_selection=1, min_detection_confidence=0.4)
            self._pose = solutions.pose.Pose(static_image_mode=True, model_complexity=1, enable_segmentation=True)
            self._holistic = solutions.holistic.Holistic(
                static_image_mode=True, model_complexity=1, refine_face_landmarks=True, enable_segmentation=True
            )
            self._face_mesh = solutions.face_mesh.FaceMesh(
                static_image_mode=True, refine_landmarks=True, max_num_faces=3, min_detection_confidence=0.3
            )
            self._hands = solutions.hands.Hands(static_image_mode=True, max_num_hands=2, min_detection_confidence=0.3)
            self._selfie = solutions.selfie_segmentation.SelfieSegmentation(model_selection=0)
            for model in self._models():  # the graphs start, and chatter, in threads of their own
                model.process(np.zeros((64, 64, 3), dtype=np.uint8))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for model in self._models():
            model.close()

    def _models(self) -> tuple[Any, ...]:
        return self._faces, self._pose, self._holistic, self._face_mesh, self._hands, self._selfie

    def faces(self, rgb: np.ndarray) -> np.ndarray:
        """Face boxes [F, 4] (x0, y0, x1, y1 as fractions) in `rgb` [H, W, 3] uint8: brows to chin, ear to ear."""
        with quiet_stderr():
            found = self._faces.process(rgb).detections or []
        boxes = [detection.location_data.relative_bounding_box for detection in found]
        corners = [(box.xmin, box.ymin, box.xmin + box.width, box.ymin + box.height) for box in boxes]
        return np.array(corners, dtype=np.float64).reshape(-1, 4)

    def pose(self, rgb: np.ndarray) -> Pose | None:
        """The body in `rgb` [H, W, 3] uint8; of several, any one."""
        with quiet_stderr():
            return _pose(self._pose.process(rgb))

    def holistic(self, rgb: np.ndarray) -> tuple[Pose | None, list[Hand]]:
        """The body and the hands on its wrists in `rgb` [H, W, 3] uint8; of several bodies, any one."""
        with quiet_stderr():
            found = self._holistic.process(rgb)
        sides = ((True, found.left_hand_landmarks), (False, found.right_hand_landmarks))
        return _pose(found), [Hand(_points(hand), left, 1.0) for left, hand in sides if hand is not None]

    def face_meshes(self, rgb: np.ndarray) -> list[np.ndarray]:
        """Up to three faces in `rgb` [H, W, 3] uint8: [478, 3] fractions of the picture (z: of its width)."""
        with quiet_stderr():
            found = self._face_mesh.process(rgb).multi_face_landmarks or []
        return [np.array([(point.x, point.y, point.z) for point in face.landmark]) for face in found]

    def hands(self, rgb: np.ndarray) -> list[Hand]:
        """Up to two hands in `rgb` [H, W, 3] uint8."""
        with quiet_stderr():
            found = self._hands.process(rgb)
        if not found.multi_hand_landmarks:
            return []
        sides = [side.classification[0] for side in found.multi_handedness]
        # The model names hands as in a selfie, so its "Right" is the left hand of a picture that is not mirrored.
        return [
            Hand(_points(hand), side.label == "Right", side.score)
            for hand, side in zip(found.multi_hand_landmarks, sides, strict=True)
        ]

    def person_mask(self, rgb: np.ndarray) -> np.ndarray:
        """Probability [H, W] float32 that a pixel of `rgb` [H, W, 3] uint8 shows any person."""
        with quiet_stderr():
            return np.array(self._selfie.process(rgb).segmentation_mask, dtype=np.float32)


def _points(landmarks: Any) -> np.ndarray:
    return np.array([(point.x, point.y) for point in landmarks.landmark])


def _pose(found: Any) -> Pose | None:
    if found.pose_landmarks is None:
        return None
    return Pose(
        points=_points(found.pose_landmarks),
        visibility=np.array([point.visibility for point in found.pose_landmarks.landmark]),
        world=np.array([(point.x, point.y, point.z) for point in found.pose_world_landmarks.landmark]),
        mask=np.array(found.segmentation_mask, dtype=np.float32),
    )
