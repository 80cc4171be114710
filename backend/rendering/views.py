"""Cameras around the person, and strips of labelled views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from backend.rendering.color import over, to_bytes
from backend.stages import Frame
from shared.camera import Camera
from shared.rotations import matrices_from_axis_angles


def orbit(camera: Camera, centre: np.ndarray, degrees: float) -> Camera:
    """Carry the camera around the vertical through `centre` [3] (metres, world), always looking the same way at it.

    Positive degrees go to the left of a person who faces +z, towards +x.
    """
    turn = np.eye(4)
    turn[:3, :3] = matrices_from_axis_angles(np.array([0.0, -np.deg2rad(degrees), 0.0]))
    turn[:3, 3] = centre - turn[:3, :3] @ centre
    return replace(camera, world_to_camera=camera.world_to_camera @ turn)


def fitted(camera: Camera, width: int, height: int) -> Camera:
    """The same view in a picture of another size: scaled as a whole until it fits, and centred."""
    scale = min(width / camera.width, height / camera.height)
    K = np.diag([scale, scale, 1.0]) @ camera.K
    K[0, 2] += (width - scale * camera.width) / 2
    K[1, 2] += (height - scale * camera.height) / 2
    return replace(camera, width=width, height=height, K=K)


def strip(
    frames: Sequence[Frame],  # of equal height
    labels: Sequence[str],
    background: tuple[float, float, float] = (1.0, 1.0, 1.0),  # sRGB in [0, 1]
) -> np.ndarray:  # [H, sum of W, 3] uint8 sRGB
    """Lay views side by side over one colour, each with its label in the upper left corner."""
    picture = Image.fromarray(np.hstack([to_bytes(over(frame.rgb, frame.alpha, background)) for frame in frames]))
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(max(12, picture.height // 40))
    ink = (0, 0, 0) if sum(background) > 1.5 else (255, 255, 255)
    lefts = np.cumsum([0] + [frame.rgb.shape[1] for frame in frames[:-1]])
    for left, label in zip(lefts, labels, strict=True):
        draw.text((left + picture.height // 80, picture.height // 80), label, fill=ink, font=font)
    return np.asarray(picture)
