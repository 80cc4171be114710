"""The built-in talking motion: a standing person who speaks, gestures, nods, looks about and blinks. All made up.

Nothing is recorded: gestures (`gestures`), speech (`speech`) and their timing are drawn from a seed. Stressed
syllables drive mouth, brows, head and hands together, which is what makes it look like one person's doing.
"""

from __future__ import annotations

import numpy as np

from .arms import mirrored
from .curves import drift, pulses, through_keys
from .errors import VivantError
from .gestures import GESTURES, REST, Phase, Reach, perform
from .motion import Motion
from .skeleton import JOINT_INDEX, LEFT_EYE, LEFT_HAND, NUM_JOINTS, RIGHT_EYE, RIGHT_HAND
from .speech import EXPRESSION_NAMES, blink_times, expressions, made_up_speech

MAX_SECONDS = 3600.0

_LEG_LENGTH = 0.81  # metres, hip to ankle of the mean body
_LEFT_ARM = [JOINT_INDEX[f"left_{name}"] for name in ("collar", "shoulder", "elbow", "wrist")]
_RIGHT_ARM = [JOINT_INDEX[f"right_{name}"] for name in ("collar", "shoulder", "elbow", "wrist")]
_HOLD = (0.4, 0.7)  # seconds a gesture stands, from and to
_LONGEST_PHASE = 1.2  # seconds of travel and hold: a gesture starts only if it can end in time


def talking_motion(seconds: float = 6.0, fps: float = 25.0, seed: int = 0) -> Motion:
    """Make up a talking performance around a relaxed standing pose; the same seed gives the same motion.

    The first frame stands at the world's origin (`transl` zero, root unturned) with hanging arms; place it with
    `Motion.placed`. Poses keep within the joint limits of `arms`, wrists stay clear of the torso.

    Raises:
        VivantError: `seconds` or `fps` is out of range.
    """
    if not 0 < seconds <= MAX_SECONDS or not 1 <= fps <= 1000:
        raise VivantError(
            f"A talking motion of {seconds:g} s at {fps:g} frames/s cannot be made. "
            f"Ask for up to {MAX_SECONDS:g} s at 1 to 1000 frames/s."
        )
    rng = np.random.default_rng(seed)
    times = np.arange(max(1, round(seconds * fps))) / fps
    speech = made_up_speech(seconds, rng)
    pose = np.zeros((len(times), NUM_JOINTS, 3))
    _move_arms(pose, times, speech.stresses, rng)
    sway = _move_body(pose, times, rng)
    looks, look_down = _move_head(pose, times, speech.stresses, rng)
    face = expressions(times, speech, blink_times(seconds, looks, rng), look_down)
    transl = np.zeros((len(times), 3))
    transl[:, 0] = sway - sway[0]
    full_pose = pose.reshape(len(times), -1).astype(np.float32)
    return Motion(full_pose, transl.astype(np.float32), face.astype(np.float32), EXPRESSION_NAMES, float(fps))


def _move_arms(pose: np.ndarray, times: np.ndarray, stresses: np.ndarray, rng: np.random.Generator) -> None:
    """Write both arms and hands into `pose` [F, 55, 3], and the torso's turn after the leading hand."""
    seconds = times[-1]
    key_times, left, right = _script(seconds, rng)
    arm, hand, left_wrist = perform(times, key_times, left, stresses)
    pose[:, _LEFT_ARM], pose[:, LEFT_HAND] = arm, hand
    lag = rng.uniform(0.03, 0.08)  # hands never move in perfect step
    arm, hand, right_wrist = perform(times - lag, key_times, right, stresses)
    pose[:, _RIGHT_ARM], pose[:, RIGHT_HAND] = mirrored(arm), mirrored(hand)
    turn = 0.14 * (right_wrist - left_wrist)[:, 1] + 0.10 * (right_wrist - left_wrist)[:, 2]
    for name, share in (("spine1", 0.25), ("spine2", 0.35), ("spine3", 0.4)):
        pose[:, JOINT_INDEX[name], 1] += share * turn


def _script(seconds: float, rng: np.random.Generator) -> tuple[np.ndarray, list[Reach], list[Reach]]:
    """Draw gestures until the time is filled: key times [K] and each arm's reaches [K], starting and ending at rest."""
    times, phases, leads = [0.0, 0.2], [REST, REST], [True, True]
    deck: list[str] = []
    left_leads = bool(rng.integers(2))
    while True:
        deck = deck or [str(name) for name in rng.permutation(list(GESTURES))]
        room = seconds - times[-1] - _travel(GESTURES["wave"][0], REST)
        name = next((name for name in deck if _LONGEST_PHASE * len(GESTURES[name]) <= room), None)
        if name is None:
            break
        deck.remove(name)
        left_leads = not left_leads
        for phase in GESTURES[name]:
            start = times[-1] + _travel(phases[-1], phase) * rng.uniform(0.9, 1.1)
            times += [start, start + rng.uniform(*_HOLD)]
            phases += [phase, phase]
            leads += [left_leads, left_leads]
    times.append(times[-1] + _travel(phases[-1], REST))
    phases.append(REST)
    leads.append(left_leads)
    left = [phase[0 if lead else 1] for phase, lead in zip(phases, leads, strict=True)]
    right = [phase[1 if lead else 0] for phase, lead in zip(phases, leads, strict=True)]
    return np.array(times) * max(1.0, (seconds - 0.2) / times[-1]), left, right  # no idle end


