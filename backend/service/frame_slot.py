"""A drawn frame into its slot of the ring, as the protocol wants pixels and depth."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.raster.footprint import ALPHA_CUTOFF
from backend.raster.splats import Rendered
from backend.service.ring import aligned
from shared.wire.messages import PixelKind
from shared.wire.pixels import DEPTH_STEPS


def slot_bytes(width: int, height: int, pixels: PixelKind, live: bool) -> int:
    """What a box of that size takes: rgba, then depth, each from a multiple of 64 bytes on."""
    return aligned(width * height * (4 if pixels == "rgba8" else 8)) + aligned(width * height * (2 if live else 4))


@torch.inference_mode()
def write(slot: memoryview, rendered: Rendered, pixels: PixelKind, live: bool) -> tuple[float, float]:
    """Write the box. Returns near and far in metres, between which a live frame's depth lies; 0, 0 for others."""
    height, width = rendered.alpha.shape
    if height == 0:
        return 0.0, 0.0
    rgba = _rgba8(rendered) if pixels == "rgba8" else _half(rendered)
    rgba_bytes = rgba.nbytes
    np.frombuffer(slot, rgba.dtype, rgba.size).reshape(rgba.shape)[:] = rgba
    near, far = _range(rendered) if live else (0.0, 0.0)
    depth = _steps(rendered, near, far) if live else rendered.depth.float().cpu().numpy()
    np.frombuffer(slot, depth.dtype, depth.size, aligned(rgba_bytes)).reshape(height, width)[:] = depth
    return near, far


def _rgba8(rendered: Rendered) -> np.ndarray:  # [H, W, 4] uint8 premultiplied sRGB
    rgba = torch.cat([rendered.rgb, rendered.alpha[..., None]], dim=-1)
    return rgba.clamp_(0, 1).mul_(255).add_(0.5).to(torch.uint8).cpu().numpy()


def _half(rendered: Rendered) -> np.ndarray:  # [H, W, 4] float16 premultiplied linear
    """`rendering.color.premultiplied_linear` on the device that drew: there it takes a fraction of numpy's time."""
    alpha = rendered.alpha[..., None]
    straight = (rendered.rgb / alpha.clamp_min(ALPHA_CUTOFF)).clamp_(0, 1)
    linear = torch.where(straight <= 0.04045, straight / 12.92, ((straight + 0.055) / 1.055) ** 2.4)
    return torch.cat([linear.mul_(alpha), alpha], dim=-1).half().cpu().numpy()


def _range(rendered: Rendered) -> tuple[float, float]:
    covered = rendered.alpha > 0
    nothing = rendered.depth.new_tensor(torch.inf)
    return float(torch.where(covered, rendered.depth, nothing).min()), float((rendered.depth * covered).max())


def _steps(rendered: Rendered, near: float, far: float) -> np.ndarray:  # [H, W] uint16
    scale = DEPTH_STEPS / max(far - near, 1e-9)
    steps: Tensor = (rendered.depth - near).mul_(scale).add_(0.5).clamp_(0, DEPTH_STEPS)
    return steps.to(torch.int32).cpu().numpy().astype(np.uint16)
