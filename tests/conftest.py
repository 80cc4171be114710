"""Shared fixtures: where the measuring material lies, and the body."""

from pathlib import Path

import pytest

from backend.body.model import BodyModel

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="session")
def model() -> BodyModel:
    """The packaged open body."""
    return BodyModel.load()
