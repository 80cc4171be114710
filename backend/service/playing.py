"""Frames for the command line: a motion file rendered into a folder, and how fast live frames come."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from backend.atomic import ensure_writable
from backend.progress import Event, Progress
from backend.rendering.views import fitted
from backend.rendering.writers import write_png
from backend.stages import Frame as Picture
from shared.camera import Camera, load_cameras
from shared.exr import write_exr
from shared.motion_files import Basis, load_motion
from shared.rig import Rig, load_rig
from shared.rotations import axis_angles_from_matrices, matrices_from_axis_angles
from shared.wire import calls
from shared.wire.client import Client
from shared.wire.codec import Buffers
from shared.wire.limits import REPLY_S
from shared.wire.messages import Frame, RenderCredit, RenderFrames, RenderLive


def render_motion(client: Client, avatar: str, arguments: Namespace, progress: Progress) -> Path:
    """Play a motion file from where the person stands in the photo; frames become numbered files."""
    ensure_writable(arguments.out)
    rig = _rig(client, avatar)
    basis = Basis(rig.body_sha256, tuple(map(str, rig.expression_names)))
    loaded = load_motion(arguments.motion, fps=arguments.fps, hand_mean=rig.hand_mean, basis=basis)
    for note in loaded.notes:
        progress(Event("motion", 1, 1, note))
    motion = loaded.motion.placed(rig.full_pose[:3], rig.transl)
    cameras = [photo_camera(rig)] if arguments.camera is None else load_cameras(arguments.camera)
    if arguments.size is not None:
        cameras = [fitted(camera, *arguments.size) for camera in cameras]
    request = RenderFrames(
        calls.new_id(),
        avatar,
        cameras[0].width,
        cameras[0].height,
        pixels="half" if arguments.format == "exr" else "rgba8",
        expression_names=motion.expression_names,
        name=arguments.motion.stem,
    )
    buffers = {**_posed(motion.full_pose, motion.transl, motion.expression), **_seen(cameras)}
    arguments.out.mkdir(parents=True, exist_ok=True)
    for number, rgba, depth in calls.frames(client, request, buffers):
        _write(arguments.out / f"{number:06d}.{arguments.format}", rgba, depth)
        progress(Event("render", number + 1, len(motion)))
    return arguments.out


def live_rate(client: Client, avatar: str, size: tuple[int, int], seconds: float) -> Iterator[str]:
    """Ask for live frames of the turning avatar, each as soon as one came, and say how fast they come."""
    rig, view = _rig(client, avatar), calls.new_id()
    camera = fitted(photo_camera(rig), *size)
    latencies: list[float] = []
    began = time.perf_counter()
    client.post(RenderCredit(2))
    consumed = 0
    while time.perf_counter() - began < seconds:
        asked = time.perf_counter()
        buffers = {**_posed(*_turned(rig, asked - began)), **_seen([camera])}
        names = tuple(map(str, rig.expression_names))
        request = RenderLive(view, len(latencies) + 1, avatar, *size, expression_names=names)
        calls.ask_live(client, request, buffers, consumed)
        _await_frame(client, view)
        latencies.append(time.perf_counter() - asked)
        consumed = 1
    took = time.perf_counter() - began
    middle, slow = np.percentile(latencies, [50, 99]) * 1000
    yield f"{len(latencies) / took:.1f} frames/s at {size[0]}x{size[1]}"
    yield f"from request to pixels: {middle:.1f} ms in the middle, {slow:.1f} ms for the slowest of a hundred"


def photo_camera(rig: Rig) -> Camera:
    """The camera that the photo was taken with."""
    width, height = (int(side) for side in rig.image_size)
    return Camera(width, height, rig.K.astype(np.float64), rig.world_to_camera.astype(np.float64))


def _rig(client: Client, avatar: str) -> Rig:
    return load_rig(calls.download(client, avatar, "rig.npz"))


def _posed(full_pose: np.ndarray, transl: np.ndarray, expression: np.ndarray) -> Buffers:
    values = {"full_pose": full_pose, "transl": transl, "expression": expression}
    return {name: np.ascontiguousarray(array, "<f4") for name, array in values.items()}


def _seen(cameras: list[Camera]) -> Buffers:
    return {
        "world_to_camera": np.stack([camera.world_to_camera for camera in cameras]).astype("<f4"),
        "K": np.stack([camera.K for camera in cameras]).astype("<f4"),
    }


def _turned(rig: Rig, angle: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # [1, 165], [1, 3], [1, E]
    """The photo's pose, turned about the vertical by `angle` radians."""
    turn = matrices_from_axis_angles(np.array([0.0, angle, 0.0]))
    full_pose = rig.full_pose.astype(np.float64)
    full_pose[:3] = axis_angles_from_matrices(turn @ matrices_from_axis_angles(full_pose[:3]))
    return full_pose[None], rig.transl[None], rig.expression[None]


def _await_frame(client: Client, view: str) -> None:
    until = time.monotonic() + REPLY_S
    while True:
        came = client.inbox.get(timeout=max(until - time.monotonic(), 0.001))
        message = getattr(came, "message", None)
        if isinstance(message, Frame) and message.view == view:
            return


def _write(path: Path, rgba: np.ndarray, depth: np.ndarray) -> None:
    if path.suffix == ".exr":
        write_exr(path, rgba, depth)
    else:
        scaled = rgba.astype(np.float32) / 255
        write_png(path, Picture(scaled[..., :3], scaled[..., 3], depth))
