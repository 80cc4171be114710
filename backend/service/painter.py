"""Frames of the avatars that are open: the part of the render worker that knows no socket."""

from __future__ import annotations

import time
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

from backend.avatar.files import load_avatar
from backend.avatar.posing import PosableAvatar
from backend.body.model import BodyModel
from backend.rendering.boxed import draw_boxed
from backend.service.client_files import add_client_files
from backend.service.frame_slot import write
from backend.service.machine import memory, release
from backend.service.ring import Ring
from backend.service.work import WorkFrame, WorkMemory, WorkRender
from shared.camera import Camera
from shared.wire.codec import Buffers
from shared.wire.limits import AVATARS_SHARE, OPEN_AVATARS, TEXT_CHARS


class Painter:
    """Keeps avatars ready to be posed, and draws them into rings."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._model = BodyModel.load()
        self._avatars: OrderedDict[str, PosableAvatar] = OrderedDict()  # the one drawn last comes last
        self._rings: dict[Path, Ring] = {}

    def open(self, avatar: str, folder: Path) -> PosableAvatar:
        """The avatar, loaded if it is not yet.

        Raises:
            VivantError: the folder is no avatar, or belongs to another body.
        """
        if avatar not in self._avatars:
            loaded = load_avatar(folder, self._model)
            add_client_files(folder, loaded, self._model)
            self._avatars[avatar] = PosableAvatar(loaded, self._model, self._device)
            self._close_idle()
        self._avatars.move_to_end(avatar)
        return self._avatars[avatar]

    def opened(self, avatar: str, folder: Path) -> WorkMemory:
        """Load the avatar, as `open` does."""
        self.open(avatar, folder)
        return self.memory()

    def close(self, avatar: str = "") -> None:
        """Forget one avatar, or all."""
        for name in [avatar] if avatar else list(self._avatars):
            self._avatars.pop(name, None)
        release()

    def names(self) -> frozenset[str]:
        """Of the avatars that are open."""
        return frozenset(self._avatars)

    def memory(self) -> WorkMemory:
        """What is held now, and by whom."""
        return WorkMemory(*memory(self._device), tuple(self._avatars))

    def draw(self, work: WorkRender, buffers: Buffers) -> WorkFrame:
        """Draw one frame into its slot.

        Raises:
            VivantError: the avatar cannot be loaded.
        """
        began = time.perf_counter()
        posable = self.open(work.avatar, Path(work.folder))
        values, dropped = self._model.map_expression(work.expression_names, buffers["expression"])
        full_pose, transl, expression = (
            torch.as_tensor(row) for row in (buffers["full_pose"][0], buffers["transl"][0], values[0])
        )
        camera = _camera(work, buffers)
        with torch.inference_mode():
            gaussians = posable.pose(full_pose, transl, expression, camera.centre)
        boxed = draw_boxed(gaussians, camera)
        near, far = write(self._slot(work), boxed.rendered, work.pixels, work.live)
        x0, y0, x1, y1 = boxed.box
        took = round((time.perf_counter() - began) * 1000, 3)
        return WorkFrame(work.request, x0, y0, x1 - x0, y1 - y0, near, far, took, _notes(dropped))

    def _slot(self, work: WorkRender) -> memoryview:
        path = Path(work.ring)
        if path not in self._rings:
            for gone in [one for one in self._rings if not one.exists()]:
                self._rings.pop(gone).close()
            self._rings[path] = Ring.open(path)
        return self._rings[path].slot(work.slot)

    def _close_idle(self) -> None:
        budget = AVATARS_SHARE * memory(self._device)[1]
        while len(self._avatars) > OPEN_AVATARS or (len(self._avatars) > 1 and self._nbytes() > budget):
            self._avatars.popitem(last=False)

    def _nbytes(self) -> int:
        """Of all avatars that are open."""
        return sum(posable.nbytes for posable in self._avatars.values())


def _camera(work: WorkRender, buffers: Buffers) -> Camera:
    K, world_to_camera = (buffers[name][0].astype(np.float64) for name in ("K", "world_to_camera"))
    return Camera(work.width, work.height, K, world_to_camera)


def _notes(dropped: tuple[str, ...]) -> tuple[str, ...]:
    return (f"This body has no expression {', '.join(dropped)}: left out."[:TEXT_CHARS],) if dropped else ()
