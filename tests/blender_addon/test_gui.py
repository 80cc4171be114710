"""A real window, Debian's Blender 3.4, walked through with a real mouse: against the mock server, or the real one.

VIVANT_PYTHON names a Python that has Vivant: then *Start Backend* can be pressed, and a small avatar is built.
VIVANT_SCREENSHOTS names a folder for pictures of each step.
"""

import os
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import EXAMPLES

gui = pytest.importorskip("tests.blender_addon.gui", reason="needs numpy and pyzmq")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(gui.missing()), reason=f"needs {', '.join(gui.missing())}"),
    pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="Blender 3.4 runs Python 3.11 and borrows our numpy"),
]

PICTURES = os.environ.get("VIVANT_SCREENSHOTS")


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    with gui.blender(tmp_path_factory.mktemp("gui")) as window:
        window.open_tab()
        yield window


def picture(window, name, notches=0):
    if PICTURES:
        left, top, width, height = window.ask("sidebar()")
        if notches:
            window.scroll(left + width / 2, top + height / 2, notches)
        window.screenshot(Path(PICTURES) / f"{name}.png", (left, top, width, height))
        window.screenshot(Path(PICTURES) / f"{name}_whole.png")


def click_until(window, condition, heights):
    """Click down the middle of the sidebar until the button was hit. Each click gets time, lest two are hit."""
    left, top, width, _ = window.ask("sidebar()")
    for y in heights:
        window.click(left + width / 2, top + y)
        end = time.monotonic() + 3
        while time.monotonic() < end:
            if window.ask(condition):
                return
    raise AssertionError(f"No button was hit: {condition}")


def test_the_panel_leads_from_a_photo_to_an_avatar(window, tmp_path):
    photo = tmp_path / "astronaut.png"
    photo.write_bytes((EXAMPLES / "astronaut.png").read_bytes())
    picture(window, "1_first_run")
    click_until(window, "not sys.modules['vivant.operators.backend'].is_off()", range(90, 200, 16))
    window.until("sys.modules['vivant'].session.is_ready()")
    window.ask(f"bpy.ops.vivant.choose_photo(filepath={str(photo)!r})")
    picture(window, "2_photo")
    window.ask("bpy.ops.vivant.register_photo()")
    window.until("sys.modules['vivant'].results.fit(bpy.context.scene.vivant.register_job) is not None")
    picture(window, "3_fit")
    window.ask("bpy.context.scene.vivant.steps = 20; bpy.context.scene.vivant.texture = '128'")
    window.ask("bpy.ops.vivant.build_avatar()")
    job = "sys.modules['vivant'].mirror.job(bpy.context.scene.vivant.build_job)"
    window.until(f"{job}.stage == 'training' and {job}.step > 0")
    picture(window, "4_build", notches=30)
    window.until(f"{job}.state == 'finished'")
    window.until("len(bpy.context.window_manager.vivant.avatars) == 1")
    picture(window, "5_avatar", notches=30)


def test_loading_a_file_keeps_the_connection_and_the_lists(window):
    window.ask("bpy.ops.wm.read_homefile(use_factory_startup=True)")
    window.until("len(bpy.context.window_manager.vivant.avatars) == 1")
    assert window.ask("sys.modules['vivant'].session.is_ready()")


def test_blender_quits_within_seconds_and_leaves_no_thread_behind(window):
    window.ask("bpy.app.timers.register(lambda: bpy.ops.wm.quit_blender() and None, first_interval=0.1)")
    end = time.monotonic() + 20
    while window.blender.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    assert window.blender.poll() is not None
