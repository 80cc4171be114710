"""Lay rendered avatars into the scene with compositor nodes of our own, and take them out again without a trace.

The group sits between Render Layers and whatever its Image was linked to, so that the user's own nodes see a scene with
avatars in it. Nodes of ours carry the tag `vivant`; what they replaced is remembered on the scene.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import bpy

from . import compat, composite_graph, view_bake
from ._shared.errors import VivantError

TAG = "vivant"
GROUP, VIEW = "composite", "view"  # tags of nodes; an image node's is the name of its avatar's armature after "avatar:"
BEFORE = "vivant_before"
FARTHEST = 1e20  # in front of which everything lies


@dataclass(frozen=True)
class Sequence:
    """The frames of one avatar: `path` names the file of frame `first`, `count` files follow one another."""

    avatar: str  # name of its armature
    path: str  # in Blender's terms: // is the folder of the .blend file
    first: int
    count: int


def is_inserted(scene: bpy.types.Scene) -> bool:
    """Whether our nodes stand in the scene's compositor."""
    return scene.get(BEFORE) is not None and _node(compat.compositor_tree(scene), GROUP) is not None


def insert(scene: bpy.types.Scene, sequences: list[Sequence], occlude: bool = True, match_photo: bool = False) -> None:
    """Insert our nodes, or bring those that stand there up to date.

    With `occlude` the scene's depth decides what hides what; without, avatars lie over the whole scene. `match_photo`
    shows the avatar in the colours of the photo, whatever the scene's view transform (docs/compositing.md).

    Raises:
        VivantError: the compositor or the colour management is set in a way that we cannot work with.
    """
    before = json.loads(scene.get(BEFORE, "null")) or _state(scene)
    view = _wanted_view(scene, before)
    if match_photo:
        view_bake.check_bakeable(scene, view)
    tree = compat.compositor_tree(scene, ensure=True)
    layers = _render_layers(tree, scene)
    scene[BEFORE] = json.dumps(before | {"view": view, "baked": match_photo})
    scene.render.use_compositing = True
    _view_layer(scene, layers).use_pass_z = True
    group = _group(tree, layers, len(sequences))
    _link_scene(tree, layers, group, view if match_photo else None, occlude)
    _link_avatars(tree, group, sequences)
    view_bake.set_view(scene, view_bake.PLAIN if match_photo else view)


def remove(scene: bpy.types.Scene) -> None:
    """Take our nodes out; links, passes and colour management are again what they were."""
    tree = compat.compositor_tree(scene)
    group = _node(tree, GROUP)
    before = json.loads(scene[BEFORE])
    view = _wanted_view(scene, before)
    layers = _source(group)
    if layers is not None:
        _link(tree, layers.outputs["Image"], _targets(group.outputs["Image"]))
        _view_layer(scene, layers).use_pass_z = before["use_pass_z"]
    for node in [node for node in tree.nodes if TAG in node]:
        _delete(tree, node)
    view_bake.set_view(scene, view)
    scene.render.use_compositing = before["use_compositing"]
    _switch_off(scene, tree, before)
    del scene[BEFORE]


def refresh(scene: bpy.types.Scene, sequences: list[Sequence]) -> None:
    """Let image nodes that stand there read the files anew, over the whole of their range."""
    tree = compat.compositor_tree(scene)
    for sequence in sequences:
        node = _node(tree, f"avatar:{sequence.avatar}")
        if node is not None:
            node.image.filepath = sequence.path
            node.image.reload()
            _set_frames(node, sequence)


def _state(scene: bpy.types.Scene) -> dict[str, Any]:
    """What `remove` has to bring back."""
    tree = compat.compositor_tree(scene)
    layer = _view_layer(scene, _render_layers(tree, scene)) if tree else scene.view_layers[0]
    return {
        "had_tree": tree is not None,
        "use_compositing": scene.render.use_compositing,
        "use_pass_z": layer.use_pass_z,
        "view": view_bake.view_of(scene),
        "baked": False,
    }


def _wanted_view(scene: bpy.types.Scene, before: dict[str, Any]) -> view_bake.View:
    """How the user wants the scene shown: as before, unless it was changed while ours was on."""
    now = view_bake.view_of(scene)
    return before["view"] if before["baked"] and now == view_bake.PLAIN else now


def _render_layers(tree: bpy.types.NodeTree, scene: bpy.types.Scene) -> Any:
    """The Render Layers node whose Image leads somewhere."""
    nodes = [node for node in tree.nodes if node.type == "R_LAYERS" and node.scene == scene]
    for node in nodes:
        if node.outputs["Image"].is_linked:
            return node
    raise VivantError("No Render Layers node of this scene has its Image linked. Link it to the compositor's output.")


def _view_layer(scene: bpy.types.Scene, layers: Any) -> bpy.types.ViewLayer:
    return scene.view_layers[layers.layer]


# Our nodes


