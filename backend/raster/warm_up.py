"""Compile the kernels before they are needed, so that the wait is announced and happens once."""

from __future__ import annotations

import numpy as np
import torch

from backend.progress import Event, Progress, silent
from backend.raster.mesh import rasterize_mesh
from backend.raster.shadow import Discs, in_sight, unshaded
from backend.raster.splats import Rendered, rasterize
from shared.camera import Camera


def warm_up(progress: Progress = silent) -> None:
    """Run every CPU kernel once on a tiny scene: forward, backward, the mesh z-buffer and shadows.

    The first call on a computer compiles (about 15 s on two cores); the results stay in `cache_dir()/numba`, and
    later calls take a fraction of a second.
    """
    steps = (
        ("drawing splats", _forward),
        ("their gradients", _backward),
        ("drawing meshes", _mesh),
        ("shadows", _shadow),
    )
    for index, (what, step) in enumerate(steps):
        progress(
            Event("raster", index, len(steps), f"Loading the kernels for {what} (compiled once on a new computer)")
        )
        step()
    progress(Event("raster", len(steps), len(steps), "Kernels ready"))


def _camera() -> Camera:
    return Camera(16, 16, np.array([[16.0, 0, 8], [0, 16, 8], [0, 0, 1]]), np.eye(4))


def _draw_one(requires_grad: bool) -> Rendered:
    mean = torch.tensor([[0.0, 0.0, 2.0]], requires_grad=requires_grad)
    quat = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    return rasterize(mean, quat, torch.full((1, 3), 0.1), torch.ones(1), torch.ones(1, 3), _camera())


def _forward() -> None:
    _draw_one(requires_grad=False)


def _backward() -> None:
    _draw_one(requires_grad=True).rgb.sum().backward()


def _mesh() -> None:
    triangle = np.array([[-1.0, -1.0, 2.0], [1.0, -1.0, 2.0], [0.0, 1.0, 2.0]])
    rasterize_mesh(triangle, np.array([[0, 1, 2]]), _camera())


def _shadow() -> None:
    up = torch.tensor([[0.0, 1.0, 0.0]])
    disc = Discs(up, up, torch.ones(1), torch.zeros(1, dtype=torch.int64))
    unshaded(disc, torch.zeros(3))
    in_sight(disc, up)
