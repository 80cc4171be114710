"""Switch the viewport preview on and off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy

from .. import preview
from .._shared.errors import VivantError
from .composite import needs_avatar

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems


class TogglePreview(bpy.types.Operator):
    """Show the avatars in this viewport while you scrub, play or look around; again to stop"""

    bl_idname = "vivant.toggle_preview"
    bl_label = "Preview in Viewport"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs an avatar and a 3D viewport."""
        if context.area is None or context.area.type != "VIEW_3D":
            cls.poll_message_set("The preview is shown in a 3D viewport")
            return False
        return preview.is_on() or needs_avatar(cls, context)

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Start, or stop."""
        if preview.is_on():
            preview.stop()
            return {"FINISHED"}
        try:
            preview.start(context)
        except VivantError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


def register() -> None:
    """Add the operator."""
    bpy.utils.register_class(TogglePreview)


def unregister() -> None:
    """Take it away."""
    bpy.utils.unregister_class(TogglePreview)
