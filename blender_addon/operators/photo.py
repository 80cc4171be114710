"""Choose a photo, fit the body to it, look at the fit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy
from bpy.props import BoolProperty, StringProperty

from .. import mirror, properties, results, session
from .._shared.errors import VivantError
from .._shared.wire import limits
from ..late import messages
from .backend import needs_backend

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

    from .._shared.wire.client import Client
    from .._shared.wire.codec import Envelope


class ChoosePhoto(bpy.types.Operator):
    """Choose the photo of one person: PNG, JPEG or WEBP"""

    bl_idname = "vivant.choose_photo"
    bl_label = "Choose Photo"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(subtype="FILE_PATH")
    filter_image: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        """Open the file browser."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Take it into the scene's settings."""
        if not Path(bpy.path.abspath(self.filepath)).is_file():
            self.report({"ERROR"}, f"There is no file {self.filepath}")
            return {"CANCELLED"}
        properties.settings(context).photo = self.filepath
        return {"FINISHED"}


class RegisterPhoto(bpy.types.Operator):
    """Fit a body to the photo: pose, shape, clothing and the camera. Takes seconds"""

    bl_idname = "vivant.register_photo"
    bl_label = "Fit Body to Photo"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a photo and a backend that is not fitting it already."""
        return needs_photo(cls, context) and needs_backend(cls) and not_running(cls, context, "register_job")

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Upload the photo and submit the job."""
        settings = properties.settings(context)
        settings.register_job = submit(context, "register")
        return {"FINISHED"}


class ShowFit(bpy.types.Operator):
    """Open the picture of the fitted body over the photo in a window of its own"""

    bl_idname = "vivant.show_fit"
    bl_label = "Enlarge"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Needs a fit."""
        if results.fit(properties.settings(context).register_job) is None:
            cls.poll_message_set("Fit the body to the photo first")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Load the picture and show it."""
        fit = results.fit(properties.settings(context).register_job)
        assert fit is not None
        image = bpy.data.images.load(str(fit.overlay), check_existing=True)
        if not bpy.app.background:
            bpy.ops.wm.window_new()
            area = context.window_manager.windows[-1].screen.areas[0]
            area.type = "IMAGE_EDITOR"
            area.spaces.active.image = image
        return {"FINISHED"}


def submit(context: bpy.types.Context, task: str, buffers: dict[str, Any] | None = None, **more: Any) -> str:
    """Upload the scene's photo, then submit a job for it; returns the job's id at once. Errors show in the job."""
    from .._shared.wire.calls import new_id, upload

    settings, job = properties.settings(context), new_id()
    path = Path(bpy.path.abspath(settings.photo))
    name = settings.avatar_name or path.stem
    choices: dict[str, Any] = {"name": name, "person": settings.person, "matte": settings.matte, **more}

    def work(client: Client) -> Envelope:
        photo = upload(client, _read(path))
        return client.call(messages.JobSubmit(job, task, photo, **choices), buffers or {})

    mirror.submitted(job, task, name)
    session.run(work, mirror.take_job, lambda error: mirror.not_accepted(job, error))
    return job


def _read(photo: Path) -> bytes:
    try:
        if photo.stat().st_size > limits.ASSET_BYTES:
            raise VivantError(f"{photo.name} is larger than {limits.ASSET_BYTES >> 20} MB. Save a smaller copy of it.")
        return photo.read_bytes()
    except OSError as error:
        raise VivantError(f"Cannot read {photo}: {error.strerror}. Choose the photo again.") from error


def needs_photo(operator: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Part of a `poll`: whether a photo is chosen; says what to do if not."""
    if properties.settings(context).photo:
        return True
    operator.poll_message_set("Choose a photo first")
    return False


def not_running(operator: type[bpy.types.Operator], context: bpy.types.Context, setting: str) -> bool:
    """Part of a `poll`: whether the job of this setting is under way, so that a second one would be a slip."""
    info = mirror.job(getattr(properties.settings(context), setting))
    if info is None or info.state not in ("queued", "running"):
        return True
    operator.poll_message_set(f"{info.name} is being worked on already; cancel that first")
    return False


CLASSES = (ChoosePhoto, RegisterPhoto, ShowFit)


def register() -> None:
    """Add the operators."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take them away."""
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
