"""The avatar in one 3D viewport, live: a timer asks for what changed, a draw handler shows the newest answer.

Nothing waits. While view or pose move, pictures are small; when they rest, one of full size follows.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import bpy
from bpy.app.handlers import persistent

from . import session
from ._shared.errors import VivantError
from .avatars import AVATAR_KEY, avatars_of, body_of
from .late import messages

if TYPE_CHECKING:
    from ._shared.wire.codec import Envelope

TICK_S = 1 / 30
REST_S = 0.25  # after the last change, before the picture is refined
MOVING_SCALE = 0.4
MOVING_PIXELS, RESTING_PIXELS = 640, 2048  # of the longer side, at most

BODY_DISPLAY = "vivant_display"
"""Custom property of a body: how it was displayed before the preview replaced it by its bounds."""

ORTHOGRAPHIC = "The preview needs a perspective view: press Numpad 5, or look through a camera."
NO_GPU = "The preview needs a window: Blender has no GPU in background mode."


@dataclass
class _View:
    """What is known of one avatar in the viewport."""

    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    newest: Envelope | None = None
    packed: Any = None  # preview_shader.Packed of the frame to be shown
    seq: int = 0  # of that frame
    is_uploaded: bool = True
    is_over: bool = False
    picture: Any = None  # preview_shader.Picture


class Preview:
    """The viewport that shows the preview, and what it shows."""

    def __init__(self, space: Any, region: bpy.types.Region) -> None:  # SpaceView3D
        self.space, self.region = space, region
        self.views: dict[str, _View] = {}  # by name of the armature
        self.message = ""
        self.trouble = ""  # why the newest pose could not be asked for
        self.seen: Any = None  # the view that was asked for last
        self.is_dirty = True  # pose or scene changed since
        self.changed = 0.0  # when anything did
        self.is_fine = False  # the newest request was of full size
        self.seq = 0
        self.handler: Any = None


_now: Preview | None = None


def is_on() -> bool:
    """Whether a viewport shows the preview."""
    return _now is not None


def message() -> str:
    """Why nothing is shown; empty if all is well."""
    return _now.message if _now else ""


def start(context: bpy.types.Context) -> None:
    """Show the preview in the viewport of `context`.

    Raises:
        VivantError: there is no window.
    """
    global _now
    if bpy.app.background:
        raise VivantError(NO_GPU)
    stop()
    region = next(region for region in context.area.regions if region.type == "WINDOW")
    _now = Preview(context.space_data, region)
    _now.handler = bpy.types.SpaceView3D.draw_handler_add(_draw, (), "WINDOW", "POST_VIEW")
    for avatar in avatars_of(context.scene):
        _stand_aside(body_of(avatar))
    bpy.app.timers.register(_tick, first_interval=TICK_S)


def stop() -> None:
    """Show it no longer; bodies are displayed as before."""
    global _now
    if _now is None:
        return
    old, _now = _now, None
    bpy.types.SpaceView3D.draw_handler_remove(old.handler, "WINDOW")
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    for view in old.views.values():
        _forget(view)
    for item in bpy.data.objects:
        _come_back(item)


def _stand_aside(body: Any) -> None:  # bpy.types.Object or None
    """A body at the avatar's own depth would show through; hidden, Blender would not animate its expressions."""
    if body is not None and BODY_DISPLAY not in body:
        body[BODY_DISPLAY] = body.display_type
        body.display_type = "BOUNDS"


def _come_back(body: Any) -> None:  # bpy.types.Object
    if BODY_DISPLAY in body:
        body.display_type = body[BODY_DISPLAY]
        del body[BODY_DISPLAY]


# Asking


def _tick() -> float | None:
    """The timer: ask for what changed."""
    if _now is None:
        return None
    try:
        ask(_now, bpy.context)
    except ReferenceError:  # the viewport was closed
        stop()
        return None
    return TICK_S


def ask(preview: Preview, context: bpy.types.Context) -> None:
    """Ask the backend for pictures if view or pose changed, or rest since a moment and are shown small."""
    data, now = preview.space.region_3d, time.monotonic()
    looked_at = _look(preview, data)
    if looked_at is None:
        return
    if preview.is_dirty or looked_at != preview.seen:
        preview.seen, preview.is_dirty, preview.is_fine, preview.changed = looked_at, False, False, now
    elif preview.is_fine or now - preview.changed < REST_S:
        return
    else:
        preview.is_fine = True
    try:
        _request(preview, context, _size(preview.region, preview.is_fine))
        preview.trouble = ""
    except VivantError as error:  # shown in the panel until the pose changes
        preview.trouble = str(error)


