"""Messages as any version since 1.0 wrote them are read for ever, and written as the newest one did."""

import json
import re
from dataclasses import fields, replace

import numpy as np
import pytest

from shared.wire import limits
from shared.wire.codec import decode, encode
from shared.wire.errors import WireError
from shared.wire.schema import KINDS
from tests.shared.wire.golden import FOLDER, read, sample, versions
from tests.shared.wire.strategies import MESSAGES

PATHS = [path for cls in MESSAGES for path in versions(cls.kind)]
kinds = pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.kind)
files = pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}/{path.stem}")


def in_that_version(message, body):
    """The message without what its version did not know."""
    unknown = {field.name: field.default for field in fields(message) if field.name not in body}
    return replace(message, **unknown)


@files
def test_golden_bytes_are_read(path):
    parts = read(path)
    envelope, wanted = decode(parts), sample(KINDS[path.stem])
    body = json.loads(parts[1])["body"]
    assert envelope.message == in_that_version(wanted.message, body)
    assert (envelope.id, envelope.re) == (wanted.id, wanted.re)
    for name, array in wanted.buffers.items():
        np.testing.assert_array_equal(envelope.buffers[name], array)


@kinds
def test_golden_bytes_are_written(cls):
    assert [bytes(part) for part in encode(sample(cls))] == read(versions(cls.kind)[-1])


def test_each_golden_message_is_of_a_kind_that_exists_and_those_of_version_1_0_are_all_there():
    assert set(PATHS) == set(FOLDER.parent.glob("golden_*/*.txt"))
    assert len({path for path in PATHS if path.parent.name == "golden_1_0"}) == 42


@files
def test_row_6_every_message_of_version_0_is_refused_in_a_sentence(path):
    magic, *rest = read(path)
    with pytest.raises(WireError, match=re.escape("update Vivant on the older side")) as raised:
        decode([magic.replace(str(limits.MAJOR).encode(), b"0"), *rest])
    assert raised.value.code == "version"
