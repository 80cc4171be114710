import numpy as np
import pytest
import torch

from backend.raster.shadow import THROWN_BACK, Discs, irradiance, unshaded, unshaded_reference

EVENLY = torch.zeros(3)


def facing_each_other(apart, *, area=1.0, groups=(0, 1)):
    """A small disc that looks up, and one `area` large that hangs `apart` over it and looks down."""
    return Discs(
        position=torch.tensor([[0.0, 0, 0], [0, apart, 0]]),
        normal=torch.tensor([[0.0, 1, 0], [0, -1, 0]]),
        area=torch.tensor([1e-4, area]),
        group=torch.tensor(groups),
    )


def strewn(count, seed):
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=(count, 3))
    values = (rng.uniform(-1, 1, (count, 3)), normal / np.linalg.norm(normal, axis=1, keepdims=True))
    position, normal = (torch.as_tensor(value, dtype=torch.float32) for value in values)
    area = torch.as_tensor(rng.uniform(1e-4, 0.1, count), dtype=torch.float32)
    return Discs(position, normal, area, torch.as_tensor(rng.integers(0, 5, count)))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("towards", [(0.0, 0.0, 0.0), (0.3, -0.5, 0.6)])
def test_the_kernel_computes_what_the_reference_does(seed, towards):
    discs, towards = strewn(200, seed), torch.tensor(towards)
    left = unshaded(discs, towards)
    np.testing.assert_allclose(left, unshaded_reference(discs, towards), rtol=1e-4)
    assert left.min() > 0 and left.max() <= 1


@pytest.mark.parametrize("radius", [0.1, 0.3])
def test_a_far_disc_takes_the_share_of_the_sky_that_it_covers(radius):
    covered = radius**2 / (radius**2 + 1)  # form factor of a disc one metre away, seen from below its centre
    left = unshaded(facing_each_other(1.0, area=np.pi * radius**2), EVENLY)[0].item()
    assert left == pytest.approx(np.exp(-(1 - THROWN_BACK) * covered), rel=1e-4)


def test_what_lies_behind_or_in_the_same_group_shades_nothing():
    assert unshaded(facing_each_other(-1.0), EVENLY)[0] == 1
    assert unshaded(facing_each_other(1.0, groups=(3, 3)), EVENLY)[0] == 1


def test_a_hand_before_the_light_shades_more_than_one_before_the_dark():
    shades = [unshaded(facing_each_other(0.3), torch.tensor([0.0, y, 0.0]))[0] for y in (0.6, 0.0, -0.6)]
    assert shades[0] < shades[1] < shades[2] < 1


def test_irradiance_is_one_on_average_over_all_directions():
    normal = torch.nn.functional.normalize(torch.randn(20000, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    assert irradiance(normal, torch.tensor([0.2, 0.4, -0.3])).mean().item() == pytest.approx(1, abs=0.01)
