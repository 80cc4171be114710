"""The simplest baseline: the photo's cut-out person as a card that stands at the root joint and moves with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import affine_transform

from backend.body.model import BodyModel
from backend.evaluation.actor import Actor, Renderer
from backend.evaluation.truth import TruthFrame
from backend.stages import Frame, Observations, Registration
from shared.camera import Camera


@dataclass(frozen=True)
class RootView:
    """Where a camera sees the root joint."""

    pixel: np.ndarray  # [2] x, y
    depth: float  # metres
    pixels_per_metre: float

    @classmethod
    def of(cls, root: np.ndarray, camera: Camera) -> RootView:
        """The view of the point `root` [3] (metres, world)."""
        pixel, depth = camera.project(root[None])
        return cls(pixel[0], float(depth[0]), float(camera.K[0, 0] / depth[0]))


def cutout(observations: Observations, registration: Registration, model: BodyModel) -> Renderer:
    """Return a renderer that shifts and scales the photo's matte as the root joint moves; the card always faces us."""
    actor = Actor.of(registration, model)
    source = RootView.of(actor.as_registered(registration).joints[0, 0].numpy(), registration.camera)
    alpha = observations.alpha[..., None]
    card = np.concatenate([observations.foreground / 255.0 * alpha, alpha], axis=-1)  # premultiplied: no fringe

    def render(frame: TruthFrame) -> Frame:
        target = RootView.of(actor.like(frame).joints[0, 0].numpy(), frame.camera)
        moved = _move(card, source, target, frame.camera).astype(np.float32)
        return Frame(moved[..., :3], moved[..., 3], np.full(moved.shape[:2], target.depth, dtype=np.float32))

    return render


def _move(card: np.ndarray, source: RootView, target: RootView, camera: Camera) -> np.ndarray:
    """Look the card [h, w, 4] up for every pixel of the new view, [H, W, 4]."""
    scale = source.pixels_per_metre / target.pixels_per_metre
    first = source.pixel + scale * (0.5 - target.pixel) - 0.5  # the card's sample index seen by the first pixel
    size = (camera.height, camera.width)
    planes = [
        affine_transform(card[..., k], np.array([scale, scale]), offset=first[::-1], output_shape=size, order=1)
        for k in range(card.shape[-1])
    ]
    return np.stack(planes, axis=-1)
