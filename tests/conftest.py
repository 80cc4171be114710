"""Shared fixtures: where the measuring material lies, and the body."""

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("vivant", deadline=None)  # how long an example takes decides nothing
settings.load_profile("vivant")

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="session")
def truth() -> Path:
    """The rendered people that `vivant evaluate` measures with. They lie beside the repository, not in it."""
    folder = ROOT.parent / "shared" / "truth"
    if not folder.exists():
        pytest.skip(f"needs the truth set in {folder}")
    return folder


@pytest.fixture(scope="session")
def model():
    """The packaged open body."""
    from backend.body.model import BodyModel  # here, so that tests in Blender's Python need no torch

    return BodyModel.load()
