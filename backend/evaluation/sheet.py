"""Contact sheets: one row per frame; the truth, every method and the error of ours side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw

from backend.evaluation.metrics import render_over_white
from backend.stages import Frame

_CELL_HEIGHT = 340
_HEADING = 20
_ERROR_GAIN = 3.0  # a difference of a third of full scale is drawn in full red

Row = dict[str, np.ndarray]
"""The pictures of one frame by column heading, [h, w, 3] uint8."""


def row(truth: np.ndarray, renders: Mapping[str, Frame], judged: str) -> Row:
    """Shrink one frame's pictures: `truth` [H, W, 3] over white, each render, and the error of the `judged` one."""
    over_white = {name: render_over_white(frame.rgb, frame.alpha) for name, frame in renders.items()}
    error = np.clip(_ERROR_GAIN * np.abs(over_white[judged] - truth).mean(-1, keepdims=True), 0.0, 1.0)
    heat = 1.0 - error * np.array([0.15, 0.85, 0.9])  # white: equal, red: far off
    pictures = {"truth": truth, **over_white, f"error of {judged}": heat}
    return {name: _shrink(image) for name, image in pictures.items()}


def sheet(rows: Mapping[str, Row]) -> np.ndarray:
    """Join the rows of some frames, by the frame's name: [H, W, 3] uint8."""
    headings = list(next(iter(rows.values())))
    width = next(iter(rows.values()))[headings[0]].shape[1]
    canvas = Image.new("RGB", (width * len(headings), _HEADING + _CELL_HEIGHT * len(rows)), "white")
    draw = ImageDraw.Draw(canvas)
    for x, heading in enumerate(headings):
        draw.text((x * width + 6, 4), heading, fill="black")
        for y, cells in enumerate(rows.values()):
            canvas.paste(Image.fromarray(cells[heading]), (x * width, _HEADING + y * _CELL_HEIGHT))
    for y, name in enumerate(rows):
        draw.text((6, _HEADING + y * _CELL_HEIGHT + 4), name, fill="gray")
    return np.asarray(canvas)


def _shrink(image: np.ndarray) -> np.ndarray:
    width = round(image.shape[1] * _CELL_HEIGHT / image.shape[0])
    pixels = Image.fromarray(np.round(image * 255.0).astype(np.uint8))
    return np.asarray(pixels.resize((width, _CELL_HEIGHT), Image.Resampling.BOX))
