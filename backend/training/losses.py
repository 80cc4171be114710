"""The photo's loss and the regularisers of photo-only training."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d

SSIM_WINDOW, SSIM_SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def ssim_map(
    image: Tensor,  # [C, H, W] in [0, 1]
    truth: Tensor,  # [C, H, W]
) -> Tensor:  # [C, H, W]
    """Structural similarity with an 11 x 11 Gaussian window (Wang et al. 2004), zero-padded at the border."""
    stack = torch.stack([image, truth, image * image, truth * truth, image * truth])  # [5, C, H, W]
    mean_x, mean_y, square_x, square_y, product = _blur(stack)
    covariance = product - mean_x * mean_y
    variance = (square_x - mean_x * mean_x) + (square_y - mean_y * mean_y)
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x * mean_x + mean_y * mean_y + _C1)
    return luminance * (2 * covariance + _C2) / (variance + _C2)


def _blur(stack: Tensor) -> Tensor:
    distance = torch.arange(SSIM_WINDOW, dtype=stack.dtype, device=stack.device) - SSIM_WINDOW // 2
    weights = torch.exp(-0.5 * (distance / SSIM_SIGMA) ** 2)
    weights = weights / weights.sum()
    flat = stack.flatten(0, 1)[:, None]
    flat = conv2d(flat, weights.view(1, 1, 1, -1), padding=(0, SSIM_WINDOW // 2))
    flat = conv2d(flat, weights.view(1, 1, -1, 1), padding=(SSIM_WINDOW // 2, 0))
    return flat[:, 0].unflatten(0, stack.shape[:2])


def photo_loss(
    rgb: Tensor,  # [H, W, 3] premultiplied render
    alpha: Tensor,  # [H, W]
    truth_rgb: Tensor,  # [H, W, 3] premultiplied photo
    truth_alpha: Tensor,  # [H, W]
    backdrop: float,  # grey that both are laid over
) -> Tensor:
    """0.8 L1 + 0.2 (1 - SSIM) over a backdrop, plus L1 on the matte."""
    image = (rgb + (1 - alpha[..., None]) * backdrop).permute(2, 0, 1)
    truth = (truth_rgb + (1 - truth_alpha[..., None]) * backdrop).permute(2, 0, 1)
    color = 0.8 * (image - truth).abs().mean() + 0.2 * (1 - ssim_map(image, truth)).mean()
    return color + (alpha - truth_alpha).abs().mean()


def smoothness(
    values: Tensor,  # [N, C]
    neighbours: Tensor,  # [N, K] int64
) -> Tensor:
    """Mean squared umbrella Laplacian: how far each value is from the mean of its neighbours."""
    return (values - values[neighbours].mean(1)).square().sum(1).mean()
