"""The reference against gsplat's own PyTorch code, which defines the footprint."""

import torch
from gsplat.cuda import _torch_impl as gsplat

from backend.raster.footprint import DILATION, NEAR
from backend.raster.reference import in_camera, project
from tests.raster.scenes import camera, gaussians


def test_projection_is_gsplats():
    view = camera(rotation=[[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]], translation=(-1, 0.1, 0.2))
    means, quats, scales, _, _ = gaussians(7, count=200, spread=2.0, dtype=torch.float64)
    covariances, _ = gsplat._quat_scale_to_covar_preci(quats, scales, compute_preci=False)
    radii, centres, depths, conics, _ = gsplat._fully_fused_projection(
        means,
        covariances,
        torch.as_tensor(view.world_to_camera)[None],
        torch.as_tensor(view.K)[None],
        view.width,
        view.height,
        eps2d=DILATION,
        near_plane=NEAR,
    )
    seen = (radii[0] > 0).all(dim=1)
    assert 20 < seen.sum() < 200
    points = in_camera(means, view)
    ours_centres, ours_covariances = project(points[seen], quats[seen], scales[seen], view)
    inverse = torch.linalg.inv(ours_covariances)
    torch.testing.assert_close(points[seen, 2], depths[0][seen])
    torch.testing.assert_close(ours_centres, centres[0][seen])
    torch.testing.assert_close(torch.stack([inverse[:, 0, 0], inverse[:, 0, 1], inverse[:, 1, 1]], 1), conics[0][seen])
