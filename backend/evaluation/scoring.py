"""One render against one true frame: every metric under its name, and their means over groups of frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from backend.evaluation import metrics
from backend.evaluation.metrics import Box
from backend.evaluation.perceptual import Distance, fit_size, load_metric, perceptual_metrics
from backend.evaluation.truth import GROUPS, TruthFrame
from backend.stages import Frame

PERSON_LONGEST_PX = 512
CROP_LONGEST_PX = 256
"""Perceptual distances see the person box and the crops shrunk to these sizes, to keep the cost low."""

Scores = dict[str, float]


@dataclass(frozen=True)
class TruePicture:
    """A true frame's picture and the regions it is judged in."""

    white: np.ndarray  # [H, W, 3] over white
    alpha: np.ndarray  # [H, W]
    depth: np.ndarray | None  # [H, W] metres
    person: Box | None
    face: Box | None
    hands: tuple[Box, ...]

    @classmethod
    def of(cls, frame: TruthFrame) -> TruePicture:
        """Read the frame's picture; crops come from its true joints."""
        rgba, joints = frame.rgba(), frame.joints.astype(np.float64)
        alpha = rgba[..., 3].astype(np.float32) / 255.0
        return cls(
            white=metrics.truth_over_white(rgba),
            alpha=alpha,
            depth=frame.depth,
            person=metrics.person_box(alpha),
            face=metrics.face_box(joints, frame.camera),
            hands=tuple(metrics.hand_boxes(joints, frame.camera).values()),
        )


@dataclass(frozen=True)
class Scorer:
    """The metrics that can be computed on this computer."""

    distances: Mapping[str, Distance]  # perceptual metrics by name
    device: torch.device

    @classmethod
    def load(cls, device: torch.device) -> Scorer:
        """Load every perceptual metric whose weights are here."""
        names = [metric.name for metric in perceptual_metrics() if metric.available]
        return cls({name: load_metric(name, device) for name in names}, device)

    def score(self, render: Frame, truth: TruePicture) -> Scores:
        """Return every metric; NaN where a metric is undefined (no true depth, no hand in view)."""
        white = metrics.render_over_white(render.rgb, render.alpha)
        depth = metrics.depth_error_mm(render.depth, render.alpha, truth.depth) if truth.depth is not None else np.nan
        return {
            "psnr_frame": metrics.psnr_frame(white, truth.white),
            "psnr_person": metrics.psnr_person(white, truth.white, truth.alpha),
            "ssim_frame": metrics.ssim_frame(white, truth.white),
            "iou": metrics.iou(render.alpha, truth.alpha),
            "depth_mm": depth,
            **self._perceptual("", white, truth.white, truth.person, PERSON_LONGEST_PX),
            **self._crops("face", white, truth.white, (truth.face,) if truth.face else ()),
            **self._crops("hand", white, truth.white, truth.hands),
        }

    def _crops(self, part: str, white: np.ndarray, true_white: np.ndarray, boxes: tuple[Box, ...]) -> Scores:
        """Means over the part's crops; the crop's PSNR counts all of its pixels."""
        each = [
            {
                f"{part}_psnr": metrics.psnr_frame(metrics.crop(white, box), metrics.crop(true_white, box)),
                **self._perceptual(f"{part}_", white, true_white, box, CROP_LONGEST_PX),
            }
            for box in boxes
        ]
        return mean_scores(each)

    def _perceptual(
        self, prefix: str, white: np.ndarray, true_white: np.ndarray, box: Box | None, longest: int
    ) -> Scores:
        if box is None:
            return {}
        a, b = (fit_size(metrics.crop(image, box), longest).to(self.device) for image in (white, true_white))
        with torch.no_grad():
            return {prefix + name: float(distance(a, b)) for name, distance in self.distances.items()}


def mean_scores(each: Iterable[Scores]) -> Scores:
    """The mean of each metric over the frames where it is defined; metrics that are nowhere defined are left out."""
    values: dict[str, list[float]] = {}
    for scores in each:
        for name, value in scores.items():
            if not np.isnan(value):
                values.setdefault(name, []).append(value)
    return {name: float(np.mean(defined)) for name, defined in values.items()}


def mean_by_group(frames: Iterable[TruthFrame], scores: Iterable[Scores]) -> dict[str, Scores]:
    """Means per group of `GROUPS` that has frames."""
    pairs = list(zip(frames, scores, strict=True))
    members = {group: [score for frame, score in pairs if group in frame.groups] for group in GROUPS}
    return {group: mean_scores(each) for group, each in members.items() if each}
