"""How far each part of a fit can be trusted, as numbers and as sentences."""

from __future__ import annotations

import numpy as np

from backend.stages import Observations

LOW = 0.4
"""Below this a part gets its sentence."""

BODY_ROWS = (11, 12, 23, 24)
PART_ROWS = {
    "left_arm": (11, 13, 15),
    "right_arm": (12, 14, 16),
    "legs": (23, 24, 25, 26, 27, 28),
}

SENTENCES = {
    "body": "Little of the trunk is seen: its shape and distance are guesses.",
    "face": "The face is not seen well enough: a neutral face is used.",
    "left_hand": "Left hand not visible: relaxed pose used.",
    "right_hand": "Right hand not visible: relaxed pose used.",
    "left_arm": "Left arm only partly visible: its pose is partly a guess.",
    "right_arm": "Right arm only partly visible: its pose is partly a guess.",
    "legs": "Legs not visible: a standing pose is used.",
}


def judge(
    observations: Observations,
    errors: dict[str, np.ndarray],  # per group of landmarks, [N] distance between seen and fitted, in sigmas
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Confidence in [0, 1] per part, and a sentence for each low one.

    A landmark counts by its own confidence times how well the fit meets it: 1 within a sigma, a half at two.
    """
    seen = observations.body.confidence * _agreement(errors["pose"])
    confidence = {part: float(np.mean(seen[list(rows)])) for part, rows in PART_ROWS.items()}
    confidence["body"] = float(np.mean(np.sort(seen[list(BODY_ROWS)])[::-1][:3]))
    for group, landmarks in (
        ("face", observations.face),
        ("left_hand", observations.left_hand),
        ("right_hand", observations.right_hand),
    ):
        met = _agreement(errors[group]) if group in errors else np.zeros(1)
        confidence[group] = float(landmarks.confidence.max(initial=0.0) * np.mean(met))
    return confidence, tuple(SENTENCES[part] for part in SENTENCES if confidence[part] < LOW)


def _agreement(error: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.maximum(error - 1.0, 0.0) ** 2)
