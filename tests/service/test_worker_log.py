"""What worker processes print, as the disk keeps it: real processes and pipes."""

import errno
import subprocess
import sys

import pytest

from backend.service.worker_log import PIECE_BYTES, keep
from shared.wire import limits
from tests.service.serving import PATIENCE_S


@pytest.fixture
def log(tmp_path):
    return tmp_path / "build-0.log"


def old(log):
    return log.with_name("build-0.old.log")


def begun(script):
    command = [sys.executable, "-X", "faulthandler", "-c", f"import os, sys, time\n{script}"]
    return subprocess.Popen(command, bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def ended(process, log):
    """Its exit code, once all that it printed was dealt with."""
    thread = keep(process.stdout, log)
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    return process.wait(PATIENCE_S)


@pytest.mark.limits("LOG_FILE_BYTES")
@pytest.mark.parametrize("more", [0, 1])
def test_it_grows_to_its_limit_and_with_one_byte_more_is_begun_anew(log, more):
    log.write_bytes(bytes(limits.LOG_FILE_BYTES - 5 + more))
    assert ended(begun("os.write(1, b'last\\n')"), log) == 0
    assert log.stat().st_size == (5 if more else limits.LOG_FILE_BYTES) and old(log).exists() == bool(more)


def test_what_one_worker_prints_without_end_fills_no_disk_and_its_last_words_stay(log):
    assert ended(begun("print('x' * 9_000_000)\nprint('last words')"), log) == 0
    assert log.read_bytes().endswith(b"x\nlast words\n")
    sizes = [path.stat().st_size for path in (log, old(log))]
    assert max(sizes) <= limits.LOG_FILE_BYTES < sum(sizes) + PIECE_BYTES
    assert len(list(log.parent.iterdir())) == 2


def test_18_the_last_words_of_a_crash_are_kept(log):
    assert ended(begun("print('so far', flush=True)\nos.abort()"), log) < 0
    assert log.read_text().startswith("so far\nFatal Python error: Aborted")


def test_15_a_full_disk_keeps_no_worker_waiting_and_later_words_are_kept(log, monkeypatch):
    added, tries = [], []

    def add(log, piece):
        tries.append(piece)
        if len(tries) < 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        added.append(piece)

    monkeypatch.setattr("backend.service.worker_log._add", add)
    assert ended(begun("print('x' * 9_000_000)\nprint('last words')"), log) == 0
    assert b"".join(added).endswith(b"x\nlast words\n")


def test_13_a_worker_whose_server_has_died_does_not_wait_for_a_reader(log):
    process = begun("try:\n    print('x' * 9_000_000)\nexcept BrokenPipeError:\n    os._exit(7)")
    process.stdout.close()
    assert process.wait(PATIENCE_S) == 7
