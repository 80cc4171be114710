"""What a client that asks for nothing special gets."""

from dataclasses import asdict

from backend.training.settings import TrainingSettings
from shared.wire.messages import BuildOptions


def test_the_protocol_and_the_command_line_have_the_same_defaults():
    assert asdict(BuildOptions()) == asdict(TrainingSettings())
