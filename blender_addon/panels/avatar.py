"""The panels of the avatar: build it from the photo, and the list of those on the backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy

from .. import mirror, pictures, properties
from .drawing import VivantPanel, job_progress, problem, sentence

if TYPE_CHECKING:
    from .._shared.wire.messages import JobInfo

PICTURE_SCALE = 8.0


class AvatarPanel(VivantPanel, bpy.types.Panel):
    """Build an avatar and watch it become one."""

    bl_idname = "VIVANT_PT_avatar"
    bl_label = "Avatar"
    bl_order = 20

    def draw(self, context: bpy.types.Context) -> None:
        """Settings, then the build as it goes on."""
        layout, settings = self.layout, properties.settings(context)
        job = mirror.job(settings.build_job)
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.prop(settings, "avatar_name")
        column.prop(settings, "texture")
        column.prop(settings, "steps")
        if job is not None:
            if icon := pictures.icon(job.job):
                layout.template_icon(icon, scale=PICTURE_SCALE)
            self._draw_job(context, job)
        if job is None or job.state not in ("queued", "running"):
            row = layout.row()
            row.scale_y = 1.3
            row.operator("vivant.build_avatar", icon="OUTLINER_OB_ARMATURE")

    def _draw_job(self, context: bpy.types.Context, job: JobInfo) -> None:
        layout = self.layout
        if job.state in ("queued", "running"):
            job_progress(layout, job)
        elif job.state == "finished":
            layout.label(text=f"{job.name} is built", icon="CHECKMARK")
        elif job.state == "failed":
            problem(layout, context, job.error)
        if job.state in ("interrupted", "cancelled") or (job.state == "failed" and job.retryable):
            layout.operator("vivant.resume_job", text=f"Resume {job.name}", icon="PLAY").job = job.job


class AvatarOptionsPanel(VivantPanel, bpy.types.Panel):
    """What is rarely needed."""

    bl_idname = "VIVANT_PT_avatar_options"
    bl_parent_id = "VIVANT_PT_avatar"
    bl_label = "Options"
    bl_options = {"DEFAULT_CLOSED"}
    bl_order = 0

    def draw(self, context: bpy.types.Context) -> None:
        """The command line's options of the same names."""
        layout, settings = self.layout, properties.settings(context)
        layout.use_property_split = True
        layout.use_property_decorate = False
        for name in ("size", "seed", "device", "show_unseen"):
            layout.prop(settings, name)


class AvatarRows(bpy.types.UIList):
    """The avatars on the backend."""

    bl_idname = "VIVANT_UL_avatars"

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: Any,
        data: Any,
        item: Any,
        icon: Any,
        active_data: Any,
        active_property: Any,
        index: Any,
        flt_flag: Any,
    ) -> None:
        """Picture, name, and whether it lies in memory."""
        row = layout.row(align=True)
        if picture := pictures.icon(item.avatar):
            row.label(text=item.label, icon_value=picture)
        else:
            row.label(text=item.label, icon="USER")
        if item.is_open:
            row.label(text="", icon="MEMORY")


class AvatarListPanel(VivantPanel, bpy.types.Panel):
    """All avatars that can be put into the scene."""

    bl_idname = "VIVANT_PT_avatar_list"
    bl_parent_id = "VIVANT_PT_avatar"
    bl_label = "On the Backend"
    bl_order = 1

    def draw(self, context: bpy.types.Context) -> None:
        """The list, what can be done with its active row, and details."""
        layout, state = self.layout, properties.state(context)
        if not state.avatars:
            layout.label(text="None yet")
            layout.operator("vivant.import_avatar", icon="IMPORT")
            return
        row = layout.row()
        row.template_list(AvatarRows.bl_idname, "", state, "avatars", state, "active_avatar", rows=4)
        item = state.avatars[min(state.active_avatar, len(state.avatars) - 1)]
        column = row.column(align=True)
        column.operator("vivant.import_avatar", text="", icon="IMPORT")
        column.operator("vivant.rename_avatar", text="", icon="GREASEPENCIL").avatar = item.avatar
        if item.is_open:
            column.operator("vivant.close_avatar", text="", icon="UNLINKED").avatar = item.avatar
        else:
            column.operator("vivant.open_avatar", text="", icon="MEMORY").avatar = item.avatar
        column.operator("vivant.delete_avatar", text="", icon="TRASH").avatar = item.avatar
        sentence(layout, context, item.detail)


CLASSES = (AvatarRows, AvatarPanel, AvatarOptionsPanel, AvatarListPanel)


def register() -> None:
    """Add list and panels."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take them away."""
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
