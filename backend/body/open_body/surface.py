"""Triangles, and the order of the vertices."""

from __future__ import annotations

import numpy as np

from shared.skeleton import JOINT_INDEX

from .rig import FINGERS
from .source import BaseMesh

PARTS = ("body", "helper-tongue", "helper-l-eye", "helper-r-eye", "helper-lower-teeth", "helper-upper-teeth")

SPECIAL = {
    "nose": 9120,
    "right_eye": 9929,
    "left_eye": 9448,
    "right_ear": 616,
    "left_ear": 6,
    "right_thumb": 8079,
    "right_index": 7669,
    "right_middle": 7794,
    "right_ring": 7905,
    "right_pinky": 8022,
    "left_thumb": 5361,
    "left_index": 4933,
    "left_middle": 5058,
    "left_ring": 5169,
    "left_pinky": 5286,
    "left_big_toe": 5770,
    "left_small_toe": 5780,
    "left_heel": 8846,
    "right_big_toe": 8463,
    "right_small_toe": 8474,
    "right_heel": 8635,
}
"""Where SMPL-X keeps the vertices that its code reports as joints 55-75: ours are moved to the same indices."""


def triangulate(mesh: BaseMesh, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut each quad along its shorter diagonal: triangles and their UV corners, [2 Q, 3] each.

    `vertices` [19158, 3] are the positions that decide.
    """
    corners = vertices[mesh.quads]
    first = np.linalg.norm(corners[:, 0] - corners[:, 2], axis=1)
    second = np.linalg.norm(corners[:, 1] - corners[:, 3], axis=1)
    cut = np.where((first <= second)[:, None, None], [[0, 1, 2], [0, 2, 3]], [[0, 1, 3], [1, 2, 3]])  # [Q, 2, 3]
    each = np.arange(len(cut))[:, None, None]
    return mesh.quads[each, cut].reshape(-1, 3), mesh.uv_quads[each, cut].reshape(-1, 3)


def find_special(
    vertices: np.ndarray,  # [V, 3] metres
    joints: np.ndarray,  # [55, 3] metres
    weights: np.ndarray,  # [V, 55]
    skin: np.ndarray,  # [V] bool
    eyes: dict[str, np.ndarray],  # joint name -> vertices
) -> dict[str, int]:
    """The 21 vertices of `SPECIAL`, by geometry: tips of nose, fingers, toes; fronts of the eyes; ears; heels."""
    x, y, z = vertices.T

    def joint(name: str) -> np.ndarray:
        return joints[JOINT_INDEX[name]]

    def follows(*names: str) -> np.ndarray:
        return skin & (sum(weights[:, JOINT_INDEX[name]] for name in names) > (0.5 if len(names) == 1 else 0.6))

    head = skin & (y > joint("head")[1] - 0.03)
    face = head & (abs(x) < 0.01) & (y > joint("jaw")[1] - 0.05) & (y < joint("left_eye")[1])
    found = {"nose": _furthest(face, z)}
    for side, sign in (("left", 1), ("right", -1)):
        eye = joint("left_eye")
        found[f"{side}_eye"] = int(eyes[f"{side}_eye"][z[eyes[f"{side}_eye"]].argmax()])
        found[f"{side}_ear"] = _furthest(head & (abs(y - eye[1] + 0.015) < 0.02), sign * x)
        for finger in FINGERS:
            along = joint(f"{side}_{finger}3") - joint(f"{side}_{finger}2")
            found[f"{side}_{finger}"] = _furthest(follows(f"{side}_{finger}3"), vertices @ along)
        foot, middle = follows(f"{side}_foot", f"{side}_ankle"), sign * joint(f"{side}_foot")[0]
        found[f"{side}_big_toe"] = _furthest(foot & (sign * x < middle), z)
        found[f"{side}_small_toe"] = _furthest(foot & (sign * x > middle + 0.03), z)
        found[f"{side}_heel"] = _furthest(foot, -z)
    return found


def special_order(found: dict[str, int], count: int) -> np.ndarray:
    """Old vertex of each new one, [count]: swaps that bring the vertices found to the indices of `SPECIAL`."""
    old_of_new, new_of_old = np.arange(count), np.arange(count)
    for name, new in SPECIAL.items():
        wanted, displaced = found[name], old_of_new[new]
        vacated = new_of_old[wanted]
        old_of_new[new], old_of_new[vacated] = wanted, displaced
        new_of_old[wanted], new_of_old[displaced] = new, vacated
    return old_of_new


def _furthest(allowed: np.ndarray, along: np.ndarray) -> int:
    return int(np.where(allowed, along, -np.inf).argmax())
