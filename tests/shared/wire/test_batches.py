"""A render of any length is cut into jobs that fit a message, and nothing of it is lost or said twice."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.wire import limits
from shared.wire.batches import batches
from shared.wire.codec import Envelope, decode, encode
from shared.wire.messages import RenderFrames

ID = "0f8fad5b-d9cb-469f-a165-70867728950e"


def motion(frames, cameras, expressions=2):
    return {
        "full_pose": np.arange(frames * 165, dtype="f4").reshape(frames, 165) % 7,
        "transl": np.arange(frames * 3, dtype="f4").reshape(frames, 3) % 7,
        "expression": np.zeros((frames, expressions), "f4"),
        "world_to_camera": np.tile(np.eye(4, dtype="f4"), (cameras, 1, 1)),
        "K": np.tile(np.eye(3, dtype="f4"), (cameras, 1, 1)),
    }


def cut(frames, cameras, first=3, expressions=2):
    names = tuple(str(k) for k in range(expressions))
    request = RenderFrames(ID, ID, 64, 48, first, expression_names=names)
    buffers = motion(frames, cameras, expressions)
    return buffers, list(batches(request, buffers))


@settings(max_examples=20)
@given(st.integers(1, 40_000), st.booleans())
def test_together_they_are_the_whole(frames, moving):
    buffers, parts = cut(frames, frames if moving else 1)
    assert [part.first for part, _ in parts] == list(range(3, 3 + frames, limits.JOB_FRAMES))
    for name in ("full_pose", "transl", "expression"):
        np.testing.assert_array_equal(np.concatenate([rows[name] for _, rows in parts]), buffers[name])
    assert all(len(rows["K"]) in (1, len(rows["full_pose"])) for _, rows in parts)


def test_the_same_render_is_cut_into_the_same_jobs():
    one, other = (cut(25_000, 1)[1] for _ in range(2))
    assert [part for part, _ in one] == [part for part, _ in other]
    assert one[0][0].job == ID and len({part.job for part, _ in one}) == 3


def test_one_past_the_limit_is_a_second_job():
    assert [len(cut(limits.JOB_FRAMES + more, 1)[1]) for more in (0, 1)] == [1, 2]


def test_each_part_fits_a_message_whatever_is_widest():
    _, parts = cut(limits.JOB_FRAMES, 1, expressions=limits.EXPRESSIONS)
    assert len(parts) > 1
    for part, rows in parts:
        encoded = encode(Envelope(part, rows))
        assert max(map(len, encoded)) <= limits.CONTROL_PART_BYTES
        decode(encoded)
