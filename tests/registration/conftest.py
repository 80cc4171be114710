import pytest

from backend.body.model import BodyModel
from backend.registration.fit import fit_body
from backend.stages import Registration

from .people import Person, person


@pytest.fixture(scope="session")
def model() -> BodyModel:
    return BodyModel.load()


@pytest.fixture(scope="session")
def seen(model) -> Person:
    """Somebody, seen whole by a perfect detector."""
    return person(model, 1)


@pytest.fixture(scope="session")
def registration(seen, model) -> Registration:
    """What the fit makes of `seen`."""
    return fit_body(seen.observations, model)
