"""What the panels show: settings on the scene (saved, undone), the backend's state on the window manager (neither)."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from . import pictures


class VivantJob(bpy.types.PropertyGroup):
    """A job of the backend as the panels show it; fields as in the wire's JobInfo."""

    job: StringProperty()
    task: StringProperty()
    label: StringProperty()
    state: StringProperty()
    stage: StringProperty()
    step: IntProperty()
    total: IntProperty()
    eta_s: FloatProperty(default=-1.0)
    message: StringProperty()
    error: StringProperty()
    error_code: StringProperty()
    retryable: BoolProperty()


class VivantAvatar(bpy.types.PropertyGroup):
    """An avatar that lies on the backend; fields as in the wire's AvatarInfo."""

    avatar: StringProperty()
    label: StringProperty()
    detail: StringProperty()
    is_open: BoolProperty()


class VivantState(bpy.types.PropertyGroup):
    """What the backend told last. `session` writes it, panels read it."""

    jobs: CollectionProperty(type=VivantJob)
    active_job: IntProperty()
    avatars: CollectionProperty(type=VivantAvatar)
    active_avatar: IntProperty()
    notice: StringProperty(description="The newest thing that went wrong")


def _photo_changed(settings: VivantSettings, context: bpy.types.Context) -> None:
    """Another photo: what was made of the old one stays on the backend, but is no longer what the panels follow."""
    settings.register_job = settings.build_job = ""
    pictures.load(settings.photo, Path(bpy.path.abspath(settings.photo)))


class VivantSettings(bpy.types.PropertyGroup):
    """What the user chose for this scene."""

    photo: StringProperty(
        name="Photo",
        description="PNG, JPEG or WEBP of one person. An alpha channel is used as the matte",
        update=_photo_changed,
    )
    person: IntProperty(
        name="Person",
        description="The Nth person from the left; 0 takes the largest and most central one",
        min=0,
        max=100,
    )
    matte: EnumProperty(
        name="Cut out",
        description="Who separates the person from the background",
        items=[
            ("auto", "Automatic", "The photo's own alpha channel, else the best that is installed"),
            ("photo", "Photo's Alpha", "The photo's own alpha channel"),
            ("mediapipe", "MediaPipe", "Comes with the backend"),
            ("rembg", "rembg", "Finer hair; must be installed beside the backend"),
        ],
    )
    register_job: StringProperty(description="The fit of this photo that the avatar is built from")
    build_job: StringProperty(description="The build that the Avatar panel follows")
    avatar_name: StringProperty(name="Name", description="Of the new avatar; empty takes the photo's name")
    texture: EnumProperty(
        name="Detail",
        description="Size of the map that places the Gaussians",
        items=[
            ("128", "Draft", "Fewest Gaussians: a first look"),
            ("256", "Medium", "A quarter of the full map"),
            ("512", "Full", "Every texel of the map that the photo sees"),
        ],
        default="512",
    )
    size: IntProperty(name="Size", description="Of the photo in training, in pixels", min=64, max=4096, default=1024)
    steps: IntProperty(name="Steps", description="Of training", min=1, max=100_000, default=150)
    seed: IntProperty(name="Seed", description="Same seed, same avatar", min=0)
    show_unseen: BoolProperty(name="Show Unseen", description="Show what lies beyond the photo's border; it is made up")
    device: EnumProperty(
        name="Device",
        description="Where the backend trains",
        items=[
            ("auto", "Automatic", "CUDA where it really works, else the CPU"),
            ("cpu", "CPU", "The processor"),
            ("cuda", "CUDA", "An NVIDIA GPU"),
        ],
    )


def settings(context: bpy.types.Context) -> VivantSettings:
    """What the user chose for the current scene."""
    return context.scene.vivant


def state(context: bpy.types.Context) -> VivantState:
    """What the backend told last."""
    return context.window_manager.vivant


CLASSES = (VivantJob, VivantAvatar, VivantState, VivantSettings)


def register() -> None:
    """Add the properties to scene and window manager."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.vivant = PointerProperty(type=VivantSettings)
    bpy.types.WindowManager.vivant = PointerProperty(type=VivantState)


def unregister() -> None:
    """Take them away; values saved in scenes stay in the file."""
    del bpy.types.WindowManager.vivant
    del bpy.types.Scene.vivant
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
