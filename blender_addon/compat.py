"""Every difference between Blender 3.4, 4.2, 4.5, 5.0 and 5.2 that this extension meets, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

VERSION = bpy.app.version
V40 = VERSION >= (4, 0, 0)  # bone collections, node tree interfaces
V42 = VERSION >= (4, 2, 0)  # extensions, layout.progress, layout.panel
V44 = VERSION >= (4, 4, 0)  # slotted actions
V45 = VERSION >= (4, 5, 0)
V50 = VERSION >= (5, 0, 0)  # compositing node groups, slots only, shader nodes for arithmetic
V51 = VERSION >= (5, 1, 0)
V52 = VERSION >= (5, 2, 0)


# Files and the network


def user_folder(*parts: str) -> Path:
    """A folder of this extension for caches and downloads; made if missing, never beside the code.

    Made here, for Blender's own `create` answers with an empty path where two threads ask at once.
    """
    if V42:
        folder = Path(bpy.utils.extension_path_user(__package__, path="/".join(parts)))
    else:
        folder = Path(bpy.utils.user_resource("DATAFILES", path="/".join(("vivant", *parts))))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


PATH_OPTIONS: set[Any] = {"ANIMATABLE", "PATH_SUPPORTS_BLEND_RELATIVE"} if V45 else {"ANIMATABLE"}
"""Of string properties that hold a path which may begin with //, the folder of the .blend file."""


def online_access() -> bool:
    """Whether the user lets Blender use the internet. Loopback is not the internet."""
    return bool(bpy.app.online_access) if V42 else True


# Animation


def fcurves_of(idblock: Any, ensure: bool = False) -> Any:
    """The animation curves of any ID (object, shape keys); None where there are none and `ensure` is off."""
    data = idblock.animation_data
    action = data.action if data else None
    if action is None:
        if not ensure:
            return None
        data = idblock.animation_data_create()
        action = data.action = bpy.data.actions.new(idblock.name + "Action")
    return _slot_fcurves(idblock, data, action, ensure) if V44 else action.fcurves


def _slot_fcurves(idblock: Any, data: Any, action: Any, ensure: bool) -> Any:
    slot = data.action_slot
    if slot is None and ensure:
        slot = data.action_slot = action.slots.new(id_type=idblock.id_type, name=idblock.name)
    if slot is None:
        return None
    bag = _channelbag(action, slot, ensure)
    return bag.fcurves if bag else None


def _channelbag(action: Any, slot: Any, ensure: bool) -> Any:
    layer = action.layers[0] if action.layers else action.layers.new("Layer")
    strip = layer.strips[0] if layer.strips else layer.strips.new(type="KEYFRAME")
    return strip.channelbag(slot, ensure=ensure)


def new_fcurve(idblock: Any, path: str, index: int, group: str) -> Any:
    """An empty curve of any ID in the place of the one it may have; `group` is the heading it is listed under."""
    curves = fcurves_of(idblock, ensure=True)
    old = curves.find(path, index=index)
    if old is not None:
        curves.remove(old)
    if V50:
        return curves.new(path, index=index, group_name=group)
    if not V44:
        return curves.new(path, index=index, action_group=group)
    curve = curves.new(path, index=index)
    groups = _channelbag(idblock.animation_data.action, idblock.animation_data.action_slot, ensure=True).groups
    curve.group = groups.get(group) or groups.new(group)
    return curve


def bone_collection(armature: Any, name: str, bones: list[str], visible: bool = True) -> None:
    """Group bones of an armature datablock under a name; before 4.0 there are only numbered layers, which stay."""
    if not V40:
        return
    collection = armature.collections.new(name)
    for bone in bones:
        collection.assign(armature.bones[bone])
    collection.is_visible = visible


def bone_colour(pose_bone: Any, theme: str) -> None:
    """Draw a bone in a colour of the theme, e.g. THEME04; before 4.0 colours belong to bone groups."""
    if V40:
        pose_bone.color.palette = theme
        return
    groups = pose_bone.id_data.pose.bone_groups
    group = groups.get(theme) or groups.new(name=theme)
    group.color_set = theme
    pose_bone.bone_group = group


# Rendering and compositing


def eevee() -> str:
    """The identifier of EEVEE as a render engine."""
    return "BLENDER_EEVEE_NEXT" if V42 and not V50 else "BLENDER_EEVEE"


def compositor_tree(scene: bpy.types.Scene, ensure: bool = False) -> Any:
    """The scene's compositor node tree, or None; with `ensure` made, with Render Layers linked to the output."""
    if not V50:
        if ensure and not (scene.use_nodes and scene.node_tree):
            scene.use_nodes = True  # Blender links Render Layers to Composite by itself
        return scene.node_tree if scene.use_nodes else None
    tree = scene.compositing_node_group
    if tree is None and ensure:
        tree = scene.compositing_node_group = bpy.data.node_groups.new("Compositing", "CompositorNodeTree")
        group_socket(tree, "Image", "OUTPUT", "NodeSocketColor")
        layers, output = tree.nodes.new("CompositorNodeRLayers"), tree.nodes.new("NodeGroupOutput")
        output.location.x = 400
        tree.links.new(layers.outputs["Image"], output.inputs["Image"])
    return tree


def has_strips(scene: bpy.types.Scene) -> bool:
    """Whether the video sequencer holds anything, which then replaces the render."""
    editor = scene.sequence_editor
    return editor is not None and bool(editor.strips_all if V44 else editor.sequences_all)


OUTPUT_NODE = "NodeGroupOutput" if V50 else "CompositorNodeComposite"
MATH_NODE = "ShaderNodeMath" if V50 else "CompositorNodeMath"
GAMMA_NODE = "ShaderNodeGamma" if V50 else "CompositorNodeGamma"


def group_socket(tree: Any, name: str, direction: str, kind: str) -> None:
    """Add a socket to a node group; `direction` is INPUT or OUTPUT, `kind` e.g. NodeSocketColor."""
    if V40:
        tree.interface.new_socket(name, in_out=direction, socket_type=kind)
    else:
        (tree.inputs if direction == "INPUT" else tree.outputs).new(kind, name)


def set_alpha_node(tree: Any) -> Any:
    """A Set Alpha node that multiplies colour and alpha by its Alpha input."""
    node = tree.nodes.new("CompositorNodeSetAlpha")
    if V50:
        node.inputs["Type"].default_value = "Apply Mask"
    else:
        node.mode = "APPLY"
    return node


def alpha_convert_node(tree: Any, straight: bool) -> Any:
    """An Alpha Convert node, to straight or to premultiplied alpha."""
    node = tree.nodes.new("CompositorNodePremulKey")
    if V50:
        node.inputs["Type"].default_value = "To Straight" if straight else "To Premultiplied"
    else:
        node.mapping = "PREMUL_TO_STRAIGHT" if straight else "STRAIGHT_TO_PREMUL"
    return node


def linear_colour_space() -> str:
    """The name of the scene-linear (Rec.709) colour space of images."""
    return "Linear Rec.709" if V40 else "Linear"


# Drawing


def draw_progress(layout: Any, factor: float, text: str) -> None:
    """A progress bar; before 4.0 a line of text."""
    if V40:
        layout.progress(factor=factor, type="BAR", text=text)
    else:
        layout.label(text=text, icon="TIME")


_LIGHT = "STRIP_COLOR_0" if V44 else "SEQUENCE_COLOR_0"
GREY: Any = _LIGHT + "9"
RED: Any = _LIGHT + "1"
YELLOW: Any = _LIGHT + "3"
GREEN: Any = _LIGHT + "4"
"""Icons: a light in that colour."""
