"""Small pictures in the panels: the photo, the fit over it, the avatar as it is trained, the avatars of the list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import bpy.utils.previews

if TYPE_CHECKING:
    import numpy as np

_previews: Any = None
_versions: dict[str, int] = {}


def icon(key: str) -> int:
    """For `template_icon`; 0 if there is no such picture."""
    name = f"{key} {_versions.get(key, 0)}"
    return int(_previews[name].icon_id) if name in _previews else 0


def load(key: str, path: Path) -> None:
    """Show the file under this key; nothing, if there is no such file."""
    if path.is_file():
        _previews.load(_new_name(key), str(path), "IMAGE")


def show(key: str, rgb: np.ndarray) -> None:
    """Show pixels, [H, W, 3] uint8 sRGB, first row at the top, under this key."""
    import numpy as np

    height, width, _ = rgb.shape
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., :3] = rgb[::-1] / np.float32(255)
    preview = _previews.new(_new_name(key))
    preview.image_size = (width, height)
    preview.image_pixels_float.foreach_set(rgba.ravel())


def drop(key: str) -> None:
    """Show nothing under this key any more."""
    name = f"{key} {_versions.pop(key, 0)}"
    if name in _previews:
        del _previews[name]


def _new_name(key: str) -> str:
    """Each picture gets a name of its own: Blender keeps drawing what it has once drawn under an old one."""
    old = f"{key} {_versions.get(key, 0)}"
    if old in _previews:
        del _previews[old]
    _versions[key] = _versions.get(key, 0) + 1
    return f"{key} {_versions[key]}"


def register() -> None:
    """Make room for pictures."""
    global _previews
    _previews = bpy.utils.previews.new()


def unregister() -> None:
    """Let them go; Blender warns of forgotten ones."""
    bpy.utils.previews.remove(_previews)
    _versions.clear()
