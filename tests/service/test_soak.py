"""Row 40: frames at full rate for ten minutes (or $VIVANT_SOAK_S seconds) while jobs come and go. Memory stays flat.

Two clients, one with frames through the socket and one with mapped memory, keep as many under way as credit allows;
a third one has takes rendered, and forgets them.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from shared.wire import calls
from shared.wire.mapped import FEATURE
from shared.wire.messages import Error, Frame, JobForget, RenderCredit
from tests.service.serving import PATIENCE_S, motion, render_frames, render_live, serving, submit, until_state

SECONDS = float(os.environ.get("VIVANT_SOAK_S", 600))
SIZE = (960, 540)
EVERY_S = 1.0  # between two samples, and two takes
FLAT_BYTES = 8 << 20  # that memory may differ between two quarters of the time
FLAT_DESCRIPTORS = 5

pytestmark = pytest.mark.slow


def held(pid):
    """Bytes of memory and number of descriptors of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096, len(os.listdir(f"/proc/{pid}/fd"))


def stream(connection, features, avatar, end):
    """How many live frames came until `end`, the window of credit full all the time."""
    view, asked, newest, count = calls.new_id(), 0, 0, 0
    with calls.connect(connection, "soak", features) as client:
        client.post(RenderCredit(calls.CREDIT))
        while time.monotonic() < end:
            while asked - newest < calls.CREDIT:
                asked += 1
                client.post(render_live(avatar, view, asked, SIZE), motion(x=asked % 200))
            came = client.inbox.get(timeout=PATIENCE_S)
            frame = getattr(came, "message", came)
            assert not isinstance(frame, Error), frame
            if isinstance(frame, Frame):
                newest, count = frame.seq, count + 1
                assert came.buffers["rgba"][-1, -1, 0] == newest % 200
                client.post(RenderCredit(1))
    return count


def test_row_40_frames_at_full_rate_leave_memory_and_descriptors_flat(tmp_path):
    with serving(tmp_path) as server, server.connect() as client, ThreadPoolExecutor() as threads:
        avatar, samples = submit(client), []
        until_state(client, avatar, "finished")
        end = time.monotonic() + SECONDS
        streams = [threads.submit(stream, server.connection(), way, avatar, end) for way in ((), (FEATURE,))]
        while time.monotonic() < end:
            request = render_frames(avatar, size=SIZE)
            assert len(list(calls.frames(client, request, motion(10)))) == 10
            until_state(client, request.job, "finished")
            client.call(JobForget(request.job))
            samples.append((*held(server.process.pid), *held(os.getpid())))
            time.sleep(EVERY_S)
        counts = [one.result() for one in streams]
    quarter = len(samples) // 4
    early, late = (np.median(part, axis=0) for part in (samples[quarter : 2 * quarter], samples[-quarter:]))
    rates = ", ".join(f"{count / SECONDS:.0f}" for count in counts)
    print(f"{SECONDS:.0f} s with {rates} live frames a second, through the socket and mapped, and {len(samples)} takes")
    for name, at in ("server", 0), ("clients", 2):
        first, middle, last = (one[at] / 1e6 for one in (samples[0], early, late))
        print(f"{name}: {first:.1f} MB at first, {middle:.1f} early, {last:.1f} late")
    grown = late - early
    assert quarter and grown[0] < FLAT_BYTES and grown[2] < FLAT_BYTES
    assert grown[1] < FLAT_DESCRIPTORS and grown[3] < FLAT_DESCRIPTORS
