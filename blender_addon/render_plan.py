"""What to render of an avatar: its evaluated motion and the scene's camera, frame by frame, as arrays."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from ._shared.camera import Camera
from ._shared.errors import VivantError
from ._shared.motion import Motion
from ._shared.wire.messages import RenderFrames
from .avatars import AVATAR_KEY, avatars_of
from .camera import camera_of
from .pose import PoseReader, evaluated, scene_fps

FORMAT = b"vivant frame 1\0"
"""Part of every origin: another one renders all frames anew."""


@dataclass(frozen=True)
class Plan:
    """One avatar over F scene frames, and the folder that its files go to."""

    armature: str
    avatar: str  # id on the backend; a build never changes what lies under an id
    folder: Path
    frames: tuple[int, ...]  # [F] of the scene
    width: int
    height: int
    motion: Motion  # F frames
    world_to_camera: np.ndarray  # [F, 4, 4] float32, OpenCV axes
    K: np.ndarray  # [F, 3, 3] float32, pixels

    def origins(self) -> dict[int, str]:
        """Everything that a frame's picture depends on, as a hash, by scene frame."""
        fixed = f"{self.avatar} {self.width} {self.height} {' '.join(self.motion.expression_names)}".encode()
        rows = zip(*self._buffers(range(len(self.frames))).values(), strict=True)
        hashes = (hashlib.sha256(FORMAT + fixed + b"".join(part.tobytes() for part in row)) for row in rows)
        return {frame: digest.hexdigest() for frame, digest in zip(self.frames, hashes, strict=True)}

    def request(self, job: str, chosen: Sequence[int]) -> tuple[RenderFrames, dict[str, np.ndarray]]:
        """The message that asks for the `chosen` scene frames, numbered from 0, with its buffers."""
        message = RenderFrames(
            job=job,
            avatar=self.avatar,
            width=self.width,
            height=self.height,
            expression_names=self.motion.expression_names,
            name=self.armature,
        )
        row_of = {frame: row for row, frame in enumerate(self.frames)}
        return message, self._buffers([row_of[frame] for frame in chosen])

    def _buffers(self, rows: Sequence[int]) -> dict[str, np.ndarray]:
        motion, rows = self.motion, list(rows)
        arrays = {
            "full_pose": motion.full_pose,
            "transl": motion.transl,
            "expression": motion.expression,
            "world_to_camera": self.world_to_camera,
            "K": self.K,
        }
        return {name: array[rows].astype(np.float32) for name, array in arrays.items()}


def plans_of(context: bpy.types.Context) -> list[Plan]:
    """Step through the frames once and note what every avatar of the scene and the camera do.

    Raises:
        VivantError: folder or range cannot be used, there is no camera that a pinhole could stand for, or an armature
            cannot be read.
    """
    reading = Reading(context)
    reading.read(context, float("inf"))
    return reading.plans()


class Reading:
    """What `plans_of` does, in pieces: between them the scene is as the user left it, and Blender can draw.

    Raises:
        VivantError: as `plans_of`, also later on.
    """

    def __init__(self, context: bpy.types.Context) -> None:
        self.frames, self.done = frames_of(context.scene), 0
        self._armatures = avatars_of(context.scene)
        self._folders = _folders(context.scene, self._armatures)
        self._readers = [PoseReader(armature) for armature in self._armatures]
        self._cameras: list[Camera] = []
        self._fps = scene_fps(context.scene)

    def read(self, context: bpy.types.Context, seconds: float) -> bool:
        """Read on for so long; whether there is more."""
        try:
            self._read(context, time.monotonic() + seconds)
        except ReferenceError as error:
            raise VivantError("The scene was undone while its frames were read. Render again.") from error
        return self.done < len(self.frames)

    def _read(self, context: bpy.types.Context, end: float) -> None:
        with closing(evaluated(context, self._armatures, self.frames[self.done :])) as steps:
            for depsgraph in steps:
                self._cameras.append(camera_of(context.scene, depsgraph))
                for reader in self._readers:
                    reader.read(depsgraph)
                self.done += 1
                if time.monotonic() > end:
                    break

    def plans(self) -> list[Plan]:
        """One for each avatar, when all is read."""
        cameras = self._cameras
        world_to_camera = np.stack([camera.world_to_camera for camera in cameras]).astype(np.float32)
        K = np.stack([camera.K for camera in cameras]).astype(np.float32)
        return [
            Plan(
                armature=armature.name,
                avatar=armature[AVATAR_KEY],
                folder=folder,
                frames=tuple(self.frames),
                width=cameras[0].width,
                height=cameras[0].height,
                motion=reader.motion(self._fps),
                world_to_camera=world_to_camera,
                K=K,
            )
            for armature, reader, folder in zip(self._armatures, self._readers, self._folders, strict=True)
        ]


def frames_of(scene: bpy.types.Scene) -> range:
    """The scene frames to render: the scene's range or the one given in the Render panel.

    Raises:
        VivantError: the range is empty or begins before frame 0.
    """
    chosen = scene.vivant_render
    source = chosen if chosen.use_own_range else scene
    frames = range(source.frame_start, source.frame_end + 1, scene.frame_step)
    if not frames:
        raise VivantError("The range of frames is empty: its end lies before its start.")
    if frames[0] < 0:
        raise VivantError("Blender cannot read pictures of frames below 0. Begin the range at frame 0 or later.")
    return frames


def avatar_folder(scene: bpy.types.Scene, armature: bpy.types.Object) -> Path:
    """Where the frames of one avatar lie: a sub-folder of what the user chose.

    Raises:
        VivantError: that is relative to a file that was never saved.
    """
    chosen = scene.vivant_render.folder
    if chosen.startswith("//") and not bpy.data.filepath:
        raise VivantError("The folder begins with //, the place of the .blend file: save the file first.")
    return Path(bpy.path.abspath(chosen)) / bpy.path.clean_name(armature.name)


def _folders(scene: bpy.types.Scene, armatures: Sequence[bpy.types.Object]) -> list[Path]:
    folders = [avatar_folder(scene, armature) for armature in armatures]
    if len(set(folders)) < len(folders):
        raise VivantError("The names of two avatars give the same folder. Rename one of their armatures.")
    return folders
