"""Pose an SMPL-X-format body: blend shapes, kinematic chain, linear blend skinning.

The equations are those of SMPL (Loper et al. 2015) and SMPL-X (Pavlakos et al. 2019). What depends on the betas
alone is computed once and kept in `ShapedBody`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor

from shared.skeleton import NUM_JOINTS, PARENTS

from .skinning import SkinningWeights, skin

AnyPosable = TypeVar("AnyPosable", bound="Posable")

SMALL_ANGLE_SQUARED = 1e-4
"""Radians squared; below, the Rodrigues coefficients come from their Taylor series, exact to 1e-14."""


@dataclass(frozen=True)
class ShapedBody:
    """A body of one identity in the rest pose. Clothe it with `dataclasses.replace(shaped, vertices=...)`."""

    vertices: Tensor  # [V, 3] metres
    joints: Tensor  # [55, 3] metres


@dataclass(frozen=True)
class PosedBody:
    """B frames of a posed body, in world coordinates."""

    vertices: Tensor  # [B, V, 3] metres
    joints: Tensor  # [B, 55, 3] metres
    transforms: Tensor  # [B, 55, 4, 4] rest pose to world: posed global times inverse rest, translation included


@dataclass(frozen=True)
class Posable:
    """What posing needs of a set of vertices: a whole body's, or the few that landmarks lie on."""

    template: Tensor  # [V, 3] metres
    weights: Tensor  # [V, 55] skinning weights, rows sum to 1
    shape_dirs: Tensor  # [num_betas, V, 3] metres per unit
    expression_deltas: Tensor  # [E, V, 3] metres per unit
    pose_dirs: Tensor | None  # [486, V, 3] metres per unit of (R - I); None: the model has no pose correctives
    joint_template: Tensor  # [55, 3] metres
    joint_shape_dirs: Tensor  # [num_betas, 55, 3]
    joint_expression_deltas: Tensor  # [E, 55, 3]

    @property
    def num_betas(self) -> int:
        """How many shape coefficients the model has."""
        return len(self.shape_dirs)

    def shape(self, betas: Tensor | None = None) -> ShapedBody:
        """The rest-pose body of `betas` [B], B <= num_betas; those left out are 0, None is the template."""
        if betas is None:
            return ShapedBody(self.template, self.joint_template)
        vertices = self.template + _combine(betas, self.shape_dirs[: len(betas)])
        joints = self.joint_template + _combine(betas, self.joint_shape_dirs[: len(betas)])
        return ShapedBody(vertices, joints)

    def pose(
        self,
        shaped: ShapedBody,
        full_pose: Tensor,  # [B, 165] axis-angle, radians; hands as full poses
        transl: Tensor,  # [B, 3] metres
        expression: Tensor,  # [B, E]
    ) -> PosedBody:
        """Pose the shaped body; differentiable in every argument, at angle 0 too."""
        rotations = rodrigues(full_pose.reshape(-1, NUM_JOINTS, 3))
        rest_joints = shaped.joints + _combine(expression, self.joint_expression_deltas)
        transforms, joints = pose_joints(rotations, rest_joints, transl)
        rest = self._corrected(shaped.vertices, rotations).index_add(1, *self._expression(expression))
        return PosedBody(skin(self._skinning, transforms, rest), joints, transforms)

    def subset(self, vertices: Tensor) -> Posable:
        """The same body restricted to `vertices` [S] int64, in that order: much faster where few are needed."""
        return Posable(
            template=self.template[vertices],
            weights=self.weights[vertices],
            shape_dirs=self.shape_dirs[:, vertices],
            expression_deltas=self.expression_deltas[:, vertices],
            pose_dirs=None if self.pose_dirs is None else self.pose_dirs[:, vertices],
            joint_template=self.joint_template,
            joint_shape_dirs=self.joint_shape_dirs,
            joint_expression_deltas=self.joint_expression_deltas,
        )

    def to(self: AnyPosable, target: torch.device | torch.dtype) -> AnyPosable:
        """The same on another device, or in another precision."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: value.to(target) for name, value in values.items() if isinstance(value, Tensor)})

    @cached_property
    def _skinning(self) -> SkinningWeights:
        return SkinningWeights.of(self.weights)

    @cached_property
    def _expressive(self) -> tuple[Tensor, Tensor]:
        """The vertices that some expression moves, [M] int64, and their deltas [E, M, 3]."""
        moved = (self.expression_deltas != 0).any(dim=2).any(dim=0).nonzero()[:, 0]
        return moved, self.expression_deltas[:, moved].contiguous()

    def _expression(self, expression: Tensor) -> tuple[Tensor, Tensor]:
        moved, deltas = self._expressive
        return moved, _combine(expression, deltas)

    def _corrected(self, vertices: Tensor, rotations: Tensor) -> Tensor:
        """The rest pose with the model's pose correctives, if it has any: [B, V, 3]."""
        if self.pose_dirs is None:
            return vertices.expand(len(rotations), -1, -1)
        identity = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
        return vertices + _combine((rotations[:, 1:] - identity).flatten(1), self.pose_dirs)


