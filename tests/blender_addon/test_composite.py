import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs the bpy module (pip install bpy)")

from tests.blender_addon.compositing import (  # noqa: E402
    HEIGHT,
    WIDTH,
    avatar_picture,
    half_transparent,
    laid_by_depth,
    loaded,
    render,
    scene_with_planes,
)


@pytest.fixture
def composite(empty):
    from bl_ext.dev.vivant import composite

    return composite


def sequences(composite, folder, pictures, first=1):
    """Write one frame per avatar and say where."""
    from bl_ext.dev.vivant._shared import exr

    found = []
    for k, (rgba, depth) in enumerate(pictures):
        path = folder / f"avatar{k}_{first:04d}.exr"
        exr.write_exr(path, rgba, depth)
        found.append(composite.Sequence(f"Avatar {k}", str(path), first, 1))
    return found


def scene_layer(scene, folder):
    """The scene without avatars: its picture and its depth, as Blender gives them."""
    from bl_ext.dev.vivant import compat

    picture = render(scene, folder / "scene.exr")
    scene.view_layers[0].use_pass_z = True
    tree = compat.compositor_tree(scene, ensure=True)
    layers = next(node for node in tree.nodes if node.type == "R_LAYERS")
    output = next(node for node in tree.nodes if node.bl_idname == compat.OUTPUT_NODE)
    tree.links.new(layers.outputs["Depth"], output.inputs["Image"])
    depth = render(scene, folder / "depth.exr")[..., 0]
    tree.links.new(layers.outputs["Image"], output.inputs["Image"])
    return picture, depth


@pytest.mark.parametrize("avatars", [1, 2, 3])
def test_avatars_and_scene_are_laid_by_depth_at_every_pixel(composite, tmp_path, avatars):
    scene = scene_with_planes()
    layer = scene_layer(scene, tmp_path)
    pictures = [avatar_picture(seed) for seed in range(avatars)]
    composite.insert(scene, sequences(composite, tmp_path, pictures))
    assert np.abs(render(scene, tmp_path / "out.exr") - laid_by_depth([layer, *pictures])).max() < 1e-6


def test_what_shines_through_a_half_transparent_scene_is_exact_too(composite, tmp_path):
    scene = half_transparent(scene_with_planes())
    layer = scene_layer(scene, tmp_path)
    assert ((layer[0][..., 3] > 0.2) & (layer[0][..., 3] < 0.8)).any()
    pictures = [avatar_picture(seed) for seed in range(2)]
    composite.insert(scene, sequences(composite, tmp_path, pictures))
    assert np.abs(render(scene, tmp_path / "out.exr") - laid_by_depth([layer, *pictures])).max() < 1e-5


@pytest.mark.slow  # without a graphics card EEVEE takes half a minute to start
def test_eevee_gives_depth_that_the_composite_can_use(composite, tmp_path):
    from bl_ext.dev.vivant import compat

    scene = scene_with_planes()
    scene.render.engine = compat.eevee()
    scene.eevee.taa_render_samples = 1
    layer = scene_layer(scene, tmp_path)
    pictures = [avatar_picture(seed) for seed in range(2)]
    composite.insert(scene, sequences(composite, tmp_path, pictures))
    assert np.abs(render(scene, tmp_path / "out.exr") - laid_by_depth([layer, *pictures])).max() < 1e-5


def test_without_occlusion_the_avatar_lies_over_the_whole_scene(composite, tmp_path):
    scene = scene_with_planes()
    picture, depth = scene_layer(scene, tmp_path)
    avatar = avatar_picture(0)
    composite.insert(scene, sequences(composite, tmp_path, [avatar]), occlude=False)
    expected = laid_by_depth([(picture, np.full_like(depth, 1e20)), avatar])
    assert np.abs(render(scene, tmp_path / "out.exr") - expected).max() < 1e-6


def tree_of(scene):
    """Everything about the compositor that a user could notice."""
    from bl_ext.dev.vivant import compat

    tree = compat.compositor_tree(scene)
    if tree is None:
        return None
    ends = [
        (link.from_node.name, link.from_socket.identifier, link.to_node.name, link.to_socket.identifier)
        for link in tree.links
    ]
    return sorted((node.name, node.bl_idname, tuple(node.location)) for node in tree.nodes), sorted(ends)


def state_of(scene):
    view = scene.view_settings
    return (
        tree_of(scene),
        scene.view_layers[0].use_pass_z,
        scene.render.use_compositing,
        (view.view_transform, view.look, view.exposure, view.gamma),
        sorted(group.name for group in bpy.data.node_groups),
        sorted(image.name for image in bpy.data.images if image.type not in ("RENDER_RESULT", "COMPOSITING")),
        "vivant_before" in scene,
    )


