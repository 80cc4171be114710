"""Build an avatar; open, rename, delete and import those on the backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy
from bpy.props import StringProperty

from .. import mirror, properties, session
from .._shared.wire.limits import IMPORT_S
from ..late import messages
from .backend import needs_backend
from .photo import needs_photo, not_running, submit

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems


class BuildAvatar(bpy.types.Operator):
    """Build the avatar from the photo, from its fit if there is one. Takes minutes; Blender stays free"""

    bl_idname = "vivant.build_avatar"
    bl_label = "Build Avatar"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a photo and a backend that is not building it already."""
        return needs_photo(cls, context) and needs_backend(cls) and not_running(cls, context, "build_job")

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Upload the photo and submit the job."""
        settings = properties.settings(context)
        fit = mirror.job(settings.register_job)
        options = messages.BuildOptions(
            texture=int(settings.texture),
            size=settings.size,
            steps=settings.steps,
            seed=settings.seed,
            show_unseen=settings.show_unseen,
            device=settings.device,
        )
        registration = fit.job if fit is not None and fit.state == "finished" else ""
        settings.build_job = submit(context, "build", registration=registration, options=options)
        return {"FINISHED"}


class _OnAvatar(bpy.types.Operator):
    """Base of the operators on one avatar of the list."""

    avatar: StringProperty(name="Avatar", description="Its id on the backend; empty takes the selected one")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a backend, and an avatar on it."""
        if not needs_backend(cls):
            return False
        if not selected(context):
            cls.poll_message_set("There is no avatar on the backend yet: build one, or import a folder")
            return False
        return True

    def target(self, context: bpy.types.Context) -> str:
        """The avatar's id."""
        return self.avatar or selected(context)


class OpenAvatar(_OnAvatar):
    """Load it into the backend's memory, so that the first frame comes fast. Rendering does so by itself"""

    bl_idname = "vivant.open_avatar"
    bl_label = "Load into Memory"

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Ask the backend."""
        session.call(messages.AvatarOpen(self.target(context)), on_reply=mirror.take_avatar)
        return {"FINISHED"}


class CloseAvatar(_OnAvatar):
    """Free what it takes in the backend's memory"""

    bl_idname = "vivant.close_avatar"
    bl_label = "Unload"

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Ask the backend."""
        session.call(messages.AvatarClose(self.target(context)), on_reply=mirror.take_avatar)
        return {"FINISHED"}


class RenameAvatar(_OnAvatar):
    """Give the avatar another name on the backend"""

    bl_idname = "vivant.rename_avatar"
    bl_label = "Rename"

    name: StringProperty(name="Name", maxlen=200)

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Ask for the name."""
        info = mirror.avatar(self.target(context))
        self.name = info.name if info else ""
        return context.window_manager.invoke_props_dialog(self)

    def draw(self, context: bpy.types.Context) -> None:
        """The name alone."""
        self.layout.prop(self, "name")

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Ask the backend."""
        if not self.name:
            self.report({"ERROR"}, "A name needs at least one letter")
            return {"CANCELLED"}
        session.call(messages.AvatarRename(self.target(context), self.name), on_reply=mirror.take_avatar)
        return {"FINISHED"}


class DeleteAvatar(_OnAvatar):
    """Remove the avatar from the backend's disk. This cannot be undone"""

    bl_idname = "vivant.delete_avatar"
    bl_label = "Delete Avatar"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Make sure."""
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Ask the backend."""
        avatar = self.target(context)
        session.call(messages.AvatarDelete(avatar), on_reply=lambda _: mirror.drop_avatars({avatar}))
        return {"FINISHED"}


class ImportAvatar(bpy.types.Operator):
    """Take over an avatar folder that `vivant build` or `vivant demo` made on this computer; it is copied"""

    bl_idname = "vivant.import_avatar"
    bl_label = "Import Avatar Folder"

    directory: StringProperty(subtype="DIR_PATH")

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a backend that sees this computer's files."""
        if not needs_backend(cls):
            return False
        client = session.client()
        if client is None or client.welcome is None or not client.welcome.loopback:
            cls.poll_message_set("The backend runs on another computer: import the folder there, with `vivant client`")
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Open the file browser."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Ask the backend."""
        from .._shared.wire.calls import new_id

        folder = bpy.path.abspath(self.directory).rstrip("/\\")
        request = messages.AvatarImport(new_id(), folder)
        session.call(request, on_reply=mirror.take_avatar, timeout=IMPORT_S)
        return {"FINISHED"}


def selected(context: bpy.types.Context) -> str:
    """The id of the avatar selected in the list; empty if the list is."""
    state = properties.state(context)
    rows = state.avatars
    return rows[min(state.active_avatar, len(rows) - 1)].avatar if len(rows) else ""


CLASSES = (BuildAvatar, OpenAvatar, CloseAvatar, RenameAvatar, DeleteAvatar, ImportAvatar)


def register() -> None:
    """Add the operators."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take them away."""
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
