"""Messages as one piece of bytes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from backend.service.bundle import ALIGNMENT, bundled, unbundled
from backend.service.work import WorkRender
from shared.wire.codec import decode, encode
from tests.shared.wire.golden import sample

PARTS = st.lists(st.binary(max_size=40))


@given(PARTS, st.integers(1, 64))
def test_parts_come_out_as_they_went_in(parts, alignment):
    assert unbundled(bundled(parts, alignment), alignment) == parts


@given(PARTS)
def test_all_parts_are_aligned(parts):
    bundle = np.frombuffer(bundled(parts), np.uint8)
    starts = [np.frombuffer(part, np.uint8).ctypes.data for part in unbundled(bundle.data) if len(part)]
    assert all((start - bundle.ctypes.data) % ALIGNMENT == 0 for start in starts)


def test_a_message_is_read_where_it_lies():
    bundle = np.frombuffer(bundled(encode(sample(WorkRender))), np.uint8)
    order = decode(unbundled(bundle.data))
    assert order.message == sample(WorkRender).message
    for name, array in sample(WorkRender).buffers.items():
        np.testing.assert_array_equal(order.buffers[name], array)
        assert np.shares_memory(order.buffers[name], bundle) and order.buffers[name].flags.aligned


def test_the_journal_keeps_requests_as_it_always_did():
    """Each part behind its length, without anything between: what older versions kept is read."""
    assert bundled([b"VIVANT/1", b"{}"], 1) == b"\x08" + bytes(7) + b"VIVANT/1" + b"\x02" + bytes(7) + b"{}"
