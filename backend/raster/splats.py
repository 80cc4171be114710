"""Splats to pixels: one signature, three providers (`reference`, `cpu`, `cuda`) with one footprint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version

import torch
from torch import Tensor

from backend.progress import Event, Progress, silent
from backend.raster.footprint import ALPHA_CUTOFF
from shared.camera import Camera
from shared.errors import VivantError

PROVIDERS = ("reference", "cpu", "cuda")

Layers = tuple[Tensor, Tensor, Tensor]
"""What a provider returns: colour [H, W, 3] premultiplied, depth times alpha [H, W] metres, alpha [H, W]."""


@dataclass(frozen=True)
class Rendered:
    """One view of a set of Gaussians."""

    rgb: Tensor  # [H, W, 3] premultiplied
    alpha: Tensor  # [H, W] in [0, 1]
    depth: Tensor  # [H, W] metres, planar z, alpha-normalised; 0 where alpha is 0


def rasterize(
    means: Tensor,  # [N, 3] metres, world
    quats_wxyz: Tensor,  # [N, 4], any length but 0
    scales: Tensor,  # [N, 3] metres, standard deviations
    opacities: Tensor,  # [N] in [0, 1]
    colors: Tensor,  # [N, 3]
    camera: Camera,  # K without skew
    provider: str = "cpu",
) -> Rendered:
    """Draw Gaussians front to back by their centres' depth. Differentiable with respect to all five tensors.

    All tensors live on the provider's device (`torch.device.type` names the provider: "cpu" or "cuda"); the cpu
    provider computes in float32. Equal input gives equal output on "reference" and "cpu"; on "cuda" gradients are
    summed in any order. Nothing depends on the number of threads.
    """
    if provider not in PROVIDERS:
        raise ValueError(f"unknown raster provider {provider!r}, expected one of {PROVIDERS}")
    render: Callable[..., Layers] = import_module(f"backend.raster.{provider}").render
    rgb, weighted_depth, alpha = render(means, quats_wxyz, scales, opacities, colors, camera)
    # What is touched at all has alpha >= ALPHA_CUTOFF, so the clamp only keeps empty pixels from dividing by 0.
    return Rendered(rgb, alpha, weighted_depth / alpha.clamp_min(ALPHA_CUTOFF))


def choose_device(requested: str, progress: Progress = silent) -> torch.device:
    """The device to compute on. CUDA is taken only after gsplat's compiled kernels have really run there.

    Args:
        requested: "auto", "cpu" or "cuda".
        progress: is told what "auto" settled on, and why.

    Raises:
        VivantError: "cuda" was asked for and does not work here.
    """
    if requested == "cpu":
        return torch.device("cpu")
    obstacle = _cuda_obstacle()
    if obstacle is None:
        return torch.device("cuda")
    if requested == "cuda":
        raise VivantError(
            f"CUDA was asked for, but {obstacle}. Use --device cpu, or install vivant[cuda] on a CUDA computer."
        )
    progress(Event("device", 1, 1, f"Computing on the CPU: {obstacle}."))
    return torch.device("cpu")


def provider_name(device: torch.device) -> str:
    """Who draws on a device that `choose_device` gave, with the version."""
    if device.type == "cuda":
        return f"gsplat {version('gsplat')} on {torch.cuda.get_device_name(device)}"
    return f"numba {version('numba')} on the CPU"


def _cuda_obstacle() -> str | None:
    if not torch.cuda.is_available():
        return "no CUDA device is visible to PyTorch"
    try:
        from backend.raster.cuda import probe

        probe()
    except Exception as error:  # a missing package, compiler or driver each fail in their own way
        return (
            f"gsplat's kernels do not run ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})"
        )
    return None
