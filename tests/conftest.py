"""Shared fixtures: where the measuring material lies, and the body."""

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("vivant", deadline=None)  # how long an example takes decides nothing
settings.load_profile("vivant")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="session")
def model():
    """The packaged open body."""
    from backend.body.model import BodyModel  # here, so that tests in Blender's Python need no torch

    return BodyModel.load()
