"""Read motion files (.npz): Vivant's own, AMASS (SMPL-X, SMPL-H), BEAT2 / EMAGE and plain poses.

Which kind a file is shows in its keys. What had to be assumed, converted or dropped is told in `LoadedMotion.notes`.
Only named numeric and text arrays are read, never a pickle. See docs/motion.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import VivantError
from .motion import Motion
from .npz import MAX_FRAMES, NpzReader
from .rotations import axis_angles_from_matrices, matrices_from_axis_angles
from .skeleton import BODY, JAW, LEFT_EYE, LEFT_HAND, NUM_JOINTS, RIGHT_EYE, RIGHT_HAND, ROOT

RATE_KEYS = ("fps", "mocap_frame_rate", "mocap_framerate", "frame_rate")

PELVIS = np.array([0.003, -0.351, 0.012])
"""Metres: the pelvis of a mean SMPL-X body at rest, about which the root turns. Shapes move it by a few centimetres."""

_FULL = (ROOT, BODY, JAW, LEFT_EYE, RIGHT_EYE, LEFT_HAND, RIGHT_HAND)
_LAYOUTS: dict[int, tuple[slice, ...]] = {
    165: _FULL,
    156: (ROOT, BODY, LEFT_HAND, RIGHT_HAND),  # SMPL-H: no jaw, no eyes
    72: (ROOT, BODY),  # SMPL: its last two joints are stumps of hands
    66: (ROOT, BODY),
}
"""Joints that a row of `poses` holds, by its width."""

_PARTS = {"root_orient": 3, "pose_body": 63, "pose_jaw": 3, "pose_eye": 6, "pose_hand": 90}
"""The pieces some AMASS files hold instead of `poses`; face and hands may be missing."""

_TO_Y_UP = {
    "y": np.eye(3),
    "z": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "-y": np.diag([1.0, -1.0, -1.0]),  # a camera's frame, y down
}
_CLEARLY_UP = 0.7
"""A mean up vector of the root this long along one axis decides; people lie and tumble in some recordings."""


@dataclass(frozen=True)
class LoadedMotion:
    """A motion and, in plain sentences, what reading it took for granted."""

    motion: Motion
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Known:
    """What the user knows better than the file tells or its kind suggests; None leaves it to them."""

    fps: float | None = None  # frames per second of the recording
    up_axis: str | None = None  # y, z, or -y for a camera's frame
    flat_hands: bool | None = None  # whether fingers count from the flat hand, not from a mean one


@dataclass(frozen=True)
class Basis:
    """The expressions of the body that will be driven: what nameless columns of a file made for it mean."""

    body_sha256: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class _Kind:
    name: str
    up_axis: str  # where the recording itself does not show it
    hands_from_mean: bool  # finger angles count from the body model's relaxed hand


_OWN = _Kind("Vivant motion", "y", False)
_BEAT2 = _Kind("BEAT2 / EMAGE", "y", True)  # saved from smplx models made without flat_hand_mean (PantoMatrix)
_AMASS_X = _Kind("AMASS SMPL-X", "z", False)
_AMASS_H = _Kind("AMASS SMPL-H", "z", False)
_PLAIN = _Kind("plain SMPL-X poses", "y", False)


def load_motion(
    path: Path,
    fps: float | None = None,
    hand_mean: np.ndarray | None = None,
    known: Known | None = None,
    basis: Basis | None = None,
) -> LoadedMotion:
    """Read a motion file and bring it to Vivant's conventions: Y up, flat-mean hands, expressions by name.

    Args:
        path: an .npz of one of the kinds above.
        fps: frames per second wanted; None keeps the file's own.
        hand_mean: [30, 3] relaxed left and right hand of the body that will be driven. Added, as smplx does, to hands
            that a file gives relative to a mean, and taken for hands that a file does not have.
        known: overrides what would be read or guessed.
        basis: of the body that will be driven. Nameless expressions of a file with its `body_sha256` are kept.

    Raises:
        VivantError: the file cannot be read, is of no known kind, or holds numbers that are no motion.
    """
    if fps is not None and not 1 <= fps <= 1000:
        raise VivantError(f"{fps:g} frames/s is no usable rate. Ask for 1 to 1000.")
    known = known or Known()
    with NpzReader(path) as npz:
        kind = _kind(npz)
        poses, notes = _poses(npz, kind, hand_mean, known.flat_hands)
        transl = npz.numbers("transl" if kind is _OWN else "trans", len(poses), 3)
        expression, names = _expression(npz, len(poses), basis, notes)
        rate = known.fps or _rate(npz)
        up_axis = known.up_axis or _up_axis(npz, kind, poses, notes)
    _check(path, poses, transl)
    poses, transl = _y_up(poses, transl, up_axis)
    motion = Motion(poses.reshape(len(poses), -1), transl, expression.astype(np.float32), names, rate)
    notes.insert(0, f"{path.name}: {kind.name}, {len(motion)} frames at {rate:g} frames/s ({motion.seconds:.1f} s).")
    if fps is not None and fps != rate:
        if len(motion) * fps / rate > MAX_FRAMES:
            raise VivantError(f"{path} at {fps:g} frames/s has more than {MAX_FRAMES} frames. Ask for a lower rate.")
        motion = motion.resampled(fps)
        notes.append(f"Resampled from {rate:g} to {fps:g} frames/s.")
    return LoadedMotion(motion, tuple(notes))


def _kind(npz: NpzReader) -> _Kind:
    keys = npz.keys
    if "full_pose" in keys:
        return _OWN
    if "poses" not in keys and not {"root_orient", "pose_body"} <= keys:
        npz.fail(
            "is of no known kind: it has neither full_pose, nor poses, nor root_orient and pose_body",
            f"It holds {', '.join(sorted(keys)[:12]) or 'nothing'}. Save the motion as poses, trans, mocap_frame_rate.",
        )
    if "surface_model_type" in keys or "root_orient" in keys:
        return _AMASS_H if npz.text("surface_model_type").startswith("smplh") else _AMASS_X
    if npz.text("model").startswith("smplx"):
        return _BEAT2
    return _AMASS_H if "dmpls" in keys or "mocap_framerate" in keys else _PLAIN


def _poses(
    npz: NpzReader, kind: _Kind, hand_mean: np.ndarray | None, flat_hands: bool | None
) -> tuple[np.ndarray, list[str]]:
    """All joints [F, 55, 3], hands counted from the flat hand, and what was assumed for them."""
    rows = _rows(npz, kind)
    if rows.shape[1] not in _LAYOUTS:
        npz.fail(
            f"has poses of {rows.shape[1]} numbers a frame",
            "Give axis-angles for SMPL-X (165), SMPL-H (156) or SMPL (72, 66); hand PCA must be expanded first.",
        )
    layout = _LAYOUTS[rows.shape[1]]
    poses = np.zeros((len(rows), NUM_JOINTS, 3), np.float32)
    start = 0
    for joints in layout:
        width = 3 * (joints.stop - joints.start)
        poses[:, joints] = rows[:, start : start + width].reshape(len(rows), -1, 3)
        start += width
    notes = []
    if JAW not in layout:
        notes.append("No jaw and no eyes in the file: jaw closed, eyes straight ahead.")
    if LEFT_HAND not in layout:
        poses[:, LEFT_HAND.start :] = 0 if hand_mean is None else hand_mean
        notes.append(f"No fingers in the file: {'flat' if hand_mean is None else 'relaxed'} hands.")
    elif _hands_from_mean(npz, kind) if flat_hands is None else not flat_hands:
        poses[:, LEFT_HAND.start :] += 0 if hand_mean is None else hand_mean
        notes.append(_mean_note(hand_mean is not None))
    elif kind is not _OWN and flat_hands is None and npz.scalar("flat_hand_mean") is None:
        notes.append(f"Its fingers are taken to count from a flat hand ({kind.name}). Else add flat_hand_mean=False.")
    return poses, notes


def _rows(npz: NpzReader, kind: _Kind) -> np.ndarray:
    """The file's pose numbers [F, width of a layout], put together from pieces where they come so."""
    if kind is _OWN:
        return npz.numbers("full_pose", None, 165)
    if "poses" in npz.keys:
        return npz.numbers("poses", None, None)
    frames = len(npz.numbers("root_orient", None, 3))
    wanted = [key for key in _PARTS if key in npz.keys]
    if len(wanted) < len(_PARTS):  # without jaw or eyes the others do not add up to a layout that has them
        wanted = [key for key in wanted if key not in ("pose_jaw", "pose_eye")]
    return np.concatenate([npz.numbers(key, frames, _PARTS[key]) for key in wanted], axis=1)