def _look(preview: Preview, data: bpy.types.RegionView3D) -> Any:
    """The view as something to compare; None, with a message, if it cannot be rendered."""
    if not session.is_ready():
        preview.message = "The preview waits for a backend."
    elif not data.is_perspective:
        preview.message = ORTHOGRAPHIC
    else:
        preview.message = preview.trouble
        region = preview.region
        return (region.width, region.height, data.view_matrix.copy(), data.window_matrix.copy())
    return None


def _size(region: bpy.types.Region, is_fine: bool) -> tuple[int, int]:
    longest = RESTING_PIXELS if is_fine else MOVING_PIXELS
    scale = min(1.0 if is_fine else MOVING_SCALE, longest / max(region.width, region.height))
    return max(1, round(region.width * scale)), max(1, round(region.height * scale))


def _request(preview: Preview, context: bpy.types.Context, size: tuple[int, int]) -> None:
    """One request for each avatar; the backend drops an older one of the same view."""
    import numpy as np

    from .camera import pinhole
    from .pose import pose_of

    client = session.client()
    assert client is not None  # `_look` found it ready
    data, depsgraph = preview.space.region_3d, context.evaluated_depsgraph_get()
    camera = pinhole(np.array(data.window_matrix), np.array(data.view_matrix.inverted()), *size)
    avatars = avatars_of(context.scene)
    for name in preview.views.keys() - {avatar.name for avatar in avatars}:
        _forget(preview.views.pop(name))
    for avatar in avatars:
        if avatar.name not in preview.views:
            _begin(preview, avatar)
        full_pose, transl, expression, names = pose_of(avatar, depsgraph)
        preview.seq += 1
        view = preview.views[avatar.name]
        request = messages.RenderLive(view.id, preview.seq, avatar[AVATAR_KEY], *size, expression_names=names)
        arrays = {
            "full_pose": full_pose,
            "transl": transl,
            "expression": expression,
            "world_to_camera": camera.world_to_camera,
            "K": camera.K,
        }
        client.post(request, {name: array[None].astype(np.float32) for name, array in arrays.items()})


def _begin(preview: Preview, avatar: bpy.types.Object) -> None:
    from . import preview_shader

    view = preview.views[avatar.name] = _View()
    _stand_aside(body_of(avatar))

    def arrived(envelope: Envelope) -> None:
        session.acknowledge()
        if view.newest is None or envelope.message.seq > view.newest.message.seq:
            view.newest = envelope
            session.in_thread(lambda: preview_shader.pack(envelope), lambda packed: ready(packed, envelope.message.seq))

    def ready(packed: preview_shader.Packed | None, seq: int) -> None:
        if seq > view.seq and not view.is_over:  # the threads of two frames may end in any order
            view.packed, view.seq, view.is_uploaded = packed, seq, False
            preview.region.tag_redraw()

    session.listen(view.id, arrived)


def _forget(view: _View) -> None:
    view.is_over = True
    session.unlisten(view.id)
    if session.is_ready():
        session.call(messages.RenderStop(view.id), on_error=lambda error: None)


# Drawing


def _draw() -> None:
    """The draw handler, called for every region of every 3D viewport."""
    if _now is not None and bpy.context.space_data == _now.space and bpy.context.region == _now.region:
        draw(_now, bpy.context.region_data.window_matrix)


def draw(preview: Preview, projection: Any) -> None:
    """Draw the newest pictures; only a new one is brought to the GPU."""
    from . import preview_shader

    if preview.message:
        return
    for view in preview.views.values():
        if not view.is_uploaded:
            view.picture, view.is_uploaded = preview_shader.upload(view.packed), True
    pictures = [view.picture for view in preview.views.values() if view.picture is not None]
    preview_shader.draw(pictures, projection)


@persistent
def _scene_changed(*_: object) -> None:
    if _now is not None:
        _now.is_dirty = True


@persistent
def _file_changes(*_: object) -> None:
    """The viewport of the preview goes with the file."""
    stop()


HANDLERS = (
    ("depsgraph_update_post", _scene_changed),
    ("frame_change_post", _scene_changed),
    ("load_pre", _file_changes),
)


def register() -> None:
    """Follow changes of the scene. Draws nothing."""
    for name, handler in HANDLERS:
        getattr(bpy.app.handlers, name).append(handler)


def unregister() -> None:
    """Stop the preview."""
    stop()
    for name, handler in HANDLERS:
        getattr(bpy.app.handlers, name).remove(handler)
