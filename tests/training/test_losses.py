import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity
from torch.nn.functional import conv2d

from backend.training.losses import SSIM_SIGMA, SSIM_WINDOW, photo_loss, smoothness, ssim_map


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(3, 40, 50, generator=generator)
    return image, (image + 0.2 * torch.rand(3, 40, 50, generator=generator)).clamp(0, 1)


def reference_ssim(image, truth):
    """The same in double precision by torch's own convolution."""
    distance = torch.arange(SSIM_WINDOW, dtype=torch.float64) - SSIM_WINDOW // 2
    window = torch.exp(-0.5 * (distance / SSIM_SIGMA) ** 2)
    kernel = torch.outer(window, window) / window.sum() ** 2

    def blur(x):
        return conv2d(x[:, None], kernel[None, None], padding=SSIM_WINDOW // 2)[:, 0]

    x, y = blur(image), blur(truth)
    both, variance = blur(image * truth) - x * y, blur(image**2) - x**2 + blur(truth**2) - y**2
    return (2 * x * y + 1e-4) / (x**2 + y**2 + 1e-4) * (2 * both + 9e-4) / (variance + 9e-4)


def test_equal_images_are_perfectly_similar(pair):
    np.testing.assert_allclose(ssim_map(pair[0], pair[0]), 1, atol=1e-5)


def test_ssim_is_what_others_call_ssim(pair):
    image, truth = (x.permute(1, 2, 0).numpy() for x in pair)
    options = {"gaussian_weights": True, "sigma": SSIM_SIGMA, "win_size": SSIM_WINDOW, "use_sample_covariance": False}
    theirs = structural_similarity(image, truth, data_range=1.0, channel_axis=2, full=True, **options)[1]
    inner = slice(SSIM_WINDOW // 2, -(SSIM_WINDOW // 2))  # borders are padded differently
    np.testing.assert_allclose(ssim_map(*pair).permute(1, 2, 0)[inner, inner], theirs[inner, inner], atol=1e-4)


def test_the_fast_blur_gives_the_values_and_gradients_of_plain_convolutions(pair):
    fast = pair[0].clone().requires_grad_()
    plain = pair[0].double().requires_grad_()
    weight = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(1))
    ours, theirs = ssim_map(fast, pair[1]), reference_ssim(plain, pair[1].double())
    np.testing.assert_allclose(ours.detach(), theirs.detach(), atol=1e-4)
    (ours * weight).sum().backward()
    (theirs * weight.double()).sum().backward()
    assert (fast.grad - plain.grad).norm() < 1e-3 * plain.grad.norm()


def test_both_images_get_a_gradient(pair):
    image, truth = (x.clone().requires_grad_() for x in pair)
    ssim_map(image, truth).mean().backward()
    assert image.grad.abs().sum() > 0 and truth.grad.abs().sum() > 0


@settings(max_examples=20)
@given(st.floats(0, 1))
def test_the_truth_costs_nothing_over_any_backdrop(backdrop):
    generator = torch.Generator().manual_seed(2)
    alpha = torch.rand(20, 30, generator=generator)
    rgb = torch.rand(20, 30, 3, generator=generator) * alpha[..., None]
    assert photo_loss(rgb, alpha, rgb, alpha, backdrop).item() == pytest.approx(0, abs=1e-5)


def test_a_hole_costs_over_every_backdrop():
    rgb, alpha = torch.full((30, 30, 3), 0.5), torch.ones(30, 30)
    hole_rgb, hole_alpha = rgb.clone(), alpha.clone()
    hole_rgb[10:20, 10:20], hole_alpha[10:20, 10:20] = 0, 0
    for backdrop in (0.0, 0.5, 1.0):  # 0.5 is the person's own grey: the matte's term still tells
        assert photo_loss(hole_rgb, hole_alpha, rgb, alpha, backdrop) > 0.1


def test_smoothness_is_the_squared_distance_from_the_neighbours_mean():
    values = torch.tensor([[0.0], [1.0], [5.0]])
    neighbours = torch.tensor([[1, 2], [0, 2], [0, 1]])
    assert smoothness(values, neighbours).item() == pytest.approx((9 + 2.25 + 20.25) / 3)
    assert smoothness(values + 7, neighbours).item() == pytest.approx((9 + 2.25 + 20.25) / 3)
    assert smoothness(torch.full((3, 2), 4.0), neighbours).item() == 0


def test_its_gradient_does_not_depend_on_which_thread_comes_first():
    """Plain indexing summed the gradient with atomics: the same seed gave avatars that differed in the last digit."""
    generator = torch.Generator().manual_seed(3)
    neighbours = torch.randint(0, 500, (30_000, 4), generator=generator)
    values = torch.randn(30_000, 3, generator=generator)

    def gradient():
        leaf = values.clone().requires_grad_()
        smoothness(leaf, neighbours).backward()
        return leaf.grad

    first = gradient()
    assert all(torch.equal(gradient(), first) for _ in range(5))
