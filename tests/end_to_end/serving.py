"""A real `vivant serve` in a process of its own, and the command line beside it."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager

VIVANT = [sys.executable, "-m", "backend.cli"]


@contextmanager
def server(data):
    """Serving on this data folder; the environment for whoever wants to be its client. Stopped afterwards."""
    environment = {**os.environ, "VIVANT_DATA": str(data)}
    with (data.parent / "serve.log").open("wb") as log:
        process = subprocess.Popen([*VIVANT, "serve"], stdout=subprocess.PIPE, stderr=log, env=environment)
    try:
        assert json.loads(process.stdout.readline())["ready"]
        yield environment
    finally:
        process.terminate()
        process.wait(30)


def client(environment, *words, timeout=600):
    """Run `vivant client` to its end; what it printed, line by line."""
    command = [*VIVANT, "client", *map(str, words)]
    done = subprocess.run(command, env=environment, timeout=timeout, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
