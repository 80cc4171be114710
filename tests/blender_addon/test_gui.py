"""A real window, Debian's Blender 3.4, walked through with a real mouse: the first run, with the stand-in.

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


def picture(window, name):
    if PICTURES:
        time.sleep(2)  # panels open slowly, drawn in software
        window.screenshot(Path(PICTURES) / f"{name}.png", window.ask("sidebar()"))
        window.screenshot(Path(PICTURES) / f"{name}_whole.png")


def test_the_panel_leads_from_a_photo_to_an_avatar(window, tmp_path):
    photo = tmp_path / "astronaut.png"
    photo.write_bytes((EXAMPLES / "astronaut.png").read_bytes())
    picture(window, "1_first_run")
    window.press("vivant.try_mock")
    window.until("sys.modules['vivant'].session.is_ready()")
    window.press("vivant.choose_photo")
    window.choose(photo)
    picture(window, "2_photo")
    window.press("vivant.register_photo")
    window.until("sys.modules['vivant'].results.fit(bpy.context.scene.vivant.register_job) is not None")
    picture(window, "3_fit")
    window.write("vivant.steps", "20")
    window.press("vivant.build_avatar")
    job = "sys.modules['vivant'].mirror.job(bpy.context.scene.vivant.build_job)"
    window.until(f"{job}.stage == 'training' and {job}.step > 0")
    picture(window, "4_build")
    window.until(f"{job}.state == 'finished'")
    window.until("len(bpy.context.window_manager.vivant.avatars) == 1")
    picture(window, "5_avatar")


def test_the_preview_is_drawn_into_the_viewport(window):
    window.press("vivant.create_rig")
    window.until("len(bpy.context.scene.objects) == 5")  # with its body, beside cube, light and camera
    window.press("vivant.talk")
    window.until("bpy.context.scene.frame_end == 240")
    window.press("vivant.toggle_preview")
    preview = "sys.modules['vivant'].preview"
    window.until(f"{preview}._now.is_fine and all(view.picture for view in {preview}._now.views.values())")
    picture(window, "6_preview")
    window.press("vivant.toggle_preview")
    assert not window.ask(f"{preview}.is_on()")


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
    assert window.processes() == []
