import errno
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from backend.atomic import ensure_writable, written_whole
from backend.service.lock import FolderLock
from shared.errors import VivantError


def test_a_file_takes_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "folder" / "picture.png"
    with written_whole(path) as temporary:
        assert temporary.suffix == ".png" and temporary.parent == path.parent
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole" and list(path.parent.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "avatar.json"
    path.write_text("old")
    with pytest.raises(KeyError), written_whole(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_drive_that_cannot_sync_folders_takes_files_all_the_same(tmp_path, monkeypatch):
    sync = os.fsync

    def files_only(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", files_only)
    with written_whole(tmp_path / "a.txt") as path:
        path.write_text("whole")
    assert (tmp_path / "a.txt").read_text() == "whole"


def test_a_full_disk_is_said(tmp_path):
    with (
        pytest.raises(VivantError, match=r"Cannot write .*No space left.*Free some disk space"),
        written_whole(tmp_path / "a.npz") as temporary,
    ):
        temporary.write_text("half")
        raise OSError(28, "No space left on device")
    assert not list(tmp_path.iterdir())


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from backend.atomic import write_arrays
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_arrays(Path(sys.argv[1]), {"a": np.random.default_rng(0).random(50_000)})
except Exception as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs a limit on the size of files")
def test_arrays_that_the_disk_cannot_hold_leave_one_sentence_and_nothing_else(tmp_path):
    """numpy's half-written archive once printed a traceback behind the sentence."""
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path / "a.npz"], capture_output=True, text=True)
    assert "Cannot write" in done.stdout and done.stderr == "" and not list(tmp_path.iterdir())


def test_a_folder_is_tried_without_a_trace(tmp_path):
    ensure_writable(tmp_path / "some" / "where")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def nobody():
    """Not root, to whom every folder is open."""
    if not hasattr(os, "seteuid"):
        pytest.skip("Windows has no such users")
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


@pytest.fixture
def locked():
    """A folder that may be looked into, and no more."""
    with tempfile.TemporaryDirectory() as home:  # pytest's own are closed to others
        os.chmod(home, 0o755)
        folder = Path(home) / "locked"
        folder.mkdir()
        folder.chmod(0o555)
        yield folder


def test_row_16_a_folder_that_may_only_be_read_is_said_before_work_begins(locked, nobody):
    for place in (locked, locked / "avatar"):
        with pytest.raises(VivantError, match=r"Cannot write .*Permission denied.*choose a folder"):
            ensure_writable(place)
    with pytest.raises(VivantError, match=r"Cannot write .*Choose a folder"):
        FolderLock(locked)


def test_a_place_that_takes_no_files_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(VivantError, match="Cannot write"):
        ensure_writable(tmp_path / "file" / "folder")
    with pytest.raises(VivantError, match="Cannot write"), written_whole(tmp_path / "file" / "a.png"):
        pass
