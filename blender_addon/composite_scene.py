"""From the scene and its frames on disk to a composite, and what the user should know about it."""

from __future__ import annotations

from collections.abc import Iterator

import bpy

from . import compat, frame_files
from ._shared.errors import VivantError
from .avatars import avatars_of
from .camera import camera_of
from .composite import Sequence, insert
from .composite import refresh as refresh_nodes
from .render_plan import avatar_folder, frames_of

FAR_SHARE = 0.98  # of Clip End, from where EEVEE's empty sky hides


def composite(context: bpy.types.Context) -> list[str]:
    """Insert or update the composite of all avatars of the scene; returns what the user should know.

    Raises:
        VivantError: there is no avatar, the folder cannot be used, or the compositor cannot be worked with.
    """
    scene = context.scene
    if not avatars_of(scene):
        raise VivantError("There is no avatar in the scene. Add one in the Motion panel.")
    fill_gaps(context)
    settings = scene.vivant_render
    insert(scene, _sequences(scene), settings.occlude, settings.match_photo)
    return notes(context)


def refresh(context: bpy.types.Context) -> None:
    """Fill gaps and show new files in the composite, where there is one.

    Raises:
        VivantError: there is no camera, or the folder cannot be written to.
    """
    fill_gaps(context)
    refresh_nodes(context.scene, _sequences(context.scene))


def _sequences(scene: bpy.types.Scene) -> list[Sequence]:
    """The frames of each avatar, by paths that move with the .blend file if the user's folder does."""
    frames, folder = _covered(scene), scene.vivant_render.folder.rstrip("/\\")
    first = frame_files.file_name(frames[0])
    return [
        Sequence(avatar.name, f"{folder}/{bpy.path.clean_name(avatar.name)}/{first}", frames[0], len(frames))
        for avatar in avatars_of(scene)
    ]


def fill_gaps(context: bpy.types.Context) -> None:
    """Give every frame of every avatar a file, an empty one where nothing was rendered.

    Raises:
        VivantError: there is no camera, or the folder cannot be written to.
    """
    scene = context.scene
    camera = camera_of(scene, context.evaluated_depsgraph_get())
    for avatar in avatars_of(scene):
        folder = avatar_folder(scene, avatar)
        try:
            frame_files.fill(folder, _filled(scene), camera.width, camera.height)
        except OSError as error:
            raise VivantError(f"Cannot write {error.filename}: {error.strerror}. Choose another folder.") from error


def notes(context: bpy.types.Context) -> list[str]:
    """What is amiss with frames and scene, in sentences for the user."""
    return [*_about_frames(context), *_about_scene(context.scene)]


def _covered(scene: bpy.types.Scene) -> range:
    """The scene's range and the rendered one, and a frame behind: Blender holds the last picture for ever."""
    frames = frames_of(scene)
    return range(min(max(scene.frame_start, 0), frames[0]), max(scene.frame_end, frames[-1]) + 2)


def _filled(scene: bpy.types.Scene) -> range:
    """A file more in front: it is the one that Blender 4.2 takes at every frame before the first."""
    frames = _covered(scene)
    return range(max(frames[0] - 1, 0), frames[-1] + 1)


def _about_frames(context: bpy.types.Context) -> Iterator[str]:
    scene = context.scene
    camera = camera_of(scene, context.evaluated_depsgraph_get())
    size = (camera.width, camera.height)
    for avatar in avatars_of(scene):
        folder = avatar_folder(scene, avatar)
        frames = frames_of(scene)
        missing = frame_files.missing(folder, frames)
        if missing:
            yield f"{avatar.name}: {len(missing)} of {len(frames)} frames are not rendered ({_ranges(missing)})"
        for width, height in sorted(frame_files.sizes(folder, frames) - {size}):
            yield f"{avatar.name}: frames of {width} x {height} do not fit {size[0]} x {size[1]}: render them again"


def _about_scene(scene: bpy.types.Scene) -> Iterator[str]:
    render = scene.render
    if render.use_sequencer and compat.has_strips(scene):
        yield "The video sequencer replaces the composite: switch Sequencer off in Post Processing"
    if scene.vivant_render.occlude and render.engine == compat.eevee() and not compat.V52:
        yield from _beyond_clip_end(scene)


def _beyond_clip_end(scene: bpy.types.Scene) -> Iterator[str]:
    end = scene.camera.data.clip_end
    for avatar in avatars_of(scene):
        distance = (avatar.matrix_world.translation - scene.camera.matrix_world.translation).length
        if distance > FAR_SHARE * end:
            yield f"{avatar.name} stands beyond the camera's Clip End ({end:g} m), where EEVEE hides it: raise Clip End"


def _ranges(frames: list[int]) -> str:
    """1-3, 7, 9-12; the first five of them."""
    found: list[list[int]] = []
    for frame in frames:
        if found and frame == found[-1][-1] + 1:
            found[-1][1:] = [frame]
        else:
            found.append([frame])
    shown = ", ".join("-".join(map(str, ends)) for ends in found[:5])
    return shown if len(found) <= 5 else f"{shown}, ..."
