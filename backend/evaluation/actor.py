"""The fitted person, posed like a truth frame; and how a truth set's motion is carried over to a fit of our own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from backend.body.model import BodyModel
from backend.body.posing import PosedBody, ShapedBody
from backend.evaluation.truth import TruthFrame, TruthSubject
from backend.stages import Frame, Registration
from shared.camera import Camera
from shared.skeleton import NUM_BODY_JOINTS

Renderer = Callable[[TruthFrame], Frame]
"""A method under test: draws a frame's pose, expression and camera; the frame's picture is not looked at."""


@dataclass(frozen=True)
class Actor:
    """One person's body, to be posed frame by frame."""

    model: BodyModel
    shaped: ShapedBody

    @classmethod
    def of(cls, registration: Registration, model: BodyModel) -> Actor:
        """The person of `registration`, without clothes."""
        return cls(model, model.shape(torch.as_tensor(registration.betas, dtype=torch.float32)))

    def pose(self, full_pose: np.ndarray, transl: np.ndarray, expression: np.ndarray) -> PosedBody:
        """Pose one frame (batch 1), without gradients."""
        rows = [torch.as_tensor(value, dtype=torch.float32)[None] for value in (full_pose, transl, expression)]
        with torch.no_grad():
            return self.model.pose(self.shaped, *rows)

    def like(self, frame: TruthFrame) -> PosedBody:
        """Pose the body as `frame` says."""
        return self.pose(frame.full_pose, frame.transl, frame.expression)

    def as_registered(self, registration: Registration) -> PosedBody:
        """Pose the body as in the photo."""
        return self.pose(registration.full_pose, registration.transl, registration.expression)


@dataclass(frozen=True)
class Similarity:
    """x -> scale * rotation x + translation."""

    scale: float
    rotation: np.ndarray  # [3, 3]
    translation: np.ndarray  # [3] metres

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Move points [N, 3]."""
        return self.scale * points @ self.rotation.T + self.translation


def align(source: np.ndarray, target: np.ndarray) -> Similarity:
    """The similarity that brings points `source` [N, 3] closest to `target` [N, 3] (Umeyama 1991)."""
    mean_s, mean_t = source.mean(0), target.mean(0)
    centred_s, centred_t = source - mean_s, target - mean_t
    u, singular, vt = np.linalg.svd(centred_t.T @ centred_s)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])  # a reflection is no motion
    rotation = (u * signs) @ vt
    scale = float((singular * signs).sum() / (centred_s**2).sum())
    return Similarity(scale, rotation, mean_t - scale * rotation @ mean_s)


def carry_over(subject: TruthSubject, registration: Registration, model: BodyModel) -> tuple[list[TruthFrame], float]:
    """Express a subject's frames for a person that was fitted to the photo instead of given.

    One similarity, from the 22 body joints in the photo, moves the true cameras into the fit's world. Each frame's
    motion relative to the photo (rotations in the parent joint's frame, root displacement, expression) is applied to
    the fitted pose. Joints stay the true ones, since they only place crops in the true picture.

    Returns the frames and the scale by which depths in them exceed the true ones.
    """
    actor, source = Actor.of(registration, model), subject.source
    fitted = actor.as_registered(registration).joints[0].numpy()
    to_fit = align(source.joints[:NUM_BODY_JOINTS].astype(np.float64), fitted[:NUM_BODY_JOINTS].astype(np.float64))
    return [_carry(frame, source, registration, to_fit) for frame in subject.frames], to_fit.scale


def _carry(frame: TruthFrame, source: TruthFrame, registration: Registration, to_fit: Similarity) -> TruthFrame:
    step = to_fit.scale * to_fit.rotation @ (frame.joints[0] - source.joints[0])
    return replace(
        frame,
        full_pose=_relative_pose(frame.full_pose, source.full_pose, registration.full_pose, to_fit.rotation),
        transl=registration.transl + step,
        expression=registration.expression + frame.expression - source.expression,
        camera=_moved_camera(frame.camera, to_fit),
    )


def _relative_pose(
    frame: np.ndarray, source: np.ndarray, fitted: np.ndarray, world_rotation: np.ndarray
) -> np.ndarray:  # all [165] -> [165]
    motion = Rotation.from_rotvec(frame.reshape(-1, 3)) * Rotation.from_rotvec(source.reshape(-1, 3)).inv()
    turns = motion.as_rotvec()
    turns[0] = world_rotation @ turns[0]  # the root's parent is the world, which the similarity turned
    return (Rotation.from_rotvec(turns) * Rotation.from_rotvec(fitted.reshape(-1, 3))).as_rotvec().ravel()


def _moved_camera(camera: Camera, to_fit: Similarity) -> Camera:
    """The view of the moved world that shows the same picture; camera space grows by the scale."""
    rotation = camera.world_to_camera[:3, :3] @ to_fit.rotation.T
    moved = np.eye(4)
    moved[:3, :3] = rotation
    moved[:3, 3] = to_fit.scale * camera.world_to_camera[:3, 3] - rotation @ to_fit.translation
    return replace(camera, world_to_camera=moved)
