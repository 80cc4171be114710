"""Avatar + motion + cameras -> frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from backend.avatar.posing import PosableAvatar
from backend.body.model import BodyModel
from backend.progress import Event, Progress, silent
from backend.raster.splats import rasterize
from backend.stages import Avatar, Frame
from shared.camera import Camera
from shared.errors import VivantError
from shared.motion import Motion


def render_frames(
    avatar: Avatar,
    model: BodyModel,
    motion: Motion,
    cameras: Sequence[Camera],  # one for all frames, or one per frame of the motion
    *,
    frames: range | None = None,  # of the motion; None: all
    device: torch.device | None = None,  # None: CPU
    progress: Progress = silent,
) -> Iterator[Frame]:
    """Draw the motion frame by frame, as it stands in the world (see `Motion.placed`); nothing is drawn ahead.

    Expressions that the body does not know by name are dropped, and `progress` is told which.

    Raises:
        VivantError: the number of cameras or the range of frames does not fit the motion.
    """
    chosen = range(len(motion)) if frames is None else frames
    if len(chosen) == 0 or min(chosen) < 0 or max(chosen) >= len(motion):
        raise VivantError(
            f"Frames {chosen.start}-{chosen.stop - 1} are not in the motion. It has frames 0-{len(motion) - 1}."
        )
    if len(cameras) not in (1, len(motion)):
        raise VivantError(
            f"There are {len(cameras)} cameras for {len(motion)} frames. Give one camera, or one for each frame."
        )
    return _drawn(avatar, model, motion, cameras, chosen, device or torch.device("cpu"), progress)


def _drawn(
    avatar: Avatar,
    model: BodyModel,
    motion: Motion,
    cameras: Sequence[Camera],
    chosen: range,
    device: torch.device,
    progress: Progress,
) -> Iterator[Frame]:
    values, dropped = model.map_expression(motion.expression_names, motion.expression)
    if dropped:
        progress(Event("render", 0, len(chosen), f"This body has no expression {', '.join(dropped)}: left out."))
    posable = PosableAvatar(avatar, model, device)
    for step, index in enumerate(chosen, start=1):
        camera = cameras[0] if len(cameras) == 1 else cameras[index]
        yield _draw(
            posable, _tensor(motion.full_pose[index]), _tensor(motion.transl[index]), _tensor(values[index]), camera
        )
        progress(Event("render", step, len(chosen)))


@torch.inference_mode()
def _draw(posable: PosableAvatar, full_pose: Tensor, transl: Tensor, expression: Tensor, camera: Camera) -> Frame:
    g = posable.pose(full_pose, transl, expression, camera.centre)
    rendered = rasterize(g.means, g.quats_wxyz, g.scales, g.opacities, g.colors, camera, posable.device.type)
    rgb, alpha, depth = (layer.float().cpu().numpy() for layer in (rendered.rgb, rendered.alpha, rendered.depth))
    return Frame(rgb, alpha, depth)


def _tensor(array: np.ndarray) -> Tensor:
    return torch.as_tensor(np.asarray(array, np.float32))
