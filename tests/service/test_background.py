"""Threads beside the loop, of which one may hang."""

import subprocess
import sys
import threading

import pytest

from backend.service.background import LANES, Background
from tests.conftest import ROOT
from tests.service.serving import PATIENCE_S, until


@pytest.fixture
def background():
    made = Background()
    yield made
    made.close(PATIENCE_S)


@pytest.mark.parametrize("hanging", LANES)
def test_a_lane_that_hangs_holds_up_no_other(background, hanging):
    gate, done = threading.Event(), []
    background.run(lambda: gate.wait(PATIENCE_S), lambda _: done.append(hanging), done.append, hanging)
    others = [lane for lane in LANES if lane != hanging]
    for lane in others:
        background.run(lambda lane=lane: lane, done.append, done.append, lane)
    until(lambda: background.collect() or len(done) == len(others))
    assert sorted(done) == sorted(others)
    gate.set()
    until(lambda: background.collect() or len(done) == len(LANES))


def test_what_fails_is_told_in_its_turn(background):
    told = []
    for number in range(4):
        background.run(lambda number=number: 1 // (number % 2), told.append, lambda error: told.append(type(error)))
    until(lambda: background.collect() or len(told) == 4)
    assert told == [ZeroDivisionError, 1, ZeroDivisionError, 1]


ENDING = """
import os, sys
from backend.service.background import Background
background = Background()
read, _ = os.pipe()
for lane in ("imports", "files"):
    background.run(lambda: os.read(read, 1), print, print, lane)
background.run(lambda: 1, print, print)
background.close(0.1)
"""


def test_a_process_ends_whose_threads_hang():
    done = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, cwd=ROOT, timeout=PATIENCE_S, check=True)
    assert done.stdout == done.stderr == b""
