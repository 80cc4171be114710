import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs the bpy module (pip install bpy)")

from tests.blender_addon.compositing import avatar_picture, laid_by_depth, render, scene_with_planes  # noqa: E402


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
