"""The chosen person's matte: from the photo's own alpha, from rembg, or from MediaPipe's masks refined by colour."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from shared.errors import VivantError

from .crops import Box
from .detectors import MEDIAPIPE
from .matting import alpha_from_prior, foreground_colours

REMBG_MODEL = "birefnet-general"
MAX_MATTING_PIXELS = 1_000_000
BONES = (
    (11, 12),
    (11, 23),
    (12, 24),
    (23, 24),
    (11, 13),
    (13, 15),
    (12, 14),
    (14, 16),
    (23, 25),
    (25, 27),
    (24, 26),
    (26, 28),
)
SHARE_LIMITS = (0.15, 0.9)
"""How much of the person's box a believable matte fills."""


@dataclass(frozen=True)
class Scene:
    """What the matte is made from, in pixels of the working image."""

    rgb: np.ndarray  # [H, W, 3] uint8
    prior: np.ndarray  # [H, W] probability of the chosen person
    body: np.ndarray  # [33, 2] landmarks of the chosen person
    confidence: np.ndarray  # [33]
    face: np.ndarray  # [478, 2]
    others: list[np.ndarray]  # [33, 2] points of each other person
    torso: float  # pixels


@dataclass(frozen=True)
class Matte:
    """Alpha and colours of the person, in pixels of the working image."""

    alpha: np.ndarray  # [H, W] float32
    foreground: np.ndarray  # [H, W, 3] uint8
    provider: str
    notes: tuple[str, ...] = ()


def matte_providers() -> dict[str, str]:
    """What each matte provider needs or is, by name, for `vivant doctor`."""
    return {
        "photo": "the photo's own alpha channel, when it has one",
        "rembg": _rembg_state(),
        "mediapipe": f"{MEDIAPIPE} + pymatting {importlib.metadata.version('pymatting')}",
    }


def choose_provider(wish: str, has_alpha: bool) -> str:
    """The provider for a wish of auto, photo, rembg or mediapipe.

    Raises:
        VivantError: the name is unknown or the wished one cannot be had.
    """
    if wish not in ("auto", "photo", "rembg", "mediapipe"):
        raise VivantError(f"There is no matte provider {wish!r}. Choose auto, photo, rembg or mediapipe.")
    if wish == "photo" and not has_alpha:
        raise VivantError(
            "The photo has no alpha channel to take the matte from. Use another matte provider, e.g. auto."
        )
    if wish == "rembg" and importlib.util.find_spec("rembg") is None:
        raise VivantError("rembg is not installed. Run: python -m pip install 'vivant[matte]'.")
    if wish != "auto":
        return wish
    if has_alpha:
        return "photo"
    return "rembg" if importlib.util.find_spec("rembg") is not None and _rembg_weights().exists() else "mediapipe"


def make_matte(provider: str, scene: Scene, photo_alpha: np.ndarray | None, straight: np.ndarray) -> Matte:
    """The matte of `scene` by one of the providers that `choose_provider` names.

    `photo_alpha` [H, W] and `straight` [H, W, 3] uint8 are the photo's own, at the working image's size.

    Raises:
        VivantError: the matte does not show the person.
    """
    if provider == "photo":
        assert photo_alpha is not None
        alpha, name, colours = photo_alpha, "the photo's alpha channel", straight
    else:
        box = Box.around(np.argwhere(scene.prior > 0.3)[:, ::-1].astype(float)).scaled(1.12).pixels(scene.rgb.shape)
        window = slice(box[1], box[3]), slice(box[0], box[2])
        part = _rembg_alpha(scene, window) if provider == "rembg" else _refined(scene, window)
        alpha = np.zeros(scene.prior.shape, np.float32)
        alpha[window] = part
        name = _rembg_state() if provider == "rembg" else matte_providers()["mediapipe"]
        colours = scene.rgb
    alpha = keep_touching(alpha, skeleton(scene, 0.04))
    _check(alpha, scene)
    return Matte(alpha, _colours(colours, alpha), name)


def skeleton(scene: Scene, radius: float) -> np.ndarray:
    """The chosen person's bones and face as a mask [H, W] bool; `radius` in torsos."""
    mask = _capsules(scene.body, scene.confidence > 0.5, radius * scene.torso, scene.prior.shape)
    hull = cv2.convexHull(scene.face.astype(np.float32)).astype(np.int32)
    cv2.fillConvexPoly(mask, hull, (1,))
    return mask.astype(bool)


