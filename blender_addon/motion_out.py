"""An armature's motion as a file: the evaluated pose of every frame, as Vivant's own npz."""

from __future__ import annotations

from pathlib import Path

import bpy

from ._shared.errors import VivantError
from ._shared.motion import Motion
from .pose import motion_of


def save_motion(context: bpy.types.Context, armature: bpy.types.Object, path: Path, first: int, last: int) -> Motion:
    """Write frames `first` to `last`, both included, as an npz that `vivant render --motion` and `load_motion` read.

    Raises:
        VivantError: the range is empty, the armature cannot be read, or the file cannot be written.
    """
    if last < first:
        raise VivantError(f"Frames {first} to {last} are none. Set the end frame after the start frame.")
    motion = motion_of(context, armature, range(first, last + 1))
    try:
        motion.save(path)
    except OSError as error:
        raise VivantError(f"Cannot write {path}: {error.strerror or error}. Choose another folder.") from error
    return motion
