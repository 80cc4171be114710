"""The panel of the way from avatar to film: viewport preview, rendering to files, composite."""

from __future__ import annotations

import bpy

from .. import compat, composite, preview
from ..avatars import avatars_of
from ..operators import composite as composite_operators
from ..operators import render as render_operators
from .drawing import VivantPanel, problem, sentence, time_left

UNSAVED = "Save the .blend file first: the frames go into a folder beside it."


class RenderPanel(VivantPanel, bpy.types.Panel):
    """Preview, render and composite the avatars of this scene."""

    bl_idname = "VIVANT_PT_render"
    bl_label = "Render"
    bl_order = 50

    def draw(self, context: bpy.types.Context) -> None:
        """In the order of the work."""
        if not avatars_of(context.scene):
            sentence(self.layout, context, "Add an avatar to the scene to render it.", icon="INFO")
            return
        self._draw_preview(context)
        self._draw_settings(context)
        self._draw_run(context)
        self._draw_composite(context)

    def _draw_preview(self, context: bpy.types.Context) -> None:
        text = "Stop Preview" if preview.is_on() else "Preview in Viewport"
        self.layout.operator("vivant.toggle_preview", text=text, icon="HIDE_OFF", depress=preview.is_on())
        if preview.message():
            sentence(self.layout, context, preview.message(), icon="INFO")

    def _draw_settings(self, context: bpy.types.Context) -> None:
        scene = context.scene
        settings = scene.vivant_render
        column = self.layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.prop(settings, "folder")
        if settings.folder.startswith("//") and not bpy.data.filepath:
            sentence(column, context, UNSAVED, icon="INFO")
        column.prop(scene.render, "resolution_percentage", text="Size")
        column.prop(settings, "use_own_range")
        source = settings if settings.use_own_range else scene
        frames = column.column(align=True)
        frames.prop(source, "frame_start", text="Start")
        frames.prop(source, "frame_end", text="End")

    def _draw_run(self, context: bpy.types.Context) -> None:
        run, reading = render_operators.current, render_operators.reading
        if reading is not None:
            self._draw_progress(reading.done, len(reading.frames), "Reading the motion")
        elif run is not None and run.state == "running":
            left = "" if run.eta_s is None else f", {time_left(run.eta_s)}"
            self._draw_progress(run.done, run.total, f"{run.done} of {run.total}{left}")
        else:
            row = self.layout.row()
            row.scale_y = 1.3
            row.operator("vivant.render_avatar", icon="RENDER_ANIMATION")
        if run is not None and run.state == "failed":
            problem(self.layout, context, run.error)
        elif run is not None and run.state != "running":
            words = f"{run.state.capitalize()}: {run.done} of {run.total} frames are up to date"
            sentence(self.layout, context, words, icon="INFO")

    def _draw_progress(self, done: int, total: int, text: str) -> None:
        row = self.layout.row(align=True)
        compat.draw_progress(row, done / total, text)
        row.operator("vivant.cancel_render", text="", icon="CANCEL")

    def _draw_composite(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.vivant_render
        is_there = composite.is_inserted(context.scene)
        column = layout.column()
        column.prop(settings, "occlude")
        column.prop(settings, "match_photo")
        row = layout.row(align=True)
        row.operator("vivant.insert_composite", text="Update Composite" if is_there else None, icon="NODE_COMPOSITING")
        if is_there:
            row.operator("vivant.remove_composite", text="", icon="X")
        for note in composite_operators.notes:
            sentence(layout, context, note, icon="ERROR")


def register() -> None:
    """Add the panel."""
    bpy.utils.register_class(RenderPanel)


def unregister() -> None:
    """Take it away."""
    bpy.utils.unregister_class(RenderPanel)
