"""The shape space: principal components of bodies and faces, and the expressions."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from .phenotypes import Phenotypes
from .rig import Rig
from .source import DECIMETRE, FACE_UNITS, SELECTED, TARGETS, Source
from .tpose import repose

BODIES, BODY_COMPONENTS = 300, 10
FACES, FACE_COMPONENTS = 500, 20
FACE_FOLDERS = ("head", "forehead", "eyebrows", "eyes", "nose", "mouth", "chin", "cheek", "ears", "neck")
FACE_SIGNS = np.array([1 if sign == "+" else -1 for sign in "+--+-----+-+---+-++-"])
"""A component's sign is arbitrary; these, relative to `_signed`, are what registrations of the published body use."""


@dataclass(frozen=True)
class BodySpace:
    """Mean adult and how bodies differ, relative to the pelvis; metres, per standard deviation."""

    vertices: np.ndarray  # [19158, 3]
    joints: np.ndarray  # [55, 3]
    vertex_components: np.ndarray  # [10, 19158, 3]
    joint_components: np.ndarray  # [10, 55, 3]

    def moved(self, shift: np.ndarray) -> BodySpace:
        """The same with the mean body `shift` [3] metres away."""
        return replace(self, vertices=self.vertices + shift, joints=self.joints + shift)


def body_space(phenotypes: Phenotypes, rig: Rig, random: np.random.Generator) -> BodySpace:
    """Principal components of random adults in T-pose. A positive first coefficient makes the body taller."""
    samples = [repose(rig, phenotypes.sample(random)) for _ in range(BODIES)]
    vertices = np.stack([sample.vertices - sample.joints[0] for sample in samples])
    joints = np.stack([sample.joints - sample.joints[0] for sample in samples])
    scores = _scores(vertices[:, SELECTED], BODY_COMPONENTS)
    components = _components(scores, vertices)
    mean = vertices.mean(axis=0)
    top = SELECTED[mean[SELECTED, 1].argmax()]
    signs = np.sign(components[:, top, 1])[:, None, None]
    return BodySpace(mean, joints.mean(axis=0), signs * components, signs * _components(scores, joints))


def face_space(source: Source, count: int, random: np.random.Generator) -> np.ndarray:
    """Components [20, count, 3], metres, of sparse random sums of symmetric local face targets."""
    families: dict[str, np.ndarray] = {}
    for folder in FACE_FOLDERS:
        for name in source.names(f"{TARGETS}/{folder}", ".target.gz"):
            family = f"{folder}/{re.sub('^[lr]-', '', name)}"
            target = source.target(f"{TARGETS}/{folder}/{name}.target.gz", count) * DECIMETRE
            families[family] = families.get(family, np.zeros_like(target)) + target
    basis = np.stack(list(families.values()))
    amounts = np.clip(np.abs(random.normal(0, 0.35, (FACES, len(basis)))), 0, 1)
    amounts *= random.random(amounts.shape) < 0.35
    faces = np.tensordot(amounts, basis, axes=1)
    components = _components(_scores(faces[:, SELECTED], FACE_COMPONENTS), faces)
    return FACE_SIGNS[:, None, None] * _signed(components)


def expressions(source: Source, count: int) -> tuple[list[str], np.ndarray]:
    """Names and offsets [62, count, 3], metres: ten symmetric sums, then the 52 ARKit units in alphabetical order.

    `cheekPuff` is in both and the same in both.
    """
    names = source.names(FACE_UNITS, ".target")
    units = {name: source.target(f"{FACE_UNITS}/{name}.target", count) * DECIMETRE for name in names}

    def both(name: str) -> np.ndarray:
        return units[f"{name}Left"] + units[f"{name}Right"]

    sums = {
        "smile": both("mouthSmile"),
        "frown": both("mouthFrown"),
        "pucker": units["mouthPucker"],
        "funnel": units["mouthFunnel"],
        "stretch": both("mouthStretch"),
        "lipsApart": both("mouthUpperUp") + both("mouthLowerDown"),
        "browUp": units["browInnerUp"] + both("browOuterUp"),
        "browDown": both("browDown"),
        "blink": both("eyeBlink"),
        "cheekPuff": units["cheekPuff"],
    }
    return [*sums, *units], np.stack([*sums.values(), *units.values()])


def _scores(samples: np.ndarray, count: int) -> np.ndarray:
    """Unit-variance principal scores [S, count] of `samples` [S, N, 3]."""
    flat = (samples - samples.mean(axis=0)).reshape(len(samples), -1)
    return np.linalg.svd(flat, full_matrices=False)[0][:, :count] * np.sqrt(len(samples))


def _components(scores: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Least-squares effect [C, N, 3] of the scores on `samples` [S, N, 3]; the scores are orthogonal."""
    return np.tensordot(scores.T / len(scores), samples - samples.mean(axis=0), axes=1)


def _signed(components: np.ndarray) -> np.ndarray:
    """Each component with its largest vertical or frontal move positive (sideways ones come in mirrored pairs)."""
    flat = components[:, :, 1:].reshape(len(components), -1)
    largest = np.take_along_axis(flat, np.abs(flat).argmax(axis=1)[:, None], axis=1)
    return components * np.sign(largest)[:, :, None]
