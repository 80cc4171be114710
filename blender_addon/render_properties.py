"""What the user chose about rendering and compositing, kept with the scene."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, IntProperty, PointerProperty, StringProperty

from . import compat


def _choice_changed(settings: VivantRender, context: bpy.types.Context) -> None:
    """A composite that stands there follows at once."""
    from .operators.composite import update

    update(context)


class VivantRender(bpy.types.PropertyGroup):
    """Settings of the Render panel."""

    folder: StringProperty(
        name="Folder",
        description="Where the rendered frames go, a sub-folder for each avatar. // is the folder of the .blend file",
        subtype="DIR_PATH",
        options=compat.PATH_OPTIONS,
        default="//vivant_frames/",
    )
    use_own_range: BoolProperty(name="Own Range", description="Render another range of frames than the scene's")
    frame_start: IntProperty(name="Start", description="First frame to render", min=0, default=1)
    frame_end: IntProperty(name="End", description="Last frame to render", min=0, default=250)
    occlude: BoolProperty(
        name="Occlude by Depth",
        description="Objects before the avatar hide it. Without, it lies over the whole scene",
        default=True,
        update=_choice_changed,
    )
    match_photo: BoolProperty(
        name="Match Photo",
        description="Show the avatar in exactly the colours of the photo, whatever the view transform: the scene's "
        "view is baked into compositor nodes and its own set to Standard, until the composite is removed",
        update=_choice_changed,
    )


def register() -> None:
    """Add the settings to scenes."""
    bpy.utils.register_class(VivantRender)
    bpy.types.Scene.vivant_render = PointerProperty(type=VivantRender)


def unregister() -> None:
    """Take them away; values saved in scenes stay in the file."""
    del bpy.types.Scene.vivant_render
    bpy.utils.unregister_class(VivantRender)
