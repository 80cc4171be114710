"""Photo colours under any view transform: the scene's view is baked into nodes, and the scene itself shows Standard.

The avatar's colours are display colours already; a view transform (AgX, Filmic) would change them, and AgX cannot even
show them all. So the scene goes through its view inside the compositor, before the avatar is laid into it.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import bpy

from . import compat
from ._shared.errors import VivantError

GROUP = "Vivant View"

SCENE_LINEAR = "scene_linear" if compat.V50 else compat.linear_colour_space()
"""Of compositor nodes; since 5.0 it need not be Rec.709."""

VIEW_SPACES = {"AgX": "AgX Base sRGB", "Filmic": "Filmic sRGB", "Khronos PBR Neutral": "Khronos PBR Neutral sRGB"}
"""Colour spaces that stand for a view transform; before 5.0 there is no node for the transform itself."""

View = dict[str, Any]
"""view_transform, look, exposure and gamma of a scene's colour management."""

PLAIN: View = {"view_transform": "Standard", "look": "None", "exposure": 0.0, "gamma": 1.0}


def view_of(scene: bpy.types.Scene) -> View:
    """How the scene is shown now."""
    return {name: getattr(scene.view_settings, name) for name in PLAIN}


def set_view(scene: bpy.types.Scene, view: View) -> None:
    """Show the scene so; the transform comes first, for the looks depend on it."""
    for name in PLAIN:
        setattr(scene.view_settings, name, view[name])


def check_bakeable(scene: bpy.types.Scene, view: View) -> None:
    """Find out before anything is changed whether nodes can stand for this view.

    Raises:
        VivantError: they cannot; with what to choose instead.
    """
    device = scene.display_settings.display_device
    if device != "sRGB":
        raise VivantError(f"Match Photo needs the display sRGB, not {device}: set it under Render > Color Management.")
    if compat.V50:
        return
    if view["view_transform"] not in ("Standard", *VIEW_SPACES):
        names = ", ".join(("Standard", *VIEW_SPACES))
        raise VivantError(
            f"Match Photo cannot bake the view {view['view_transform']} in this Blender: choose one of {names}."
        )
    if view["look"] != "None":
        raise VivantError("Match Photo cannot bake a look before Blender 5.0: set Look to None, or match without it.")


def bake_group(view: View) -> bpy.types.NodeTree:
    """A group that turns scene-linear Image into what Standard shows just as `view` would have shown it."""
    tree = bpy.data.node_groups.new(GROUP, "CompositorNodeTree")
    compat.group_socket(tree, "Image", "INPUT", "NodeSocketColor")
    compat.group_socket(tree, "Image", "OUTPUT", "NodeSocketColor")
    nodes = [
        tree.nodes.new("NodeGroupInput"),
        compat.alpha_convert_node(tree, straight=True),  # a curve bent at half alpha would darken soft edges
        _exposure(tree, view["exposure"]),
        *_display(tree, view),
        _gamma(tree, 1.0 / view["gamma"]),
        _converted(tree, "sRGB", SCENE_LINEAR),
        compat.alpha_convert_node(tree, straight=False),
        tree.nodes.new("NodeGroupOutput"),
    ]
    for k, (before, after) in enumerate(pairwise(nodes)):
        tree.links.new(before.outputs[0], after.inputs[0])
        after.location.x = 220 * (k + 1)
    return tree


def _exposure(tree: bpy.types.NodeTree, stops: float) -> Any:
    node = tree.nodes.new("CompositorNodeExposure")
    node.inputs["Exposure"].default_value = stops
    return node


def _gamma(tree: bpy.types.NodeTree, gamma: float) -> Any:
    node = tree.nodes.new(compat.GAMMA_NODE)
    node.inputs["Gamma"].default_value = gamma
    return node


def _display(tree: bpy.types.NodeTree, view: View) -> list[Any]:
    """The node that encodes scene-linear colour for the display."""
    if not compat.V50:
        name = view["view_transform"]
        return [_converted(tree, SCENE_LINEAR, VIEW_SPACES.get(name, "sRGB"))]
    node = tree.nodes.new("CompositorNodeConvertToDisplay")
    node.view_settings.view_transform = view["view_transform"]
    node.view_settings.look = view["look"]
    return [node]


def _converted(tree: bpy.types.NodeTree, source: str, target: str) -> Any:
    node = tree.nodes.new("CompositorNodeConvertColorSpace")
    node.from_color_space, node.to_color_space = source, target
    return node
