from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

bpy = pytest.importorskip("bpy", reason="needs the bpy module (pip install bpy)")


def test_threads_that_ask_for_the_same_new_folder_get_it(empty):
    """One of them got an empty path, and its file went to the working folder: another avatar's rig was found there."""
    together = Barrier(8)

    def ask(number):
        together.wait()
        return empty.compat.user_folder("cache", f"avatar {number}")

    for number in range(20):
        with ThreadPoolExecutor(8) as threads:
            folders = set(threads.map(ask, [number] * 8))
        (folder,) = folders
        assert folder.is_absolute() and folder.is_dir()
