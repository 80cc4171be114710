import numpy as np
import pytest
import torch

from backend.avatar.light import FROM_ABOVE, GAMMA, MOST, Room, caught, estimate_light, gain

MATERIALS = np.array([[0.8, 0.6, 0.5], [0.9, 0.9, 0.88], [0.1, 0.12, 0.3], [0.3, 0.25, 0.1]])


def photographed(light, seed=0):
    """Colours and normals of a person of four materials, seen from the front."""
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=(6000, 3))
    normal[:, 2] = np.abs(normal[:, 2])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    albedo = MATERIALS[rng.integers(0, 4, 6000)] * rng.uniform(0.9, 1.1, (6000, 1))
    return np.clip(0.6 * albedo * caught(normal, light)[:, None], 0, 1) ** (1 / GAMMA), normal


@pytest.mark.parametrize("light", [(0.4, 0.5, 0.2), (-0.5, 0.2, 0.1), (0.0, 0.3, 0.0)])
def test_the_light_that_lit_the_photo_is_found(light):
    found = estimate_light(*photographed(np.array(light)))
    without_the_photo = np.linalg.norm(np.subtract(FROM_ABOVE, light))
    assert np.linalg.norm(found - light) < 0.5 * without_the_photo + 0.05


def test_a_photo_that_says_nothing_is_lit_from_above():
    color, normal = photographed(np.array([0.5, 0.0, 0.0]))
    np.testing.assert_array_equal(estimate_light(color[:3], normal[:3]), FROM_ABOVE)
    flat = np.broadcast_to([0.0, 0.0, 1.0], normal.shape)
    found = estimate_light(color, flat)
    np.testing.assert_allclose(found[:2], FROM_ABOVE[:2], atol=0.05)


def test_equal_light_changes_no_colour_and_no_change_is_without_bounds():
    light = torch.linspace(0.05, 2, 50)
    np.testing.assert_allclose(gain(light, light), 1, rtol=1e-6)
    assert gain(torch.tensor(10.0), torch.tensor(0.01)).item() == pytest.approx(MOST)
    assert gain(torch.tensor(0.01), torch.tensor(10.0)).item() == pytest.approx(1 / MOST)


def test_a_forearm_before_the_chest_shades_it(model, surface, texels):
    points = torch.as_tensor(texels.interpolate(surface.vertices.numpy(), surface.faces))
    room = Room.of(surface, points, np.array(FROM_ABOVE))
    normal = torch.tensor([0.0, 0.0, 1.0]).expand(len(points), 3)
    crossed = torch.zeros(165)
    crossed[3 * 16 : 3 * 16 + 3] = torch.tensor([0.0, -1.2, 0.0])  # left shoulder, forward
    crossed[3 * 18 : 3 * 18 + 3] = torch.tensor([0.0, -1.6, 0.0])  # left elbow, across the chest
    calm = torch.zeros(len(model.expression_names))
    lights = []
    for pose in (torch.zeros(165), crossed):
        transforms = model.pose(model.shape(), pose[None], torch.zeros(1, 3), calm[None]).transforms[0]
        lights.append(room.light_on(normal, transforms))
    x, y, z = points.numpy().T
    chest, knees = (np.abs(x) < 0.15) & (np.abs(y) < 0.15) & (z > 0.05), y < -0.8
    darkened = (lights[1] / lights[0]).numpy()
    assert darkened[chest].min() < 0.9 and np.median(darkened[chest]) < 0.99
    np.testing.assert_allclose(darkened[knees], 1, atol=0.02)
