"""What each command does with its arguments, and the lines it has to say. Imports wait until a command is chosen."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from backend.atomic import ensure_writable, written_whole
from backend.progress import Progress
from backend.training.settings import TrainingSettings
from shared.errors import VivantError


def _demo(arguments: Namespace, progress: Progress) -> Iterable[object]:
    from backend.perform import demo

    return demo(arguments.out, full_body=arguments.full_body, progress=progress)


def _build(arguments: Namespace, progress: Progress) -> Iterable[object]:
    from backend.pipeline import BuildSettings, build

    settings = BuildSettings(
        training=_training(arguments, show_unseen=arguments.show_unseen),
        body=arguments.body,
        registration=arguments.registration,
        person=arguments.person,
        matte=arguments.matte,
        resume=arguments.resume,
    )
    return [build(arguments.photo, arguments.out, settings, progress=progress)]


def _register(arguments: Namespace, progress: Progress) -> Iterable[object]:
    from backend.pipeline import BuildSettings, register_photo

    settings = BuildSettings(body=arguments.body, person=arguments.person, matte=arguments.matte)
    registration = register_photo(arguments.photo, arguments.out, settings, progress=progress)
    return [arguments.out, arguments.out.with_suffix(".png"), *registration.notes]


def _render(arguments: Namespace, progress: Progress) -> Iterable[object]:
    from backend.perform import RenderSettings, render

    settings = RenderSettings(
        camera=arguments.camera,
        size=arguments.size,
        frames=arguments.frames,
        format=arguments.format,
        fps=arguments.fps,
        background=arguments.background,
        body=arguments.body,
        device=arguments.device,
    )
    return [render(arguments.avatar, arguments.motion, arguments.out, settings, progress=progress)]


def _evaluate(arguments: Namespace, progress: Progress) -> Iterable[object]:
    written = [path for path in (arguments.out, arguments.report) if path is not None]
    for path in written:
        _ensure_file(path)
    from backend.evaluation.evaluate import evaluate
    from backend.evaluation.report import save_results, write_evaluation_report

    evaluation = evaluate(
        arguments.truth,
        _training(arguments),
        subjects=arguments.subjects,
        registration=arguments.registration,
        progress=progress,
    )
    for path, write in zip(written, (save_results, write_evaluation_report), strict=False):
        with written_whole(path) as temporary:
            write(evaluation, temporary)
    return [*_table("person PSNR, dB", _psnr_rows(evaluation.results)), *written]


def _bench(arguments: Namespace, progress: Progress) -> Iterable[object]:
    if arguments.out is not None:
        _ensure_file(arguments.out)
    from backend.bench import bench

    results = bench(arguments.suite, progress)
    lines = [line for suite, rows in results["suites"].items() for line in _table(suite, rows)]
    if arguments.out is None:
        return lines
    with written_whole(arguments.out) as temporary:
        temporary.write_text(json.dumps(results, indent=1), encoding="utf-8")
    return [*lines, arguments.out]


def _doctor(arguments: Namespace, progress: Progress) -> Iterable[object]:
    from backend.doctor import WRONG, examine

    wrong = []
    for finding in examine(arguments.body):
        yield finding
        if finding.state == WRONG:
            wrong.append(finding.capability)
    if wrong:
        raise VivantError(f"Vivant will not work well here: {', '.join(wrong)}. The lines marked WRONG say what to do.")


def _serve(arguments: Namespace, progress: Progress) -> Iterable[object]:
    from backend.service.commands import serve

    return serve(arguments, progress)


def _keys(arguments: Namespace, progress: Progress) -> Iterable[object]:
    from backend.service.commands import manage_keys

    return manage_keys(arguments, progress)


def _client(arguments: Namespace, progress: Progress) -> Iterable[object]:
    from backend.service.client_commands import client

    return client(arguments, progress)


COMMANDS: Mapping[str, Callable[[Namespace, Progress], Iterable[object]]] = {
    "demo": _demo,
    "build": _build,
    "register": _register,
    "render": _render,
    "evaluate": _evaluate,
    "serve": _serve,
    "client": _client,
    "keys": _keys,
    "bench": _bench,
    "doctor": _doctor,
}


def _training(arguments: Namespace, show_unseen: bool = False) -> TrainingSettings:
    return TrainingSettings(
        texture=arguments.texture,
        size=arguments.size,
        steps=arguments.steps,
        seed=arguments.seed,
        device=arguments.device,
        show_unseen=show_unseen,
    )


def _ensure_file(path: Path) -> None:
    """Find out before the work starts whether a file can be written there."""
    ensure_writable(path.parent)
    if path.is_dir():
        raise VivantError(f"{path} is a folder. Give the name of a file.")


def _psnr_rows(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row per subject and method, a column per group."""
    return [
        {"subject": subject, "method": method}
        | {group: round(values["psnr_person"], 2) for group, values in groups.items() if "psnr_person" in values}
        for subject, methods in results.items()
        if subject != "settings"
        for method, groups in methods.items()
        if any("psnr_person" in values for values in groups.values())
    ]


def _table(title: str, rows: list[dict[str, Any]]) -> list[str]:
    heads = list(dict.fromkeys(name for row in rows for name in row))
    cells = [heads, *([_cell(row.get(name)) for name in heads] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)
    return [f"{title}:", *(line.rstrip() for line in lines), ""]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