def users_tree(scene):
    """A compositor with nodes of the user: a blur on the way to the output, and a viewer."""
    from bl_ext.dev.vivant import compat

    tree = compat.compositor_tree(scene, ensure=True)
    layers = next(node for node in tree.nodes if node.type == "R_LAYERS")
    output = next(node for node in tree.nodes if node.bl_idname == compat.OUTPUT_NODE)
    blur, viewer = tree.nodes.new("CompositorNodeBlur"), tree.nodes.new("CompositorNodeViewer")
    tree.links.new(layers.outputs["Image"], blur.inputs["Image"])
    tree.links.new(blur.outputs["Image"], output.inputs["Image"])
    tree.links.new(layers.outputs["Image"], viewer.inputs["Image"])
    return tree


@pytest.mark.parametrize("match_photo", [False, True])
@pytest.mark.parametrize("has_nodes", [False, True])
def test_removal_leaves_the_scene_as_it_was(composite, tmp_path, has_nodes, match_photo):
    scene = scene_with_planes()
    if has_nodes:
        users_tree(scene)
    before = state_of(scene)
    composite.insert(scene, sequences(composite, tmp_path, [avatar_picture(0), avatar_picture(1)]), True, match_photo)
    assert composite.is_inserted(scene)
    composite.remove(scene)
    assert not composite.is_inserted(scene)
    assert state_of(scene) == before


def test_a_second_insertion_updates_and_keeps_what_the_user_linked_behind(composite, tmp_path):
    scene = scene_with_planes()
    tree = users_tree(scene)
    before = state_of(scene)
    both = sequences(composite, tmp_path, [avatar_picture(0), avatar_picture(1)])
    layers = next(node for node in tree.nodes if node.type == "R_LAYERS")
    users = {link.to_node.name for link in layers.outputs["Image"].links}
    composite.insert(scene, both[:1])
    extra = tree.nodes.new("CompositorNodeViewer")
    tree.links.new(tree.nodes["Group"].outputs["Image"], extra.inputs["Image"])
    for chosen in (both, both[1:], both):
        composite.insert(scene, chosen, match_photo=chosen is both)
        assert sum("vivant" in node for node in tree.nodes if node.type == "IMAGE") == len(chosen)
        assert {link.to_node.name for link in tree.nodes["Group"].outputs["Image"].links} == {*users, extra.name}
    tree.nodes.remove(extra)
    composite.remove(scene)
    assert state_of(scene) == before


def test_a_view_chosen_while_the_photo_is_matched_is_the_one_kept(composite, tmp_path):
    scene = scene_with_planes()
    found = sequences(composite, tmp_path, [avatar_picture(0)])
    composite.insert(scene, found, match_photo=True)
    scene.view_settings.view_transform = "Filmic"
    composite.insert(scene, found, match_photo=True)
    assert scene.view_settings.view_transform == "Standard"
    composite.remove(scene)
    assert scene.view_settings.view_transform == "Filmic"


def test_a_compositor_without_a_linked_render_layer_is_refused_and_left_alone(composite, tmp_path):
    from bl_ext.dev.vivant._shared.errors import VivantError

    scene = scene_with_planes()
    tree = users_tree(scene)
    tree.links.clear()
    before = state_of(scene)
    with pytest.raises(VivantError, match="Link it"):
        composite.insert(scene, sequences(composite, tmp_path, [avatar_picture(0)]))
    assert state_of(scene) == before


def avatar_in_the_scene(scene, name="Ada"):
    """An armature that counts as an avatar."""
    armature = bpy.data.objects.new(name, bpy.data.armatures.new(name))
    armature["vivant_avatar"] = "00000000-0000-4000-8000-000000000001"
    scene.collection.objects.link(armature)
    return armature


def put_frames(folder, frames):
    """Rendered frames of an avatar that lies before everything, a colour of its own for each."""
    from bl_ext.dev.vivant import frame_files
    from bl_ext.dev.vivant._shared import exr

    folder.mkdir(parents=True)
    for frame in frames:
        rgba = np.ones((HEIGHT, WIDTH, 4), np.float16)
        rgba[..., 0] = frame / 16
        exr.write_exr(folder / frame_files.file_name(frame), rgba, np.full((HEIGHT, WIDTH), 1, np.float32), "rendered")