def _hands_from_mean(npz: NpzReader, kind: _Kind) -> bool:
    flat = npz.scalar("flat_hand_mean")
    return kind.hands_from_mean if flat is None else not flat


def _mean_note(have_mean: bool) -> str:
    if have_mean:
        return "Its fingers count from a mean hand: the loaded body's was added, which is near but not the file's own."
    return "Its fingers count from a mean hand that is not known here: hands will look flatter than recorded."


def _expression(
    npz: NpzReader, frames: int, basis: Basis | None, notes: list[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Expressions that have names [F, E], or get them from their own body; others are dropped aloud."""
    key = next((key for key in ("expression", "expressions") if key in npz.keys), None)
    if key is None:
        return np.zeros((frames, 0)), ()
    values = npz.numbers(key, frames, None)
    if "expression_names" not in npz.keys:
        return _nameless(values, npz.text("body_sha256"), basis, notes)
    names = npz.texts("expression_names")
    if len(names) != values.shape[1]:
        npz.fail(f"has {len(names)} expression names for {values.shape[1]} columns", "Write one name per column.")
    return values, names


def _nameless(
    values: np.ndarray, body_sha256: str, basis: Basis | None, notes: list[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Columns mean something on the body that they were made for, and nothing on any other."""
    if basis is not None and body_sha256 == basis.body_sha256:
        names = basis.names[: values.shape[1]]
        surplus = values.shape[1] - len(names)
        notes.append(f"{len(names)} nameless expressions kept: they were made for this body.")
        if surplus:
            notes.append(f"{surplus} more expression numbers dropped: the body has no such columns.")
        return values[:, : len(names)], names
    owner = f"belong to the body file {body_sha256[:12]}" if body_sha256 else "the file names no body (body_sha256)"
    notes.append(
        f"{values.shape[1]} expression numbers dropped: they have no names, so they fit one model's basis only "
        f"(FLAME's or SMPL-X's), and {owner}. The face moves by the jaw and eye joints alone."
    )
    return np.zeros((len(values), 0)), ()


def _rate(npz: NpzReader) -> float:
    key = next((key for key in RATE_KEYS if key in npz.keys), None)
    if key is None:
        npz.fail("does not say its frame rate", "Add mocap_frame_rate (frames per second) to the file.")
    rate = npz.scalar(key)
    if rate is None or not 1 <= rate <= 1000:
        npz.fail(f"says {key} = {rate}, which is no frame rate", "Write 1 to 1000 frames per second.")
    return float(rate)


def _up_axis(npz: NpzReader, kind: _Kind, poses: np.ndarray, notes: list[str]) -> str:
    """Which axis points up: what the file says, else where most roots point, else what its kind does."""
    stated = npz.text("up_axis").lower()
    if stated and stated not in _TO_Y_UP:
        npz.fail(f"says up_axis = {stated!r}", "Write one of " + ", ".join(_TO_Y_UP) + ".")
    if stated:
        return stated
    up = matrices_from_axis_angles(poses[:, 0].astype(np.float64))[:, :, 1].mean(axis=0)
    shown = {"y": up[1], "z": up[2], "-y": -up[1]}
    best = max(shown, key=lambda axis: shown[axis])
    if shown[best] > _CLEARLY_UP:
        notes.append(f"Up axis {best}: there the root's own up points ({shown[best]:.2f} of 1 on average).")
        return best
    notes.append(f"Up axis {kind.up_axis}, as usual for {kind.name}: the root does not show it. Else add up_axis.")
    return kind.up_axis


def _y_up(poses: np.ndarray, transl: np.ndarray, up_axis: str) -> tuple[np.ndarray, np.ndarray]:
    """Turn the world. The root turns about the pelvis, not about the origin, so `transl` takes up the difference."""
    transl = transl.astype(np.float32)
    if up_axis == "y":
        return poses, transl
    turn = _TO_Y_UP[up_axis]
    turned = poses.copy()
    turned[:, 0] = axis_angles_from_matrices(turn @ matrices_from_axis_angles(poses[:, 0].astype(np.float64)))
    return turned, ((transl + PELVIS) @ turn.T - PELVIS).astype(np.float32)


def _check(path: Path, poses: np.ndarray, transl: np.ndarray) -> None:
    if np.abs(poses).max() > 4 * np.pi:
        raise VivantError(f"The motion file {path} turns joints by more than two full turns. Write radians.")
    if np.abs(transl).max() > 10_000:
        raise VivantError(f"The motion file {path} moves by more than 10 km. Write trans in metres.")
