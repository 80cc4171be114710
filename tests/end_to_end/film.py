"""Runs inside Blender: from the installed extension to a film with an avatar between two cubes, as a user would.

    PYTHON film.py FOLDER        or        blender -b --python film.py -- FOLDER

FOLDER holds the extension's zip; VIVANT_DATA names the data folder of a backend that runs. What was rendered is left
in FOLDER with truth.npz: what Blender's own ray casts see at each pixel. Nothing is judged here.
"""

import os
import sys
from pathlib import Path

FOLDER = Path(sys.argv[-1])
os.environ.setdefault("BLENDER_USER_RESOURCES", str(FOLDER / "blender"))

import bpy  # noqa: E402 (Blender reads the variable when it is imported)
import numpy as np  # noqa: E402
from mathutils import Vector  # noqa: E402

WIDTH, HEIGHT = 240, 180
FRAMES = range(41, 51)  # hands are up by then
STILL = 45
CUBES = {"Front": (-0.13, -0.55, -0.28), "Behind": (0.34, 0.55, 0.1)}  # metres from the neck
EDGE = 0.26


def main():
    scene = bpy.context.scene
    vivant = enabled()
    armature = avatar_in(scene, vivant)
    surround(scene, armature)
    check(bpy.ops.vivant.render_avatar())
    np.savez(FOLDER / "truth.npz", **truth(scene, armature))
    for engine in engines():
        stills(scene, engine)
    save_film(scene)
    bpy.ops.preferences.addon_disable(module=vivant.__name__)


def enabled():
    """The extension, installed from its zip."""
    if bpy.app.version >= (4, 2, 0):
        (archive,) = FOLDER.glob("vivant-*.zip")
        install = bpy.ops.extensions.package_install_files
        check(install(repo="user_default", filepath=str(archive), enable_on_install=True, overwrite=True))
        name = "bl_ext.user_default.vivant"
    else:
        name = "vivant"
        check(bpy.ops.preferences.addon_enable(module=name))
    return sys.modules[name]


def avatar_in(scene, vivant):
    """The backend's first avatar, talking where it stood in the photo."""
    check(bpy.ops.vivant.connect_backend())
    state = bpy.context.window_manager.vivant
    assert vivant.session.wait(lambda: len(state.avatars), 60), state.notice
    check(bpy.ops.vivant.create_rig())
    found = [item for item in scene.objects if "vivant_avatar" in item]
    assert vivant.session.wait(lambda: found or found.extend(vivant.avatars.avatars_of(scene)), 60), state.notice
    check(bpy.ops.vivant.talk(seconds=5, place="PHOTO"))
    return found[0]


def surround(scene, armature):
    """A floor, light, a camera from a little aside, and a cube on either side of the avatar."""
    for name in ("Cube", "Light", "Camera"):
        if name in bpy.data.objects:
            bpy.data.objects.remove(bpy.data.objects[name])
    scene.frame_set(STILL)
    neck = armature.matrix_world @ armature.pose.bones["neck"].head
    bpy.ops.mesh.primitive_plane_add(size=8)
    paint(bpy.context.object, (0.35, 0.33, 0.3))
    for (name, place), colour in zip(CUBES.items(), ((0.7, 0.12, 0.05), (0.05, 0.2, 0.6)), strict=True):
        bpy.ops.mesh.primitive_cube_add(size=EDGE, location=neck + Vector(place), rotation=(0.2, 0.3, 0.6))
        bpy.context.object.name = name
        paint(bpy.context.object, colour)
    bpy.ops.object.light_add(type="SUN", rotation=(0.6, -0.3, 0.4))
    bpy.context.object.data.energy = 3
    bpy.ops.object.camera_add(location=neck + Vector((0.35, -1.9, 0.12)))
    scene.camera = bpy.context.object
    aim = neck + Vector((0, 0, -0.1)) - scene.camera.location
    scene.camera.rotation_euler = aim.to_track_quat("-Z", "Y").to_euler()
    scene.camera.data.lens, scene.camera.data.shift_x = 48, 0.02
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = 2 * WIDTH, 2 * HEIGHT, 50
    render.dither_intensity = 0
    scene.frame_start, scene.frame_end = FRAMES[0], FRAMES[-1]
    scene.vivant_render.folder = str(FOLDER / "frames")
    scene.vivant_render.match_photo = True


