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

PERSON_LONGEST_PX = 384
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

    def score(self, renders: Mapping[str, Frame], truth: TruePicture) -> dict[str, Scores]:
        """Return every metric of each render; NaN where a metric is undefined (no true depth, say)."""
        white = {name: metrics.render_over_white(frame.rgb, frame.alpha) for name, frame in renders.items()}
        scores = {name: _pixel_scores(frame, white[name], truth) for name, frame in renders.items()}
        images = np.stack(list(white.values()))  # [R, H, W, 3]
        parts = [
            *([("", truth.person, PERSON_LONGEST_PX)] if truth.person else []),
            *([("face_", truth.face, CROP_LONGEST_PX)] if truth.face else []),
            *(("hand_", hand, CROP_LONGEST_PX) for hand in truth.hands),
        ]
        crops = [self._perceptual(prefix, images, truth.white, box, longest) for prefix, box, longest in parts]
        for index, name in enumerate(renders):
            scores[name].update(mean_scores({key: values[index] for key, values in crop.items()} for crop in crops))
        return scores

    def _perceptual(
        self, prefix: str, images: np.ndarray, truth: np.ndarray, box: Box, longest: int
    ) -> dict[str, list[float]]:
        """Each perceptual distance of the crops of `images` [R, H, W, 3] from the truth's, in one batch."""
        cut = [fit_size(metrics.crop(image, box), longest) for image in (*images, truth)]
        renders, true = torch.cat(cut[:-1]).to(self.device), cut[-1].to(self.device)
        with torch.no_grad():
            return {prefix + name: distance(renders, true).tolist() for name, distance in self.distances.items()}


def _pixel_scores(render: Frame, white: np.ndarray, truth: TruePicture) -> Scores:
    depth = metrics.depth_error_mm(render.depth, render.alpha, truth.depth) if truth.depth is not None else np.nan
    return {
        "psnr_frame": metrics.psnr_frame(white, truth.white),
        "psnr_person": metrics.psnr_person(white, truth.white, truth.alpha),
        "ssim_frame": metrics.ssim_frame(white, truth.white),
        "iou": metrics.iou(render.alpha, truth.alpha),
        "depth_mm": depth,
        **_crop_psnr("face_psnr", white, truth.white, (truth.face,) if truth.face else ()),
        **_crop_psnr("hand_psnr", white, truth.white, truth.hands),
    }


def _crop_psnr(name: str, white: np.ndarray, truth: np.ndarray, boxes: tuple[Box, ...]) -> Scores:
    """The mean over the crops of the PSNR over all of a crop's pixels."""
    return mean_scores({name: metrics.psnr_frame(metrics.crop(white, box), metrics.crop(truth, box))} for box in boxes)


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
