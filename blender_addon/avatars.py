"""Find the avatars of a scene: armatures that carry an avatar's id, each with its proxy body."""

from __future__ import annotations

import bpy

from . import expressions

AVATAR_KEY = "vivant_avatar"
"""Custom property of an armature: the avatar's id on the backend. An armature that has it is an avatar in the scene."""

FIT_KEY = "vivant_fit_job"
"""Custom property of a scene in which a fit is corrected: the register job it belongs to."""


def avatars_of(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The armatures of all avatars in the scene, by name."""
    found = [item for item in scene.objects if item.type == "ARMATURE" and item.get(AVATAR_KEY)]
    return sorted(found, key=lambda item: item.name)


def active_avatar(context: bpy.types.Context) -> bpy.types.Object | None:
    """The avatar that the user works on: the active armature, the one whose body is active, or the scene's only one."""
    item = context.view_layer.objects.active  # timers have a view layer, but no active_object
    if item is not None and item.type == "MESH" and item.parent is not None:
        item = item.parent
    if item is not None and item.type == "ARMATURE" and item.get(AVATAR_KEY):
        return item
    found = avatars_of(context.scene)
    return found[0] if len(found) == 1 else None


def body_of(armature: bpy.types.Object) -> bpy.types.Object | None:
    """The proxy body that this armature bends; of a foreign armature the mesh that has expressions."""
    meshes = [child for child in armature.children if child.type == "MESH"]
    ours = [mesh for mesh in meshes if mesh.get(expressions.NAMES_KEY) is not None]
    return next(iter(ours or [mesh for mesh in meshes if expressions.names_of(mesh)]), None)