def paint(item, colour):
    material = bpy.data.materials.new(item.name)
    material.use_nodes = True
    material.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (*colour, 1)
    item.data.materials.append(material)


def truth(scene, armature):
    """By Blender's ray casts, at the still: depth of the objects and of the proxy body, [H, W] metres, planar."""
    scene.frame_set(STILL)
    (body,) = armature.children
    objects = cast(scene, hidden=[body])
    proxy = cast(scene, hidden=[item for item in scene.objects if item.type == "MESH" and item != body])
    return {"still": STILL, "objects": objects, "proxy": proxy}


def cast(scene, hidden):
    for item in hidden:
        item.hide_viewport = True
    depsgraph = bpy.context.evaluated_depsgraph_get()
    camera = scene.camera
    origin, forward = camera.matrix_world.translation, camera.matrix_world.to_3x3() @ Vector((0, 0, -1))
    depth = np.full((HEIGHT, WIDTH), 1e10, np.float32)
    for row, column in np.ndindex(HEIGHT, WIDTH):
        hit, place, *_ = scene.ray_cast(depsgraph, origin, ray(scene, camera, row, column))
        if hit:
            depth[row, column] = (place - origin).dot(forward)
    for item in hidden:
        item.hide_viewport = False
    return depth


def ray(scene, camera, row, column):
    """Through the middle of a pixel, in the world."""
    top_right, _, bottom_left, top_left = camera.data.view_frame(scene=scene)
    x, y = (column + 0.5) / WIDTH, (row + 0.5) / HEIGHT
    return camera.matrix_world.to_3x3() @ (top_left + x * (top_right - top_left) + y * (bottom_left - top_left))


def engines():
    """Cycles, and EEVEE where this Blender can draw without a window."""
    if bpy.app.version < (4, 2, 0):
        return ["CYCLES"]
    return ["CYCLES", "BLENDER_EEVEE" if bpy.app.version >= (5, 0, 0) else "BLENDER_EEVEE_NEXT"]


def stills(scene, engine):
    """The still before our nodes come, with them, and when they are gone: through the view transform, 16 bits."""
    scene.render.engine = engine
    if engine == "CYCLES":
        scene.cycles.samples, scene.cycles.use_denoising = 8, False
    else:
        scene.eevee.taa_render_samples = 4
    name = engine.removeprefix("BLENDER_").removesuffix("_NEXT").lower()
    scene.frame_set(STILL)
    picture(scene, f"{name}_before")
    check(bpy.ops.vivant.insert_composite())
    picture(scene, name)
    check(bpy.ops.vivant.remove_composite())
    if engine == "CYCLES":
        picture(scene, f"{name}_after")


def picture(scene, name):
    settings = scene.render.image_settings
    if bpy.app.version >= (5, 0, 0):
        settings.media_type = "IMAGE"
    settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGB", "16"
    scene.render.filepath = str(FOLDER / f"{name}.png")
    bpy.ops.render.render(write_still=True)


def save_film(scene):
    """With the composite; a Blender without extension and backend is to render it."""
    scene.render.engine = "CYCLES"
    check(bpy.ops.vivant.insert_composite())
    scene.render.filepath = str(FOLDER / "film")
    bpy.ops.wm.save_as_mainfile(filepath=str(FOLDER / "film.blend"))


def check(result):
    assert result == {"FINISHED"}, result


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # bpy 4.2 crashes and 4.5 hangs in the interpreter's own end
