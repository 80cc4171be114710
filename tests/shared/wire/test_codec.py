"""Whatever arrives, the decoder gives a message or one typed error, in little time and memory."""

import json
import tracemalloc
from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.wire import compression, limits
from shared.wire import messages as m
from shared.wire.codec import DTYPES, PACKED_FROM, Envelope, decode, encode
from shared.wire.errors import CODES, WireError
from tests.shared.wire.strategies import MESSAGES, envelopes

ID = "00000000-0000-4000-8000-000000000000"


def same(one, other):
    assert (one.message, one.id, one.re, one.session) == (other.message, other.id, other.re, other.session)
    assert one.buffers.keys() == other.buffers.keys()
    for name, array in one.buffers.items():
        assert array.dtype == other.buffers[name].dtype
        np.testing.assert_array_equal(array, other.buffers[name])


def refused(parts, code=None, field=None):
    """The error that `parts` give."""
    with pytest.raises(WireError) as raised:
        decode(parts)
    assert raised.value.code in CODES and (code is None or raised.value.code == code), raised.value.code
    assert field is None or raised.value.field == field
    return raised.value


def changed(parts, change):
    """The parts with another header."""
    header = json.loads(bytes(parts[1]))
    change(header)
    return [parts[0], json.dumps(header).encode(), *parts[2:]]


def chunk(size=8, dtype="u1"):
    return encode(Envelope(m.FileChunk("0" * 64, size, 0), {"data": np.arange(size).astype(DTYPES[dtype])}))


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.kind)
def test_encoding_then_decoding_is_the_identity(cls):
    @settings(max_examples=15)
    @given(envelopes(cls), st.booleans())
    def holds(envelope, as_memory):
        parts = encode(envelope)
        same(decode([memoryview(bytes(part)) for part in parts] if as_memory else parts), envelope)

    holds()


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=200), max_size=10))
def test_row_1_random_parts_give_one_typed_error(parts):
    began = process_time()
    refused(parts)
    refused([limits.MAGIC, *parts])
    assert process_time() - began < 1


@settings(max_examples=120)
@given(envelopes(), st.data())
def test_row_1_a_changed_message_is_a_message_or_one_typed_error(envelope, data):
    change_bytes(envelope, data)


@settings(max_examples=80)
@given(envelopes(), st.data())
def test_row_5_cut_shuffled_and_doubled_parts_are_a_message_or_one_typed_error(envelope, data):
    shuffle_parts(envelope, data)


@pytest.mark.slow
@settings(max_examples=5000)
@given(envelopes(), st.data())
def test_row_1_5_thousands_of_damaged_messages(envelope, data):
    change_bytes(envelope, data)
    shuffle_parts(envelope, data)


def change_bytes(envelope, data):
    parts = [bytearray(part) for part in encode(envelope)]
    for _ in range(data.draw(st.integers(1, 4))):
        part = data.draw(st.sampled_from(parts))
        if part:
            part[data.draw(st.integers(0, len(part) - 1))] = data.draw(st.integers(0, 255))
    decode_or_refuse(parts)


def shuffle_parts(envelope, data):
    parts = [bytes(part) for part in encode(envelope)]
    cut = data.draw(st.integers(0, len(parts) - 1))
    parts[cut] = parts[cut][: data.draw(st.integers(0, len(parts[cut])))]
    decode_or_refuse(data.draw(st.permutations(parts)))
    decode_or_refuse(parts + data.draw(st.lists(st.sampled_from(parts), max_size=8)))


def decode_or_refuse(parts):
    try:
        decode(parts)
    except WireError as error:
        assert error.code in CODES and error.message


@settings(max_examples=200)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=12,
    ),
    st.sampled_from(sorted(cls.kind for cls in MESSAGES)),
    st.sampled_from(("body", "buffers", "id", "session")),
)
def test_any_json_in_any_place_is_a_message_or_one_typed_error(value, kind, place):
    header = {"kind": kind, "id": ID, place: value}
    decode_or_refuse([limits.MAGIC, json.dumps(header).encode(errors="surrogatepass")])


