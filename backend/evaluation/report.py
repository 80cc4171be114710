"""The evaluation's files: the numbers as JSON, and a page with contact sheets and tables."""

from __future__ import annotations

import json
from pathlib import Path

from backend import page
from backend.evaluation.results import FIT, OURS, Evaluation
from backend.evaluation.sheet import Row, sheet
from backend.evaluation.truth import GROUPS

METRICS = {
    "psnr_person": "PSNR person, dB",
    "psnr_frame": "PSNR frame, dB",
    "ssim_frame": "SSIM frame",
    "st_lpips": "ST-LPIPS",
    "lpips": "LPIPS",
    "iou": "IoU",
    "depth_mm": "depth, mm",
    "face_psnr": "face PSNR",
    "face_st_lpips": "face ST-LPIPS",
    "hand_psnr": "hand PSNR",
    "hand_st_lpips": "hand ST-LPIPS",
}
"""Metric -> column heading, in the order of the table."""
_CONVENTIONS = (
    "Person PSNR: squared error over white of the 8-bit render, summed over the whole frame, divided by 3 x the pixels "
    "whose true alpha exceeds 0.02. A halo costs, white background does not flatter.",
    "Frame PSNR and SSIM: both images over white, every pixel; SSIM with an 11 x 11 Gaussian window, sigma 1.5.",
    "ST-LPIPS (AlexNet) is not LPIPS. It sees the true person box shrunk to 384 pixels; crops at most 256.",
    "Baselines: the photo on the naked body, the photo on our clothed mesh, the cut-out photo moved by the root.",
)


def save_results(evaluation: Evaluation, path: Path) -> None:
    """Write the numbers as JSON: `{subject: {method: {group: {metric: value}}}}` and `settings`."""
    path.write_text(json.dumps(evaluation.results, indent=1), encoding="utf-8")


def write_evaluation_report(evaluation: Evaluation, path: Path) -> None:
    """Write contact sheets and tables as one self-contained HTML file, pictures first."""
    results = dict(evaluation.results)
    settings = results.pop("settings")
    lead = f"{len(results)} subjects, {settings['registration']} registration, on {settings['device']}."
    sections = [
        *(page.section(name, _sheet(_highlights(rows))) for name, rows in evaluation.pictures.items()),
        *(page.section(f"{name} in numbers", *_tables(methods)) for name, methods in results.items()),
        page.section("How it was measured", page.notes(_CONVENTIONS)),
        page.section("Settings", page.facts({name: _plain(value) for name, value in settings.items()})),
        *(page.folded(f"Every frame of {name}", _sheet(rows)) for name, rows in evaluation.pictures.items()),
    ]
    path.write_text(page.page("Vivant: evaluation", lead, sections), encoding="utf-8")


def _highlights(rows: dict[str, Row]) -> dict[str, Row]:
    """The middle frame of each kind."""
    kinds: dict[str, list[str]] = {}
    for name in rows:
        kinds.setdefault(name.partition("_")[0], []).append(name)
    return {name: rows[name] for name in (members[len(members) // 2] for members in kinds.values())}


def _sheet(rows: dict[str, Row]) -> str:
    return page.pictures(page.figure(sheet(rows), ", ".join(rows), wide=True))


def _tables(methods: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    compared = {name: groups for name, groups in methods.items() if name != FIT}
    parts = [_group_table(group, compared) for group in GROUPS if any(group in groups for groups in compared.values())]
    return [*([_fit_table(methods[FIT]["photo"])] if FIT in methods else []), *parts]


def _group_table(group: str, methods: dict[str, dict[str, dict[str, float]]]) -> str:
    scores = {name: groups[group] for name, groups in methods.items() if group in groups}
    shown = [metric for metric in METRICS if any(metric in values for values in scores.values())]
    rows = [(name, *(values.get(metric) for metric in shown)) for name, values in scores.items()]
    return page.table((group, *(METRICS[metric] for metric in shown)), rows, chosen=OURS)


def _fit_table(errors: dict[str, float]) -> str:
    return page.table(("fit to the photo", *errors), [("error", *errors.values())])


def _plain(value: object) -> object:
    return ", ".join(f"{k}: {v}" for k, v in value.items()) if isinstance(value, dict) else value
