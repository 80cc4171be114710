"""A user with a mouse, a real backend and the real window of Debian's Blender: from the photo to a picture by F12.

With VIVANT_SCREENSHOTS=DIR the sidebar and the whole screen are saved there after every step, for docs/blender.md.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shared.talking import talking_motion
from tests.blender_addon import gui
from tests.conftest import EXAMPLES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(gui.missing()), reason=f"needs {', '.join(gui.missing())}"),
    pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="Blender 3.4 runs Python 3.11 and borrows our numpy"),
]

PICTURES = os.environ.get("VIVANT_SCREENSHOTS")
FRAMES = range(40, 45)
SCENE = """
import mathutils
scene, armature = bpy.context.scene, bpy.context.scene.objects["astronaut"]
scene.frame_start, scene.frame_end = {first}, {last}
scene.frame_set({first})
neck = armature.matrix_world @ armature.pose.bones["neck"].head
bpy.ops.object.mode_set(mode="OBJECT")
cube = scene.objects["Cube"]
cube.location, cube.scale = neck + mathutils.Vector((-0.13, -0.5, -0.3)), (0.12,) * 3
other = cube.copy()
scene.collection.objects.link(other)
other.location = neck + mathutils.Vector((0.33, 0.5, 0.1))
camera = scene.camera
camera.location = neck + mathutils.Vector((0.3, -2, 0.1))
camera.rotation_euler = (neck - camera.location).to_track_quat("-Z", "Y").to_euler()
scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 8, False
scene.render.resolution_x, scene.render.resolution_y = 640, 480
bpy.context.preferences.view.render_display_type = "SCREEN"
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The user's folder, with a photo and a motion file in it."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(EXAMPLES / "astronaut.png", folder)
    talking_motion(4.0, 25.0).save(folder / "talk.npz")
    return folder


@pytest.fixture(scope="module")
def window(tmp_path_factory, project):
    with gui.blender(tmp_path_factory.mktemp("window"), VIVANT_PYTHON=sys.executable) as window:
        window.ask(f"bpy.ops.wm.save_as_mainfile(filepath={str(project / 'scene.blend')!r})")
        window.open_tab()
        yield window
        window.ask("bpy.ops.vivant.stop_backend.poll() and bpy.ops.vivant.stop_backend()")


def picture(window, name):
    """The sidebar as it is, and the whole screen."""
    if PICTURES:
        time.sleep(2)  # panels open slowly, drawn in software
        window.screenshot(Path(PICTURES) / f"{name}.png", window.ask("sidebar()"))
        window.screenshot(Path(PICTURES) / f"{name}_whole.png")


def hover_scene(window):
    """Put the mouse into the 3D View, left of the sidebar: keys act there."""
    left, top, _, height = window.ask("sidebar()")
    window.hover(left / 2, top + height / 2)


def vivant(name):
    return f"sys.modules['vivant'].{name}"


BUILD = vivant("mirror.job(bpy.context.scene.vivant.build_job)")
RUN = vivant("operators.render.current")


def test_the_backend_starts(window):
    picture(window, "1_first_run")
    window.press("vivant.start_backend")
    window.until(vivant("session.is_ready()") + " or bool(bpy.context.window_manager.vivant.notice)", 120)
    assert window.ask("bpy.context.window_manager.vivant.notice") == ""
    assert window.ask(vivant("backend_process.owns_process()"))


def test_a_photo_is_picked_in_the_file_browser(window, project):
    window.press("vivant.choose_photo")
    window.choose(project / "astronaut.png")
    assert window.ask("bpy.context.scene.vivant.photo") == str(project / "astronaut.png")
    picture(window, "2_photo")


def test_the_body_is_fitted_to_the_photo(window):
    window.press("vivant.register_photo")
    window.until(vivant("results.fit(bpy.context.scene.vivant.register_job) is not None"), 180)
    picture(window, "3_fit")


def test_a_build_is_cancelled_by_its_button(window):
    window.ask("bpy.context.scene.vivant.size = 512")  # in the sub-panel for what is rarely needed
    window.write("vivant.steps", "60")
    window.click(*window.find(".texture", across=0.7, copy=gui.COPY_PATH))
    window.key("m")  # Medium
    assert window.ask("(bpy.context.scene.vivant.steps, bpy.context.scene.vivant.texture)") == [60, "256"]
    window.press("vivant.build_avatar")
    window.until(f"{BUILD}.state == 'running'", 60)
    window.press("vivant.cancel_job", across=0.79)
    window.until(f"{BUILD}.state == 'cancelled'", 30)