LIES = {
    "overflowing shape": {"shape": [2**31, 2**32], "nbytes": 0},
    "too many bytes": {"nbytes": 2**63},
    "negative size": {"shape": [-8], "nbytes": -8},
    "a size of 0": {"shape": [0], "nbytes": 0},
    "float": {"shape": [8.0]},
    "bool": {"shape": [True] * 8},
    "bytes as float": {"nbytes": 8.0},
    "bytes as bool": {"nbytes": True},
    "two axes": {"shape": [2, 4]},
    "no shape": {"shape": None},
    "another type": {"dtype": "f4"},
    "an object type": {"dtype": "O"},
    "no type": {"dtype": ["u1"]},
    "another name": {"name": "more"},
    "no name": {"name": None},
    "another coding": {"coding": "pickle"},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_row_2_a_header_that_lies_about_a_buffer_is_refused(lie):
    refused(changed(chunk(), lambda header: header["buffers"][0].update(lie)), "malformed")


def test_row_2_nothing_is_allocated_for_a_lie():
    huge = {"shape": [2**39], "nbytes": 2**39}
    parts = changed(chunk(), lambda header: header["buffers"][0].update(huge))
    tracemalloc.start()
    refused(parts, "too_large", "data")
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("text", [b"[" * 10**5, b'{"a":' * 10**5, b'{"a":[' * 30000, b'["' * 10])
def test_row_3_deep_nesting_is_refused_before_it_is_parsed(text):
    began = process_time()
    refused([limits.MAGIC, text])
    refused([limits.MAGIC, text[: limits.HEADER_BYTES]], "malformed")
    assert process_time() - began < 1


def test_brackets_inside_texts_do_not_count_as_nesting():
    message = m.Error("failed", "[" * 100 + '"' + "{" * 100 + "\\")
    assert decode(encode(Envelope(message))).message == message


@pytest.mark.parametrize("count", [0, 1, 3 + limits.MAX_BUFFERS, 10_000])
def test_row_5_missing_and_extra_parts_are_refused(count):
    parts = encode(Envelope(m.Ping()))
    refused((parts + [b""] * count)[:count], "malformed")


@pytest.mark.parametrize(
    ("magic", "newer", "older"), [(b"VIVANT/0", 1, 0), (b"VIVANT/2", 2, 1), (b"VIVANT/999999", 999999, 1)]
)
def test_row_6_another_major_version_is_told_in_a_sentence(magic, newer, older):
    error = refused([magic, *encode(Envelope(m.Ping()))[1:]], "version")
    assert f"version {newer} " in str(error) and f"other {older}:" in str(error) and "update" in str(error)


@pytest.mark.parametrize("magic", [b"", b"VIVANT", b"VIVANT/", b"VIVANT/01", b"VIVANT/-1", b"VIVANT/1 ", b"HTTP/1"])
def test_another_magic_is_no_version(magic):
    refused([magic, b"{}"], "malformed")


def test_row_7_an_unknown_kind_is_an_error_that_tells_which_message_it_was():
    parts = changed(encode(Envelope(m.Ping(), id=ID, re="x")), lambda header: header.update(kind="avatar.dance"))
    error = refused(parts, "unknown_kind")
    assert (error.refused, error.re) == (ID, "x")


def test_row_7_unknown_fields_are_ignored_wherever_they_stand():
    def add(header):
        header["mood"] = header["body"]["mood"] = header["body"]["options"]["mood"] = {"a": [1, None, 1.5]}
        header["buffers"] = []

    message = m.JobSubmit(ID, "build", "0" * 64)
    assert decode(changed(encode(Envelope(message)), add)).message == message


def test_row_7_fields_with_a_default_may_be_missing():
    body = {"job": ID, "task": "build", "photo": "0" * 64}
    parts = changed(encode(Envelope(m.Ping())), lambda header: header.update(kind="job.submit", body=body))
    assert decode(parts).message == m.JobSubmit(ID, "build", "0" * 64)


@pytest.mark.parametrize("name", ["job", "task", "photo"])
def test_fields_without_a_default_may_not(name):
    parts = changed(encode(Envelope(m.JobSubmit(ID, "build", "0" * 64))), lambda header: header["body"].pop(name))
    refused(parts, "malformed", name)


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1e999", b"1" * 5000])
def test_row_31_numbers_that_are_none_are_refused(number):
    refused([limits.MAGIC, b'{"kind":"ping","body":{"unknown":' + number + b"}}"], "malformed")


@pytest.mark.parametrize("value", [10**400, -(10**400), True, "1", None, [1.0]])
def test_row_31_a_float_field_takes_only_finite_numbers(value):
    status = m.Status("1", "cpu", "cpu", 0, 0, 1.0)
    refused(changed(encode(Envelope(status)), lambda header: header["body"].update(uptime_s=value)), field="uptime_s")


def test_a_float_field_takes_an_integer():
    status = m.Status("1", "cpu", "cpu", 0, 0, 1.0)
    parts = changed(encode(Envelope(status)), lambda header: header["body"].update(uptime_s=1))
    assert decode(parts).message == status


@pytest.mark.parametrize("header", [b"", b"null", b"[]", b"1", b"\xff\xfe", b'{"kind":"ping","kind":"pong"}', b'{"a":'])
def test_a_header_that_is_no_object_is_refused(header):
    refused([limits.MAGIC, header], "malformed")


@pytest.mark.parametrize("place", ["id", "re", "session"])
def test_half_a_character_is_refused_on_the_way_in(place):
    refused([limits.MAGIC, b'{"kind":"ping","%s":"\\ud800"}' % place.encode()], "malformed", place)
    text = b'{"kind":"error","body":{"code":"failed","message":"\\udfff"}}'
    refused([limits.MAGIC, text], "malformed", "message")


def test_a_missing_buffer_is_named():
    def drop(header):
        header["buffers"] = []

    refused(changed(encode(Envelope(m.FileChunk("0" * 64, 8, 0))), drop), "malformed", "data")


def test_arrays_are_views_of_what_arrived():
    parts = [memoryview(bytes(part)) for part in chunk(100_000)]
    assert np.shares_memory(decode(parts).buffers["data"], np.frombuffer(parts[2], "u1"))


def test_arrays_that_are_not_contiguous_arrive_whole():
    pixels = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)[::-1, ::2]
    event = m.JobEvent(m.JobInfo(ID, "build", "", "running", 0.0))
    np.testing.assert_array_equal(decode(encode(Envelope(event, {"preview": pixels}))).buffers["preview"], pixels)


