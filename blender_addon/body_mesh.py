"""The proxy body: the avatar's clothed surface as a skinned mesh with expression keys, wearing the photo."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np

from . import expressions
from ._shared.rig import Rig
from ._shared.skeleton import JOINT_NAMES
from .conversion import points_to_blender


def create(rig: Rig, name: str, texture: Path | None) -> bpy.types.Object:
    """Make the mesh object in rest pose, linked to no collection, with UVs, weights, shape keys and material."""
    body = bpy.data.objects.new(name, _mesh(rig, name))
    if texture is not None:
        body.data.materials.append(_photo_material(name, texture))
    _weigh(body, rig)
    _add_expressions(body, rig)
    return body


def _mesh(rig: Rig, name: str) -> bpy.types.Mesh:
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(points_to_blender(rig.vertices).tolist(), [], rig.faces.tolist())
    mesh.polygons.foreach_set("use_smooth", np.ones(len(mesh.polygons), dtype=bool))
    mesh.uv_layers.new(name="UVMap").data.foreach_set("uv", np.ascontiguousarray(rig.uvs, np.float32).ravel())
    mesh.update()
    return mesh


def _weigh(body: bpy.types.Object, rig: Rig) -> None:
    """Write the skinning weights; vertices of one group with the same weight are added in one call."""
    groups = [body.vertex_groups.new(name=name) for name in JOINT_NAMES]
    vertices, columns = np.nonzero(rig.skin_weights)
    joints, weights = rig.skin_joints[vertices, columns], rig.skin_weights[vertices, columns]
    order = np.lexsort((weights, joints))
    vertices, joints, weights = vertices[order], joints[order], weights[order]
    changes = np.flatnonzero((np.diff(joints.astype(int)) != 0) | (np.diff(weights) != 0)) + 1
    for run in np.split(np.arange(len(order)), changes):
        groups[joints[run[0]]].add(vertices[run].tolist(), float(weights[run[0]]), "REPLACE")


def _add_expressions(body: bpy.types.Object, rig: Rig) -> None:
    """One key per name; where a body model has a name twice, its later column counts, as on the backend."""
    names = tuple(map(str, rig.expression_names))
    body[expressions.NAMES_KEY] = list(names)
    if not names:
        return
    body.shape_key_add(name="Basis", from_mix=False)
    for name, column in {name: column for column, name in enumerate(names)}.items():
        rows = slice(rig.expression_start[column], rig.expression_start[column + 1])
        shape = rig.vertices.copy()
        shape[rig.expression_vertices[rows]] += rig.expression_deltas[rows]
        _add_key(body, name, points_to_blender(shape))


def add_exp_keys(body: bpy.types.Object) -> None:
    """Give each expression a second key of the same shape, named `Exp000`, ... as SMPL-X add-ons name its column."""
    blocks = body.data.shape_keys.key_blocks
    shape = np.empty((len(body.data.vertices), 3), np.float32)
    for column, name in enumerate(body[expressions.NAMES_KEY]):
        if expressions.exp_name(column) not in blocks:
            blocks[name].data.foreach_get("co", shape.ravel())
            _add_key(body, expressions.exp_name(column), shape)


def _add_key(body: bpy.types.Object, name: str, shape: np.ndarray) -> None:
    block = body.shape_key_add(name=name, from_mix=False)
    block.value = 0.0  # Blender 5 starts at 1
    block.data.foreach_set("co", np.asarray(shape, np.float32).ravel())


def _photo_material(name: str, texture: Path) -> bpy.types.Material:
    """A material that shows the texture as it is: the photo's light is in it already, the scene's would double it."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    picture, emission, output = (
        nodes.new(kind) for kind in ("ShaderNodeTexImage", "ShaderNodeEmission", "ShaderNodeOutputMaterial")
    )
    picture.image = bpy.data.images.load(str(texture))
    picture.image.pack()  # the file lies in a cache
    links.new(picture.outputs["Color"], emission.inputs["Color"])
    links.new(emission.outputs["Emission"], output.inputs["Surface"])
    emission.location.x, output.location.x = 300, 500
    nodes.active = picture  # what the viewport's Texture colour shows
    return material
