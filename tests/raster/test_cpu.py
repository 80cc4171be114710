"""The numba provider against the reference, on ordinary and on nasty input."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from backend.raster.footprint import NEAR
from backend.raster.splats import rasterize
from tests.raster.scenes import assert_gradients_close, camera, gaussians, values_and_gradients


def assert_matches_reference(tensors, view):
    drawn, gradients = values_and_gradients(tensors, view, "cpu")
    expected, expected_gradients = values_and_gradients([tensor.double() for tensor in tensors], view, "reference")
    # A pixel whose alpha sits on the cut-off in one precision may be just beyond it in the other: 1/255 of one splat.
    difference = (drawn - expected)[..., :4].abs()
    assert difference.max() < 5e-3 and difference.mean() < 2e-6
    torch.testing.assert_close(drawn[..., 4], expected[..., 4], atol=2e-2, rtol=2e-2)
    assert_gradients_close(gradients, expected_gradients)


def one(**changes):
    """A single round Gaussian in front of the camera, with some of its tensors replaced."""
    tensors = {
        "means": [[0.1, 0.05, 2.0]],
        "quats": [[1.0, 0.0, 0.0, 0.0]],
        "scales": [[0.1, 0.1, 0.1]],
        "opacities": [0.9],
        "colors": [[0.2, 0.5, 0.9]],
    }
    return tuple(torch.tensor(value) for value in (tensors | changes).values())


@settings(max_examples=8)
@given(st.integers(0, 10_000), st.sampled_from([0.005, 0.03, 0.3]))
def test_random_gaussians_match_the_reference(seed, size):
    assert_matches_reference(gaussians(seed, size=size), camera())


def test_dense_opaque_gaussians_that_stop_the_light_match_the_reference():
    means, quats, scales, opacities, colors = gaussians(3, count=800, spread=0.3, size=0.06)
    assert_matches_reference((means, quats, scales, 0.5 + 0.5 * opacities, colors), camera())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"opacities": [1.0]},  # clamped at 0.999
        {"opacities": [0.02]},  # faint
        {"means": [[0.0, 0.0, NEAR + 1e-3]], "scales": [[1e-3, 1e-3, 1e-3]]},
        {"means": [[-1.0, -0.8, 2.0]]},  # over the corner of the image
        {"means": [[1.4, 0.1, 2.0]], "scales": [[0.5, 0.1, 0.3]]},  # centre outside the view, Jacobian clamped
        {"means": [[4.0, 0.1, 1.0]], "scales": [[3.0, 1.0, 0.3]]},
        {"scales": [[50.0, 50.0, 0.1]]},  # huge
        {"scales": [[1e-9, 1e-9, 1e-9]]},  # nothing left but the dilation
        {"scales": [[1.0, 1e-4, 1e-4]], "quats": [[0.3, 0.1, -0.2, 0.8]]},  # a needle
        {"quats": [[7.0, 1.0, 2.0, -3.0]]},  # not of unit length
    ],
)
def test_one_gaussian_matches_the_reference(changes):
    assert_matches_reference(one(**changes), camera())


@pytest.mark.parametrize(
    "changes",
    [
        {"means": [[0.0, 0.0, -2.0]]},
        {"means": [[0.0, 0.0, 0.0]]},
        {"means": [[0.0, 0.0, NEAR / 2]]},
        {"means": [[90.0, 0.0, 2.0]]},
        {"opacities": [0.0]},
        {"means": [[float("nan"), 0.0, 2.0]]},
        {"means": [[float("inf"), 0.0, 2.0]]},
        {"opacities": [float("nan")]},
    ],
)
def test_what_cannot_be_seen_leaves_an_empty_image_and_no_gradient(changes):
    image, gradients = values_and_gradients(one(**changes), camera(), "cpu")
    assert (image == 0).all() and all((gradient == 0).all() for gradient in gradients)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (16, 16), (17, 3), (5, 40)])
def test_any_image_size_matches_the_reference(width, height):
    assert_matches_reference(gaussians(5), camera(width, height))


def test_no_gaussians_give_an_empty_image():
    image, _ = values_and_gradients([tensor[:0] for tensor in gaussians()], camera(), "cpu")
    assert image.shape == (45, 70, 5) and (image == 0).all()


@settings(max_examples=10)
@given(st.integers(0, 1000), st.lists(st.floats(-3, 3), min_size=6, max_size=6))
def test_the_world_has_no_preferred_frame(seed, motion):
    turn, shift = Rotation.from_rotvec(motion[:3]), np.array(motion[3:])
    means, quats, scales, opacities, colors = gaussians(seed)
    moved = torch.tensor(turn.apply(means.double().numpy()) + shift).float()
    x, y, z, w = (turn * Rotation.from_quat(quats.double().numpy()[:, [1, 2, 3, 0]])).as_quat().T
    turned = torch.tensor(np.stack([w, x, y, z], 1)).float()
    here = rasterize(means, quats, scales, opacities, colors, camera())
    inverse = turn.inv().as_matrix()
    there = rasterize(moved, turned, scales, opacities, colors, camera(rotation=inverse, translation=-inverse @ shift))
    assert (here.rgb - there.rgb).abs().mean() < 1e-4 and (here.alpha - there.alpha).abs().mean() < 1e-4


def test_result_is_the_same_every_time_and_on_any_number_of_threads():
    scene, view = gaussians(1, count=3000, size=0.03), camera()
    image, gradients = values_and_gradients(scene, view, "cpu")
    threads = numba.get_num_threads()
    for count in (threads, 1):
        numba.set_num_threads(count)
        again, gradients_again = values_and_gradients(scene, view, "cpu")
        assert torch.equal(image, again)
        assert all(torch.equal(a, b) for a, b in zip(gradients, gradients_again, strict=True))
    numba.set_num_threads(threads)


def test_order_of_the_gaussians_does_not_matter():
    scene = gaussians(2)
    shuffled = [tensor[torch.randperm(60, generator=torch.Generator().manual_seed(0))] for tensor in scene]
    torch.testing.assert_close(rasterize(*scene, camera()).rgb, rasterize(*shuffled, camera()).rgb, atol=0, rtol=0)


def test_centre_on_a_pixel_centre_draws_a_symmetric_blob_at_its_depth():
    focal = 66.0
    mean = [[(20.5 - 33) / focal * 3, (10.5 - 24) / 62 * 3, 3.0]]
    drawn = rasterize(*one(means=mean, scales=[[1e-4] * 3]), camera())
    patch = drawn.alpha[8:13, 18:23]
    torch.testing.assert_close(patch, patch.flip(0, 1), atol=1e-5, rtol=0)
    assert drawn.alpha.argmax() == 10 * 70 + 20
    torch.testing.assert_close(drawn.depth[drawn.alpha > 0], torch.full_like(drawn.depth[drawn.alpha > 0], 3.0))


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.floats(0.001, 2.0))
def test_colour_never_exceeds_alpha_and_alpha_never_exceeds_one(seed, size):
    drawn = rasterize(*gaussians(seed, count=200, size=size), camera())
    assert (drawn.alpha >= 0).all() and (drawn.alpha < 1).all()
    assert (drawn.rgb >= 0).all() and (drawn.rgb <= drawn.alpha[..., None] + 1e-5).all()


def test_broadcast_scales_and_double_precision_leaves_receive_gradients():
    means, quats, _, opacities, colors = gaussians(4)
    size = torch.full((60, 1), 0.05, dtype=torch.float64, requires_grad=True)
    rasterize(means, quats, size.expand(-1, 3), opacities, colors, camera()).alpha.sum().backward()
    assert size.grad is not None and size.grad.dtype == torch.float64 and (size.grad != 0).any()


def test_kernels_leave_torchs_number_of_threads_to_the_user():
    program = (
        "import torch; before = torch.get_num_threads();"
        "from backend.raster.warm_up import warm_up; warm_up(); assert torch.get_num_threads() == before == 1"
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
