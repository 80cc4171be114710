import numpy as np
import pytest
import torch

from backend.avatar.light import GAMMA, PosedRoom
from backend.avatar.photo_light import FROM_ABOVE, estimate_light
from backend.raster.shadow import Discs
from backend.stages import Light

MATERIALS = np.array([[0.8, 0.6, 0.5], [0.9, 0.9, 0.88], [0.1, 0.12, 0.3], [0.3, 0.25, 0.1]])
TO_CAMERA = np.array([0.0, 0.0, 1.0])


def in_the_open(count):
    """A room in which nothing shades any of `count` points."""
    speck = Discs(torch.zeros(1, 3), torch.eye(3)[:1], torch.tensor([1e-6]), torch.tensor([0]))
    return PosedRoom(speck, torch.zeros(count, 1, dtype=torch.long), torch.ones(count, 1))


def under_a_roof(count):
    """The same behind the edge of a roof over the half of the points that comes first."""
    room = in_the_open(count)
    across = torch.linspace(-2, 2, 41)
    x, z = torch.meshgrid(across, across, indexing="ij")
    roof = torch.stack([x, torch.full_like(x, 0.5), z], dim=2).view(-1, 3)
    many = len(roof)
    discs = Discs(
        position=torch.cat([torch.zeros(1, 3), torch.tensor([[0.0, 9.0, 0.0]]), roof]),
        normal=torch.cat([torch.tensor([[0.0, 1.0, 0.0]] * 2), torch.tensor([[0.0, -1.0, 0.0]]).expand(many, 3)]),
        area=torch.cat([torch.full((2,), 1e-6), torch.full((many,), 0.01)]),
        group=torch.cat([torch.tensor([0, 1]), torch.full((many,), 2)]),
    )
    nearest = (torch.arange(count) >= count // 2).long()[:, None]
    return PosedRoom(discs, nearest, room.share)


def photographed(light, room, seed=0):
    """Colours and normals of a person of four materials, seen from the front."""
    count = len(room.nearest)
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=(count, 3))
    normal[:, 2] = np.abs(normal[:, 2])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    albedo = MATERIALS[rng.integers(0, 4, count)] * rng.uniform(0.9, 1.1, (count, 1))
    caught = room.light_on(torch.as_tensor(normal, dtype=torch.float32), light).numpy()
    return np.clip(0.5 * albedo * caught[:, None], 0, 1) ** (1 / GAMMA), normal


def estimated(light, room):
    return estimate_light(*photographed(light, room), room, TO_CAMERA)


def caught(light):
    """What surfaces catch of a light that face the camera's side, in the open."""
    normal = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
    normal[:, 2] = normal[:, 2].abs()
    return in_the_open(500).light_on(torch.nn.functional.normalize(normal, dim=1), light).numpy()


def misfit(found, light):
    """How far two lights differ on such surfaces, up to their strength (logarithm)."""
    ratio = np.log(caught(found) / caught(light))
    return float(ratio.std())


@pytest.mark.parametrize("sky", [(0.4, 0.5, 0.2), (-0.5, 0.2, 0.1), (0.0, 0.3, 0.0)])
def test_the_sky_that_lit_the_photo_is_found(sky):
    light = Light(np.array(sky), np.zeros(3))
    assert misfit(estimated(light, in_the_open(4000)), light) < 0.06


@pytest.mark.parametrize("lamp", [(0.7, 0.6, 0.7), (-1.2, 0.3, 0.5), (0.0, 0.8, 0.3)])
def test_the_lamp_that_lit_the_photo_is_found(lamp):
    light = Light(np.array(FROM_ABOVE), np.array(lamp))
    found = estimated(light, in_the_open(4000))
    assert misfit(found, light) < 0.1
    assert found.lamp @ lamp > np.cos(0.35) * np.linalg.norm(found.lamp) * np.linalg.norm(lamp)
    assert np.linalg.norm(found.lamp) > 0.4 * np.linalg.norm(lamp)


def test_a_lamps_shadow_tells_of_it():
    light = Light(np.array(FROM_ABOVE), np.array([0.0, 1.0, 0.1]))
    open_sky, roofed = in_the_open(4000), under_a_roof(4000)
    found = estimated(light, roofed)
    blind = estimate_light(*photographed(light, roofed), open_sky, TO_CAMERA)
    assert misfit(found, light) < 0.5 * misfit(blind, light)


def test_a_photo_that_says_nothing_is_lit_from_above():
    light = Light(np.array([0.5, 0.0, 0.0]), np.zeros(3))
    color, normal = photographed(light, in_the_open(4000))
    found = estimate_light(color[:3], normal[:3], in_the_open(3), TO_CAMERA)
    np.testing.assert_array_equal(found.sky, FROM_ABOVE)
    np.testing.assert_array_equal(found.lamp, np.zeros(3))
    flat = np.broadcast_to(TO_CAMERA, normal.shape)
    found = estimate_light(color, flat, in_the_open(4000), TO_CAMERA)
    np.testing.assert_allclose(found.sky[:2], FROM_ABOVE[:2], atol=0.05)
    assert np.linalg.norm(found.lamp) < 0.1


def test_no_lamp_is_sought_under_the_floor_or_behind_the_person():
    for lamp in ((0.3, -0.9, 0.4), (0.3, 0.3, -1.2)):
        found = estimated(Light(np.array(FROM_ABOVE), np.array(lamp)), in_the_open(4000))
        assert found.lamp[1] >= 0 and found.lamp @ TO_CAMERA >= 0
