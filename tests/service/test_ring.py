"""Slots that two processes share."""

import stat
import subprocess
import sys

import numpy as np
import pytest

from backend.service.ring import Ring, aligned
from shared.errors import VivantError

WRITE_SEVENS = """
import sys
from pathlib import Path
from backend.service.ring import Ring
ring = Ring.open(Path(sys.argv[1]))
ring.slot(1)[:] = bytes([7]) * ring.slot_bytes
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ring-0"


def test_another_process_writes_into_one_slot_alone(path):
    ring = Ring.create(path, slots=3, slot_bytes=1000)
    subprocess.run([sys.executable, "-c", WRITE_SEVENS, str(path)], check=True)
    assert [set(ring.slot(index).tobytes()) for index in range(3)] == [{0}, {7}, {0}]


def test_only_the_user_may_open_it(path):
    Ring.create(path, slots=1, slot_bytes=10)
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_what_is_opened_is_what_was_made(path):
    Ring.create(path, slots=2, slot_bytes=12345)
    opened = Ring.open(path)
    assert (opened.slots, opened.slot_bytes) == (2, 12345)
    assert len(opened.slot(1)) == 12345
    with pytest.raises(IndexError):
        opened.slot(2)
    with pytest.raises(IndexError):
        opened.slot(-1)


def test_slots_start_on_pages(path):
    ring = Ring.create(path, slots=2, slot_bytes=5)
    starts = [np.frombuffer(ring.slot(index), np.uint8).ctypes.data for index in range(2)]
    assert all(start % 4096 == 0 for start in starts)


def test_a_ring_is_never_taken_over(path):
    Ring.create(path, slots=1, slot_bytes=10)
    with pytest.raises(FileExistsError):
        Ring.create(path, slots=1, slot_bytes=10)


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 5000])
def test_another_file_is_no_ring(path, content):
    path.write_bytes(content)
    with pytest.raises(VivantError, match="no ring"):
        Ring.open(path)


def test_a_cut_ring_is_refused(path):
    Ring.create(path, slots=2, slot_bytes=5000).close()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(VivantError, match="another size"):
        Ring.open(path)


def test_row_15_a_disk_without_room_is_found_when_the_ring_is_made(path):
    code = (
        "import resource, sys; from pathlib import Path; from backend.service.ring import Ring\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))\n"
        "try: Ring.create(Path(sys.argv[1]), 2, 10**6)\n"
        "except OSError as error: print(error.errno)"
    )
    pytest.importorskip("resource")
    told = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "27" and not path.exists()


@pytest.mark.parametrize(("size", "result"), [(0, 0), (1, 64), (64, 64), (65, 128)])
def test_alignment(size, result):
    assert aligned(size) == result
