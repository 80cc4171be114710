"""Contact sheets: the frames of one group side by side, one row per method, the error of ours below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from backend.evaluation.metrics import render_over_white
from backend.stages import Frame

_CELL_HEIGHT = 320
_LABEL_WIDTH = 110
_ERROR_GAIN = 3.0  # a difference of a third of full scale is drawn in full red


def cell(image: np.ndarray) -> np.ndarray:
    """Shrink a picture [H, W, 3] in [0, 1] to the height of a sheet's row, uint8."""
    width = round(image.shape[1] * _CELL_HEIGHT / image.shape[0])
    pixels = Image.fromarray(np.round(image * 255.0).astype(np.uint8))
    return np.asarray(pixels.resize((width, _CELL_HEIGHT), Image.Resampling.BOX))


def cells(truth: np.ndarray, renders: Mapping[str, Frame], judged: str) -> dict[str, np.ndarray]:
    """The column of one frame, by row label: `truth` over white, each render, and the error of the `judged` one."""
    over_white = {name: render_over_white(frame.rgb, frame.alpha) for name, frame in renders.items()}
    error = np.clip(_ERROR_GAIN * np.abs(over_white[judged] - truth).mean(-1, keepdims=True), 0.0, 1.0)
    heat = 1.0 - error * np.array([0.15, 0.85, 0.9])  # white: equal, red: far off
    return {
        "truth": cell(truth),
        **{name: cell(image) for name, image in over_white.items()},
        f"error of {judged}": cell(heat),
    }


def sheet(names: Sequence[str], columns: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
    """Join the columns of `cells` under the frames' `names`: [H, W, 3] uint8."""
    rows = list(columns[0])
    width = columns[0][rows[0]].shape[1]
    canvas = Image.new("RGB", (_LABEL_WIDTH + width * len(columns), 20 + _CELL_HEIGHT * len(rows)), "white")
    draw = ImageDraw.Draw(canvas)
    for x, (name, column) in enumerate(zip(names, columns, strict=True)):
        draw.text((_LABEL_WIDTH + x * width + 6, 4), name, fill="black")
        for y, row in enumerate(rows):
            canvas.paste(Image.fromarray(column[row]), (_LABEL_WIDTH + x * width, 20 + y * _CELL_HEIGHT))
    for y, row in enumerate(rows):
        draw.text((6, 20 + y * _CELL_HEIGHT + _CELL_HEIGHT // 2), row, fill="black")
    return np.asarray(canvas)