def _node(tree: bpy.types.NodeTree | None, tag: str) -> Any:
    """Our node with this tag, or None."""
    return next((node for node in tree.nodes if node.get(TAG) == tag), None) if tree else None


def _ensured(tree: bpy.types.NodeTree, tag: str, kind: str, label: str, place: tuple[float, float]) -> Any:
    node = _node(tree, tag)
    if node is None:
        node = tree.nodes.new(kind)
        node[TAG], node.label, node.location = tag, label, place
    return node


def _group(tree: bpy.types.NodeTree, layers: Any, avatars: int) -> Any:
    """The group node for so many avatars; whatever Render Layers' Image led to before comes from it."""
    x, y = layers.location
    present = _node(tree, GROUP)
    node = _ensured(tree, GROUP, "CompositorNodeGroup", "Vivant Composite", (x + 300, y - 450))
    targets = _targets((present or layers).outputs["Image"])
    old, node.node_tree = node.node_tree, composite_graph.composite_group(avatars)
    _drop(old)
    _link(tree, node.outputs["Image"], targets)
    return node


def _link_scene(tree: bpy.types.NodeTree, layers: Any, group: Any, baked: view_bake.View | None, occlude: bool) -> None:
    """Render Layers into the group, through the baked view if one is given."""
    _delete(tree, _node(tree, VIEW))
    image = layers.outputs["Image"]
    if baked is not None:
        x, y = layers.location
        view = _ensured(tree, VIEW, "CompositorNodeGroup", "Vivant View", (x + 50, y - 450))
        view.node_tree = view_bake.bake_group(baked)
        tree.links.new(image, view.inputs["Image"])
        image = view.outputs["Image"]
    tree.links.new(image, group.inputs["Scene"])
    group.inputs["Scene Z"].default_value = FARTHEST
    if occlude:
        tree.links.new(layers.outputs["Depth"], group.inputs["Scene Z"])


def _link_avatars(tree: Any, group: Any, sequences: list[Sequence]) -> None:
    tags = {GROUP, VIEW, *(f"avatar:{sequence.avatar}" for sequence in sequences)}
    for node in [node for node in tree.nodes if TAG in node and node[TAG] not in tags]:
        _delete(tree, node)
    x, y = group.location
    for k, sequence in enumerate(sequences, 1):
        node = _ensured(
            tree, f"avatar:{sequence.avatar}", "CompositorNodeImage", sequence.avatar, (x - 250, y - 350 * k)
        )
        _show(node, sequence)
        tree.links.new(node.outputs["Combined"], group.inputs[f"Avatar {k}"])
        tree.links.new(node.outputs["Depth"], group.inputs[f"Avatar {k} Z"])


def _show(node: Any, sequence: Sequence) -> None:
    """Let the image node show file number = frame number."""
    image: Any = bpy.data.images.load(sequence.path)
    image.name = f"Vivant {sequence.avatar}"
    image.source = "SEQUENCE"
    image.colorspace_settings.name = compat.linear_colour_space()
    old, node.image = node.image, image
    _set_frames(node, sequence)
    node.use_auto_refresh = True
    _drop(old)


def _set_frames(node: Any, sequence: Sequence) -> None:
    node.frame_start, node.frame_offset, node.frame_duration = sequence.first, sequence.first - 1, sequence.count


def _source(group: Any) -> Any:
    """The Render Layers node that feeds our group; None if the user took it away."""
    links = group.inputs["Scene"].links
    node = links[0].from_node if links else None
    if node is not None and node.get(TAG) == VIEW:
        links = node.inputs["Image"].links
        node = links[0].from_node if links else None
    return node


def _targets(socket: Any) -> list[Any]:
    """The sockets that `socket` leads to, our own nodes' left out."""
    return [link.to_socket for link in socket.links if TAG not in link.to_node]


def _link(tree: bpy.types.NodeTree, source: Any, targets: list[Any]) -> None:
    for target in targets:
        tree.links.new(source, target)


def _delete(tree: bpy.types.NodeTree, node: Any) -> None:
    """Remove one of our nodes with the datablock that only it used."""
    if node is None:
        return
    data = node.image if node.type == "IMAGE" else node.node_tree
    tree.nodes.remove(node)
    _drop(data)


def _drop(data: bpy.types.Image | bpy.types.NodeTree | None) -> None:
    """Remove a datablock that nothing uses any more, and the sorting group with the last that used it."""
    if data is None or data.users:
        return
    if isinstance(data, bpy.types.Image):
        bpy.data.images.remove(data)
        return
    bpy.data.node_groups.remove(data)
    _drop(bpy.data.node_groups.get(composite_graph.SORT))


def _switch_off(scene: bpy.types.Scene, tree: bpy.types.NodeTree, before: dict[str, Any]) -> None:
    """Where there was no compositing before, there is none again."""
    if before["had_tree"]:
        return
    if not compat.V50:
        scene.use_nodes = False
    elif len(tree.nodes) == 2:  # what we made it with; the user has added nothing
        bpy.data.node_groups.remove(tree)
