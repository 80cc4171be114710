"""`registration.npz`: a registration on disk. Numeric and string arrays only, never a pickle."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from backend.atomic import written_whole
from backend.body.model import BodyModel
from backend.stages import HairLayer, Registration
from shared.camera import Camera
from shared.errors import VivantError

KEYS = (
    *("body_sha256", "betas", "expression", "expression_names", "full_pose", "transl", "K", "world_to_camera"),
    *("image_size", "offsets", "confidence", "confidence_names", "notes"),
)

OPTIONAL = ("hair_vertices", "hair_faces", "hair_pixels")


def save_registration(path: Path, registration: Registration) -> None:
    """Write `path`, whole or not at all.

    Raises:
        VivantError: the file cannot be written.
    """
    camera, hair = registration.camera, registration.hair
    arrays = {
        "body_sha256": np.array(registration.body_sha256),
        "betas": registration.betas,
        "expression": registration.expression,
        "expression_names": np.array(registration.expression_names, dtype=np.str_),
        "full_pose": registration.full_pose,
        "transl": registration.transl,
        "K": camera.K,
        "world_to_camera": camera.world_to_camera,
        "image_size": np.array([camera.width, camera.height]),
        "offsets": registration.offsets,
        "confidence": np.array(list(registration.confidence.values()), dtype=np.float64),
        "confidence_names": np.array(list(registration.confidence), dtype=np.str_),
        "notes": np.array(registration.notes, dtype=np.str_),
    }
    if hair is not None:
        arrays |= {"hair_vertices": hair.vertices, "hair_faces": hair.faces}
    if registration.hair_pixels is not None:
        arrays |= {"hair_pixels": registration.hair_pixels}
    with written_whole(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def load_registration(path: Path, model: BodyModel) -> Registration:
    """Read what `save_registration` wrote.

    Raises:
        VivantError: the file cannot be read, lacks a key, holds numbers that cannot be, or belongs to another body.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in (*KEYS, *OPTIONAL) if key in archive}
    except (OSError, ValueError, TypeError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise VivantError(
            f"Cannot read the registration {path}: {error}. Give a registration.npz written by `vivant register`."
        ) from error
    missing = [key for key in KEYS if key not in arrays]
    if missing:
        raise VivantError(f"The registration {path} lacks {', '.join(missing)}. Make it again with `vivant register`.")
    _check(path, arrays, model)
    return _registration(arrays)


def _check(path: Path, arrays: dict[str, np.ndarray], model: BodyModel) -> None:
    """Refuse another body's file, and sizes and numbers that would fail far from here."""
    if str(arrays["body_sha256"]) != model.sha256:
        raise VivantError(
            f"The registration {path} was made with another body file (SHA-256 {str(arrays['body_sha256'])[:12]}..., "
            f"loaded: {model.sha256[:12]}...). Give the same --body as then, or register the photo again."
        )
    shapes = {
        "full_pose": (165,),
        "transl": (3,),
        "K": (3, 3),
        "world_to_camera": (4, 4),
        "image_size": (2,),
        "offsets": tuple(model.template.shape),
        "expression": (len(model.expression_names),),
        "expression_names": (len(model.expression_names),),
    }
    for key, shape in shapes.items():
        if arrays[key].shape != shape:
            raise VivantError(
                f"The registration {path}: {key} has shape {arrays[key].shape}, not {shape}. Make it again."
            )
    for key, values in arrays.items():
        if values.dtype.kind in "fiu" and not np.isfinite(values).all():
            raise VivantError(f"The registration {path}: {key} holds a number that is not finite. Make it again.")


def _registration(arrays: dict[str, np.ndarray]) -> Registration:
    width, height = (int(size) for size in arrays["image_size"])
    hair = HairLayer(arrays["hair_vertices"], arrays["hair_faces"]) if "hair_vertices" in arrays else None
    return Registration(
        body_sha256=str(arrays["body_sha256"]),
        betas=arrays["betas"],
        expression=arrays["expression"],
        expression_names=tuple(str(name) for name in arrays["expression_names"]),
        full_pose=arrays["full_pose"],
        transl=arrays["transl"],
        camera=Camera(width, height, arrays["K"], arrays["world_to_camera"]),
        offsets=arrays["offsets"],
        confidence=dict(zip(map(str, arrays["confidence_names"]), map(float, arrays["confidence"]), strict=True)),
        hair=hair,
        hair_pixels=arrays.get("hair_pixels"),
        notes=tuple(str(note) for note in arrays["notes"]),
    )
