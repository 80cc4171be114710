"""What an evaluation gives: numbers and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from backend.evaluation.sheet import Row

OURS = "vivant"
"""The method under test; the others are baselines."""
FIT = "registration"
"""The entry beside the methods that holds the errors of our own fit."""


@dataclass(frozen=True)
class Evaluation:
    """The outcome of one run."""

    results: dict[str, Any]  # {subject: {method: {group: {metric: value}}}} and "settings"
    pictures: dict[str, dict[str, Row]]  # subject -> frame -> small pictures for contact sheets
