"""Put an avatar between two cubes and film it, from Blender's Python alone.

    vivant serve                                              in one terminal; an avatar must be on it
    python examples/blender_film.py ASTRONAUT OUT.png         in a Python with bpy and the extension installed
    blender -b --python examples/blender_film.py -- ASTRONAUT OUT.png

Every step is a button of the sidebar. OUT0001.png and so on are the frames.
"""

import sys

import bpy
from mathutils import Euler, Vector

NAME, OUT = sys.argv[-2:]
EVERY = 24  # frames from one picture to the next
PICTURES = 4
Triple = tuple[float, float, float]


def main() -> None:
    """From an avatar on the backend to pictures on the disk."""
    scene = bpy.context.scene
    avatar = avatar_in(scene)
    bpy.ops.vivant.talk(seconds=PICTURES * EVERY / scene.render.fps, place="PHOTO")
    scene.frame_step = EVERY
    scene.frame_set(1)
    furnish(avatar.matrix_world @ avatar.pose.bones["neck"].head)
    scene.vivant_render.folder, scene.vivant_render.match_photo = f"{OUT}.frames", True
    bpy.ops.vivant.render_avatar()
    bpy.ops.vivant.insert_composite()
    scene.render.filepath = OUT.removesuffix(".png")
    bpy.ops.render.render(animation=True)


def avatar_in(scene: bpy.types.Scene) -> bpy.types.Object:
    """The avatar of this name, added to the scene as its button does; waiting, for timers do not tick here."""
    bpy.ops.preferences.addon_enable(module="bl_ext.user_default.vivant")
    session = sys.modules["bl_ext.user_default.vivant"].session
    bpy.ops.vivant.connect_backend()
    known = bpy.context.window_manager.vivant
    session.wait(lambda: len(known.avatars) > 0, 30)
    bpy.ops.vivant.create_rig(avatar=next(row.avatar for row in known.avatars if row.label == NAME))
    session.wait(lambda: NAME in scene.objects, 30)
    return scene.objects[NAME]


def furnish(neck: Vector) -> None:
    """Floor, wall, cubes, lamps, and a camera that passes by."""
    for item in [item for item in bpy.context.scene.objects if item.name in ("Cube", "Light", "Camera")]:
        bpy.data.objects.remove(item)
    block("Floor", neck - Vector((0, 0, 1.06)), (30, 30, 1), (0.42, 0.4, 0.38))
    block("Wall", neck + Vector((0, 2.4, 0)), (30, 0.1, 12), (0.30, 0.36, 0.42))
    block("Desk", neck + Vector((0, -0.42, -0.75)), (2.6, 0.3, 0.6), (0.55, 0.33, 0.12))
    block("Front", neck + Vector((-0.2, -0.45, -0.34)), (0.18, 0.18, 0.22), (0.6, 0.08, 0.05), turn=0.6)
    block("Behind", neck + Vector((0.3, 0.55, -0.2)), (0.34, 0.34, 0.9), (0.03, 0.22, 0.32), turn=-0.4)
    lamp(neck + Vector((-1.6, -1.8, 1.6)), neck, 1.6, 90)
    lamp(neck + Vector((2.2, -0.8, 1.0)), neck, 1.2, 35)
    film(neck + Vector((-0.55, -1.95, 0.1)), neck + Vector((0.6, -1.9, 0.1)), neck + Vector((0, 0, -0.1)))


def block(name: str, place: Vector, size: Triple, colour: Triple, turn: float = 0.0) -> None:
    """A box of this size in metres, turned about the vertical by `turn` radians."""
    bpy.ops.mesh.primitive_cube_add(size=1, location=place, rotation=(0, 0, turn))
    item = bpy.context.object
    item.name, item.scale = name, size
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    shader = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value, shader.inputs["Roughness"].default_value = (*colour, 1), 0.6
    item.data.materials.append(material)


def lamp(place: Vector, aim: Vector, size: float, power: float) -> None:
    """A square light of `power` watts that shines on `aim`."""
    bpy.ops.object.light_add(type="AREA", location=place, rotation=towards(place, aim))
    bpy.context.object.data.size, bpy.context.object.data.energy = size, power


def film(begin: Vector, end: Vector, aim: Vector) -> None:
    """The camera from one place to another, looking at a third."""
    scene = bpy.context.scene
    bpy.ops.object.camera_add()
    scene.camera = camera = bpy.context.object
    camera.data.lens = 68
    for frame, place in ((1, begin), ((PICTURES - 1) * EVERY + 1, end)):
        camera.location, camera.rotation_euler = place, towards(place, aim)
        camera.keyframe_insert("location", frame=frame)
        camera.keyframe_insert("rotation_euler", frame=frame)
    scene.render.engine, scene.cycles.samples = "CYCLES", 16
    scene.render.resolution_x, scene.render.resolution_y = 400, 400


def towards(place: Vector, aim: Vector) -> Euler:
    """The rotation of a camera or lamp at `place` that looks at `aim`."""
    return (aim - place).to_track_quat("-Z", "Y").to_euler()


if __name__ == "__main__":
    main()
    sys.stdout.flush()
