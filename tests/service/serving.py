"""Real servers in processes of their own, with workers that pretend, and clients for them."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from backend.service import avatars, served_time
from backend.service.server import Server, ServeSettings
from shared.wire import limits
from shared.wire.calls import connect, new_id, upload
from shared.wire.client import Client
from shared.wire.codec import Envelope
from shared.wire.connection import connection_file, load_connection
from shared.wire.messages import BuildOptions, JobInfo, JobList, JobSubmit, RenderFrames, RenderLive

ROOT = Path(__file__).resolve().parents[2]
FAKE_WORKER = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))
PATIENCE_S = 30.0
PHOTO = b"not really a photo" * 100


class Serving:
    """A server process. It can be killed, and started again on the same folder."""

    def __init__(self, data, **environment):
        self.data, self.environment = Path(data), environment
        self.process = None
        self.ready = {}

    def start(self, *words, **environment):
        command = [sys.executable, "-m", "tests.service.serving", str(self.data), *words]
        variables = {**os.environ, **self.environment, **environment, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=variables
        )
        line = self.process.stdout.readline()
        self.ready = json.loads(line) if line else {}
        return self

    def kill(self, number=signal.SIGKILL):
        """End it, with all its workers (which see its end themselves)."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self):
        code = self.process.wait(PATIENCE_S)
        self.process.stdout.close()
        self.process.stderr.close()
        return code

    def connection(self):
        return load_connection(connection_file(self.data))

    def connect(self):
        """A client that is ready."""
        return connect(self.connection(), "test")

    def client(self, session=""):
        """A client on its way."""
        return Client(self.connection(), session=session)


@contextmanager
def serving(data, **environment):
    """A running server."""
    server = Serving(data, **environment).start()
    assert server.ready, server.process.stderr.read()
    try:
        yield server
    finally:
        if server.process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                server.kill(signal.SIGTERM)
        if server.process.poll() is None:
            server.kill()


def until(holds, what="", patience=PATIENCE_S):
    """Wait until `holds()` is true, and return what it returned."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if result := holds():
            return result
        time.sleep(0.02)
    raise AssertionError(f"not within {patience} s: {what or holds}")


def resident(pid):
    """Bytes of memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def submit(client, task="build", job="", **options):
    """Submit with the fake worker's options; returns the job's id."""
    job = job or new_id()
    photo = upload(client, PHOTO)
    options = {"steps": 1, "size": 64, **options}
    client.call(JobSubmit(job, task, photo, name="Ada", options=BuildOptions(**options)))
    return job


def state_of(client, job) -> JobInfo:
    return next(info for info in client.call(JobList()).message.jobs if info.job == job)


def until_state(client, job, *states):
    """Wait for one of `states`."""
    return until(lambda: (info := state_of(client, job)).state in states and info, f"{job} to be {states}")


def motion(frames=1, x=0.0, delay=0.0, fate=0.0, cameras=1):
    """Buffers of a render. The fake worker draws `x` as grey, after `delay` seconds; `fate` 1 kills it."""
    transl = np.tile(np.array([[x, delay, fate]], "f4"), (frames, 1))
    transl[:, 0] += np.arange(frames)
    return {
        "full_pose": np.zeros((frames, 165), "f4"),
        "transl": transl,
        "expression": np.zeros((frames, 0), "f4"),
        "world_to_camera": np.tile(np.eye(4, dtype="f4"), (cameras, 1, 1)),
        "K": np.tile(np.array([[100, 0, 32], [0, 100, 24], [0, 0, 1]], "f4"), (cameras, 1, 1)),
    }


def render_live(avatar, view="", seq=0, size=(64, 48)):
    return RenderLive(view or new_id(), seq, avatar, *size)


def render_frames(avatar, job="", size=(64, 48), **more):
    return RenderFrames(job or new_id(), avatar, *size, **more)


def drain(client, seconds=0.0):
    """What lies in the inbox, or comes within so many seconds."""
    end, found = time.monotonic() + seconds, []
    while True:
        while not client.inbox.empty():
            came = client.inbox.get()
            if isinstance(came, Envelope):
                found.append(came)
        if time.monotonic() >= end:
            return found
        time.sleep(0.01)


def on_a_drive_that_hangs(copied):
    """Copying from there goes on when somebody has written into the FIFO beside the folder."""

    def hanging(source, *more):
        if (gate := source.with_name("gate")).exists():
            gate.read_bytes()
        return copied(source, *more)

    return hanging


def on_a_clock_that_jumps(seconds):
    """One on which as much time has passed as the file `seconds` says, beside what really has."""
    return SimpleNamespace(monotonic=lambda: time.monotonic() + (float(seconds.read_text()) if seconds.exists() else 0))


if __name__ == "__main__":
    served_time.time = on_a_clock_that_jumps(Path(sys.argv[1]) / "hung")
    avatars.copied = on_a_drive_that_hangs(avatars.copied)
    for name, value in json.loads(os.environ.get("LIMITS", "{}")).items():  # shorter ones, so that nobody waits
        assert hasattr(limits, name)
        setattr(limits, name, value)
    Server(ServeSettings(Path(sys.argv[1]), port=int((sys.argv[2:] or [0])[0]), worker=FAKE_WORKER)).run(sys.stdout)
