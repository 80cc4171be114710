"""A finished avatar performs: motion and camera in, pictures or a video out; and the demo, which builds one first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from itertools import count
from pathlib import Path

import numpy as np

from backend.album import portrait_camera
from backend.atomic import ensure_writable, written_whole
from backend.avatar.files import load_avatar
from backend.body.model import BodyModel
from backend.pipeline import BuildSettings, build, sha256
from backend.progress import Event, Progress, silent
from backend.raster.splats import choose_device
from backend.raster.warm_up import warm_up
from backend.rendering.render import render_frames
from backend.rendering.views import fitted
from backend.rendering.writers import write_exr, write_mp4, write_png
from backend.stages import Avatar, Frame
from shared.camera import Camera, load_cameras
from shared.errors import VivantError
from shared.motion import Motion
from shared.motion_files import Basis, load_motion
from shared.talking import talking_motion

DEMO_SECONDS, DEMO_FPS, DEMO_SIZE = 6.0, 25.0, 1024
LAST = "report.html"
"""Of the demo's files: a folder that has it is finished."""
FORMATS = ("png", "exr", "mp4")


@dataclass(frozen=True)
class RenderSettings:
    """What to draw and how."""

    camera: Path | None = None  # camera file; None: the photo's own camera
    size: tuple[int, int] | None = None  # width, height in pixels; None: the camera's own
    frames: tuple[int, int] | None = None  # first and last frame, counted from 0; None: all
    format: str | None = None  # png, exr or mp4; None: by the name of the output
    fps: float | None = None  # resample the motion to this rate; None: its own
    background: tuple[float, float, float] = (1.0, 1.0, 1.0)  # sRGB in [0, 1], of videos
    body: Path | None = None  # the body file that the avatar was made with; None: the open body
    device: str = "auto"  # auto, cpu or cuda


def render(folder: Path, motion: Path, out: Path, settings: RenderSettings, *, progress: Progress = silent) -> Path:
    """Play a motion file with the avatar in `folder`; `out` is a folder of numbered frames, or an .mp4 file.

    The motion starts where the person stands in the photo.

    Raises:
        VivantError: a file cannot be used, or `out` cannot be written.
    """
    kind = settings.format or ("mp4" if out.suffix.lower() == ".mp4" else "png")
    if kind not in FORMATS:
        raise VivantError(f"There is no output format {kind}. Choose one of {', '.join(FORMATS)}.")
    ensure_writable(out.parent if kind == "mp4" else out)
    model = BodyModel.load(settings.body)
    avatar = load_avatar(folder, model)
    hands = np.concatenate([model.hand_mean_left, model.hand_mean_right])
    basis = Basis(model.sha256, model.expression_names)
    loaded = load_motion(motion, fps=settings.fps, hand_mean=hands, basis=basis)
    for note in loaded.notes:
        progress(Event("motion", 1, 1, note))
    placed = loaded.motion.placed(avatar.registration.full_pose[:3], avatar.registration.transl)
    cameras = [avatar.registration.camera] if settings.camera is None else load_cameras(settings.camera)
    if settings.size is not None:
        cameras = [fitted(camera, *settings.size) for camera in cameras]
    first, last = settings.frames or (0, len(placed) - 1)
    frames = _play(avatar, model, placed, cameras, range(first, last + 1), settings.device, progress)
    _write(out, kind, frames, first, placed.fps, settings.background)
    return out


def demo(out: Path, *, full_body: bool = False, progress: Progress = silent) -> list[Path]:
    """Build the example photo's avatar and let it talk; returns what was made, the avatar folder first.

    An earlier run of the same example that was interrupted goes on. If `out` holds another avatar or a finished demo,
    `out`-2 is taken, or the next free number.

    Raises:
        VivantError: the folder cannot be written to.
    """
    name = "full_body.png" if full_body else "astronaut.png"
    with resources.as_file(resources.files("backend.examples") / name) as photo:
        out = next(folder for folder in _numbered(out) if _is_free(folder, sha256(photo)))
        avatar_folder = out / "avatar"
        if any(out.glob("avatar*")):
            progress(Event("demo", 0, 1, f"Going on in {out}, where an earlier run stopped."))
        if not avatar_folder.exists():
            build(photo, avatar_folder, BuildSettings(resume=True), progress=progress)
    model = BodyModel.load()
    avatar = load_avatar(avatar_folder, model)
    motion = talking_motion(DEMO_SECONDS, DEMO_FPS)
    placed = motion.placed(avatar.registration.full_pose[:3], avatar.registration.transl)
    camera = portrait_camera(avatar.registration, DEMO_SIZE)
    video = out / "talk.mp4"
    write_mp4(video, _play(avatar, model, placed, [camera], range(len(placed)), "auto", progress), placed.fps)
    results = [avatar_folder, video]
    for source, target in (("preview.png", "still.png"), ("turn.png", "turn.png"), ("report.html", LAST)):
        results.append(out / target)
        with written_whole(results[-1]) as path:
            path.write_bytes((avatar_folder / source).read_bytes())
    return results


def _is_free(folder: Path, photo_sha256: str) -> bool:
    """Whether no demo of this photo was finished in `folder`, and no other avatar lies there."""
    if (folder / LAST).exists():
        return False
    about = folder / "avatar" / "avatar.json"
    if not about.exists():
        return not about.parent.exists()
    return json.loads(about.read_text(encoding="utf-8")).get("photo_sha256") == photo_sha256


def _numbered(folder: Path) -> Iterator[Path]:
    """`folder`, then `folder`-2, `folder`-3, ..."""
    yield folder
    for number in count(2):
        yield folder.with_name(f"{folder.name}-{number}")


def _play(
    avatar: Avatar,
    model: BodyModel,
    motion: Motion,
    cameras: list[Camera],
    frames: range,
    device: str,
    progress: Progress,
) -> Iterator[Frame]:
    warm_up(progress)
    chosen = choose_device(device, progress)
    return render_frames(avatar, model, motion, cameras, frames=frames, device=chosen, progress=progress)


def _write(
    out: Path, kind: str, frames: Iterable[Frame], first: int, fps: float, background: tuple[float, float, float]
) -> None:
    if kind == "mp4":
        write_mp4(out, frames, fps, background)
        return
    write = write_png if kind == "png" else write_exr
    for number, frame in enumerate(frames, start=first):
        write(out / f"{number:06d}.{kind}", frame)
