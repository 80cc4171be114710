"""Progress as a bar, as lines and as JSON."""

import io
import json

import pytest

from backend.console import Bar, JsonLines, Lines, reporting
from backend.progress import Event


class Terminal(io.StringIO):
    def isatty(self):
        return True


def clock_of(*seconds):
    ticks = iter(seconds)
    return lambda: next(ticks)


def test_json_gives_one_object_per_event():
    stream = io.StringIO()
    progress = JsonLines(stream, clock_of(10.0, 10.5, 12.0))
    progress(Event("photo", 1, 4, "looking"))
    progress(Event("photo", 4, 4))
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first == {"stage": "photo", "step": 1, "total": 4, "message": "looking", "seconds": 0.5}
    assert second["seconds"] == 2.0


def test_a_log_gets_the_start_and_the_end_of_a_stage_and_every_sentence():
    stream = io.StringIO()
    progress = Lines(stream, lambda: 0.0)
    for step in range(101):
        progress(Event("training", step, 100, f"loss {step}"))
    progress(Event("render", 0, 2, "This body has no expression x: left out."))
    progress(Event("render", 1, 2))
    progress(Event("render", 2, 2))
    assert stream.getvalue().splitlines() == [
        "training 0/100: loss 0",
        "training 100/100: loss 100",
        "This body has no expression x: left out.",
        "render 2/2",
    ]


def test_a_finished_stage_that_comes_again_is_not_repeated():
    stream = io.StringIO()
    progress = Lines(stream, lambda: 0.0)
    for _ in range(5):
        progress(Event("render", 1, 1))
    assert stream.getvalue() == "render 1/1\n"


def test_a_bar_tells_the_time_left_and_keeps_sentences():
    stream = Terminal()
    progress = Bar(stream, clock_of(0.0, 0.0, 30.0, 31.0))
    progress(Event("training", 0, 4))
    progress(Event("training", 1, 4, "loss 1"))
    progress(Event("training", 1, 4, "Falling back."))
    progress.close()
    text = stream.getvalue()
    assert "[######..................]" in text and "1/4" in text and "1:30 left" in text
    assert "Falling back.\n" in text
    assert text.endswith("loss 1\n")


@pytest.mark.parametrize(("stream", "kind"), [(Terminal(), Bar), (io.StringIO(), Lines)])
def test_the_stream_decides(stream, kind):
    with reporting("auto", stream) as progress:
        assert type(progress) is kind
