"""Pinhole cameras: OpenCV axes (x right, y down, z forward), pixel centres at +0.5."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .errors import VivantError


@dataclass(frozen=True)
class Camera:
    """One view. `u = fx x/z + cx` with the image corner at 0, so the first pixel's centre is 0.5."""

    width: int
    height: int
    K: np.ndarray  # [3, 3] pixels
    world_to_camera: np.ndarray  # [4, 4] metres

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Project `points` [N, 3] (metres, world) to pixels [N, 2] and planar depth [N] in metres.

        Points with depth <= 0 give meaningless pixels: cull by the depth returned.
        """
        in_camera = points @ self.world_to_camera[:3, :3].T + self.world_to_camera[:3, 3]
        depth = in_camera[:, 2]
        return (in_camera @ self.K.T)[:, :2] / depth[:, None], depth

    @property
    def centre(self) -> np.ndarray:
        """The camera's position in the world, [3] metres."""
        rotation, translation = self.world_to_camera[:3, :3], self.world_to_camera[:3, 3]
        return -rotation.T @ translation

    def cropped(self, x0: int, y0: int, x1: int, y1: int) -> Camera:
        """The same view restricted to the pixel box [x0, x1) x [y0, y1), which may lie outside the image."""
        K = self.K.copy()
        K[0, 2] -= x0
        K[1, 2] -= y0
        return replace(self, width=x1 - x0, height=y1 - y0, K=K)

    def resized(self, width: int, height: int) -> Camera:
        """The same view at another resolution."""
        scale = np.diag([width / self.width, height / self.height, 1.0])
        return replace(self, width=width, height=height, K=scale @ self.K)


def save_cameras(path: Path, cameras: list[Camera]) -> None:
    """Write a camera file (JSON): one entry for a fixed camera, or one entry per frame."""
    entries = [
        {
            "width": camera.width,
            "height": camera.height,
            "K": camera.K.tolist(),
            "world_to_camera": camera.world_to_camera.tolist(),
        }
        for camera in cameras
    ]
    path.write_text(json.dumps(entries[0] if len(entries) == 1 else entries, indent=1), encoding="utf-8")


def load_cameras(path: Path) -> list[Camera]:
    """Read a camera file. One camera means the same view for every frame.

    Raises:
        VivantError: the file is missing, is not JSON, or lacks a field.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VivantError(
            f"Cannot read the camera file {path}: {error}. Give a JSON file written by Vivant."
        ) from error
    entries = content if isinstance(content, list) else [content]
    if not entries:
        raise VivantError(f"The camera file {path} holds no camera. Write at least one entry.")
    return [_camera(entry, path) for entry in entries]


def _camera(entry: object, path: Path) -> Camera:
    try:
        camera = Camera(
            width=int(entry["width"]),  # type: ignore[index]
            height=int(entry["height"]),  # type: ignore[index]
            K=np.asarray(entry["K"], dtype=np.float64).reshape(3, 3),  # type: ignore[index]
            world_to_camera=np.asarray(entry["world_to_camera"], dtype=np.float64).reshape(4, 4),  # type: ignore[index]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise VivantError(
            f"The camera file {path} has a bad entry ({error!r}). "
            "Each needs width, height, K (3x3) and world_to_camera (4x4)."
        ) from error
    finite = np.isfinite(camera.K).all() and np.isfinite(camera.world_to_camera).all()
    if not finite or camera.width < 1 or camera.height < 1:
        raise VivantError(f"The camera file {path} has a camera with a size below 1 or a number that is not finite.")
    return camera
