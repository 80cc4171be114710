"""One frame, drawn only where the avatar is: the price of a large picture is that of the person in it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from backend.avatar.posing import Gaussians
from backend.raster.footprint import ALPHA_CUTOFF, DILATION, NEAR, RADIUS
from backend.raster.splats import Rendered, rasterize
from shared.camera import Camera

Box = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels; what is right of x1 - 1 and below y1 - 1 lies outside."""


@dataclass(frozen=True)
class Boxed:
    """A view cut to what is not transparent; `box` lies in the whole picture, and is all 0 where nothing is seen."""

    box: Box
    rendered: Rendered


@torch.inference_mode()
def draw_boxed(gaussians: Gaussians, camera: Camera) -> Boxed:
    """The same pixels as `rasterize` gives for the whole picture, cut."""
    x0, y0, x1, y1 = reach(gaussians, camera)
    if x0 == x1 or y0 == y1:
        device = gaussians.means.device
        return Boxed((0, 0, 0, 0), Rendered(*(torch.zeros(0, 0, *rest, device=device) for rest in ((3,), (), ()))))
    g = gaussians
    view = camera.cropped(x0, y0, x1, y1)
    rendered = rasterize(g.means, g.quats_wxyz, g.scales, g.opacities, g.colors, view, g.means.device.type)
    return _cut(rendered, x0, y0)


def reach(gaussians: Gaussians, camera: Camera) -> Box:
    """Pixels inside the picture, none left out that any Gaussian could touch.

    One margin, that of the widest Gaussian at the nearest depth, is added round all centres: a tighter box costs more
    than it saves.
    """
    pose = torch.as_tensor(camera.world_to_camera, dtype=torch.float32, device=gaussians.means.device)
    seen = gaussians.means @ pose[:3, :3].T + pose[:3, 3]
    seen = seen[(seen[:, 2] >= NEAR) & (gaussians.opacities >= ALPHA_CUTOFF)]
    if len(seen) == 0:
        return 0, 0, 0, 0
    slopes = seen[:, :2] / seen[:, 2:]
    low, high = slopes.amin(0).tolist(), slopes.amax(0).tolist()
    widest = float(gaussians.scales.max() / seen[:, 2].min())
    left, right = _interval(low[0], high[0], widest, camera.K[0, 0], camera.K[0, 2], camera.width)
    top, bottom = _interval(low[1], high[1], widest, camera.K[1, 1], camera.K[1, 2], camera.height)
    return left, top, right, bottom


def _interval(low: float, high: float, widest: float, focal: float, centre: float, size: int) -> tuple[int, int]:
    """First pixel touched and the one after the last, of slopes x/z or y/z from `low` to `high`, within [0, size]."""
    steepest = max(abs(low), abs(high))
    margin = RADIUS * math.sqrt((widest * focal) ** 2 * (1 + steepest**2) + DILATION)
    first, last = focal * low + centre - margin, focal * high + centre + margin
    return math.floor(min(max(first, 0.0), size)), math.ceil(min(max(last, 0.0), size))


def _cut(rendered: Rendered, x0: int, y0: int) -> Boxed:
    covered = rendered.alpha > 0
    rows, columns = covered.any(1).nonzero()[:, 0], covered.any(0).nonzero()[:, 0]
    if len(rows) == 0:
        return Boxed((0, 0, 0, 0), _sliced(rendered, 0, 0, 0, 0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    return Boxed((x0 + left, y0 + top, x0 + right, y0 + bottom), _sliced(rendered, left, top, right, bottom))


def _sliced(rendered: Rendered, left: int, top: int, right: int, bottom: int) -> Rendered:
    window = (slice(top, bottom), slice(left, right))
    return Rendered(rendered.rgb[window], rendered.alpha[window], rendered.depth[window])
