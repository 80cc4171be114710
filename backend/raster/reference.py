"""The rasteriser as one would explain it: plain PyTorch, gradients by autograd, slow. Tests hold the others to it."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.raster.footprint import (
    ALPHA_CUTOFF,
    ALPHA_MAX,
    DILATION,
    FIELD_MARGIN,
    NEAR,
    RADIUS,
    TILE,
    TRANSMITTANCE_STOP,
)
from shared.camera import Camera


def render(
    means: Tensor,  # [N, 3] metres, world
    quats_wxyz: Tensor,  # [N, 4]
    scales: Tensor,  # [N, 3] metres
    opacities: Tensor,  # [N]
    colors: Tensor,  # [N, 3]
    camera: Camera,
) -> tuple[Tensor, Tensor, Tensor]:
    """Colour [H, W, 3], depth times alpha [H, W] and alpha [H, W] of the Gaussians, computed in their own dtype."""
    drawn = in_camera(means, camera)[:, 2] >= NEAR
    means, quats_wxyz, scales = means[drawn], quats_wxyz[drawn], scales[drawn]
    points = in_camera(means, camera)
    centres, covariances = project(points, quats_wxyz, scales, camera)
    order = torch.argsort(points[:, 2], stable=True)
    features = torch.cat([colors[drawn], points[:, 2:], torch.ones_like(points[:, :1])], dim=1)  # r, g, b, z, 1
    image = _composite(centres[order], covariances[order], opacities[drawn][order], features[order], camera)
    return image[..., :3], image[..., 3], image[..., 4]


def in_camera(means: Tensor, camera: Camera) -> Tensor:  # [N, 3] metres, camera
    """Means [N, 3] of the world in the camera's frame."""
    view = torch.as_tensor(camera.world_to_camera, dtype=means.dtype, device=means.device)
    return means @ view[:3, :3].T + view[:3, 3]


def project(
    points: Tensor,  # [N, 3] metres, camera
    quats_wxyz: Tensor,  # [N, 4]
    scales: Tensor,  # [N, 3] metres
    camera: Camera,
) -> tuple[Tensor, Tensor]:  # [N, 2] pixels; [N, 2, 2] pixels^2
    """EWA splatting (Zwicker et al. 2001): the perspective map made linear at each centre, then dilated."""
    rotation = torch.as_tensor(camera.world_to_camera[:3, :3], dtype=points.dtype, device=points.device)
    x, y, z = points.unbind(1)
    fx, fy, cx, cy = (float(camera.K[i]) for i in ((0, 0), (1, 1), (0, 2), (1, 2)))
    margin_x, margin_y = FIELD_MARGIN * camera.width / (2 * fx), FIELD_MARGIN * camera.height / (2 * fy)
    slope_x = (x / z).clamp(-cx / fx - margin_x, (camera.width - cx) / fx + margin_x)
    slope_y = (y / z).clamp(-cy / fy - margin_y, (camera.height - cy) / fy + margin_y)
    zero = torch.zeros_like(z)
    jacobian = torch.stack([fx / z, zero, -fx * slope_x / z, zero, fy / z, -fy * slope_y / z], dim=1).reshape(-1, 2, 3)
    axes = jacobian @ rotation @ (rotation_matrices(quats_wxyz) * scales[:, None, :])  # [N, 2, 3]
    covariances = axes @ axes.mT + DILATION * torch.eye(2, dtype=points.dtype, device=points.device)
    return torch.stack([fx * x / z + cx, fy * y / z + cy], dim=1), covariances


def rotation_matrices(quats_wxyz: Tensor) -> Tensor:  # [N, 3, 3]
    """Rotations of quaternions [N, 4], which need not be of unit length."""
    w, x, y, z = torch.nn.functional.normalize(quats_wxyz, dim=1).unbind(1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, dim=1).reshape(-1, 3, 3)


def _composite(centres: Tensor, covariances: Tensor, opacities: Tensor, features: Tensor, camera: Camera) -> Tensor:
    """Blend Gaussians given front to back, tile by tile: [H, W, F]."""
    conics = torch.linalg.inv(covariances)
    radii = (RADIUS * covariances.diagonal(dim1=1, dim2=2).sqrt()).ceil()
    low, high = (centres - radii).detach(), (centres + radii).detach()
    rows = []
    for top in range(0, camera.height, TILE):
        bottom = min(top + TILE, camera.height)
        row = []
        for left in range(0, camera.width, TILE):
            right = min(left + TILE, camera.width)
            near = (low[:, 0] < right) & (high[:, 0] > left) & (low[:, 1] < bottom) & (high[:, 1] > top)
            pixels = _pixel_centres(left, right, top, bottom, centres)
            blended = _blend(pixels, centres[near], conics[near], opacities[near], features[near])
            row.append(blended.reshape(bottom - top, right - left, -1))
        rows.append(torch.cat(row, dim=1))
    return torch.cat(rows, dim=0)


def _pixel_centres(left: int, right: int, top: int, bottom: int, like: Tensor) -> Tensor:  # [P, 2]
    y, x = torch.meshgrid(torch.arange(top, bottom), torch.arange(left, right), indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2).to(like) + 0.5


def _blend(pixels: Tensor, centres: Tensor, conics: Tensor, opacities: Tensor, features: Tensor) -> Tensor:  # [P, F]
    away = pixels[:, None] - centres  # [P, N, 2]
    falloff = 0.5 * torch.einsum("pni,nij,pnj->pn", away, conics, away)
    alpha = (opacities * torch.exp(-falloff)).clamp(max=ALPHA_MAX)
    alpha = torch.where(alpha >= ALPHA_CUTOFF, alpha, 0.0)
    left_after = torch.cumprod(1 - alpha, dim=1)  # transmittance behind each Gaussian
    left_before = torch.cat([torch.ones_like(left_after[:, :1]), left_after[:, :-1]], dim=1)
    weights = torch.where(left_after > TRANSMITTANCE_STOP, alpha * left_before, 0.0)
    return weights @ features
