"""A user with a mouse, a real backend and the real window of Debian's Blender: from the photo to a picture by F12.

With VIVANT_SCREENSHOTS=DIR the sidebar and the whole screen are saved there after every step, for docs/blender.md.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

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
scene.vivant_render.folder, scene.vivant_render.match_photo = {folder!r}, True
bpy.context.preferences.view.render_display_type = "SCREEN"
"""


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    with gui.blender(tmp_path_factory.mktemp("window"), VIVANT_PYTHON=sys.executable) as window:
        window.open_tab()
        yield window
        window.ask("bpy.ops.vivant.stop_backend()")


def picture(window, name, scrolled=0):
    """The whole screen, and the sidebar with its wheel turned by so many notches."""
    if not PICTURES:
        return
    left, top, width, height = window.ask("sidebar()")
    for notches in [scrolled, -scrolled] if scrolled else [0]:
        window.hover(left + width / 3, top + height - 40)
        if notches:
            window.scroll(left + width / 3, top + height - 40, notches)
        if notches >= 0:
            time.sleep(3)  # panels open slowly, drawn in software
            window.screenshot(Path(PICTURES) / f"{name}.png", (left, top, width, height))
            window.screenshot(Path(PICTURES) / f"{name}_whole.png")


def command(window, words):
    """Hover over the 3D View, press F3, type, press Enter."""
    left, top, _, height = window.ask("sidebar()")
    window.hover(left / 2, top + height / 2)
    window.key("F3")
    window.type(words)
    window.key("Return")


def vivant(name):
    return f"sys.modules['vivant'].{name}"


def test_the_backend_starts_by_a_click(window):
    picture(window, "1_first_run")
    left, top, width, _ = window.ask("sidebar()")
    for y in range(80, 200, 14):
        window.click(left + width / 3, top + y)
        if window.ask(vivant("backend_process.is_starting()")):
            break
    window.until(vivant("session.is_ready()") + " or bool(bpy.context.window_manager.vivant.notice)", 120)
    assert window.ask("bpy.context.window_manager.vivant.notice") == ""
    assert window.ask(vivant("backend_process.owns_process()"))


def test_the_body_is_fitted_to_the_photo(window):
    window.ask(f"bpy.ops.vivant.choose_photo(filepath={str(EXAMPLES / 'astronaut.png')!r})")
    picture(window, "2_photo")
    command(window, "Fit Body to Photo")
    window.until(vivant("results.fit(bpy.context.scene.vivant.register_job) is not None"), 180)
    picture(window, "3_fit")


def test_the_avatar_is_built_while_blender_stays_free(window):
    window.ask("s = bpy.context.scene.vivant; s.steps, s.texture, s.size = 20, '256', 512")
    command(window, "Build Avatar")
    job = vivant("mirror.job(bpy.context.scene.vivant.build_job)")
    window.until(f"{job}.state == 'running' and {job}.stage == 'training' and {job}.step > 2", 180)
    picture(window, "4_build", scrolled=8)
    window.until(f"{job}.state == 'finished'", 300)
    window.until("len(bpy.context.window_manager.vivant.avatars) == 1")


def test_the_avatar_talks_in_the_scene(window):
    command(window, "Add to Scene")
    window.until("'astronaut' in bpy.context.scene.objects")
    command(window, "Talk")
    window.until("bpy.context.scene.objects['astronaut'].animation_data is not None")
    window.key("KP_1")
    window.key("KP_Decimal")
    window.ask("shading().color_type = 'TEXTURE'; bpy.context.scene.objects['Cube'].location.x = 4")
    window.ask("bpy.context.scene.frame_set(40)")
    picture(window, "5_talk", scrolled=30)


def test_five_frames_are_rendered(window, tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    window.ask(SCENE.format(first=FRAMES[0], last=FRAMES[-1], folder=str(folder)))
    command(window, "Render Avatar")
    window.until(vivant("operators.render.current is not None"))
    picture(window, "6_render", scrolled=40)
    window.until(vivant("operators.render.current.state == 'finished'"), 180)
    assert len(list((folder / "astronaut").glob("*.exr"))) == len(FRAMES) + 1


def test_f12_shows_the_avatar_between_the_cubes(window, tmp_path):
    command(window, "Insert Composite")
    window.until(vivant("composite.is_inserted(bpy.context.scene)"))
    picture(window, "7_composite", scrolled=40)
    window.ask("done = []; bpy.app.handlers.render_complete.append(lambda *_: done.append(1))")
    window.key("F12")
    window.until("bool(done)", 120)
    if PICTURES:
        window.screenshot(Path(PICTURES) / "8_f12_whole.png")
    window.ask(f"bpy.data.images['Render Result'].save_render({str(tmp_path / 'f12.png')!r})")
    assert orange(tmp_path / "f12.png") > 0.05


def test_blender_without_a_window_renders_the_saved_file(window, tmp_path):
    window.ask(f"bpy.ops.wm.save_as_mainfile(filepath={str(tmp_path / 'talk.blend')!r})")
    out = tmp_path / "talk"
    subprocess.run(["blender", "-b", "--factory-startup", tmp_path / "talk.blend", "-o", out, "-a"], check=True)
    assert [path.name for path in sorted(tmp_path.glob("talk*.png"))] == [f"talk{frame:04d}.png" for frame in FRAMES]
    assert min(orange(path) for path in tmp_path.glob("talk*.png")) > 0.05


def orange(path):
    """The share of the picture that has the colour of the astronaut's suit."""
    import cv2
    import numpy as np

    blue, green, red = np.moveaxis(cv2.imread(str(path)).astype(int), -1, 0)
    return ((red > 150) & (red - blue > 90) & (red - green > 50)).mean()
