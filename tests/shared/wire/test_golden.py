"""Messages as version 1.0 wrote them are read for ever, and written the same."""

import re

import numpy as np
import pytest

from shared.wire import limits
from shared.wire.codec import decode, encode
from shared.wire.errors import WireError
from tests.shared.wire.golden import FOLDER, read, sample
from tests.shared.wire.strategies import MESSAGES

kinds = pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.kind)


@kinds
def test_golden_bytes_are_read(cls):
    envelope, wanted = decode(read(FOLDER / f"{cls.kind}.txt")), sample(cls)
    assert (envelope.message, envelope.id, envelope.re) == (wanted.message, wanted.id, wanted.re)
    for name, array in wanted.buffers.items():
        np.testing.assert_array_equal(envelope.buffers[name], array)


@kinds
def test_golden_bytes_are_written(cls):
    assert [bytes(part) for part in encode(sample(cls))] == read(FOLDER / f"{cls.kind}.txt")


def test_each_golden_message_is_of_a_kind_that_exists():
    assert {path.stem for path in FOLDER.iterdir()} == {cls.kind for cls in MESSAGES}


@kinds
def test_row_6_every_message_of_version_0_is_refused_in_a_sentence(cls):
    magic, *rest = read(FOLDER / f"{cls.kind}.txt")
    with pytest.raises(WireError, match=re.escape("update Vivant on the older side")) as raised:
        decode([magic.replace(str(limits.MAJOR).encode(), b"0"), *rest])
    assert raised.value.code == "version"