def test_every_frame_shows_its_own_picture_and_gaps_show_the_scene(composite, tmp_path):
    scene = scene_with_planes(frames=(9, 13))
    bare = render(scene, tmp_path / "scene.exr")
    avatar_in_the_scene(scene)
    scene.vivant_render.folder = str(tmp_path / "frames")
    put_frames(tmp_path / "frames" / "Ada", [9, 10, 12])
    assert bpy.ops.vivant.insert_composite() == {"FINISHED"}
    for frame in (-3, 2, 8, 9, 10, 11, 12, 13, 14, 20):  # before, in and behind the range
        scene.frame_set(frame)
        picture = render(scene, tmp_path / f"out{frame}.exr")
        if frame in (9, 10, 12):
            assert np.abs(picture - (frame / 16, 1, 1, 1)).max() < 1e-6, frame
        else:
            assert np.abs(picture - bare).max() < 1e-6, frame


def test_an_animation_render_goes_through_the_composite(composite, tmp_path):
    scene = scene_with_planes(frames=(1, 3))
    avatar_in_the_scene(scene)
    scene.vivant_render.folder = str(tmp_path / "frames")
    put_frames(tmp_path / "frames" / "Ada", [1, 2, 3])
    bpy.ops.vivant.insert_composite()
    scene.render.image_settings.file_format, scene.render.image_settings.color_depth = "OPEN_EXR", "32"
    scene.render.filepath = str(tmp_path / "film_")
    bpy.ops.render.render(animation=True)
    for frame in (1, 2, 3):
        assert np.abs(loaded(tmp_path / f"film_{frame:04d}.exr")[..., 0] - frame / 16).max() < 1e-6


def test_frames_rendered_later_are_shown_without_inserting_again(composite, tmp_path):
    from bl_ext.dev.vivant import composite_scene

    scene = scene_with_planes(frames=(1, 2))
    avatar_in_the_scene(scene)
    scene.vivant_render.folder = str(tmp_path / "frames")
    bpy.ops.vivant.insert_composite()
    scene.frame_end = 6
    put_frames(tmp_path / "later", [5])
    (tmp_path / "later" / "frame_0005.exr").rename(tmp_path / "frames" / "Ada" / "frame_0005.exr")
    composite_scene.refresh(bpy.context)
    scene.frame_set(5)
    assert np.abs(render(scene, tmp_path / "out.exr") - (5 / 16, 1, 1, 1)).max() < 1e-6


def test_what_is_missing_or_does_not_fit_is_told(composite, tmp_path):
    from bl_ext.dev.vivant.operators import composite as operators

    scene = scene_with_planes(frames=(1, 8))
    avatar_in_the_scene(scene)
    scene.vivant_render.folder = str(tmp_path / "frames")
    put_frames(tmp_path / "frames" / "Ada", [1, 4, 5])
    bpy.ops.vivant.insert_composite()
    assert operators.notes == ["Ada: 5 of 8 frames are not rendered (2-3, 6-8)"]
    scene.render.resolution_percentage = 50
    bpy.ops.vivant.insert_composite()
    assert operators.notes[1:] == ["Ada: frames of 40 x 30 do not fit 20 x 15: render them again"]


def test_eevee_beyond_clip_end_is_told_where_it_matters(composite, tmp_path):
    from bl_ext.dev.vivant import compat
    from bl_ext.dev.vivant.operators import composite as operators

    scene = scene_with_planes()
    avatar_in_the_scene(scene).location.y = 60
    scene.vivant_render.folder = str(tmp_path)
    put_frames(tmp_path / "Ada", [1])
    scene.camera.data.clip_end = 50
    bpy.context.view_layer.update()
    scene.render.engine = compat.eevee()
    bpy.ops.vivant.insert_composite()
    assert any("Clip End" in note for note in operators.notes) != compat.V52


def test_a_composite_follows_the_panels_choices_at_once(composite, tmp_path):
    from bl_ext.dev.vivant import compat
    from bl_ext.dev.vivant.operators import composite as operators

    scene = scene_with_planes()
    avatar_in_the_scene(scene)
    settings = scene.vivant_render
    settings.folder = str(tmp_path)
    settings.match_photo = True  # there is no composite yet
    assert not composite.is_inserted(scene)
    bpy.ops.vivant.insert_composite()
    before = scene.view_settings.view_transform
    settings.match_photo = False
    assert (before, scene.view_settings.view_transform != before) == ("Standard", True)
    compat.compositor_tree(scene).links.clear()
    settings.match_photo = True
    assert "Link it" in operators.notes[0]


def test_undo_takes_the_composite_out_and_redo_brings_it_back(composite, tmp_path):
    scene = scene_with_planes()
    avatar_in_the_scene(scene)
    scene.vivant_render.folder = str(tmp_path)
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.vivant.insert_composite()
    bpy.ops.ed.undo_push(message="after")
    bpy.ops.ed.undo()
    assert not composite.is_inserted(bpy.context.scene)
    bpy.ops.ed.redo()
    assert composite.is_inserted(bpy.context.scene)
    bpy.ops.vivant.remove_composite()
    assert not composite.is_inserted(bpy.context.scene)
