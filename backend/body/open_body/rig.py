"""MakeHuman's 163 bones, and which SMPL-X joint each one follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from shared.skeleton import JOINT_INDEX, NUM_JOINTS

from .source import Source

SIDES = {"left": ".L", "right": ".R"}
FINGERS = {"thumb": 1, "index": 2, "middle": 3, "ring": 4, "pinky": 5}  # MakeHuman's numbers


def _joint_of_bone() -> dict[str, str]:
    """Bones that start a joint's region; the other bones follow their nearest ancestor listed here."""
    joints = {"root": "pelvis", "spine05": "pelvis", "spine04": "spine1", "spine03": "spine2", "spine02": "spine3"}
    joints |= {"spine01": "spine3", "neck01": "neck", "neck02": "neck", "neck03": "neck", "head": "head", "jaw": "jaw"}
    limbs = {"upperleg01": "hip", "lowerleg01": "knee", "foot": "ankle", "clavicle": "collar", "upperarm01": "shoulder"}
    limbs |= {"lowerarm01": "elbow", "wrist": "wrist", "eye": "eye", **{f"toe{toe}-1": "foot" for toe in range(1, 6)}}
    limbs |= {f"finger{k}-{q}": f"{finger}{q}" for finger, k in FINGERS.items() for q in (1, 2, 3)}
    for side, ending in SIDES.items():
        joints |= {f"pelvis{ending}": "pelvis", **{bone + ending: f"{side}_{joint}" for bone, joint in limbs.items()}}
    return joints


JOINT_OF_BONE = _joint_of_bone()


@dataclass(frozen=True)
class Rig:
    """Bones in an order where parents come first. All positions are linear in the base mesh's vertices."""

    index: dict[str, int]  # bone name -> row below
    parent: np.ndarray  # [163] int, -1 for the root
    heads: csr_array  # [163, 19158]: times the vertices gives where bones start
    tails: csr_array  # [163, 19158]
    joints: csr_array  # [55, 19158]: SMPL-X joint positions, before the body is put in T-pose
    carrier: np.ndarray  # [55] the bone that carries each joint when bones turn
    weights: csr_array  # [19158, 163] skinning weights
    joint: np.ndarray  # [163] the SMPL-X joint each bone follows

    def joint_weights(self) -> np.ndarray:
        """Skinning weights of the 55 joints, [19158, 55]."""
        merge = np.zeros((len(self.joint), NUM_JOINTS))
        merge[np.arange(len(self.joint)), self.joint] = 1
        return self.weights @ merge


def read_rig(source: Source, count: int) -> Rig:
    """Read the rig of a base mesh of `count` vertices."""
    bones = source.json("mpfb2/rigs/standard/rig.default.json")
    cubes = source.json("mpfb2/mesh_metadata/basemesh_vertex_groups.json")
    index = {bone: row for row, bone in enumerate(_parents_first(bones))}
    heads = _position_matrix(bones, "head", index, cubes, count)
    weights = np.zeros((count, len(index)))
    for bone, entries in source.json("mpfb2/rigs/standard/weights.default.json")["weights"].items():
        for vertex, weight in entries:
            weights[vertex, index[bone]] += weight
    first: dict[str, str] = {}
    for bone, joint in JOINT_OF_BONE.items():
        first.setdefault(joint, bone)
    carrier = first | {f"{side}_foot": f"foot{ending}" for side, ending in SIDES.items()}
    return Rig(
        index=index,
        parent=np.array([index.get(bones[bone]["parent"], -1) for bone in index]),
        heads=csr_array(heads),
        tails=csr_array(_position_matrix(bones, "tail", index, cubes, count)),
        joints=csr_array(_joint_matrix(heads, index, first)),
        carrier=np.array([index[carrier[joint]] for joint in JOINT_INDEX]),
        weights=csr_array(weights),
        joint=np.array([JOINT_INDEX[_followed(bone, bones)] for bone in index]),
    )


def _parents_first(bones: dict[str, Any]) -> list[str]:
    order: dict[str, None] = {}
    for bone in bones:
        chain = [bone]
        while parent := bones[chain[-1]]["parent"]:
            chain.append(parent)
        order |= dict.fromkeys(reversed(chain))
    return list(order)


def _followed(bone: str, bones: dict[str, Any]) -> str:
    while bone not in JOINT_OF_BONE:
        bone = bones[bone]["parent"]
    return JOINT_OF_BONE[bone]


def _position_matrix(
    bones: dict[str, Any], end: str, index: dict[str, int], cubes: dict[str, Any], count: int
) -> np.ndarray:  # [163, count]
    """A bone's end is the mean of a marker cube's vertices, of listed vertices, or one vertex."""
    matrix = np.zeros((len(index), count))
    for bone, row in index.items():
        place = bones[bone][end]
        if place["strategy"] == "CUBE":
            vertices = [v for first, last in cubes[place["cube_name"]] for v in range(first, last + 1)]
        elif place["strategy"] == "MEAN":
            vertices = place["vertex_indices"]
        else:
            vertices = [place["vertex_index"]]
        np.add.at(matrix[row], vertices, 1 / len(vertices))
    return matrix


def _joint_matrix(heads: np.ndarray, index: dict[str, int], first: dict[str, str]) -> np.ndarray:  # [55, count]
    """A joint lies at the head of its first bone, but for those that MakeHuman places otherwise than SMPL-X."""
    matrix = heads[[index[first[joint]] for joint in JOINT_INDEX]]
    spine3, spine4, spine5 = (heads[index[f"spine0{k}"]] for k in (3, 4, 5))
    matrix[JOINT_INDEX["pelvis"]] = 0.55 * spine4 + 0.45 * spine5
    matrix[JOINT_INDEX["spine1"]] = 0.4 * spine4 + 0.6 * spine3
    for side, ending in SIDES.items():
        toes = [heads[index[f"toe{toe}-1{ending}"]] for toe in (1, 2, 3, 4)]
        matrix[JOINT_INDEX[f"{side}_foot"]] = np.mean(toes, axis=0)
    return matrix
