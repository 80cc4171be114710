import pytest

from backend.body.model import BodyModel


@pytest.fixture(scope="session")
def model() -> BodyModel:
    return BodyModel.load()
