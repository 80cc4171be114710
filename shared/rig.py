"""`Rig`: what a client needs to build an armature and a proxy mesh of an avatar. One .npz, numbers and names alone."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from .errors import VivantError
from .skeleton import NUM_JOINTS

MAX_FILE_BYTES = 256 << 20


@dataclass(frozen=True)
class Rig:
    """A clothed body at rest (T-pose, SMPL-X axes, metres) with its skeleton, and how the photo shows it."""

    vertices: np.ndarray  # [V, 3] f4
    faces: np.ndarray  # [T, 3] i4
    uvs: np.ndarray  # [T, 3, 2] f4 per corner, v up
    joints: np.ndarray  # [55, 3] f4
    skin_joints: np.ndarray  # [V, K] u1
    skin_weights: np.ndarray  # [V, K] f4, rows sum to 1
    expression_names: np.ndarray  # [E] texts
    expression_start: np.ndarray  # [E + 1] i4: rows start[e] to start[e + 1] of the next two belong to expression e
    expression_vertices: np.ndarray  # [S] i4
    expression_deltas: np.ndarray  # [S, 3] f4, metres per unit
    hand_mean: np.ndarray  # [30, 3] f4, axis-angle: the body's relaxed left and right hand, for `load_motion`
    full_pose: np.ndarray  # [165] f4, axis-angle, of the photo
    transl: np.ndarray  # [3] f4
    expression: np.ndarray  # [E] f4
    K: np.ndarray  # [3, 3] f4 pixels of image_size
    world_to_camera: np.ndarray  # [4, 4] f4
    image_size: np.ndarray  # [2] i4: width, height of the photo
    body_sha256: str

    def expression_delta(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Vertices [S] that an expression moves, and how far [S, 3] metres per unit."""
        (e,) = np.flatnonzero(self.expression_names == name)
        rows = slice(self.expression_start[e], self.expression_start[e + 1])
        return self.expression_vertices[rows], self.expression_deltas[rows]


_TYPES: dict[str, np.dtype[Any]] = {
    **dict.fromkeys(("faces", "expression_start", "expression_vertices", "image_size"), np.dtype("<i4")),
    "skin_joints": np.dtype("u1"),
}
_ARRAYS = tuple(field.name for field in fields(Rig) if field.name not in ("body_sha256", "expression_names"))


def rig_bytes(rig: Rig) -> bytes:
    """What a rig's file holds."""
    arrays = {name: np.asarray(getattr(rig, name), _TYPES.get(name, np.dtype("<f4"))) for name in _ARRAYS}
    names = np.array(list(rig.expression_names), dtype=np.str_)
    file = io.BytesIO()
    np.savez_compressed(file, **arrays, expression_names=names, body_sha256=np.array(rig.body_sha256))
    return file.getvalue()


def save_rig(path: Path, rig: Rig) -> None:
    """Write `path`, whole or not at all.

    Raises:
        VivantError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("wb") as file:
            file.write(rig_bytes(rig))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise VivantError(f"Cannot write {path}: {error.strerror or error}. Free some disk space.") from error


def load_rig(source: Path | bytes) -> Rig:
    """Read what `save_rig` wrote, from a file or from the bytes that a server sent.

    Raises:
        VivantError: it cannot be read, lacks an array, or holds indices or numbers that cannot be.
    """
    name = source if isinstance(source, Path) else "rig.npz"
    try:
        with np.load(io.BytesIO(source) if isinstance(source, bytes) else source, allow_pickle=False) as archive:
            if sum(entry.file_size for entry in archive.zip.infolist()) > MAX_FILE_BYTES:
                raise ValueError("it unpacks to more than any rig needs")
            arrays = {key: archive[key] for key in (*_ARRAYS, "expression_names", "body_sha256")}
    except Exception as error:  # damaged bytes make zipfile, zlib and numpy's header parser raise anything
        raise VivantError(f"Cannot read the rig {name}: {error}. Download it again.") from error
    complaint = _complaint(arrays)
    if complaint:
        raise VivantError(f"The rig {name} {complaint}. Build the avatar again.")
    return Rig(**{**arrays, "body_sha256": str(arrays["body_sha256"])})


def _complaint(arrays: dict[str, np.ndarray]) -> str:
    """What is wrong with these arrays, in words that follow the file's name; empty where nothing is."""
    for name in _ARRAYS:
        if arrays[name].dtype != _TYPES.get(name, np.dtype("<f4")):
            return f"holds {name} as {arrays[name].dtype}"
    if arrays["expression_names"].dtype.kind != "U" or arrays["body_sha256"].dtype.kind != "U":
        return "has names that are not text"
    for name, shape in _shapes(arrays).items():
        if arrays[name].shape != shape:
            return f"has {name} of shape {arrays[name].shape} instead of {shape}"
    for name in _ARRAYS:
        if arrays[name].dtype.kind == "f" and not np.isfinite(arrays[name]).all():
            return f"holds a number in {name} that is not finite"
    return _bad_index(arrays)


def _shapes(arrays: dict[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    def rows(name: str) -> int:
        return len(arrays[name]) if arrays[name].ndim else 0

    vertices, faces, moved, expressions = map(rows, ("vertices", "faces", "expression_vertices", "expression_names"))
    widest = arrays["skin_joints"].shape[-1] if arrays["skin_joints"].ndim else 0
    return {
        "vertices": (vertices, 3),
        "faces": (faces, 3),
        "uvs": (faces, 3, 2),
        "joints": (NUM_JOINTS, 3),
        "skin_joints": (vertices, widest),
        "skin_weights": (vertices, widest),
        "expression_names": (expressions,),
        "expression_start": (expressions + 1,),
        "expression_vertices": (moved,),
        "expression_deltas": (moved, 3),
        "hand_mean": (30, 3),
        "full_pose": (3 * NUM_JOINTS,),
        "transl": (3,),
        "expression": (expressions,),
        "K": (3, 3),
        "world_to_camera": (4, 4),
        "image_size": (2,),
        "body_sha256": (),
    }


def _bad_index(arrays: dict[str, np.ndarray]) -> str:
    for name, limit in (
        ("faces", len(arrays["vertices"])),
        ("expression_vertices", len(arrays["vertices"])),
        ("skin_joints", NUM_JOINTS),
    ):
        values = arrays[name]
        if values.size and not (values.min() >= 0 and values.max() < limit):
            return f"points in {name} to what is not there"
    start = arrays["expression_start"]
    if start[0] != 0 or start[-1] != len(arrays["expression_vertices"]) or (np.diff(start) < 0).any():
        return "has an expression_start that does not fit"
    if arrays["skin_weights"].size and np.abs(arrays["skin_weights"].sum(axis=1) - 1).max() > 1e-3:
        return "has skin weights that do not sum to 1"
    return ""
