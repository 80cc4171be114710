"""gsplat's CUDA kernels, told to use the footprint of the other providers."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.raster.footprint import DILATION, NEAR, TILE
from shared.camera import Camera


def render(
    means: Tensor,  # [N, 3] metres, world, on a CUDA device
    quats_wxyz: Tensor,  # [N, 4]
    scales: Tensor,  # [N, 3] metres
    opacities: Tensor,  # [N]
    colors: Tensor,  # [N, 3]
    camera: Camera,
) -> tuple[Tensor, Tensor, Tensor]:
    """Colour [H, W, 3], depth times alpha [H, W] and alpha [H, W] of the Gaussians, float32 on their device."""
    if not len(means):  # gsplat's launch divides by the number of Gaussians
        nothing = sum(tensor.sum() for tensor in (means, quats_wxyz, scales, opacities, colors))
        empty = nothing + means.new_zeros(camera.height, camera.width, dtype=torch.float32)
        return empty[..., None].expand(-1, -1, 3), empty, empty
    from gsplat import rasterization  # prints and looks for a compiler when imported, so not before it is needed

    image, alpha, _ = rasterization(
        *(tensor.float() for tensor in (means, quats_wxyz, scales, opacities, colors)),
        viewmats=_tensor(camera.world_to_camera, means.device)[None],
        Ks=_tensor(camera.K, means.device)[None],
        width=camera.width,
        height=camera.height,
        near_plane=NEAR,
        eps2d=DILATION,
        tile_size=TILE,
        packed=False,
        render_mode="RGB+D",
        rasterize_mode="classic",
    )
    return image[0, ..., :3], image[0, ..., 3], alpha[0, ..., 0]


def probe() -> None:
    """Draw one Gaussian, forward and backward; raises whatever stands in the way of the compiled kernels."""
    camera = Camera(TILE, TILE, np.array([[16.0, 0, 8], [0, 16, 8], [0, 0, 1]]), np.eye(4))
    mean = torch.tensor([[0.0, 0.0, 2.0]], device="cuda", requires_grad=True)
    quat = torch.tensor([[1.0, 0.0, 0.0, 0.0]], device="cuda")
    ones = torch.ones(1, 3, device="cuda")
    rgb, _, alpha = render(mean, quat, 0.1 * ones, ones[:, 0], ones, camera)
    rgb[:, : TILE // 2].sum().backward()
    if mean.grad is None or not bool(mean.grad.isfinite().all()) or float(alpha.max().detach()) < 0.5:
        raise RuntimeError("a test Gaussian was not drawn")


def _tensor(array: np.ndarray, device: torch.device) -> Tensor:
    return torch.as_tensor(np.ascontiguousarray(array), dtype=torch.float32, device=device)
