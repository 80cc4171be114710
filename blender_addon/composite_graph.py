"""The node groups that lay avatars into a scene by depth, exactly also where edges are soft (docs/compositing.md).

With one avatar: mask = avatar Z < scene Z, front = avatar * mask, back = avatar * (1 - mask), and the picture is front
over (scene over back). Several avatars are first sorted per pixel, near to far, by a network of compare-exchanges.
"""

from __future__ import annotations

from typing import Any

import bpy

from . import compat

COMPOSITE = "Vivant Composite"
SORT = "Vivant Depth Sort"

Layer = tuple[Any, Any]
"""The sockets of colour (premultiplied) and planar depth."""


def composite_group(avatars: int) -> bpy.types.NodeTree:
    """A group with the inputs Scene, Scene Z and, from 1 on, Avatar k and Avatar k Z; the output is Image."""
    tree = bpy.data.node_groups.new(COMPOSITE, "CompositorNodeTree")
    names = ["Scene", *(f"Avatar {k}" for k in range(1, avatars + 1))]
    source, sink = _interface(tree, names, [("Image", "Color")])
    scene, *layers = [(source.outputs[name], source.outputs[f"{name} Z"]) for name in names]
    image = _among(tree, scene, _sorted(tree, layers))
    tree.links.new(image, sink.inputs["Image"])
    _arrange(tree)
    return tree


def over(tree: bpy.types.NodeTree, background: Any, foreground: Any) -> Any:
    """The socket of `foreground` over `background`, both premultiplied."""
    node = tree.nodes.new("CompositorNodeAlphaOver")
    below, above = [socket for socket in node.inputs if socket.type == "RGBA"]
    tree.links.new(background, below)
    tree.links.new(foreground, above)
    return node.outputs[0]


def _among(tree: bpy.types.NodeTree, scene: Layer, layers: list[Layer]) -> Any:
    """What is in front of the scene over the scene over what is behind it; `layers` come sorted near to far."""
    image, scene_z = scene
    fronts, backs = [], []
    for colour, depth in layers:
        mask, rest = _nearer(tree, depth, scene_z)
        fronts.append(_masked(tree, colour, mask))
        backs.append(_masked(tree, colour, rest))
    for back in backs:
        image = over(tree, back, image)
    for front in reversed(fronts):
        image = over(tree, image, front)
    return image


def _sorted(tree: bpy.types.NodeTree, layers: list[Layer]) -> list[Layer]:
    """The layers near to far at every pixel: an insertion sort without branches, N (N - 1) / 2 compare-exchanges."""
    placed: list[Layer] = []
    for layer in layers:
        for k, other in enumerate(placed):
            placed[k], layer = _exchanged(tree, other, layer)
        placed.append(layer)
    return placed


def _exchanged(tree: bpy.types.NodeTree, a: Layer, b: Layer) -> tuple[Layer, Layer]:
    """The nearer and the farther of two layers, by pixel."""
    node = tree.nodes.new("CompositorNodeGroup")
    node.node_tree = bpy.data.node_groups.get(SORT) or _sort_group()
    for socket, name in zip((*a, *b), ("A", "A Z", "B", "B Z"), strict=True):
        tree.links.new(socket, node.inputs[name])
    return (node.outputs["Near"], node.outputs["Near Z"]), (node.outputs["Far"], node.outputs["Far Z"])


def _sort_group() -> bpy.types.NodeTree:
    tree = bpy.data.node_groups.new(SORT, "CompositorNodeTree")
    outputs = [("Near", "Color"), ("Near Z", "Float"), ("Far", "Color"), ("Far Z", "Float")]
    source, sink = _interface(tree, ["A", "B"], outputs)
    a, a_z, b, b_z = (source.outputs[name] for name in ("A", "A Z", "B", "B Z"))
    mask, rest = _nearer(tree, a_z, b_z)
    # One of the two is empty at every pixel, so that over adds them without a rounding error.
    near = over(tree, _masked(tree, b, rest), _masked(tree, a, mask))
    far = over(tree, _masked(tree, b, mask), _masked(tree, a, rest))
    results = (near, _math(tree, "MINIMUM", a_z, b_z), far, _math(tree, "MAXIMUM", a_z, b_z))
    for socket, (name, _) in zip(results, outputs, strict=True):
        tree.links.new(socket, sink.inputs[name])
    _arrange(tree)
    return tree


def _nearer(tree: bpy.types.NodeTree, depth: Any, than: Any) -> tuple[Any, Any]:
    """The mask (0 or 1) of depth < than, and 1 minus it."""
    mask = _math(tree, "LESS_THAN", depth, than)
    return mask, _math(tree, "SUBTRACT", 1.0, mask)


def _math(tree: bpy.types.NodeTree, operation: str, a: Any, b: Any) -> Any:
    node = tree.nodes.new(compat.MATH_NODE)
    node.operation = operation
    for value, socket in ((a, node.inputs[0]), (b, node.inputs[1])):
        if isinstance(value, float):
            socket.default_value = value
        else:
            tree.links.new(value, socket)
    return node.outputs[0]


def _masked(tree: bpy.types.NodeTree, colour: Any, mask: Any) -> Any:
    node = compat.set_alpha_node(tree)
    tree.links.new(colour, node.inputs["Image"])
    tree.links.new(mask, node.inputs["Alpha"])
    return node.outputs[0]


def _interface(tree: bpy.types.NodeTree, layers: list[str], outputs: list[tuple[str, str]]) -> tuple[Any, Any]:
    for name in layers:
        compat.group_socket(tree, name, "INPUT", "NodeSocketColor")
        compat.group_socket(tree, f"{name} Z", "INPUT", "NodeSocketFloat")
    for name, kind in outputs:
        compat.group_socket(tree, name, "OUTPUT", f"NodeSocket{kind}")
    return tree.nodes.new("NodeGroupInput"), tree.nodes.new("NodeGroupOutput")


def _arrange(tree: bpy.types.NodeTree) -> None:
    """Side by side in the order of their making, for whoever looks inside."""
    for k, node in enumerate(tree.nodes):
        node.location = (220 * (k // 4), -200 * (k % 4))
