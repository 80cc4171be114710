import numpy as np
import pytest
import torch

from backend.raster.shadow import (
    THROWN_BACK,
    Discs,
    in_sight,
    in_sight_reference,
    irradiance,
    unshaded,
    unshaded_reference,
)

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
@pytest.mark.parametrize("sky", [(0.0, 0.0, 0.0), (0.3, -0.5, 0.6)])
def test_the_kernel_computes_what_the_reference_does(seed, sky):
    discs, sky = strewn(200, seed), torch.tensor(sky)
    left = unshaded(discs, sky)
    np.testing.assert_allclose(left, unshaded_reference(discs, sky), rtol=1e-4)
    assert left.min() > 0 and left.max() <= 1


@pytest.mark.parametrize("seed", range(5))
def test_the_lamps_kernel_computes_what_its_reference_does(seed):
    discs, lamps = strewn(200, seed), torch.nn.functional.normalize(strewn(3, seed + 9).position, dim=1)
    left = in_sight(discs, lamps)
    np.testing.assert_allclose(left, in_sight_reference(discs, lamps), atol=1e-4)
    assert left.shape == (3, 200) and left.min() >= 0 and left.max() <= 1 and left.unique().numel() > 10


def test_a_wall_of_discs_hides_the_lamp_behind_it_and_no_other():
    across = torch.linspace(-0.5, 0.5, 41)  # 2.5 cm apart, 20 cm over a small disc that looks up
    x, z = torch.meshgrid(across, across, indexing="ij")
    wall = torch.stack([x, torch.full_like(x, 0.2), z], dim=2).view(-1, 3)
    down = torch.tensor([[0.0, -1.0, 0.0]]).expand(len(wall), 3)
    discs = Discs(
        position=torch.cat([torch.zeros(1, 3), wall]),
        normal=torch.cat([torch.tensor([[0.0, 1.0, 0.0]]), down]),
        area=torch.cat([torch.tensor([1e-4]), torch.full((len(wall),), 0.025**2)]),
        group=torch.cat([torch.zeros(1), torch.ones(len(wall))]).long(),
    )
    above, beside, below = torch.eye(3)[1], torch.eye(3)[0], -torch.eye(3)[1]
    left = in_sight(discs, torch.stack([above, beside, below]))
    np.testing.assert_allclose(left[:, 0], [0, 1, 1], atol=0.02)
    np.testing.assert_allclose(left[0, 1:], 1)  # nothing hangs over the wall


def test_the_edge_of_a_lamps_shadow_is_as_wide_as_the_lamp_is_there():
    halves = [in_sight(facing_each_other(0.5, area=0.3), lamp_at(angle))[0, 0] for angle in np.linspace(0, 1.5, 16)]
    assert np.all(np.diff(halves) >= 0) and halves[0] < 0.1 and halves[-1] == 1


def lamp_at(angle):
    """A lamp that stands `angle` radians off the zenith."""
    return torch.tensor([[np.sin(angle), np.cos(angle), 0.0]], dtype=torch.float32)


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
