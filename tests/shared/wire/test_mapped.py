"""Frames whose pixels lie in a mapped file: what a client reads there, and what it refuses."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.wire import messages as m
from shared.wire.codec import Envelope, decode, encode
from shared.wire.errors import CODES, WireError
from shared.wire.mapped import Maps, Place, proof
from tests.shared.wire.golden import sample
from tests.shared.wire.strategies import envelopes

RING_BYTES = 5000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rings")
    (folder / "ring-key").write_bytes(b"key")
    (folder / "ring-1").write_bytes(np.random.default_rng(0).bytes(RING_BYTES))
    (folder / "ring-2").write_bytes(b"2" * RING_BYTES)
    (folder / "ring-3").write_bytes(b"")
    (folder / "secret").write_bytes(b"s" * RING_BYTES)
    return folder


@pytest.fixture
def maps(folder):
    maps = Maps(folder / "ring-key")
    yield maps
    maps.close()


def placed(envelope, folder, ring="ring-1", start=64):
    """The message, its buffers one after the other in a ring."""
    places, content = {}, bytearray((folder / ring).read_bytes())
    for name, array in envelope.buffers.items():
        places[name] = Place(ring, start)
        content[start : start + array.nbytes] = array.tobytes()
        start += array.nbytes
    (folder / ring).write_bytes(content)
    return encode(envelope, places=places)


def changed(parts, **changes):
    """The frame with another entry for its first buffer."""
    header = json.loads(bytes(parts[1]))
    header["buffers"][0].update(changes)
    return [parts[0], json.dumps(header).encode(), *parts[2:]]


def refused(parts, maps):
    with pytest.raises(WireError) as raised:
        decode(parts, maps)
    return raised.value


def test_a_frame_comes_whole_without_its_pixels_in_the_message(folder):
    @settings(max_examples=40)
    @given(envelopes(m.Frame))
    def holds(envelope):
        maps = Maps(folder / "ring-key")
        parts = placed(envelope, folder)
        assert not any(parts[2:])
        came = decode(parts, maps)
        assert (came.message, came.id) == (envelope.message, envelope.id)
        for name, array in envelope.buffers.items():
            np.testing.assert_array_equal(came.buffers[name], array)
        maps.close()

    holds()


def test_what_was_read_is_the_reader_s_own(folder, maps):
    envelope = sample(m.Frame)
    came = decode(placed(envelope, folder), maps)
    (folder / "ring-1").write_bytes(b"x" * RING_BYTES)
    np.testing.assert_array_equal(came.buffers["rgba"], envelope.buffers["rgba"])
    maps.close()
    np.testing.assert_array_equal(came.buffers["rgba"], envelope.buffers["rgba"])


def test_another_ring_takes_the_place_of_the_one_before(folder, maps):
    assert maps.read(Place("ring-2", 7), 3) == b"222"
    assert maps.read(Place("ring-1", 0), 5) == (folder / "ring-1").read_bytes()[:5]


@pytest.mark.parametrize(
    "lie",
    [
        {"ring": "secret"},
        {"ring": "../ring-1"},
        {"ring": "/etc/passwd"},
        {"ring": "ring-1/../secret"},
        {"ring": "ring-key"},
        {"ring": "ring-77"},
        {"ring": "ring-3"},
        {"ring": "ring-" + "1" * 60_000},
        {"ring": None},
        {"offset": -1},
        {"offset": RING_BYTES - 1},
        {"offset": 2**53},
        {"offset": 2**52},
        {"offset": 8.0},
        {"offset": True},
        {"offset": None},
    ],
)
def test_row_2_a_place_that_is_none_is_refused(folder, maps, lie):
    assert refused(changed(placed(sample(m.Frame), folder), **lie), maps).code in ("malformed", "too_large")


@settings(max_examples=150)
@given(
    st.none() | st.text(max_size=30) | st.from_regex(r"ring-\d{1,3}"),
    st.none() | st.booleans() | st.floats() | st.integers(),
    st.sampled_from(("mapped", "raw", "zstd", "", None, 3)),
)
def test_row_1_any_place_gives_a_frame_or_one_typed_error(folder, ring, offset, coding):
    maps = Maps(folder / "ring-key")
    try:
        decode(changed(placed(sample(m.Frame), folder), ring=ring, offset=offset, coding=coding), maps)
    except WireError as error:
        assert error.code in CODES and error.message
    finally:
        maps.close()


def test_who_did_not_ask_for_mapped_frames_reads_no_file(folder):
    assert refused(placed(sample(m.Frame), folder), None).code == "malformed"


def test_a_server_reads_no_file_for_a_client(folder):
    chunk = Envelope(m.AssetPut("0" * 64, 8), {"data": np.zeros(8, "u1")})
    assert refused(placed(chunk, folder), None).code == "malformed"


def test_the_proof_is_good_for_one_ticket_and_does_not_tell_the_key(maps):
    shown = maps.proof("ticket")
    assert shown == proof(b"key", "ticket") != maps.proof("another")
    assert replace(sample(m.Join).message, proof=shown).proof == shown and b"key".hex() not in shown
