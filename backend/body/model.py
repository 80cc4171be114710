"""`BodyModel`: one loaded SMPL-X-format body, the packaged open one or a file the user brings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from shared.skeleton import JOINT_INDEX

from .files import BodyArrays, read_body
from .posing import Posable

OPEN_BODY_SHA256 = "51815a8639b187b8a08d5c3fc51db930409d02d4cd9ddcd7bc43585156403f98"
OPEN_LICENCE = "CC0-1.0 (open body, made from MakeHuman data)"
BROUGHT_LICENCE = (
    "brought by the user; official SMPL-X files stand under the SMPL-X Model License "
    "(Max Planck, non-commercial; commercial use by meshcapade.com)"
)
OPEN_PARTS = {
    "body": "skin",
    "l-eye": "left_eye",
    "r-eye": "right_eye",
    "upper-teeth": "upper_teeth",
    "lower-teeth": "lower_teeth",
    "tongue": "tongue",
}


@dataclass(frozen=True)
class BodyModel(Posable):
    """A body's surface and names, beside what posing needs (`shape`, `pose`, `subset` are inherited)."""

    sha256: str  # of the file
    licence: str
    faces: np.ndarray  # [F, 3] int64, counter-clockwise outside
    uv: np.ndarray  # [T, 2] in [0, 1]
    uv_faces: np.ndarray  # [F, 3] int64
    part: np.ndarray  # [F] str: skin, left_eye, right_eye, upper_teeth, lower_teeth, tongue
    expression_names: tuple[str, ...]  # [E] ARKit names, or exp000, exp001, ... for a PCA basis
    hand_mean_left: np.ndarray  # [15, 3] axis-angle, radians: the file's relaxed hand
    hand_mean_right: np.ndarray  # [15, 3]

    @property
    def blinks(self) -> list[int]:
        """The expressions that close an eyelid; none in a basis without names."""
        return [index for index, name in enumerate(self.expression_names) if name.startswith("eyeBlink")]

    @classmethod
    def load(cls, path: Path | None = None) -> BodyModel:
        """Load the body file at `path`, or the packaged open body.

        Raises:
            VivantError: the file is not an SMPL-X-format `.npz`; the message names the missing or wrong key.
        """
        return _packaged() if path is None else _build(read_body(path))

    def map_expression(
        self,
        names: Sequence[str],  # [E'] names of the columns of `values`
        values: np.ndarray,  # [F, E']
    ) -> tuple[np.ndarray, tuple[str, ...]]:  # [F, E]; names this body lacks
        """Sort expression values by name into this body's columns; what it does not know is named, not guessed.

        Names whose values are all 0 lose nothing and are not reported.
        """
        mapped = np.zeros((len(values), len(self.expression_names)), dtype=values.dtype)
        columns = {name: column for column, name in enumerate(self.expression_names)}
        dropped = []
        for name, column in zip(names, values.T, strict=True):
            if name in columns:
                mapped[:, columns[name]] = column
            elif column.any():
                dropped.append(name)
        return mapped, tuple(dropped)


@cache
def _packaged() -> BodyModel:
    """Read once: a process that builds and renders asks for it again and again, and it takes a second."""
    with resources.as_file(resources.files("backend.body.assets") / "open_body.npz") as path:
        return _build(read_body(path))


def _build(arrays: BodyArrays) -> BodyModel:
    betas, expression, names = _split_shape_space(arrays)
    regressor = torch.from_numpy(arrays.J_regressor)
    template = torch.from_numpy(arrays.v_template)
    weights = torch.from_numpy(arrays.weights)
    pose_dirs = _directions(arrays.posedirs) if arrays.posedirs.any() else None
    return BodyModel(
        template=template,
        weights=weights,
        shape_dirs=betas,
        expression_deltas=expression,
        pose_dirs=pose_dirs,
        joint_template=regressor @ template,
        joint_shape_dirs=regressor @ betas,
        joint_expression_deltas=regressor @ expression,
        sha256=arrays.sha256,
        licence=OPEN_LICENCE if arrays.sha256 == OPEN_BODY_SHA256 else BROUGHT_LICENCE,
        faces=arrays.f,
        uv=arrays.vt,
        uv_faces=arrays.ft,
        part=_parts(arrays),
        expression_names=names,
        hand_mean_left=arrays.hands_meanl.reshape(15, 3),
        hand_mean_right=arrays.hands_meanr.reshape(15, 3),
    )


def _split_shape_space(arrays: BodyArrays) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """Shape and expression directions without their empty columns, and the expressions' names.

    As in `smplx`: 300 + 100 columns, or 10 + 10 in the short files.
    """
    columns = arrays.shapedirs.shape[2]
    first, last = (300, 400) if columns >= 400 else (10, 20)
    shape = arrays.shapedirs[:, :, : _used(arrays.shapedirs[:, :, :first])]
    expression = arrays.shapedirs[:, :, first:last]
    if arrays.open_expression_names is not None:
        names = tuple(str(name) for name in arrays.open_expression_names)
    else:
        names = tuple(f"exp{column:03d}" for column in range(_used(expression)))
    return _directions(shape), _directions(expression[:, :, : len(names)]), names


def _used(directions: np.ndarray) -> int:
    """How many columns there are up to the last that moves anything."""
    return 1 + int(np.flatnonzero(directions.any(axis=(0, 1))).max(initial=-1))


def _directions(columns: np.ndarray) -> Tensor:
    """[V, 3, C] of the file to [C, V, 3], contiguous."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(columns, 2, 0)))


def _parts(arrays: BodyArrays) -> np.ndarray:
    """The part of each face: the file's own, or by connectivity (a loose piece that follows an eye is that eye)."""
    if arrays.open_part is not None:
        return np.array([OPEN_PARTS[str(name)] for name in arrays.open_part])
    piece = _pieces(arrays.f, len(arrays.v_template))
    follows = np.zeros((piece.max() + 1, arrays.weights.shape[1]))
    np.add.at(follows, piece, arrays.weights)
    joint = follows.argmax(axis=1)[piece[arrays.f[:, 0]]]
    part = np.full(len(arrays.f), "skin", dtype="<U11")
    part[joint == JOINT_INDEX["left_eye"]] = "left_eye"
    part[joint == JOINT_INDEX["right_eye"]] = "right_eye"
    return part


def _pieces(faces: np.ndarray, count: int) -> np.ndarray:
    """The connected piece of each vertex, [count] int."""
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    edges = coo_array((np.ones(len(ends), dtype=bool), (ends[:, 0], ends[:, 1])), shape=(count, count))
    return connected_components(edges, directed=False)[1]
