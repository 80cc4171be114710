"""A picture that shows at a glance whether the fit is right."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from backend.body.geometry import vertex_normals
from backend.body.model import BodyModel
from backend.raster.mesh import MeshBuffers, rasterize_mesh
from backend.stages import Landmarks, Observations, Registration

from .ground import posed_body

BODY_TINT = np.array([0.35, 0.65, 1.0])
OUTLINE = np.array([255, 255, 255])
OPACITY = 0.55
SHOWN_ABOVE = 0.3
"""Landmark confidence below which a dot would mislead."""
POINT_COLOURS = {"body": "#ffb000", "left_hand": "#00e060", "right_hand": "#ff4060", "face": "#ffffff"}


def overlay(observations: Observations, registration: Registration, model: BodyModel) -> np.ndarray:
    """The fitted body, shaded and half transparent, over the photo; its outline and the landmarks. uint8 [H, W, 3]."""
    vertices, _ = posed_body(registration, model)
    buffers = rasterize_mesh(vertices, model.faces, registration.camera)
    shaded = _shade(vertices, model.faces, registration, buffers)
    covered = buffers.face >= 0
    picture = observations.rgb.astype(np.float32)
    picture[covered] = (1 - OPACITY) * picture[covered] + OPACITY * shaded[covered]
    picture[_outline(covered)] = OUTLINE
    image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
    _draw_points(ImageDraw.Draw(image), observations)
    return np.asarray(image)


def _shade(vertices: np.ndarray, faces: np.ndarray, registration: Registration, buffers: MeshBuffers) -> np.ndarray:
    """Light from the camera's upper left, [H, W, 3] in 0-255."""
    normals = vertex_normals(vertices, faces)[faces[np.maximum(buffers.face, 0)]]  # [H, W, 3 corners, 3]
    normal = (normals * buffers.barycentric[..., None]).sum(2)
    light = registration.camera.world_to_camera[:3, :3].T @ np.array([-0.4, -0.5, -0.77])
    brightness = 0.35 + 0.65 * np.clip(normal @ light, 0.0, 1.0)
    return 255 * brightness[..., None] * BODY_TINT


def _outline(covered: np.ndarray) -> np.ndarray:
    """Covered pixels with an uncovered neighbour, [H, W] bool."""
    padded = np.pad(covered, 1, mode="edge")
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return covered & ~inner


def _draw_points(draw: ImageDraw.ImageDraw, observations: Observations) -> None:
    """Dots of about a centimetre on the body, smaller where landmarks are dense."""
    x0, y0, x1, y1 = observations.box
    dot = max(x1 - x0, y1 - y0) / 400
    for name, colour in POINT_COLOURS.items():
        landmarks: Landmarks = getattr(observations, name)
        extent = np.ptp(landmarks.points, axis=0).max()
        radius = min(dot, extent / (250 if name == "face" else 40))
        for (x, y), confidence in zip(landmarks.points, landmarks.confidence, strict=True):
            if confidence > SHOWN_ABOVE:
                draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)
