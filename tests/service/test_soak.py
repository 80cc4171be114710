"""Row 40: frames at full rate for ten minutes (or $VIVANT_SOAK_S seconds) while jobs come and go. Memory stays flat."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from shared.wire import calls
from shared.wire.messages import JobForget
from tests.service.serving import motion, render_frames, render_live, serving, submit, until_state

SECONDS = float(os.environ.get("VIVANT_SOAK_S", 600))
SIZE = (960, 540)
ROUND = 50  # live frames between two jobs
FLAT_BYTES = 8 << 20  # that memory may differ between two quarters of the time
FLAT_DESCRIPTORS = 5

pytestmark = pytest.mark.slow


def held(pid):
    """Bytes of memory and number of descriptors of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096, len(os.listdir(f"/proc/{pid}/fd"))


def test_row_40_hours_of_frames_leave_memory_and_descriptors_flat(tmp_path):
    with serving(tmp_path) as server, server.connect() as client:
        avatar = submit(client)
        until_state(client, avatar, "finished")
        view, seq, samples = calls.new_id(), 0, []
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for _ in range(ROUND):
                seq += 1
                calls.live(client, render_live(avatar, view, seq, SIZE), motion(x=seq % 200))
            request = render_frames(avatar, size=SIZE)
            assert len(list(calls.frames(client, request, motion(10)))) == 10
            until_state(client, request.job, "finished")
            client.call(JobForget(request.job))
            samples.append((*held(server.process.pid), *held(os.getpid())))
    quarter = len(samples) // 4
    early, late = (np.median(part, axis=0) for part in (samples[quarter : 2 * quarter], samples[-quarter:]))
    grown = late - early
    print(f"{seq} live frames in {SECONDS:.0f} s; server {grown[0] / 1e6:+.1f} MB, client {grown[2] / 1e6:+.1f} MB")
    assert quarter and grown[0] < FLAT_BYTES and grown[2] < FLAT_BYTES
    assert grown[1] < FLAT_DESCRIPTORS and grown[3] < FLAT_DESCRIPTORS
