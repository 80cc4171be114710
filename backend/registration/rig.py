"""The points that a photo is compared with, as a small posable body of their own.

Landmarks and surface samples are a few hundred points; posing these instead of the whole mesh makes a step of the
fit some milliseconds. A landmark inside a triangle is one point with blended rest position and skinning weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.body.landmarks import LandmarkEmbedding, face_landmarks
from backend.body.model import BodyModel
from backend.body.posing import Posable, pose_joints, rodrigues
from shared.skeleton import JOINT_INDEX, NUM_JOINTS

from .correspondence import (
    NUM_POSE,
    POSE_ON_FACE,
    Attachment,
    all_hand_attachments,
    all_pose_attachments,
    hand_tips,
)

SURFACE_SAMPLES = 1500


@dataclass(frozen=True)
class Rig:
    """Groups of points that move with the body, double precision."""

    pose: Posable  # the 33 pose landmarks
    face: Posable  # the face landmarks that may be used, F of them
    left_hand: Posable  # 21
    right_hand: Posable  # 21
    surface: Posable  # S skin vertices, spread evenly
    face_rows: np.ndarray  # [F] which of the 478 landmarks `face` holds
    surface_joint: np.ndarray  # [S] the joint each sample follows most

    def only(self, names: tuple[str, ...]) -> Posable:
        """The points of the named groups, one after the other."""
        return joined([getattr(self, name) for name in names])


def build_rig(model: BodyModel) -> Rig:
    """Attach every landmark to `model`."""
    embedding = face_landmarks(model)
    usable = np.flatnonzero(embedding.weight > 0)
    samples = _spread(model, SURFACE_SAMPLES)
    weights = model.weights.numpy()
    return Rig(
        pose=_pose_points(model, embedding),
        face=_on_triangles(model, embedding.face[usable], embedding.barycentric[usable]),
        left_hand=_hand_points(model, "left"),
        right_hand=_hand_points(model, "right"),
        surface=at_vertices(model, samples),
        face_rows=usable,
        surface_joint=weights[samples].argmax(axis=1),
    )


def posed(
    points: Posable,
    full_pose: Tensor,  # [B, 165] axis-angle, radians
    transl: Tensor,  # [B, 3] metres
    betas: Tensor,  # [B, num_betas]
    expression: Tensor,  # [B, E]
) -> Tensor:  # [B, P, 3] metres, world
    """`Posable.pose` for bodies that differ in shape as well, without derivatives."""
    rotations = rodrigues(full_pose.view(-1, NUM_JOINTS, 3))
    rest_joints = points.joint_template + _sum(betas, points.joint_shape_dirs)
    rest_joints = rest_joints + _sum(expression, points.joint_expression_deltas)
    transforms = pose_joints(rotations, rest_joints, transl)[0][:, :, :3]  # [B, 55, 3, 4]
    rest = points.template + _sum(betas, points.shape_dirs) + _sum(expression, points.expression_deltas)
    if points.pose_dirs is not None:
        rest = rest + _sum((rotations[:, 1:] - torch.eye(3, dtype=rest.dtype)).flatten(1), points.pose_dirs)
    blended = (points.weights @ transforms.flatten(2)).view(*rest.shape, 4)
    return (blended[..., :3] * rest[:, :, None]).sum(-1) + blended[..., 3]


def _sum(coefficients: Tensor, directions: Tensor) -> Tensor:
    """`directions` [C, N, 3] weighted by the first columns of `coefficients` [B, C' <= C]: [B, N, 3]."""
    count = coefficients.shape[1]
    return (coefficients @ directions[:count].flatten(1)).view(len(coefficients), -1, 3)


def at_vertices(model: BodyModel, vertices: np.ndarray) -> Posable:
    """The points that are `vertices` [P] int of the body."""
    return _mixed(model, torch.from_numpy(vertices)[:, None], torch.ones(len(vertices), 1))


def joined(parts: list[Posable]) -> Posable:
    """One body out of several sets of points of the same model."""
    first = parts[0]
    return Posable(
        template=torch.cat([part.template for part in parts]),
        weights=torch.cat([part.weights for part in parts]),
        shape_dirs=torch.cat([part.shape_dirs for part in parts], dim=1),
        expression_deltas=torch.cat([part.expression_deltas for part in parts], dim=1),
        pose_dirs=None if first.pose_dirs is None else torch.cat([part.pose_dirs for part in parts], dim=1),  # type: ignore[misc]
        joint_template=first.joint_template,
        joint_shape_dirs=first.joint_shape_dirs,
        joint_expression_deltas=first.joint_expression_deltas,
    )


def _pose_points(model: BodyModel, embedding: LandmarkEmbedding) -> Posable:
    rows: dict[int, Posable] = {row: _on_joint(model, attachment) for row, attachment in all_pose_attachments().items()}
    for row, landmark in POSE_ON_FACE.items():
        rows[row] = _on_triangles(model, embedding.face[[landmark]], embedding.barycentric[[landmark]])
    return joined([rows[row] for row in range(NUM_POSE)])


def _hand_points(model: BodyModel, side: str) -> Posable:
    rows: dict[int, Posable] = {
        row: _on_joint(model, attachment) for row, attachment in all_hand_attachments(side).items()
    }
    rows |= {row: at_vertices(model, np.array([vertex])) for row, vertex in hand_tips(side).items()}
    return joined([rows[row] for row in sorted(rows)])


def _on_joint(model: BodyModel, attachment: Attachment) -> Posable:
    """A point rigid with a joint."""
    joint = JOINT_INDEX[attachment.joint]
    weights = torch.zeros(1, NUM_JOINTS, dtype=torch.float64)
    weights[0, JOINT_INDEX[attachment.frame]] = 1.0
    offset = torch.tensor([attachment.offset], dtype=torch.float64)
    return Posable(
        template=model.joint_template[[joint]].double() + offset,
        weights=weights,
        shape_dirs=model.joint_shape_dirs[:, [joint]].double(),
        expression_deltas=model.joint_expression_deltas[:, [joint]].double(),
        pose_dirs=None if model.pose_dirs is None else torch.zeros(len(model.pose_dirs), 1, 3, dtype=torch.float64),
        **_joint_tensors(model),
    )


def _on_triangles(
    model: BodyModel,
    face: np.ndarray,  # [P] int
    barycentric: np.ndarray,  # [P, 3]
) -> Posable:
    return _mixed(model, torch.from_numpy(model.faces[face]), torch.from_numpy(barycentric))


def _mixed(
    model: BodyModel,
    vertices: Tensor,  # [P, K] int64
    shares: Tensor,  # [P, K] rows sum to 1
) -> Posable:
    """Points between K vertices each."""
    shares = shares.double()

    def mix(values: Tensor) -> Tensor:
        """Blend `values` [..., V, D] to [..., P, D]."""
        return (values[..., vertices, :].double() * shares[..., None]).sum(-2)

    return Posable(
        template=mix(model.template),
        weights=mix(model.weights),
        shape_dirs=mix(model.shape_dirs),
        expression_deltas=mix(model.expression_deltas),
        pose_dirs=None if model.pose_dirs is None else mix(model.pose_dirs),
        **_joint_tensors(model),
    )


def _joint_tensors(model: BodyModel) -> dict[str, Tensor]:
    return {
        "joint_template": model.joint_template.double(),
        "joint_shape_dirs": model.joint_shape_dirs.double(),
        "joint_expression_deltas": model.joint_expression_deltas.double(),
    }


def _spread(model: BodyModel, count: int) -> np.ndarray:
    """About `count` skin vertices, evenly over the surface: the first vertex met in each cell of a grid."""
    skin = np.unique(model.faces[model.part == "skin"])
    points = model.template.numpy()[skin]
    area = 1.6  # square metres of skin, about that of any adult body
    cell = np.floor(points / np.sqrt(area / count)).astype(np.int64)
    _, first = np.unique(cell, axis=0, return_index=True)
    return skin[np.sort(first)]
