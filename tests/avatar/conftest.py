import numpy as np
import pytest
import torch

from backend.avatar.surface import Surface, clothed_surface
from backend.avatar.texels import Texels, sample_texels
from backend.body.posing import PosedBody
from backend.registration.wearer import Wearer, wearer_of
from backend.stages import HairLayer, Registration
from tests.standing import standing


@pytest.fixture(scope="package")
def registration(model) -> Registration:
    return standing(model)


@pytest.fixture(scope="package")
def wearer(registration, model) -> Wearer:
    return wearer_of(registration, model)


@pytest.fixture(scope="package")
def posed(registration, model) -> PosedBody:
    """The photo's pose."""
    values = (registration.full_pose, registration.transl, registration.expression)
    return model.pose(model.shape(), *(torch.as_tensor(value)[None] for value in values))


@pytest.fixture(scope="package")
def surface(registration, model) -> Surface:
    return clothed_surface(model, registration)


@pytest.fixture(scope="package")
def texels(surface, model) -> Texels:
    return sample_texels(model, surface, 128)


@pytest.fixture(scope="package")
def roof(wearer) -> HairLayer:
    """Two triangles, 20 by 10 centimetres, ten centimetres over the head."""
    top = wearer.vertices[:, 1].max() + 0.1
    corners = np.array([[-0.1, top, 0.05], [0.1, top, 0.05], [0.1, top, -0.05], [-0.1, top, -0.05]])
    return HairLayer(corners, np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32), np.zeros(4, np.float32))