def test_an_array_of_another_type_does_not_leave():
    with pytest.raises(WireError, match="float64"):
        encode(Envelope(m.FileChunk("0" * 64, 8, 0), {"data": np.zeros(1)}))


# Packed buffers

needs_zstd = pytest.mark.skipif(not compression.FEATURES, reason="zstandard is not installed")


@needs_zstd
def test_packed_buffers_arrive_as_they_were():
    data = np.tile(np.arange(256, dtype=np.uint8), 4 * PACKED_FROM // 256)
    envelope = Envelope(m.FileChunk("0" * 64, len(data), 0), {"data": data})
    parts = encode(envelope, pack=True)
    assert len(parts[2]) < len(data) / 4
    same(decode(parts), envelope)


@needs_zstd
def test_small_buffers_are_not_packed():
    data = np.zeros(PACKED_FROM - 1, np.uint8)
    assert len(encode(Envelope(m.FileChunk("0" * 64, len(data), 0), {"data": data}), pack=True)[2]) == len(data)


@needs_zstd
@pytest.mark.parametrize("held", [2**28, 100_001, 99_999, 0])
def test_row_29_a_packed_bomb_is_refused_after_the_bytes_that_it_announced(held):
    import zstandard

    bomb = zstandard.ZstdCompressor().compress(bytes(held))
    parts = changed(chunk(100_000), lambda header: header["buffers"][0].update(coding="zstd"))
    tracemalloc.start()
    refused([*parts[:2], bomb], "malformed")
    assert tracemalloc.get_traced_memory()[1] < 50 * 2**20
    tracemalloc.stop()


@needs_zstd
@settings(max_examples=100)
@given(st.binary(max_size=300))
def test_row_29_damaged_packed_bytes_are_refused(data):
    parts = changed(chunk(100_000), lambda header: header["buffers"][0].update(coding="zstd"))
    refused([*parts[:2], data], "malformed")


def test_what_is_packed_is_refused_where_nothing_can_unpack_it(monkeypatch):
    monkeypatch.setattr(compression, "zstandard", None)
    parts = changed(chunk(100_000), lambda header: header["buffers"][0].update(coding="zstd"))
    refused(parts, "malformed")
