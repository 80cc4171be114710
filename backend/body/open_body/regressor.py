"""Joint positions as weighted means of nearby skin vertices, right for every body shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from shared.skeleton import JOINT_INDEX, JOINT_NAMES, NUM_JOINTS, PARENTS

TORSO = ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar")
EXPRESSIVE = ("jaw", "head", "neck")
"""Joints that expressions must not move: vertices that expressions move are not theirs."""
FEWEST, MOST = 60, 350  # candidate vertices
SHAPE_WEIGHT, RIDGE = 3.0, 1e-3


@dataclass(frozen=True)
class RegressorProblem:
    """What the regressor must reproduce."""

    vertices: np.ndarray  # [V, 3] metres
    joints: np.ndarray  # [55, 3] metres
    vertex_components: np.ndarray  # [C, V, 3]
    joint_components: np.ndarray  # [C, 55, 3]
    weights: np.ndarray  # [V, 55]
    skin: np.ndarray  # [S] vertices that joints but the eyes are made of
    eyes: dict[str, np.ndarray]  # joint name -> its eyeball's vertices
    expressive: np.ndarray  # [V] bool, some expression moves it


def joint_regressor(problem: RegressorProblem, random: np.random.Generator) -> np.ndarray:
    """Non-negative rows that sum to 1, [55, V]: least squares over the mean body and its shape components."""
    regressor = np.zeros((NUM_JOINTS, len(problem.vertices)))
    for joint, name in enumerate(JOINT_NAMES):
        candidates = problem.eyes[name] if name in problem.eyes else _candidates(problem, joint, random)
        regressor[joint, candidates] = _solve(problem, joint, candidates)
    return regressor


def _candidates(problem: RegressorProblem, joint: int, random: np.random.Generator) -> np.ndarray:
    """Skin vertices near the joint that follow it or its neighbours; the torso's joints take all that are near."""
    name, candidates = JOINT_NAMES[joint], problem.skin
    if name in EXPRESSIVE:
        candidates = candidates[~problem.expressive[candidates]]
    if name not in TORSO:
        family = sorted({joint, PARENTS[joint]} | {child for child in range(NUM_JOINTS) if PARENTS[child] == joint})
        candidates = candidates[problem.weights[candidates][:, family].sum(axis=1) > 0.5]
    distance = np.linalg.norm(problem.vertices[candidates] - problem.joints[joint], axis=1)
    radius = _radius(joint)
    while (distance < radius).sum() < FEWEST:
        radius *= 1.3
    near = candidates[distance < max(radius, 1.6 * distance.min())]
    return random.choice(near, MOST, replace=False) if len(near) > MOST else near


def _radius(joint: int) -> float:
    """Metres. A joint must lie inside its candidates' hull: too small a radius for the torso costs 3 cm."""
    if joint >= JOINT_INDEX["left_index1"]:
        return 0.02
    name = JOINT_NAMES[joint]
    return 0.26 if name in TORSO else 0.05 if name.endswith("wrist") else 0.13


def _solve(problem: RegressorProblem, joint: int, candidates: np.ndarray) -> np.ndarray:
    moves = problem.vertex_components[:, candidates] - problem.joint_components[:, joint, None]  # [C, N, 3]
    rows = [
        (problem.vertices[candidates] - problem.joints[joint]).T,
        *(SHAPE_WEIGHT * move.T for move in moves),
        np.ones((1, len(candidates))),
        RIDGE * np.eye(len(candidates)),
    ]
    matrix = np.concatenate(rows)
    wanted = np.zeros(len(matrix))
    wanted[3 + 3 * len(moves)] = 1  # the weights' sum
    weights, _ = nnls(matrix, wanted)
    return weights / weights.sum()
