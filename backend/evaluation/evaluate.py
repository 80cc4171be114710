"""`vivant evaluate`: our avatar and three baselines against rendered people whose every frame is known."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from backend.body.model import BodyModel
from backend.evaluation.baselines import textured_body, textured_mesh
from backend.evaluation.cutout import cutout
from backend.evaluation.fit_error import fit_error
from backend.evaluation.perceptual import perceptual_metrics
from backend.evaluation.results import FIT, OURS, Evaluation
from backend.evaluation.scoring import Scorer, Scores, TruePicture, mean_by_group
from backend.evaluation.sheet import Row, row
from backend.evaluation.sources import Source, fitted_source, true_source
from backend.evaluation.truth import TruthSubject, load_truth
from backend.progress import Event, Progress, silent
from backend.raster.splats import choose_device, provider_name
from backend.rendering.render import render_frames
from backend.stages import Frame
from backend.training.settings import TrainingSettings
from backend.training.train import train
from shared.errors import VivantError
from shared.motion import Motion

REGISTRATIONS = ("truth", "fitted")
"""The photo's true parameters (isolates the avatar), or our own fit to it."""


@dataclass(frozen=True)
class SubjectEvaluation:
    """One subject's share of an `Evaluation`."""

    methods: dict[str, dict[str, Scores]]
    pictures: dict[str, Row]


def evaluate(
    truth: Path,
    settings: TrainingSettings,
    *,
    subjects: tuple[str, ...] | None = None,  # None: all in the folder
    registration: str = "truth",  # one of REGISTRATIONS
    progress: Progress = silent,
) -> Evaluation:
    """Measure every method on every frame of the chosen subjects.

    Raises:
        VivantError: the truth set or the choice of subjects or registration is wrong, or a photo cannot be used.
    """
    if registration not in REGISTRATIONS:
        raise VivantError(f"There is no registration {registration!r}. Choose one of {', '.join(REGISTRATIONS)}.")
    chosen = load_truth(truth, subjects)
    model = BodyModel.load()
    device = choose_device(settings.device)
    scorer = Scorer.load(device)
    started = time.monotonic()
    each = {
        subject.name: _evaluate_subject(subject, model, scorer, settings, registration, progress) for subject in chosen
    }
    results: dict[str, Any] = {name: subject.methods for name, subject in each.items()}
    results["settings"] = {
        "registration": registration,
        **asdict(settings),
        "device": device.type,
        "drawing": provider_name(device),
        "body_sha256": model.sha256,
        "perceptual": {metric.name: metric.provider for metric in perceptual_metrics() if metric.available},
        "seconds": round(time.monotonic() - started, 1),
    }
    return Evaluation(results, {name: subject.pictures for name, subject in each.items()})


def _evaluate_subject(
    subject: TruthSubject,
    model: BodyModel,
    scorer: Scorer,
    settings: TrainingSettings,
    registration: str,
    progress: Progress,
) -> SubjectEvaluation:
    fitted = registration == "fitted"
    source = fitted_source(subject, model, progress) if fitted else true_source(subject, model)
    pictures, scores = {}, []
    renders = _render(source, model, settings, progress)
    for step, (frame, drawn) in enumerate(zip(subject.frames, renders, strict=True), start=1):
        true = TruePicture.of(frame)
        scores.append(scorer.score(drawn, true))
        pictures[frame.name] = row(true.white, drawn, OURS)
        progress(Event("evaluate", step, len(subject.frames), f"{subject.name} {frame.name}"))
    methods = {method: mean_by_group(subject.frames, [frame[method] for frame in scores]) for method in scores[0]}
    if fitted:
        methods[FIT] = {"photo": fit_error(subject, source.registration, model)}
    return SubjectEvaluation(methods, pictures)


def _render(
    source: Source, model: BodyModel, settings: TrainingSettings, progress: Progress
) -> Iterator[dict[str, Frame]]:
    """Every method's render of each frame, depths in the truth's metres. One frame is held at a time."""
    given = (source.observations, source.registration, model)
    ours = _ours(source, model, settings, progress)
    baselines = {
        "textured_mesh": textured_mesh(*given),
        "textured_body": textured_body(*given),
        "cutout": cutout(*given),
    }
    for frame, drawn in zip(source.frames, ours, strict=True):
        methods = {OURS: drawn, **{name: render(frame) for name, render in baselines.items()}}
        yield {name: replace(image, depth=image.depth / source.depth_scale) for name, image in methods.items()}


def _ours(source: Source, model: BodyModel, settings: TrainingSettings, progress: Progress) -> Iterator[Frame]:
    """Build the avatar and draw every frame with it, one at a time."""
    avatar = train(source.observations, source.registration, model, settings, progress=progress).avatar
    motion = Motion(
        full_pose=np.stack([frame.full_pose for frame in source.frames]),
        transl=np.stack([frame.transl for frame in source.frames]),
        expression=np.stack([frame.expression for frame in source.frames]),
        expression_names=model.expression_names,
        fps=25.0,
    )
    cameras = [frame.camera for frame in source.frames]
    return render_frames(avatar, model, motion, cameras, device=choose_device(settings.device))
