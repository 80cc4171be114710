"""The avatar folder: `avatar.json`, `gaussians.safetensors`, `registration.npz`. Never a pickle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from backend.atomic import written_whole
from backend.body.model import BodyModel
from backend.registration.files import load_registration, save_registration
from backend.stages import Avatar, Light
from shared.errors import VivantError

SCHEMA = 1
NONE = (0.0, 0.0, 0.0)
"""Of an avatar that was made before its light, or a lamp, was looked for."""
TENSORS = {
    "face": (),
    "barycentric": (3,),
    "offset": (3,),
    "log_scale": (1,),
    "rgb": (3,),
    "rgb_photo": (3,),
    "visibility": (),
}
"""Tensor names of `gaussians.safetensors` that a photo-only avatar needs, and the shape of one Gaussian's row."""


def save_avatar(folder: Path, avatar: Avatar) -> None:
    """Write the avatar's files into `folder`; `avatar.json` comes last, so a folder that has it is complete.

    Raises:
        VivantError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: np.ascontiguousarray(getattr(avatar, name)) for name in TENSORS}
    tensors["clothed_offset"] = np.ascontiguousarray(avatar.registration.offsets, dtype=np.float32)
    with written_whole(folder / "gaussians.safetensors") as path:
        path.write_bytes(save(tensors))  # `save_file` hides what the system said
    save_registration(folder / "registration.npz", avatar.registration)
    light, lamp = ([float(value) for value in part] for part in (avatar.light.sky, avatar.light.lamp))
    fixed = {"schema": SCHEMA, "body_sha256": avatar.registration.body_sha256, "light": light, "lamp": lamp}
    info = {**avatar.info, **fixed}
    with written_whole(folder / "avatar.json") as path:
        path.write_text(json.dumps(info, indent=1, ensure_ascii=False), encoding="utf-8")


def load_avatar(folder: Path, model: BodyModel) -> Avatar:
    """Read an avatar folder.

    Raises:
        VivantError: it is not one, it is damaged, of a newer version, or belongs to another body file.
    """
    info = _info(folder)
    if info["body_sha256"] != model.sha256:
        raise VivantError(
            f"{folder} was made with the body file {info['body_sha256'][:12]}, the one loaded is {model.sha256[:12]}. "
            "Give that file with --body."
        )
    try:
        tensors = load_file(folder / "gaussians.safetensors")
    except (OSError, SafetensorError) as error:
        raise VivantError(f"Cannot read the Gaussians of {folder}: {error}. Build the avatar again.") from error
    if "rgb" in tensors:
        tensors.setdefault("rgb_photo", tensors["rgb"])  # avatars had one set of colours once
    registration = load_registration(folder / "registration.npz", model)
    _check(folder, tensors, len(model.faces) + (0 if registration.hair is None else len(registration.hair.faces)))
    light = Light(np.array(info["light"]), np.array(info["lamp"]))
    return Avatar(**{name: tensors[name] for name in TENSORS}, light=light, registration=registration, info=info)


def _info(folder: Path) -> dict:
    try:
        info = json.loads((folder / "avatar.json").read_text(encoding="utf-8"))
        schema, info["body_sha256"] = info["schema"], str(info["body_sha256"])
        for part in ("light", "lamp"):
            info[part] = [float(info.get(part, NONE)[axis]) for axis in range(3)]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise VivantError(f"{folder} is no finished avatar ({error!r}). Build one with `vivant build`.") from error
    if schema != SCHEMA:
        raise VivantError(
            f"{folder} has the format {schema}, this Vivant reads {SCHEMA}. Update Vivant or build it again."
        )
    return info


def _check(folder: Path, tensors: dict[str, np.ndarray], faces: int) -> None:
    count = tensors["face"].size if "face" in tensors else 0
    wrong = [name for name, row in TENSORS.items() if name not in tensors or tensors[name].shape != (count, *row)]
    bad = wrong or not all(np.isfinite(tensors[name]).all() for name in TENSORS)
    if bad or tensors["face"].min(initial=0) < 0 or tensors["face"].max(initial=0) >= faces:
        raise VivantError(
            f"The Gaussians of {folder} are damaged ({', '.join(wrong) or 'bad values'}). Build it again."
        )
