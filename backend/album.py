"""The pictures that go with an avatar: overlay, matte, the photo's view, a turn, and the report that shows them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from backend.atomic import written_whole
from backend.body.model import BodyModel
from backend.memory import peak_mb
from backend.progress import Progress
from backend.registration.ground import posed_body
from backend.registration.overlay import overlay
from backend.rendering.render import render_frames
from backend.rendering.views import orbit, strip
from backend.report import ReportContent, write_report
from backend.stages import Avatar, Frame, Observations, Registration
from shared.camera import Camera
from shared.motion import Motion
from shared.skeleton import JOINT_INDEX

TURN_DEGREES = (-60, -30, 0, 30, 60)
TURN_SIZE = 768
"""Pixels of a turn view's longer side."""
SIDES = tuple(f"{side}_{joint}" for side in ("left", "right") for joint in ("collar", "shoulder"))
TRUNK = [JOINT_INDEX[name] for name in ("pelvis", "spine1", "spine2", "spine3", "neck", "head", *SIDES)]


def write_album(
    folder: Path,
    observations: Observations,
    avatar: Avatar,
    model: BodyModel,
    losses: dict[str, list[float]],
    seconds: dict[str, float],
    progress: Progress,
) -> None:
    """Write photo.png, matte.png, overlay.png, preview.png, turn.png and report.html into `folder`."""
    fit = overlay(observations, avatar.registration, model)
    alpha = np.round(observations.alpha * 255).astype(np.uint8)
    matte = np.dstack([observations.foreground, alpha])
    registration = avatar.registration
    cameras = [registration.camera, *turn_cameras(registration, model)]
    first, *turned = photo_views(avatar, model, cameras, progress)
    still = strip([first], [""])
    turn = strip(turned, [f"{degrees:+d}" if degrees else "0" for degrees in TURN_DEGREES])
    pictures = {"photo": observations.rgb, "matte": matte, "overlay": fit, "preview": still, "turn": turn}
    for name, picture in pictures.items():
        write_picture(folder / f"{name}.png", picture)
    write_report(
        folder / "report.html",
        ReportContent(
            title="Vivant avatar",
            lead=f"{len(avatar.face):,} Gaussians, {avatar.info['photo_psnr_db']:.1f} dB on the photo.",
            photo=observations.rgb,
            overlay=fit,
            matte=matte,
            views=[
                ("The photo's own view", still),
                (f"Turned by {TURN_DEGREES[0]} to {TURN_DEGREES[-1]} degrees", turn),
            ],
            losses=losses,
            settings=avatar.info["settings"],
            providers=avatar.info["providers"],
            timings=seconds,
            peak_mb=peak_mb(),
            confidence=registration.confidence,
            notes=[*observations.notes, *registration.notes],
            licences=avatar.info["licences"],
        ),
    )


def write_overlay(path: Path, observations: Observations, registration: Registration, model: BodyModel) -> None:
    """The fitted body over the photo, as a PNG."""
    write_picture(path, overlay(observations, registration, model))


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write uint8 [H, W, 3 or 4] as PNG, whole or not at all."""
    with written_whole(path) as temporary:
        Image.fromarray(picture).save(temporary, format="PNG")


def photo_views(avatar: Avatar, model: BodyModel, cameras: list[Camera], progress: Progress) -> list[Frame]:
    """The avatar in the photo's pose, seen by each of `cameras`."""
    still = photo_pose(avatar.registration, len(cameras))
    return list(render_frames(avatar, model, still, cameras, progress=progress))


def photo_pose(registration: Registration, frames: int = 1) -> Motion:
    """The person as the photo shows them, standing still."""
    return Motion(
        np.tile(registration.full_pose, (frames, 1)),
        np.tile(registration.transl, (frames, 1)),
        np.tile(registration.expression, (frames, 1)),
        registration.expression_names,
        fps=1.0,
    )


def turn_cameras(registration: Registration, model: BodyModel) -> list[Camera]:
    """Five cameras round the person."""
    camera, centre = portrait_camera(registration, TURN_SIZE), person_centre(registration, model)
    return [orbit(camera, centre, degrees) for degrees in TURN_DEGREES]


def portrait_camera(registration: Registration, size: int) -> Camera:
    """The photo's camera, its longer side at most `size` pixels."""
    camera = registration.camera
    scale = min(1.0, size / max(camera.width, camera.height))
    return camera.resized(round(camera.width * scale), round(camera.height * scale))


def person_centre(registration: Registration, model: BodyModel) -> np.ndarray:
    """A point amid the trunk and head as far as the photo shows them, in the middle of its view, [3] metres.

    The root alone will not do: it may lie under the picture, and a bust lean far from it.
    """
    camera, trunk = registration.camera, posed_body(registration, model)[1][TRUNK]
    pixels, depth = camera.project(trunk)
    shown = ((pixels >= 0) & (pixels < (camera.width, camera.height))).all(1)
    amid = trunk[shown] if shown.any() else trunk
    middle = np.array([camera.width / 2, camera.height / 2, 1.0])
    ray = camera.world_to_camera[:3, :3].T @ (np.linalg.inv(camera.K) @ middle)
    across = camera.centre + ray * depth.mean()
    return np.array([amid[:, 0].mean(), across[1], amid[:, 2].mean()])