def rodrigues(axis_angle: Tensor) -> Tensor:
    """Rotation matrices [..., 3, 3] of `axis_angle` [..., 3] (radians), smooth everywhere.

    R = I + sin(t)/t K + (1 - cos(t))/t^2 K^2, K the cross-product matrix of the vector itself: no division by t.
    """
    squared = (axis_angle * axis_angle).sum(-1)[..., None, None]
    small = squared < SMALL_ANGLE_SQUARED
    angle = torch.where(small, torch.ones_like(squared), squared).sqrt()  # keeps sqrt's gradient finite at 0
    first = torch.where(small, 1 - squared / 6 + squared**2 / 120, angle.sin() / angle)
    half = torch.where(small, 1 - squared / 24 + squared**2 / 1920, (angle / 2).sin() / (angle / 2))
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    return torch.eye(3, dtype=x.dtype, device=x.device) + first * cross + half**2 / 2 * (cross @ cross)


def pose_joints(
    rotations: Tensor,  # [B, 55, 3, 3] relative to the parent
    rest_joints: Tensor,  # [B, 55, 3] metres
    transl: Tensor,  # [B, 3] metres
) -> tuple[Tensor, Tensor]:  # [B, 55, 4, 4] rest to world; [B, 55, 3] metres, world
    """Forward kinematics by pointer doubling: each step joins every joint's chain with the chain above it.

    The tree is 11 levels deep, so 4 batched products replace 54 dependent ones.
    """
    bones = torch.cat([rest_joints[:, :1] + transl[:, None], rest_joints[:, 1:] - rest_joints[:, PARENTS[1:]]], dim=1)
    chains = _homogeneous(rotations, bones)
    identity = torch.eye(4, dtype=chains.dtype, device=chains.device).expand(len(chains), 1, 4, 4)
    for above in _JUMPS:
        chains = torch.cat([chains, identity], dim=1)[:, above] @ chains
    joints = chains[..., :3, 3]
    turned = chains[..., :3, :3]
    return _homogeneous(turned, joints - (turned @ rest_joints[..., None])[..., 0]), joints


def _combine(coefficients: Tensor, directions: Tensor) -> Tensor:
    """Sum of `directions` [C, N, 3] weighted by `coefficients` [..., C]: [..., N, 3]."""
    return (coefficients @ directions.flatten(1)).unflatten(-1, directions.shape[1:])


def _homogeneous(rotations: Tensor, translations: Tensor) -> Tensor:
    """[..., 4, 4] from [..., 3, 3] and [..., 3]."""
    upper = torch.cat([rotations, translations[..., None]], dim=-1)
    bottom = upper.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*upper.shape[:-2], 1, 4)
    return torch.cat([upper, bottom], dim=-2)


def _jumps(parents: tuple[int, ...]) -> list[list[int]]:
    """For each doubling step, the joint above each joint's finished chain; len(parents) stands for the world."""
    world = len(parents)
    above = [world if parent < 0 else parent for parent in parents] + [world]
    jumps = []
    while any(joint != world for joint in above):
        jumps.append(above[:world])
        above = [above[joint] for joint in above]
    return jumps


_JUMPS = _jumps(PARENTS)
