"""The photo's loss and the regularisers of photo-only training."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
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
    mean_x, mean_y, square_x, square_y, product = _Blur.apply(stack)
    covariance = product - mean_x * mean_y
    variance = (square_x - mean_x * mean_x) + (square_y - mean_y * mean_y)
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x * mean_x + mean_y * mean_y + _C1)
    return luminance * (2 * covariance + _C2) / (variance + _C2)


class _Blur(torch.autograd.Function):
    """The window's Gaussian blur, zero beyond the border; a symmetric kernel is its own adjoint.

    OpenCV on the CPU: torch's one-channel convolutions take 20 times as long there.
    """

    @staticmethod
    def forward(ctx: Any, stack: Tensor) -> Tensor:
        return _blurred(stack)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _blurred(gradients[0])


def _blurred(stack: Tensor) -> Tensor:
    """Blur the last two dimensions of [..., H, W]."""
    distance = torch.arange(SSIM_WINDOW, dtype=torch.float32) - SSIM_WINDOW // 2
    weights = torch.exp(-0.5 * (distance / SSIM_SIGMA) ** 2)
    weights = weights / weights.sum()
    images = stack.flatten(0, -3)
    if stack.device.type == "cpu":
        kernel = weights.numpy()
        planes = [
            cv2.sepFilter2D(plane, -1, kernel, kernel, borderType=cv2.BORDER_CONSTANT) for plane in images.numpy()
        ]
        return torch.from_numpy(np.stack(planes)).view(stack.shape)
    weights = weights.to(stack)
    rows = conv2d(images[:, None], weights.view(1, 1, 1, -1), padding=(0, SSIM_WINDOW // 2))
    return conv2d(rows, weights.view(1, 1, -1, 1), padding=(SSIM_WINDOW // 2, 0)).view(stack.shape)


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
    # index_select, for the gradient of plain indexing is summed by threads in whatever order they come.
    around = values.index_select(0, neighbours.flatten()).view(*neighbours.shape, -1)
    return (values - around.mean(1)).square().sum(1).mean()
