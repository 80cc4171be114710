"""Perceptual distances: equal to the package's own numbers, sane as distances, honest about what is missing."""

import importlib.util

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from backend.evaluation import perceptual
from backend.evaluation.perceptual import ShiftTolerantLpips, fit_size, load_metric, perceptual_metrics
from shared.errors import VivantError
from tests.conftest import EXAMPLES

# What stlpips_pytorch 0.0.2 itself returns for the pair below.
PACKAGE_NUMBERS = {
    "alex": [0.008852221071720123, 0.009926251135766506],
    "vgg": [0.01771373115479946, 0.018627772107720375],
}


@pytest.fixture(scope="module")
def alex():
    return ShiftTolerantLpips("alex")


@pytest.fixture(scope="module")
def photo():
    from PIL import Image

    return torch.from_numpy(np.asarray(Image.open(EXAMPLES / "astronaut.png").convert("RGB"))[100:228, 180:308] / 255.0)


@pytest.mark.parametrize("network", ["alex", "vgg"])
def test_both_networks_give_the_packages_own_numbers(network):
    generator = torch.Generator().manual_seed(0)
    a = torch.rand(2, 3, 97, 80, generator=generator)
    b = (a + 0.2 * torch.randn(2, 3, 97, 80, generator=generator)).clamp(0, 1)
    assert ShiftTolerantLpips(network)(a, b).tolist() == pytest.approx(PACKAGE_NUMBERS[network], rel=1e-4)


def test_blur_costs_more_than_a_shift_and_equal_pictures_cost_nothing(alex, photo):
    image = photo.permute(2, 0, 1)[None].float()
    blurred = F.avg_pool2d(F.pad(image, (2, 2, 2, 2), mode="replicate"), 5, 1)
    shifted = image.roll(1, dims=-1)
    assert alex(image, image).item() == 0
    assert alex(image, blurred).item() > 10 * alex(image, shifted).item() > 0
    assert alex(image, blurred).item() == pytest.approx(alex(blurred, image).item())


def test_one_truth_is_compared_with_many_renders(alex, photo):
    truth = photo.permute(2, 0, 1)[None].float()
    renders = torch.cat([truth * 0.5, truth**2])
    assert alex(renders, truth).tolist() == pytest.approx([alex(r[None], truth).item() for r in renders], rel=1e-4)


def test_the_distance_has_a_gradient(alex, photo):
    truth = photo.permute(2, 0, 1)[None].float()
    render = (truth * 0.9).requires_grad_()
    alex(render, truth).sum().backward()
    assert torch.isfinite(render.grad).all() and render.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("size", "expected"), [((1000, 400), (500, 200)), ((100, 90), (100, 90)), ((20, 32), (64, 102))]
)
def test_crops_are_shrunk_to_the_longest_side_and_small_ones_enlarged(size, expected):
    assert fit_size(np.zeros((*size, 3)), longest=500).shape == (1, 3, *expected)


def test_without_the_weights_the_metric_says_how_to_get_them(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert [(m.name, m.available) for m in perceptual_metrics()] == [("st_lpips", False), ("lpips", False)]
    for name in ("st_lpips", "lpips"):
        with pytest.raises(VivantError, match="pip install"):
            load_metric(name, torch.device("cpu"))


def test_a_foreign_weight_file_is_refused_unread(monkeypatch, tmp_path):
    path = tmp_path / "alex_shift_tolerant.pth"
    path.write_bytes(b"not the weights")
    monkeypatch.setattr(perceptual, "_weight_file", lambda network: path)
    with pytest.raises(VivantError, match="not the weight file"):
        ShiftTolerantLpips("alex")
