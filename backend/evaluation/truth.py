"""Truth sets: rendered people whose body parameters, cameras, mattes and depth are exactly known."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from shared.camera import Camera
from shared.errors import VivantError

GROUPS = ("photo", "talk", "talk_odd", "turn", "turn60", "close")
_POSE_PARTS = (
    "global_orient",
    "body_pose",
    "jaw_pose",
    "leye_pose",
    "reye_pose",
    "left_hand_pose",
    "right_hand_pose",
)  # the order of a full pose


@dataclass(frozen=True)
class TruthFrame:
    """One frame with everything that is known about it."""

    name: str
    full_pose: np.ndarray  # [165] axis-angle, radians, hands as full poses
    transl: np.ndarray  # [3] metres
    expression: np.ndarray  # [E]
    joints: np.ndarray  # [55, 3] metres, world
    camera: Camera
    image: Path  # RGBA, straight alpha
    depth: np.ndarray | None  # [H, W] float32 metres, planar, 0 = nothing; known for few frames

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups of `GROUPS` whose means this frame enters."""
        kind, _, detail = self.name.partition("_")
        odd = kind == "talk" and int(detail) % 2 == 1
        wide = kind == "turn" and detail.endswith("60")
        return (kind, *(("talk_odd",) if odd else ()), *(("turn60",) if wide else ()))

    def rgba(self) -> np.ndarray:
        """Read the picture, [H, W, 4] uint8, straight alpha."""
        with Image.open(self.image, formats=("PNG",)) as picture:
            return np.asarray(picture.convert("RGBA"))


@dataclass(frozen=True)
class TruthSubject:
    """One person: a source photo and the frames to reproduce."""

    name: str  # the folder's name, e.g. "subject_a"
    photo: Path  # RGB over a background, what a user would give
    body_sha256: str  # the body file that the parameters belong to
    betas: np.ndarray  # [B]
    frames: tuple[TruthFrame, ...]

    @property
    def source(self) -> TruthFrame:
        """The frame of the photo."""
        return next(frame for frame in self.frames if frame.name == "photo")


def load_truth(root: Path, subjects: tuple[str, ...] | None = None) -> list[TruthSubject]:
    """Load the chosen subjects (`a` or `subject_a`; None: all) of the truth set in the folder `root`.

    Raises:
        VivantError: no such subject, or its files are incomplete.
    """
    present = sorted(path.name for path in root.glob("subject_*") if path.is_dir())
    if not present:
        raise VivantError(f"{root} holds no folder subject_*. Give the folder of a truth set.")
    chosen = present if subjects is None else [_folder_name(subject) for subject in subjects]
    for name in chosen:
        if name not in present:
            raise VivantError(f"The truth set {root} has no {name}. It holds {', '.join(present)}.")
    return [load_subject(root / name) for name in chosen]


def load_subject(folder: Path) -> TruthSubject:
    """Load one subject's folder. Frames are those that `params.npz` names, in its order.

    Raises:
        VivantError: a file is missing or not what the truth set's README describes.
    """
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        params = _arrays(folder / "params.npz")
        depths = _arrays(folder / "depth.npz")
        files = {entry["name"]: folder / entry["file"] for entry in meta["frames"]}
        frames = tuple(_frame(index, params, depths, files, meta) for index in range(len(params["names"])))
        subject = TruthSubject(folder.name, folder / "photo.png", meta["body"]["sha256"], params["betas"], frames)
    except (OSError, KeyError, ValueError) as error:
        raise VivantError(f"The truth subject {folder} is incomplete ({error!r}). Fetch the set again.") from error
    for path in (subject.photo, *(frame.image for frame in frames)):
        if not path.is_file():
            raise VivantError(f"The truth subject {folder} names {path.name}, which is not there. Fetch the set again.")
    if all(frame.name != "photo" for frame in frames):
        raise VivantError(f"The truth subject {folder} has no frame named photo, so there is nothing to start from.")
    return subject


def check_body(subject: TruthSubject, body_sha256: str) -> None:
    """Refuse a body model that the subject's parameters do not belong to.

    Raises:
        VivantError: the hashes differ.
    """
    if subject.body_sha256 != body_sha256:
        raise VivantError(
            f"{subject.name} was made with the body file {subject.body_sha256[:12]}, the one loaded is "
            f"{body_sha256[:12]}: its parameters mean nothing there. Evaluate with the truth set's own body file."
        )


def _folder_name(subject: str) -> str:
    return subject if subject.startswith("subject_") else f"subject_{subject}"


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as archive:
        return {key: archive[key] for key in archive.files}


def _frame(
    index: int,
    params: dict[str, np.ndarray],
    depths: dict[str, np.ndarray],
    files: dict[str, Path],
    meta: dict[str, Any],
) -> TruthFrame:
    name = str(params["names"][index])
    width, height = meta["size"]
    return TruthFrame(
        name=name,
        full_pose=np.concatenate([params[part][index] for part in _POSE_PARTS]),
        transl=params["transl"][index],
        expression=params["expression"][index],
        joints=params["joints"][index],
        camera=Camera(width, height, params["K"][index], params["world_to_camera"][index]),
        image=files[name],
        depth=depths[name].astype(np.float32) if name in depths else None,
    )
