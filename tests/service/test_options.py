"""What a client that asks for nothing special gets."""

from argparse import ArgumentTypeError
from dataclasses import asdict

import pytest

from backend.service.options import _size
from backend.training.settings import TrainingSettings
from shared.wire import limits
from shared.wire.messages import BuildOptions


def test_the_protocol_and_the_command_line_have_the_same_defaults():
    assert asdict(BuildOptions()) == asdict(TrainingSettings())


@pytest.mark.limits("RENDER_SIZE")
def test_the_size_of_a_picture_that_the_command_line_takes():
    most = limits.RENDER_SIZE
    assert _size(f"{most}x1") == (most, 1)
    for text in (f"{most + 1}x1", f"1x{most + 1}", "0x1", "1280", "1280x-1"):
        with pytest.raises(ArgumentTypeError, match=f"up to {most}x{most}"):
            _size(text)
