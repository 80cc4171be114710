"""MakeHuman's macro sliders: a body from race, gender, age, build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .source import DECIMETRE, TARGETS, BaseMesh, Source

RACES = ("african", "asian", "caucasian")
SLIDERS: dict[str, tuple[str, ...]] = {
    "gender": ("female", "male"),
    "age": ("baby", "child", "young", "old"),
    "muscle": ("minmuscle", "averagemuscle", "maxmuscle"),
    "weight": ("minweight", "averageweight", "maxweight"),
    "height": ("minheight", "averageheight", "maxheight"),
    "proportions": ("uncommonproportions", "averageproportions", "idealproportions"),
    "cup": ("mincup", "averagecup", "maxcup"),
    "firmness": ("minfirmness", "averagefirmness", "maxfirmness"),
}
"""Each slider runs from 0 to 1 through its words, evenly spaced; the words name the targets."""
ADULT = {"young", "old"}
FOLDERS = ("macrodetails", "macrodetails/height", "macrodetails/proportions", "breast")


@dataclass(frozen=True)
class Phenotypes:
    """The base mesh and its adult macro targets, each weighted by the product of its words' weights."""

    base: np.ndarray  # [19158, 3] decimetres
    words: Sequence[Sequence[str]]  # per target
    offsets: np.ndarray  # [targets, 3 * 19158] float32, decimetres

    @classmethod
    def read(cls, source: Source, mesh: BaseMesh) -> Phenotypes:
        """Load the 336 macro targets that name an adult age."""
        known = set(RACES).union(*SLIDERS.values())
        words, offsets = [], []
        for folder in FOLDERS:
            for name in source.names(f"{TARGETS}/{folder}", ".target.gz"):
                named = name.removeprefix("universal-").split("-")
                if known.issuperset(named) and ADULT.intersection(named):
                    target = source.target(f"{TARGETS}/{folder}/{name}.target.gz", len(mesh.vertices))
                    words.append(named)
                    offsets.append(target.astype(np.float32).ravel())
        return cls(mesh.vertices, words, np.stack(offsets))

    def body(self, races: np.ndarray, sliders: Mapping[str, float]) -> np.ndarray:
        """Vertices [19158, 3], metres, of `races` [3] shares and slider values in [0, 1]; absent sliders are at 0.5."""
        weights = dict(zip(RACES, races / races.sum(), strict=True))
        for slider, anchors in SLIDERS.items():
            weights |= zip(anchors, _hat_weights(sliders.get(slider, 0.5), len(anchors)), strict=True)
        shares = np.array([np.prod([weights[word] for word in words]) for words in self.words], dtype=np.float32)
        used = shares > 0
        return (self.base + (shares[used] @ self.offsets[used]).reshape(-1, 3)) * DECIMETRE

    def sample(self, random: np.random.Generator) -> np.ndarray:
        """A random adult, [19158, 3] metres.

        Ages reach down to 0.6, below the youngest adult anchor (2/3): such samples lose up to a fifth of their targets.
        Kept because the published body, and every registration that refers to it, was made so.
        """

        def around_middle(spread: float) -> float:
            return float(np.clip(random.normal(0.5, spread), 0, 1))

        races = random.dirichlet([0.6] * 3)
        sliders = {"gender": float(np.clip(random.choice([0.05, 0.95]) + random.normal(0, 0.2), 0, 1))}
        sliders["age"] = float(random.uniform(0.6, 1))
        spreads = {"muscle": 0.2, "weight": 0.22, "height": 0.06, "proportions": 0.2, "cup": 0.2, "firmness": 0.2}
        sliders |= {slider: around_middle(spread) for slider, spread in spreads.items()}
        return self.body(races, sliders)


def _hat_weights(value: float, anchors: int) -> np.ndarray:
    """Linear interpolation weights [anchors] of `value` between evenly spaced anchors in [0, 1]."""
    return np.clip(1 - np.abs(np.clip(value, 0, 1) * (anchors - 1) - np.arange(anchors)), 0, None)
