"""Sets of Gaussians to draw, and how gradients of two providers are compared."""

import numpy as np
import torch

from backend.raster.splats import rasterize
from shared.camera import Camera

NAMES = ("means", "quats_wxyz", "scales", "opacities", "colors")


def camera(width=70, height=45, rotation=None, translation=(0.0, 0.0, 0.0)):
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = np.eye(3) if rotation is None else rotation
    world_to_camera[:3, 3] = translation
    return Camera(width, height, np.array([[66.0, 0, 33], [0, 62, 24], [0, 0, 1]]), world_to_camera)


def gaussians(seed=0, count=60, spread=0.7, size=0.05, dtype=torch.float32):
    """`count` Gaussians of all shapes about 2 m in front of the camera, some outside its view."""
    generator = torch.Generator().manual_seed(seed)
    normal = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    uniform = lambda *shape: torch.rand(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    means = torch.tensor([0, 0, 2.0]) + normal(count, 3) * torch.tensor([spread, spread, 0.4])
    scales = size * torch.exp(0.6 * normal(count, 3))
    tensors = (means, normal(count, 4), scales, 0.02 + 0.98 * uniform(count), uniform(count, 3))
    return tuple(tensor.to(dtype) for tensor in tensors)


def values_and_gradients(tensors, view, provider, seed=0, device="cpu"):
    """Rendered as [H, W, 5] and the gradients of a random linear functional of it, on the CPU in float64."""
    leaves = [tensor.detach().to(device).requires_grad_() for tensor in tensors]
    drawn = rasterize(*leaves, view, provider=provider)
    image = torch.cat([drawn.rgb, drawn.alpha[..., None], drawn.depth[..., None]], dim=-1)
    weights = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed)).to(image)
    (image * weights).sum().backward()
    return image.detach().cpu().double(), [leaf.grad.cpu().double() for leaf in leaves]


def assert_gradients_close(actual, expected, relative=1e-2, cosine=0.9999):
    """Relative L2 and direction of each tensor that matters at all (a round Gaussian's rotation does not).

    The tolerance leaves room for single pixels on the edge of the cut-off.
    """
    noise = 1e-6 * max(float(tensor.norm()) for tensor in expected)
    for name, a, b in zip(NAMES, actual, expected, strict=True):
        assert torch.isfinite(a).all(), name
        error, size = float((a - b).norm()), float(b.norm())
        assert error <= relative * size + noise, f"{name}: off by {error} of {size}"
        if size > 100 * noise:
            assert torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0) > cosine, name