def _travel(start: Phase, end: Phase) -> float:
    """Seconds from one phase to the next: longer ways take longer, at a peak speed of about 1.5 m/s."""
    ways = [np.linalg.norm(np.subtract(b.wrist, a.wrist)) for a, b in zip(start, end, strict=True)]
    return 0.26 + 0.6 * float(max(ways))


def _move_body(pose: np.ndarray, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Breathe, sway and shift the weight with planted feet; returns the pelvis' sideways way [F] in metres."""
    sway = 0.014 * drift(times, rng, 0.35)
    tilt = np.arcsin(sway / _LEG_LENGTH)  # legs lean like a parallelogram: feet stay where they are
    for side in ("left", "right"):
        pose[:, JOINT_INDEX[f"{side}_hip"], 2] -= tilt
        pose[:, JOINT_INDEX[f"{side}_ankle"], 2] += tilt
    breath = np.sin(2 * np.pi * 0.27 * times + rng.uniform(0, 2 * np.pi))
    pose[:, JOINT_INDEX["spine3"], 0] -= 0.010 * breath
    pose[:, JOINT_INDEX["left_collar"], 2] += 0.010 * breath
    pose[:, JOINT_INDEX["right_collar"], 2] -= 0.010 * breath
    pose[:, JOINT_INDEX["spine1"], 2] += 0.02 * drift(times, rng, 0.3) + 0.5 * tilt
    pose[:, JOINT_INDEX["spine2"], 0] += 0.02 + 0.02 * drift(times, rng, 0.4)
    pose[:, JOINT_INDEX["spine2"], 1] += 0.03 * drift(times, rng, 0.35)
    return sway


def _move_head(
    pose: np.ndarray, times: np.ndarray, stresses: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Nod on stresses, turn, and look about; returns when the gaze jumps [L] and how far it points down [F] radians."""
    looks, gaze = _gaze(times[-1], rng)
    head = through_keys(times, *_held(looks + 0.05, 0.55 * gaze, 0.45))  # the head follows part of the way, later
    head[:, 0] += 0.075 * pulses(times, stresses + 0.05, 0.09) + 0.03 * drift(times, rng, 0.7)
    head[:, 1] += 0.06 * drift(times, rng, 0.5)
    eyes = through_keys(times, *_held(looks, gaze, 0.05)) - head
    eyes = np.clip(eyes, (-0.30, -0.45), (0.30, 0.45))
    for name, share in (("neck", 0.45), ("head", 0.55)):
        pose[:, JOINT_INDEX[name], :2] += share * head
        pose[:, JOINT_INDEX[name], 2] += share * 0.07 * drift(times, rng, 0.4)
    torso_turn = pose[:, [JOINT_INDEX[f"spine{k}"] for k in (1, 2, 3)], 1].sum(axis=1)
    pose[:, JOINT_INDEX["neck"], 1] -= 0.7 * torso_turn  # the face stays with the listener
    pose[:, LEFT_EYE, :2] = pose[:, RIGHT_EYE, :2] = eyes[:, None]
    return looks, eyes[:, 0]


def _gaze(seconds: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """When the gaze jumps [L] seconds, and where to [L, 2] pitch (down positive) and yaw (left positive), radians.

    It goes away and comes back to the listener by turns.
    """
    times = np.concatenate([[0.0], np.cumsum(rng.uniform(0.5, 1.3, int(seconds / 0.5) + 2))])
    away = rng.uniform((-0.16, -0.5), (0.30, 0.5), (len(times), 2))
    gaze = np.where(np.arange(len(times))[:, None] % 2 == 1, away, rng.normal(0, 0.02, (len(times), 2)))
    kept = times <= seconds
    return times[kept], gaze[kept]


def _held(starts: np.ndarray, values: np.ndarray, travel: float) -> tuple[np.ndarray, np.ndarray]:
    """Keys that leave for each value at its start, take `travel` seconds and hold it: times [2L], values [2L, D]."""
    arrivals = np.minimum(starts + travel, np.append(starts[1:], np.inf))
    before = np.concatenate([values[:1], values[:-1]])
    return np.stack([starts, arrivals], axis=1).ravel(), np.stack([before, values], axis=1).reshape(-1, values.shape[1])
