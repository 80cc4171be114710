import numpy as np
import pytest
import torch

from backend.avatar.light import MOST, Room, gain
from backend.stages import Light


def test_equal_light_changes_no_colour_and_no_change_is_without_bounds():
    light = torch.linspace(0.05, 2, 50)
    np.testing.assert_allclose(gain(light, light), 1, rtol=1e-6)
    assert gain(torch.tensor(10.0), torch.tensor(0.01)).item() == pytest.approx(MOST)
    assert gain(torch.tensor(0.01), torch.tensor(10.0)).item() == pytest.approx(1 / MOST)


@pytest.mark.parametrize(
    ("light", "darkest"),
    [
        (Light(np.array([0.0, 0.3, 0.0]), np.zeros(3)), 0.9),
        (Light(np.array([0.0, 0.3, 0.0]), np.array([0.0, 0.4, 0.9])), 0.7),  # a lamp's shadow is deeper
    ],
)
def test_a_forearm_before_the_chest_shades_it(model, surface, texels, light, darkest):
    points = torch.as_tensor(texels.interpolate(surface.vertices.numpy(), surface.faces))
    room = Room.of(surface, points)
    normal = torch.tensor([0.0, 0.0, 1.0]).expand(len(points), 3)
    crossed = torch.zeros(165)
    crossed[3 * 16 : 3 * 16 + 3] = torch.tensor([0.0, -1.2, 0.0])  # left shoulder, forward
    crossed[3 * 18 : 3 * 18 + 3] = torch.tensor([0.0, -1.6, 0.0])  # left elbow, across the chest
    calm = torch.zeros(len(model.expression_names))
    lights = []
    for pose in (torch.zeros(165), crossed):
        transforms = model.pose(model.shape(), pose[None], torch.zeros(1, 3), calm[None]).transforms[0]
        lights.append(room.posed(transforms).light_on(normal, light))
    x, y, z = points.numpy().T
    chest, knees = (np.abs(x) < 0.15) & (np.abs(y) < 0.15) & (z > 0.05), y < -0.8
    darkened = (lights[1] / lights[0]).numpy()
    assert darkened[chest].min() < darkest and np.median(darkened[chest]) < 0.99
    np.testing.assert_allclose(darkened[knees], 1, atol=0.02)
