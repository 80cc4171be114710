"""Small scenes, pictures and the truth in numpy, for the tests of the compositor."""

import bpy
import numpy as np

WIDTH, HEIGHT = 40, 30


def render(scene, path):
    """Render the current frame and give it back: [H, W, 4] float32, top row first, premultiplied linear."""
    settings = scene.render.image_settings
    if bpy.app.version >= (5, 0, 0):
        settings.media_type = "IMAGE"
    settings.file_format, settings.color_mode, settings.color_depth = "OPEN_EXR", "RGBA", "32"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True, scene=scene.name)
    return loaded(path)


def render_png(scene, path):
    """The same through the view transform: [H, W, 4] uint8."""
    settings = scene.render.image_settings
    if bpy.app.version >= (5, 0, 0):
        settings.media_type = "IMAGE"
    settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGBA", "8"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True, scene=scene.name)
    return np.round(loaded(path, "Non-Color") * 255).astype(np.uint8)


def loaded(path, space=None):
    image = bpy.data.images.load(str(path))
    if space:
        image.colorspace_settings.name = space
    pixels = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(pixels)
    width, height = image.size
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)[::-1]


def plane(name, x, width, depth, colour):
    """An upright square before the camera, which stands in the origin and looks along +Y; flat colour."""
    bpy.ops.mesh.primitive_plane_add(size=1, location=(x, depth, 0), rotation=(np.pi / 2, 0, 0))
    ob = bpy.context.object
    ob.name, ob.scale, ob.color = name, (width, 3, 1), colour
    return ob


def scene_with_planes(frames=(1, 1)):
    """Two planes, at 4 m on the left and at 8 m on the right, nothing in the middle."""
    scene = bpy.context.scene
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    camera.rotation_euler = (np.pi / 2, 0, 0)
    scene.camera = camera
    plane("Near", -1.5, 1.2, 4, (0.8, 0.1, 0.2, 1))
    plane("Far", 3, 2.4, 8, (0.1, 0.3, 0.9, 1))
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.display.shading.light, scene.display.shading.color_type = "FLAT", "OBJECT"
    scene.display.render_aa = "OFF"
    scene.render.film_transparent = True
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    scene.frame_start, scene.frame_end = frames
    return scene


def half_transparent(scene):
    """The same scene by Cycles, one sample without noise: planes that let half of what is behind them through."""
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.pixel_filter_type = 1, False, "BOX"
    scene.cycles.filter_width = 0.01
    scene.view_layers[0].pass_alpha_threshold = 0
    for ob in [ob for ob in scene.objects if ob.type == "MESH"]:
        material = bpy.data.materials.new(ob.name)
        material.use_nodes = True
        nodes, links = material.node_tree.nodes, material.node_tree.links
        nodes.clear()
        glow, glass = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeBsdfTransparent")
        mix, output = nodes.new("ShaderNodeMixShader"), nodes.new("ShaderNodeOutputMaterial")
        glow.inputs["Color"].default_value = ob.color
        links.new(glass.outputs[0], mix.inputs[1])
        links.new(glow.outputs[0], mix.inputs[2])
        links.new(mix.outputs[0], output.inputs["Surface"])
        ob.data.materials.append(material)
    return scene


def avatar_picture(seed):
    """Premultiplied rgba with alpha of 0, 1 and between; depth before, between and behind the planes."""
    rng = np.random.default_rng(seed)
    alpha = rng.choice(np.array([0, 0.25, 0.5, 1], np.float32), (HEIGHT, WIDTH))
    rgb = rng.uniform(0, 1, (HEIGHT, WIDTH, 3)).astype(np.float32) * alpha[..., None]
    depth = rng.choice(np.array([2, 3, 5, 6, 9, 11], np.float32), (HEIGHT, WIDTH)) + np.float32(seed / 16)
    return np.concatenate([rgb, alpha[..., None]], -1).astype(np.float16), depth


def over(front, back):
    return front + (1 - front[..., 3:]) * back


def laid_by_depth(layers):
    """The truth: every pixel's layers (rgba, z) sorted by depth and laid over one another."""
    rgba = np.stack([np.asarray(layer[0], np.float64) for layer in layers])
    order = np.argsort(np.stack([layer[1] for layer in layers]), axis=0, kind="stable")
    result = np.zeros(rgba.shape[1:])
    for k in reversed(range(len(layers))):
        result = over(np.take_along_axis(rgba, order[k][None, ..., None], 0)[0], result)
    return result
