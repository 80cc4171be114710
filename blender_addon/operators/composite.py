"""Insert, update and remove the composite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy

from .. import composite
from .._shared.errors import VivantError
from ..avatars import avatars_of

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

notes: list[str] = []
"""What the panel says about the frames, from the last time anybody looked."""


class InsertComposite(bpy.types.Operator):
    """Lay the rendered avatars into the scene by depth, for F12, Ctrl-F12 and blender -b. Again: bring it up to date"""

    bl_idname = "vivant.insert_composite"
    bl_label = "Insert Composite"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs an avatar."""
        return needs_avatar(cls, context)

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Fill gaps with empty frames, then insert or update our nodes."""
        from .. import composite_scene

        try:
            notes[:] = composite_scene.composite(context)
        except VivantError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        for note in notes:
            self.report({"WARNING"}, note)
        return {"FINISHED"}


class RemoveComposite(bpy.types.Operator):
    """Take our nodes out of the compositor again; links, passes and colour management are as before"""

    bl_idname = "vivant.remove_composite"
    bl_label = "Remove Composite"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a composite."""
        if not composite.is_inserted(context.scene):
            cls.poll_message_set("There is no composite of ours in this scene")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Remove our nodes."""
        composite.remove(context.scene)
        notes.clear()
        return {"FINISHED"}


def update(context: bpy.types.Context) -> None:
    """Bring a composite that stands there up to date with changed choices; what hinders it is said in the panel."""
    if not composite.is_inserted(context.scene):
        return
    from .. import composite_scene

    try:
        notes[:] = composite_scene.composite(context)
    except VivantError as error:
        notes[:] = [str(error)]


def needs_avatar(operator: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Part of a `poll`: whether an avatar stands in the scene; says what to do if not."""
    if avatars_of(context.scene):
        return True
    operator.poll_message_set("There is no avatar in the scene: add one in the Motion panel")
    return False


CLASSES = (InsertComposite, RemoveComposite)


def register() -> None:
    """Add the operators."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take them away."""
    notes.clear()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