def keep_touching(alpha: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """`alpha` [H, W] without the components that nowhere touch `seed` [H, W] bool."""
    _, labels = cv2.connectedComponents((alpha > 0.02).astype(np.uint8), connectivity=4)
    kept = np.unique(labels[seed & (alpha > 0.5)])
    return np.where(np.isin(labels, kept[kept > 0]), alpha, 0).astype(np.float32)


def _capsules(points: np.ndarray, usable: np.ndarray, radius: float, shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape[:2], np.uint8)
    for start, end in BONES:
        if usable[start] and usable[end]:
            first, last = np.round(points[[start, end]]).astype(int).tolist()
            cv2.line(mask, first, last, (1,), max(int(2 * radius), 1))
    return mask


def _refined(scene: Scene, window: tuple[slice, slice]) -> np.ndarray:
    """The prior of a window refined by colour, at no more than a megapixel."""
    rgb, prior = scene.rgb[window], scene.prior[window]
    # Bones are surely the person only where the prior does not contradict: an arm may pass behind something.
    sure = skeleton(scene, 0.04)[window] & (prior > 0.6)
    never = _others(scene)[window] & (prior < 0.4)
    band = _band(scene)[window]
    scale = min(1.0, (MAX_MATTING_PIXELS / prior.size) ** 0.5)
    size = (max(round(prior.shape[1] * scale), 1), max(round(prior.shape[0] * scale), 1))
    small = [
        cv2.resize(np.asarray(image, np.float32), size, interpolation=cv2.INTER_AREA)
        for image in (rgb, prior, sure, never, band)
    ]
    alpha = alpha_from_prior(
        small[0].astype(np.float64) / 255, small[1], small[2] > 0.5, small[3] > 0.5, small[4] * scale
    )
    return np.clip(cv2.resize(alpha, prior.shape[::-1], interpolation=cv2.INTER_LINEAR), 0, 1)


def _others(scene: Scene) -> np.ndarray:
    mask = np.zeros(scene.prior.shape, np.uint8)
    for points in scene.others:
        mask |= _capsules(points, np.ones(33, bool), 0.08 * scene.torso, scene.prior.shape)
    return mask.astype(bool)


def _band(scene: Scene) -> np.ndarray:
    """Half width [H, W] in pixels of the unsure band: wide round the head, where hair is."""
    face = Box.around(scene.face)
    rows, columns = np.indices(scene.prior.shape)
    distance = np.hypot((columns - face.centre[0]) / face.longer, (rows - face.centre[1]) / face.longer)
    hair = np.clip(2.0 - distance, 0, 0.5) / 0.5
    return (0.035 * scene.torso + 2) * (1 + hair)


def _check(alpha: np.ndarray, scene: Scene) -> None:
    bones = skeleton(scene, 0.01)
    if alpha[bones].mean() < 0.5:
        raise VivantError(
            "The person cannot be told from the background: the matte misses the body. Use a photo with a plainer "
            "background, or give one whose alpha channel shows the person alone."
        )


def _colours(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Foreground colours, estimated round the person only."""
    window = np.nonzero(alpha > 0)
    part = tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in window)
    colours = rgb.copy()
    colours[part] = foreground_colours(rgb[part].astype(np.float64) / 255, alpha[part])
    return colours


def _rembg_weights() -> Path:
    home = os.environ.get("U2NET_HOME") or os.path.join(os.environ.get("XDG_DATA_HOME", "~"), ".u2net")
    return Path(home).expanduser() / f"{REMBG_MODEL}.onnx"


def _rembg_state() -> str:
    if importlib.util.find_spec("rembg") is None:
        return "not installed: python -m pip install 'vivant[matte]'"
    version = f"rembg {importlib.metadata.version('rembg')} {REMBG_MODEL}"
    return version if _rembg_weights().exists() else f"{version}, model file missing (fetched by --matte rembg)"


def _rembg_alpha(scene: Scene, window: tuple[slice, slice]) -> np.ndarray:
    """BiRefNet's matte of a window, without what is far from the chosen person."""
    import rembg
    from PIL import Image

    session = rembg.new_session(REMBG_MODEL)
    mask = rembg.remove(Image.fromarray(scene.rgb[window]), session=session, only_mask=True)
    near = cv2.GaussianBlur(scene.prior, (0, 0), 0.1 * scene.torso)[window]
    return np.asarray(mask, dtype=np.float32) / 255 * np.clip(5 * near, 0, 1)
