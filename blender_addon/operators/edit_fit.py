"""Correct the fit of a photo by posing the armature over it, and send the correction back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from .. import mirror, properties, results, session
from .._shared.errors import VivantError
from ..avatars import FIT_KEY
from .backend import needs_backend
from .photo import needs_photo, submit
from .rig import RIG

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

    from .._shared.rig import Rig
    from .._shared.wire.client import Client

PHOTO = "photo.png"


class EditFit(bpy.types.Operator):
    """Open the fitted armature over the photo in a scene of its own. Pose it, then send the corrected fit"""

    bl_idname = "vivant.edit_fit"
    bl_label = "Edit Fit"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a finished fit."""
        if not needs_backend(cls):
            return False
        job = mirror.job(properties.settings(context).register_job)
        if job is None or job.state != "finished":
            cls.poll_message_set("Fit the body to the photo first")
            return False
        if is_editing(context):
            cls.poll_message_set("The fit is being edited already: send or discard it")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Download rig and photo; the editor opens when they have come."""
        job, scene = properties.settings(context).register_job, context.scene.name
        session.run(lambda client: _download(client, job), lambda files: _arrived(scene, job, files))
        return {"FINISHED"}


def _download(client: Client, job: str) -> tuple[Rig, Path]:
    from .._shared.rig import load_rig  # numpy is loaded by the first fit

    return load_rig(results.download(client, job, RIG)), results.download(client, job, PHOTO)


def _arrived(scene: str, job: str, files: tuple[Rig, Path]) -> None:
    """Open the editor in the window that asked for it, as one undo step."""
    from .. import edit_fit

    window = next((one for one in bpy.context.window_manager.windows if one.scene.name == scene), None)
    if window is None:  # the scene was removed meanwhile
        return
    rig, photo = files
    with bpy.context.temp_override(window=window):
        edit_fit.open_editor(bpy.context, rig, photo, job)
        bpy.ops.ed.undo_push(message="Vivant: edit fit")
    mirror.redraw()


class _InEditor(bpy.types.Operator):
    """Base of what is done in the editing scene."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs the editing scene."""
        if is_editing(context):
            return True
        cls.poll_message_set("Press Edit Fit first")
        return False


class SendFit(_InEditor):
    """Fit the clothed surface anew with the pose as you left it, and go back to the scene"""

    bl_idname = "vivant.send_fit"
    bl_label = "Send Corrected Fit"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs the editing scene, the photo and a backend."""
        return super().poll(context) and needs_photo(cls, context) and needs_backend(cls)

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Submit a register job that keeps this pose."""
        from .. import edit_fit

        try:
            fit = edit_fit.corrected(context)
        except VivantError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        job = submit(
            context,
            "register",
            fit.buffers,
            registration=fit.registration,
            expression_names=fit.expression_names,
        )
        edit_fit.close_editor(context).vivant.register_job = job
        return {"FINISHED"}


class DiscardFit(_InEditor):
    """Go back to the scene and leave the fit as it was"""

    bl_idname = "vivant.discard_fit"
    bl_label = "Discard"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Remove the editing scene."""
        from .. import edit_fit

        edit_fit.close_editor(context)
        return {"FINISHED"}


def is_editing(context: bpy.types.Context) -> bool:
    """Whether the current scene is one in which a fit is corrected."""
    return context.scene.get(FIT_KEY) is not None


CLASSES = (EditFit, SendFit, DiscardFit)


def register() -> None:
    """Add the operators."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take them away."""
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
