"""The panel of the photo: choose it, fit the body, look at the fit, correct it."""

from __future__ import annotations

import bpy

from .. import mirror, pictures, properties, results
from ..operators.edit_fit import is_editing
from .drawing import VivantPanel, job_progress, problem, sentence

PICTURE_SCALE = 8.0
EDITING = "Pose the armature until it lies over the person, then send it. Expressions are in Motion > Face."
PARTS = {"face": "Face", "body": "Body", "left_hand": "Left hand", "right_hand": "Right hand", "legs": "Legs"}


class PhotoPanel(VivantPanel, bpy.types.Panel):
    """The photo, and the body fitted to it."""

    bl_idname = "VIVANT_PT_photo"
    bl_label = "Photo"
    bl_order = 10

    def draw(self, context: bpy.types.Context) -> None:
        """The steps from a file to a fit that one can trust."""
        layout, settings = self.layout, properties.settings(context)
        if is_editing(context):
            sentence(layout, context, EDITING, icon="INFO")
            layout.operator("vivant.send_fit", icon="EXPORT")
            layout.operator("vivant.discard_fit", icon="X")
            return
        if not settings.photo:
            row = layout.row()
            row.scale_y = 1.3
            row.operator("vivant.choose_photo", text="Choose Photo ...", icon="IMAGE_DATA")
            return
        row = layout.row(align=True)
        row.prop(settings, "photo", text="")
        row.operator("vivant.choose_photo", text="", icon="FILEBROWSER")
        fit, job = results.fit(settings.register_job), mirror.job(settings.register_job)
        if icon := pictures.icon(settings.register_job if fit else settings.photo):
            layout.template_icon(icon, scale=PICTURE_SCALE)
        if job is not None and job.state in ("queued", "running"):
            job_progress(layout, job)
        else:
            row = layout.row(align=True)
            row.operator(
                "vivant.register_photo", text="Fit Again" if fit else "Fit Body to Photo", icon="ARMATURE_DATA"
            )
            if fit is not None:
                row.operator("vivant.show_fit", text="", icon="FULLSCREEN_ENTER")
        if job is not None and job.state == "failed":
            problem(layout, context, job.error)
        if fit is not None:
            self._draw_fit(context, fit)

    def _draw_fit(self, context: bpy.types.Context, fit: results.Fit) -> None:
        layout = self.layout
        if fit.notes:
            box = layout.box()
            for note in fit.notes:
                sentence(box, context, note, icon="INFO")
        else:
            layout.label(text="Body, face and hands were found", icon="CHECKMARK")
        layout.operator("vivant.edit_fit", icon="POSE_HLT")


class PhotoOptionsPanel(VivantPanel, bpy.types.Panel):
    """What is rarely needed."""

    bl_idname = "VIVANT_PT_photo_options"
    bl_parent_id = "VIVANT_PT_photo"
    bl_label = "Options"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        """Which person, and who cuts it out."""
        layout, settings = self.layout, properties.settings(context)
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings, "person")
        layout.prop(settings, "matte")


CLASSES = (PhotoPanel, PhotoOptionsPanel)


def register() -> None:
    """Add the panels."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take them away."""
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