def test_the_cancelled_build_is_resumed_while_blender_stays_free(window):
    window.press("vivant.resume_job")
    window.until(f"{BUILD}.state == 'running' and {BUILD}.stage == 'training' and {BUILD}.step > 2", 180)
    picture(window, "4_build")
    window.until(f"{BUILD}.state == 'finished'", 300)
    window.until("len(bpy.context.window_manager.vivant.avatars) == 1")


def test_a_motion_file_is_loaded_onto_the_avatar(window, project):
    window.press("vivant.create_rig")
    window.until("'astronaut' in bpy.context.scene.objects")
    window.press("vivant.load_motion", across=0.65)
    window.choose(project / "talk.npz")
    window.until("bpy.context.scene.objects['astronaut'].animation_data is not None")
    hover_scene(window)
    window.key("KP_1")
    window.key("KP_Decimal")
    window.ask("shading().color_type = 'TEXTURE'; bpy.context.scene.objects['Cube'].location.x = 4")
    window.ask("bpy.context.scene.frame_set(40)")
    picture(window, "5_motion")


def test_escape_ends_a_rendering_and_leaves_nothing_running(window, project):
    window.ask(SCENE.format(first=FRAMES[0], last=FRAMES[-1]))
    window.ask("bpy.context.scene.frame_start, bpy.context.scene.frame_end = 1, 100")
    window.press("vivant.render_avatar")
    window.until(f"{RUN} is not None and {RUN}.rendered > 0", 120)
    window.key("Escape")
    window.until(f"{RUN}.state != 'running'", 30)
    assert window.ask(f"({RUN}.state, {RUN}.rendered < 100)") == ["cancelled", True]
    window.until(f"all(job.state not in ('queued', 'running') for job in {vivant('mirror._jobs.values()')})", 30)
    assert not list(project.rglob("*.partial"))
    picture(window, "6_cancelled")


def test_five_frames_are_rendered(window, project):
    window.ask(f"bpy.context.scene.frame_start, bpy.context.scene.frame_end = {FRAMES[0]}, {FRAMES[-1]}")
    window.press("vivant.render_avatar")
    window.until(f"{RUN}.state == 'finished' and {RUN}.total == {len(FRAMES)}", 180)
    files = {path.name for path in (project / "vivant_frames" / "astronaut").iterdir()}
    assert {f"frame_{frame:04d}.exr" for frame in FRAMES} <= files
    picture(window, "7_render")


def test_f12_shows_the_avatar_between_the_cubes(window, tmp_path):
    window.click(*window.find(".match_photo", copy=gui.COPY_PATH))
    window.press("vivant.insert_composite")
    window.until(vivant("composite.is_inserted(bpy.context.scene)"))
    assert window.ask("bpy.context.scene.view_settings.view_transform") == "Standard"
    picture(window, "8_composite")
    window.ask("done = []; bpy.app.handlers.render_complete.append(lambda *_: done.append(1))")
    hover_scene(window)
    window.key("F12")
    window.until("bool(done)", 120)
    if PICTURES:
        window.screenshot(Path(PICTURES) / "9_f12_whole.png")
    window.ask(f"bpy.data.images['Render Result'].save_render({str(tmp_path / 'f12.png')!r})")
    assert orange(tmp_path / "f12.png") > 0.05


def test_blender_without_a_window_renders_the_saved_file(window, project, tmp_path):
    window.ask("bpy.ops.wm.save_mainfile()")
    out = tmp_path / "talk"
    subprocess.run(["blender", "-b", "--factory-startup", project / "scene.blend", "-o", out, "-a"], check=True)
    assert [path.name for path in sorted(tmp_path.glob("talk*.png"))] == [f"talk{frame:04d}.png" for frame in FRAMES]
    assert min(orange(path) for path in tmp_path.glob("talk*.png")) > 0.05


def test_the_backend_stops_and_leaves_no_process_behind(window):
    window.hover(gui.SIZE[0] / 2, gui.SIZE[1] / 2)
    window.key("Escape")  # from the picture back to the scene
    window.until("regions('VIEW_3D')")
    window.to_top()
    window.press("vivant.stop_backend")
    window.until(vivant("operators.backend.is_off()"), 30)
    end = time.monotonic() + 30
    while window.processes() and time.monotonic() < end:
        time.sleep(0.2)
    assert window.processes() == []


def orange(path):
    """The share of the picture that has the colour of the astronaut's suit."""
    import cv2
    import numpy as np

    blue, green, red = np.moveaxis(cv2.imread(str(path)).astype(int), -1, 0)
    return ((red > 150) & (red - blue > 90) & (red - green > 50)).mean()
