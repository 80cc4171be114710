"""`registration.npz`: a registration on disk. Numeric and string arrays only, never a pickle."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from backend.atomic import write_arrays
from backend.body.model import BodyModel
from backend.stages import HairLayer, Registration
from shared.camera import Camera
from shared.errors import VivantError

KEYS = (
    *("body_sha256", "betas", "expression", "expression_names", "full_pose", "transl", "K", "world_to_camera"),
    *("image_size", "offsets", "confidence", "confidence_names", "notes"),
)

NUMBERS, INTEGERS, TEXTS, FLAGS = "fiu", "iu", "U", "b"
"""Kinds of numpy's types."""
KINDS = {NUMBERS: "numbers", INTEGERS: "integers", TEXTS: "texts", FLAGS: "flags"}

OPTIONAL = ("hair_vertices", "hair_faces", "hair_on_chest", "hair_pixels")


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
        arrays |= {"hair_vertices": hair.vertices, "hair_faces": hair.faces, "hair_on_chest": hair.on_chest}
    if registration.hair_pixels is not None:
        arrays |= {"hair_pixels": registration.hair_pixels}
    write_arrays(path, arrays)


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
    layout = _layout(arrays, model)
    for key, values in arrays.items():
        kinds, shape = layout[key]
        fits = len(values.shape) == len(shape) and all(
            want in (None, have) for want, have in zip(shape, values.shape, strict=True)
        )
        if values.dtype.kind not in kinds or not fits:
            wanted = " x ".join("any" if length is None else str(length) for length in shape) or "single"
            raise _broken(path, f"{key} is {values.dtype} {values.shape}, not {wanted} {KINDS[kinds]}")
        if values.dtype.kind in NUMBERS and not np.isfinite(values).all():
            raise _broken(path, f"{key} holds a number that is not finite")
    _check_values(path, arrays, model)


def _layout(arrays: dict[str, np.ndarray], model: BodyModel) -> dict[str, tuple[str, tuple[int | None, ...]]]:
    """What kinds each array may be of, and its shape; None stands for any length."""
    expressions = len(model.expression_names)
    return {
        "body_sha256": (TEXTS, ()),
        "betas": (NUMBERS, (None,)),
        "expression": (NUMBERS, (expressions,)),
        "expression_names": (TEXTS, (expressions,)),
        "full_pose": (NUMBERS, (165,)),
        "transl": (NUMBERS, (3,)),
        "K": (NUMBERS, (3, 3)),
        "world_to_camera": (NUMBERS, (4, 4)),
        "image_size": (INTEGERS, (2,)),
        "offsets": (NUMBERS, tuple(model.template.shape)),
        "confidence": (NUMBERS, (arrays["confidence_names"].size,)),
        "confidence_names": (TEXTS, (None,)),
        "notes": (TEXTS, (None,)),
        "hair_vertices": (NUMBERS, (None, 3)),
        "hair_faces": (INTEGERS, (None, 3)),
        "hair_on_chest": (NUMBERS, (len(arrays.get("hair_vertices", ())),)),
        "hair_pixels": (FLAGS, (None, None)),
    }


def _check_values(path: Path, arrays: dict[str, np.ndarray], model: BodyModel) -> None:
    width, height = (int(size) for size in arrays["image_size"])
    if len(arrays["betas"]) > model.num_betas:
        raise _broken(path, f"it has {len(arrays['betas'])} betas, the body {model.num_betas}")
    if min(width, height) < 1 or min(arrays["K"][0, 0], arrays["K"][1, 1]) <= 0:
        raise _broken(path, "its camera has no size or no focal length")
    if ("hair_vertices" in arrays) != ("hair_faces" in arrays):
        raise _broken(path, "of hair_vertices and hair_faces one is missing")
    if "hair_faces" in arrays and arrays["hair_faces"].size:
        faces = arrays["hair_faces"]
        if faces.min() < 0 or faces.max() >= len(arrays["hair_vertices"]):
            raise _broken(path, "hair_faces names vertices that are not there")
    if "hair_pixels" in arrays and arrays["hair_pixels"].shape != (height, width):
        raise _broken(path, "hair_pixels has another size than the image")


def _broken(path: Path, cause: str) -> VivantError:
    return VivantError(f"The registration {path} is broken: {cause}. Make it again with `vivant register`.")


def _registration(arrays: dict[str, np.ndarray]) -> Registration:
    width, height = (int(size) for size in arrays["image_size"])
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
        hair=_hair(arrays),
        hair_pixels=arrays.get("hair_pixels"),
        notes=tuple(str(note) for note in arrays["notes"]),
    )


def _hair(arrays: dict[str, np.ndarray]) -> HairLayer | None:
    if "hair_vertices" not in arrays:
        return None
    vertices = arrays["hair_vertices"]
    all_on_the_head = np.zeros(len(vertices), np.float32)  # in the first version's files
    return HairLayer(vertices, arrays["hair_faces"], arrays.get("hair_on_chest", all_on_the_head))
