"""The avatar's `report.html`: what was seen, what was made of it, with what and how long it took. Pictures first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from backend import page


@dataclass(frozen=True)
class ReportContent:
    """Everything the report shows. Images are uint8; empty parts are left out of the page."""

    title: str
    lead: str  # one sentence under the title
    photo: np.ndarray  # [H, W, 3]
    overlay: np.ndarray  # [H, W, 3] the fitted body over the photo
    matte: np.ndarray  # [H, W, 4] the person cut out, straight alpha
    views: Sequence[tuple[str, np.ndarray]]  # caption and [H, W, 3] or [H, W, 4]
    losses: Mapping[str, Sequence[float]] = field(default_factory=dict)  # name -> value per step
    settings: Mapping[str, object] = field(default_factory=dict)
    providers: Mapping[str, str] = field(default_factory=dict)  # stage -> what did it
    timings: Mapping[str, float] = field(default_factory=dict)  # stage -> seconds
    peak_mb: float | None = None  # the most memory that it took; None where the platform does not tell
    confidence: Mapping[str, float] = field(default_factory=dict)  # body part -> [0, 1]
    notes: Sequence[str] = ()  # plain sentences: warnings, choices, what was not seen
    licences: Mapping[str, str] = field(default_factory=dict)  # what -> licence


def write_report(path: Path, content: ReportContent) -> None:
    """Write the report as one self-contained HTML file."""
    sections = [
        _pictures(content),
        page.section("Worth knowing", page.notes(content.notes)) if content.notes else "",
        _training(content),
        _record(content),
    ]
    path.write_text(page.page(content.title, content.lead, [part for part in sections if part]), encoding="utf-8")


def _pictures(content: ReportContent) -> str:
    source = page.pictures(
        page.figure(content.photo, "The photo"),
        page.figure(content.overlay, "The fitted body over it"),
        page.figure(content.matte, "The person cut out"),
    )
    views = [page.figure(image, caption, wide=image.shape[1] > 2 * image.shape[0]) for caption, image in content.views]
    novel = page.section("Seen anew", page.pictures(*views)) if views else ""
    return source + novel


def _training(content: ReportContent) -> str:
    chart = page.curves(content.losses)
    return page.section("Training", chart) if chart else ""


def _record(content: ReportContent) -> str:
    timings = {stage: f"{seconds:.1f} s" for stage, seconds in content.timings.items()}
    if timings:
        timings["in all"] = f"{sum(content.timings.values()):.1f} s"
    if content.peak_mb is not None:
        timings["most memory"] = f"{content.peak_mb:,.0f} MB"
    blocks = (
        ("Time and memory", timings),
        ("How sure the fit is", {part: f"{value:.0%}" for part, value in content.confidence.items()}),
        ("Providers used", content.providers),
        ("Settings", content.settings),
        ("Licences", content.licences),
    )
    return page.columns(*(page.section(heading, page.facts(values)) for heading, values in blocks if values))
