"""The stages of the fit, from coarse to fine. Each takes and returns the flat vector of `parameters.Layout`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from torch import Tensor

from backend.body.model import BodyModel
from backend.stages import Observations, Registration
from shared.camera import Camera

from .contour import Silhouette, silhouette
from .energy import Objective, View
from .evidence import Evidence, gather, leaning
from .levenberg import Solution
from .parameters import Layout, Prior, build_prior
from .rig import Rig, build_rig
from .start import USUAL_FOCAL, first_guess, focal_guesses, pixels

SIDES = ("left", "right")
ARM, LEG = ("collar", "shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")
LIMB_ROWS = {("left", ARM): (0, 1), ("right", ARM): (2, 3), ("left", LEG): (4, 5), ("right", LEG): (6, 7)}
"""The two bones of each limb among `evidence.LIMBS`."""

FOREARM_TWISTS = (-1.2, -0.4, 0.4)
"""Radians about the forearm from which a seen hand is fitted."""
BENT_WEIGHT = 20.0
"""How strongly a trial start bends a limb: about 0.2 of a unit vector."""
FIRST_BETAS = 5
"""Body shape coefficients that the pose landmarks can tell something about."""


@dataclass(frozen=True)
class Fit:
    """What stays the same while one photo is fitted."""

    observations: Observations
    model: BodyModel
    rig: Rig
    prior: Prior
    view: View

    @property
    def found(self) -> tuple[str, ...]:
        """The groups of landmarks that the photo has."""
        names = ("face", "left_hand", "right_hand")
        return ("pose", *(name for name in names if getattr(self.observations, name).found))

    def objective(self, groups: tuple[str, ...], matte: Silhouette | None = None) -> Objective:
        """Compare the landmarks of `groups`, and perhaps the matte."""
        evidence = gather(self.observations, self.rig, groups)
        return Objective(self.view, self.prior, self.rig.only(groups), evidence, matte)

    def joints(self, *names: str) -> list[int]:
        """The entries of the named joints that have room to move."""
        return self.movable(self.prior.layout.joints(*names))

    def movable(self, entries: list[int] | range) -> list[int]:
        """Those of `entries` whose bounds leave them any room."""
        return [entry for entry in entries if self.prior.high[entry] > self.prior.low[entry]]

    def camera(self) -> list[int]:
        """The focal length, unless the file says it."""
        return [] if self.observations.focal is not None else [Layout.LOG_FOCAL.start]

    def registration(self, x: Tensor) -> Registration:
        """The body and camera of `x`, in the fitting frame: camera at the origin, level, looking along -Z."""
        layout, values = self.prior.layout, x.numpy()
        focal, width, height = float(np.exp(values[Layout.LOG_FOCAL][0])), self.view.width, self.view.height
        K = np.array([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
        return Registration(
            body_sha256=self.model.sha256,
            betas=values[layout.betas].copy(),
            expression=values[layout.expression].copy(),
            expression_names=self.model.expression_names,
            full_pose=values[Layout.POSE].copy(),
            transl=values[Layout.TRANSL].copy(),
            camera=Camera(width, height, K, np.diag([1.0, -1.0, -1.0, 1.0])),
            offsets=np.zeros(self.model.template.shape),
            confidence={},
        )

    def errors(self, x: Tensor) -> dict[str, np.ndarray]:
        """Distance between seen and fitted landmarks in sigmas, per group, [N] each."""
        found = {}
        for group in self.found:
            objective = self.objective(("pose",) if group == "pose" else ("pose", group))
            start = 0 if group == "pose" else 33
            found[group] = objective.errors(x)[start:]
        return found


def prepare(observations: Observations, model: BodyModel) -> Fit:
    """Attach the landmarks to the body and set up what is known beforehand."""
    height, width = observations.rgb.shape[:2]
    prior = build_prior(model, np.log(observations.focal or pixels(USUAL_FOCAL, observations)))
    return Fit(observations, model, build_rig(model), prior, View(width, height))


def fit_body_pose(fit: Fit, x: Tensor) -> Tensor:
    """Camera, place, body pose and the first betas, from several focal lengths; the cheapest wins."""
    layout, objective = fit.prior.layout, fit.objective(("pose",))
    place = [*fit.joints("pelvis"), *range(Layout.TRANSL.start, Layout.TRANSL.stop)]
    betas = layout.indices(layout.betas)[:FIRST_BETAS]
    everything = place + fit.movable(range(3, 66)) + betas + fit.camera()
    tried: list[Solution] = []
    for guess in focal_guesses(fit.observations):
        x = objective.minimise(first_guess(fit.observations, fit.prior, guess), place, steps=15).x
        tried.append(objective.minimise(x, everything, steps=30))
    return min(tried, key=lambda solution: solution.cost).x


def fit_limbs(fit: Fit, x: Tensor) -> Tensor:
    """Start each limb with every bone once towards and once away from the camera; keep what explains the photo best."""
    objective = fit.objective(("pose",))
    for (side, names), rows in LIMB_ROWS.items():
        free = fit.joints(*(f"{side}_{name}" for name in names))
        tried = [objective.minimise(x, free, steps=10)]
        for depths in product((-1.0, 1.0), repeat=2):
            bent = objective.with_evidence(_bent(objective.evidence, rows, depths))
            tried.append(objective.minimise(bent.minimise(x, free, steps=8).x, free, steps=15))
        x = min(tried, key=lambda solution: solution.cost).x
    return x


def fit_hands(fit: Fit, x: Tensor) -> Tensor:
    """Fingers, wrist and arm of each hand seen, from several twists of the forearm."""
    for side in SIDES:
        if f"{side}_hand" not in fit.found:
            continue
        objective = fit.objective(("pose", f"{side}_hand"))
        arm = fit.joints(*(f"{side}_{name}" for name in ARM))
        free = arm + fit.movable(fit.prior.layout.hand(side))
        tried = []
        for twist in FOREARM_TWISTS:
            start = x.clone()
            start[fit.joints(f"{side}_elbow")[0]] = twist / 2
            start[fit.joints(f"{side}_wrist")[0]] = twist / 2
            tried.append(objective.minimise(objective.minimise(start, arm, steps=10).x, free, steps=15))
        x = min(tried, key=lambda solution: solution.cost).x
    return x


def fit_face(fit: Fit, x: Tensor) -> Tensor:
    """Head, gaze, expression and shape."""
    if "face" not in fit.found:
        return x
    layout, objective = fit.prior.layout, fit.objective(fit.found)
    head = fit.joints("neck", "head")
    inner = fit.joints("jaw", "left_eye", "right_eye") + fit.movable(layout.indices(layout.expression))
    x = objective.minimise(x, head, steps=10).x
    return objective.minimise(x, head + inner + layout.indices(layout.betas), steps=15).x


def fit_outline(fit: Fit, x: Tensor) -> Tensor:
    """Everything at once, now with the matte: the body must not stand out of it."""
    held = _unseen(fit) | (set() if fit.observations.focal is None else {Layout.LOG_FOCAL.start})
    free = [entry for entry in fit.movable(range(fit.prior.layout.size)) if entry not in held]
    return fit.objective(fit.found, silhouette(fit.observations, fit.rig)).minimise(x, free, steps=15).x


def _unseen(fit: Fit) -> set[int]:
    """Entries nothing speaks for: they stay at what is usual."""
    layout, entries = fit.prior.layout, set()
    for side in SIDES:
        if f"{side}_hand" not in fit.found:
            entries |= set(layout.hand(side))
    if "face" not in fit.found:
        entries |= set(layout.indices(layout.expression)) | set(layout.joints("jaw", "left_eye", "right_eye"))
    return entries


def _bent(evidence: Evidence, rows: tuple[int, int], depths: tuple[float, ...]) -> Evidence:
    """The evidence with a limb's two bones said, strongly, to point 45 degrees to (+1) or from (-1) the camera."""
    direction, weight = evidence.limb_direction.copy(), evidence.limb_weight.copy()
    for row, depth in zip(rows, depths, strict=True):
        direction[row] = leaning(direction[row], depth)
        weight[row] = BENT_WEIGHT
    return evidence.with_limbs(direction, weight)
