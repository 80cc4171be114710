"""One frame, drawn only where the avatar is: the price of a large picture is that of the person in it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

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
    """The pixels inside the picture that any Gaussian could touch."""
    pose = torch.as_tensor(camera.world_to_camera, dtype=torch.float32, device=gaussians.means.device)
    seen = gaussians.means @ pose[:3, :3].T + pose[:3, 3]
    depth = seen[:, 2].clamp_min(NEAR)
    widest = gaussians.scales.amax(1) / depth
    low_x, high_x = _interval(seen[:, 0] / depth, widest, camera.K[0, 0], camera.K[0, 2])
    low_y, high_y = _interval(seen[:, 1] / depth, widest, camera.K[1, 1], camera.K[1, 2])
    inside = (high_x > 0) & (low_x < camera.width) & (high_y > 0) & (low_y < camera.height)
    shown = inside & (seen[:, 2] >= NEAR) & (gaussians.opacities >= ALPHA_CUTOFF)
    if not shown.any():
        return 0, 0, 0, 0
    left, top = (int(low[shown].min().floor().clamp_min(0)) for low in (low_x, low_y))
    right = int(high_x[shown].max().ceil().clamp_max(camera.width))
    bottom = int(high_y[shown].max().ceil().clamp_max(camera.height))
    return left, top, right, bottom


def _interval(
    slope: Tensor,  # [N] x/z or y/z
    widest: Tensor,  # [N] largest standard deviation over depth
    focal: float,
    centre: float,
) -> tuple[Tensor, Tensor]:  # [N] each, pixels
    """Where each Gaussian begins and ends at the most, along one axis of the picture."""
    sigma = (widest.square() * (1 + slope.square()) * focal**2 + DILATION).sqrt()
    middle = focal * slope + centre
    return middle - RADIUS * sigma, middle + RADIUS * sigma


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
