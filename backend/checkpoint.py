"""Observations on disk, so that an interrupted build need not look at the photo again."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from backend.atomic import write_arrays
from backend.stages import Landmarks, Observations

PARTS = ("body", "face", "left_hand", "right_hand")
IMAGES = ("rgb", "foreground", "alpha", "body_world")


def save_observations(path: Path, observations: Observations) -> None:
    """Write an npz of plain arrays; what is no array goes into one JSON string.

    Raises:
        VivantError: the file cannot be written.
    """
    arrays = {name: getattr(observations, name) for name in IMAGES}
    for part in PARTS:
        landmarks: Landmarks = getattr(observations, part)
        arrays |= {f"{part}_points": landmarks.points, f"{part}_confidence": landmarks.confidence}
    rest = {field.name for field in fields(Observations)} - {*IMAGES, *PARTS}
    arrays["record"] = np.array(json.dumps({name: getattr(observations, name) for name in rest}))
    write_arrays(path, arrays, compressed=False)


def load_observations(path: Path) -> Observations:
    """Read what `save_observations` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        record = json.loads(str(arrays["record"]))
        values: dict[str, Any] = {
            part: Landmarks(arrays[f"{part}_points"], arrays[f"{part}_confidence"]) for part in PARTS
        }
        values |= {name: arrays[name] for name in IMAGES}
    record |= {"box": tuple(record["box"]), "notes": tuple(record["notes"])}
    return Observations(**values, **record)
