import numpy as np
import pytest

from backend.avatar.limbs import LIMB_NAMES, limb_of
from backend.registration.wearer import wearer_of
from backend.stages import Observations, Registration
from tests.standing import photograph, standing


@pytest.fixture(scope="package")
def registration(model) -> Registration:
    return standing(model, height=320)


@pytest.fixture(scope="package")
def observations(registration, model) -> Observations:
    """A body in a suit: every limb has its own colour."""
    palette = np.random.default_rng(5).uniform(0.1, 0.9, (len(LIMB_NAMES), 3))
    wearer = wearer_of(registration, model)
    suit = palette[limb_of(model.weights.numpy())]
    return photograph(wearer, np.zeros_like(wearer.vertices), suit, registration.camera)
