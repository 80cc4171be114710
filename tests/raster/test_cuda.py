"""gsplat's CUDA kernels against the reference: run where a CUDA device is."""

import pytest
import torch

from backend.raster.splats import choose_device
from tests.raster.scenes import assert_gradients_close, camera, gaussians, values_and_gradients

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


@pytest.mark.parametrize("size", [0.005, 0.03, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_random_gaussians_match_the_reference(seed, size):
    scene, view = gaussians(seed, size=size), camera()
    drawn, gradients = values_and_gradients(scene, view, "cuda", device="cuda")
    expected, expected_gradients = values_and_gradients([t.double() for t in scene], view, "reference")
    difference = (drawn - expected)[..., :4].abs()
    assert difference.max() < 5e-3 and difference.mean() < 1e-5
    assert_gradients_close(gradients, expected_gradients)


def test_cpu_and_cuda_draw_the_same_picture():
    scene, view = gaussians(9, count=3000, size=0.02), camera(320, 200)
    here, _ = values_and_gradients(scene, view, "cpu")
    there, _ = values_and_gradients(scene, view, "cuda", device="cuda")
    assert (here - there)[..., :4].abs().mean() < 1e-5


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_in_view_gives_an_empty_image(count):
    scene = [tensor[:count] for tensor in gaussians()]
    scene[0] = scene[0] * torch.tensor([1, 1, -1])
    image, _ = values_and_gradients(scene, camera(), "cuda", device="cuda")
    assert (image == 0).all()


def test_auto_takes_the_device_that_works():
    assert choose_device("auto").type == "cuda" and choose_device("cuda").type == "cuda"
