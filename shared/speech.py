"""Made-up speech: syllables with stresses, the mouth that says them, blinks and looks. Expressions by ARKit name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .curves import minimum_jerk, pulses, through_keys

EXPRESSION_NAMES: tuple[str, ...] = (
    "jawOpen",
    "mouthFunnel",
    "mouthPucker",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthRollLower",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "browDownLeft",
    "browDownRight",
    "cheekSquintLeft",
    "cheekSquintRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeLookDownLeft",
    "eyeLookDownRight",
)

_VOWELS: dict[str, dict[str, float]] = {
    "a": {"jawOpen": 0.50, "mouthLowerDown": 0.20},
    "e": {"jawOpen": 0.28, "mouthStretch": 0.30, "mouthLowerDown": 0.20},
    "i": {"jawOpen": 0.14, "mouthSmile": 0.35, "mouthStretch": 0.25},
    "o": {"jawOpen": 0.36, "mouthFunnel": 0.60},
    "u": {"jawOpen": 0.14, "mouthPucker": 0.80, "mouthFunnel": 0.20},
}
_CONSONANTS: dict[str, dict[str, float]] = {
    "m": {"mouthPress": 0.35},
    "f": {"jawOpen": 0.06, "mouthRollLower": 0.40, "mouthUpperUp": 0.20},
    "l": {"jawOpen": 0.18, "mouthLowerDown": 0.20},
    "s": {"jawOpen": 0.05, "mouthStretch": 0.25, "mouthLowerDown": 0.25, "mouthUpperUp": 0.12},
    "sh": {"jawOpen": 0.08, "mouthFunnel": 0.50, "mouthUpperUp": 0.10},
    "k": {"jawOpen": 0.14},
}
"""Mouth shapes; a name without a side stands for both."""
SHUT = 0.7
"""Weight of `eyeBlink` at which the open body's lids meet; beyond, the upper lid goes on over the cheek."""


@dataclass(frozen=True)
class Speech:
    """What is said and when: mouth keys, and the syllables that head, brows and hands stress."""

    mouth_times: np.ndarray  # [K] seconds
    mouth: np.ndarray  # [K, E] columns of EXPRESSION_NAMES
    stresses: np.ndarray  # [S] seconds


def made_up_speech(seconds: float, rng: np.random.Generator) -> Speech:
    """Draw phrases of 4 to 9 syllables with pauses between them; about every third syllable is stressed."""
    times, shapes, stresses = [0.0], [_row({})], []
    now = rng.uniform(0.25, 0.45)
    while now < seconds - 0.6:
        times.append(now - 0.12)
        shapes.append(_row({}))
        for syllable in range(int(rng.integers(4, 10))):
            stressed = syllable % 3 == 1
            length = rng.uniform(0.16, 0.22) + 0.09 * stressed
            times += [now, now + 0.45 * length]
            shapes += [_drawn(_CONSONANTS, rng, 1.0), _drawn(_VOWELS, rng, 1.0 if stressed else rng.uniform(0.5, 0.8))]
            if stressed:
                stresses.append(now + 0.4 * length)
            now += length
            if now > seconds - 0.4:
                break
        times.append(now + 0.1)
        shapes.append(_row({"mouthSmile": rng.uniform(0.0, 0.3)}))
        now += rng.uniform(0.35, 0.7)
    return Speech(np.array(times), np.stack(shapes), np.array(stresses))


def blink_times(seconds: float, looks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw blinks [B] seconds, 1.6 to 3.6 s apart, and with every other change of gaze (`looks` [L] seconds)."""
    times = np.cumsum(rng.uniform(1.6, 3.6, int(seconds / 1.6) + 2))
    times = np.sort(np.concatenate([times - 0.8, looks[1::2] + 0.04]))
    apart = np.concatenate([[True], np.diff(times) > 0.5])
    return times[apart & (times < seconds - 0.2)]


def blink_curve(times: np.ndarray, blinks: np.ndarray) -> np.ndarray:
    """How far the lids are closed [F] in [0, 1]: shut in 0.08 s, closed for 0.06 s, open again in 0.12 s."""
    since = times[:, None] - blinks.reshape(1, -1)
    closed = minimum_jerk((since + 0.11) / 0.08) * (1 - minimum_jerk((since - 0.03) / 0.12))
    return closed.max(axis=1, initial=0.0)


def expressions(
    times: np.ndarray,  # [F] seconds
    speech: Speech,
    blinks: np.ndarray,  # [B] seconds
    look_down: np.ndarray,  # [F] radians, how far the eyes look down
) -> np.ndarray:  # [F, E] in [0, 1], columns of EXPRESSION_NAMES
    """The speaking face. The mouth opens by `jawOpen`, never by the jaw joint as well: both move the same skin."""
    face = through_keys(times, speech.mouth_times, speech.mouth)
    stress = pulses(times, speech.stresses, 0.12)
    mood = 0.5 + 0.5 * np.sin(2 * np.pi * times / 3.7 + 0.9)
    face += _spread({"browInnerUp": 0.30, "browOuterUp": 0.35}) * stress[:, None]
    face += _spread({"mouthSmile": 0.16, "cheekSquint": 0.15}) * mood[:, None]
    face += _spread({"browDown": 0.12}) * (1 - mood)[:, None]
    face += _spread({"eyeLookDown": 1.0}) * np.clip(look_down / 0.5, 0.0, 0.6)[:, None]
    face += _spread({"eyeBlink": SHUT}) * blink_curve(times, blinks)[:, None]
    return np.clip(face, 0.0, 1.0)


def _drawn(shapes: dict[str, dict[str, float]], rng: np.random.Generator, strength: float) -> np.ndarray:
    name = list(shapes)[int(rng.integers(len(shapes)))]
    return strength * _row(shapes[name])


def _row(weights: dict[str, float]) -> np.ndarray:
    """One row [E] from weights by name, a name without a side setting both."""
    row = np.zeros(len(EXPRESSION_NAMES))
    for name, weight in weights.items():
        for side in ("", "Left", "Right"):
            if name + side in EXPRESSION_NAMES:
                row[EXPRESSION_NAMES.index(name + side)] = weight
    return row


def _spread(weights: dict[str, float]) -> np.ndarray:
    return _row(weights)[None]
