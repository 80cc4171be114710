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
from .detectors import MEDIAPIPE, MEDIAPIPE_LICENCE
from .matting import Knowledge, alpha_from_prior, foreground_colours
from .regions import Scene, gaps, other_people, skeleton, unsure_band

REMBG_MODEL = "birefnet-general"
MAX_MATTING_PIXELS = 1_000_000
MIN_SHARE, MAX_SHARE = 0.15, 0.9  # of the person's box that a believable matte fills
PROVIDERS = ("auto", "photo", "rembg", "mediapipe")
LICENCES = {
    "photo": "none: the photo brought its own matte",
    "rembg": "MIT (BiRefNet's weights, as their model page says)",
    "mediapipe": MEDIAPIPE_LICENCE,
}
"""Of the models behind each provider."""


@dataclass(frozen=True)
class Matte:
    """Alpha and colours of the person, in pixels of the working image."""

    alpha: np.ndarray  # [H, W] float32
    foreground: np.ndarray  # [H, W, 3] uint8
    provider: str
    licence: str
    notes: tuple[str, ...] = ()


def matte_providers() -> dict[str, str]:
    """What each matte provider is or needs, by name, for `vivant doctor`."""
    return {
        "photo": "the photo's own alpha channel, when it has one",
        "rembg": _rembg_state(),
        "mediapipe": f"{MEDIAPIPE} + pymatting {importlib.metadata.version('pymatting')}",
    }


def choose_provider(wish: str, has_alpha: bool) -> str:
    """The provider, one of photo, rembg and mediapipe, for a wish, one of those or auto.

    Raises:
        VivantError: the name is unknown or the wished one cannot be had.
    """
    if wish not in PROVIDERS:
        raise VivantError(f"There is no matte provider {wish!r}. Choose one of {', '.join(PROVIDERS)}.")
    if wish == "photo" and not has_alpha:
        raise VivantError("The photo has no alpha channel to take the matte from. Choose another provider, e.g. auto.")
    if wish == "rembg" and not _rembg_installed():
        raise VivantError("rembg is not installed. Run: python -m pip install 'vivant[matte]'.")
    if wish != "auto":
        return wish
    if has_alpha:
        return "photo"
    return "rembg" if _rembg_installed() and _rembg_weights().exists() else "mediapipe"


def given_matte(alpha: np.ndarray, straight: np.ndarray, scene: Scene) -> Matte:
    """The photo's own alpha [H, W] and colours [H, W, 3] uint8, at the working image's size.

    Raises:
        VivantError: it does not show the person.
    """
    alpha = keep_touching(alpha, skeleton(scene))
    return Matte(alpha, straight, "the photo's alpha channel", LICENCES["photo"], _doubts(alpha, scene))


def made_matte(provider: str, scene: Scene) -> Matte:
    """The matte of `scene` by rembg or mediapipe.

    Raises:
        VivantError: the person cannot be told from the background, or rembg's model cannot be had.
    """
    seen = np.argwhere(scene.prior > 0.3)[:, ::-1].astype(np.float64)
    x0, y0, x1, y1 = Box.around(seen).scaled(1.12).pixels(scene.rgb.shape)
    window = slice(y0, y1), slice(x0, x1)
    alpha = np.zeros(scene.prior.shape, np.float32)
    alpha[window] = _rembg_alpha(scene, window) if provider == "rembg" else _refined(scene, window)
    alpha = keep_touching(alpha, skeleton(scene))
    notes = _doubts(alpha, scene)
    colours = scene.rgb.copy()
    colours[window] = foreground_colours(scene.rgb[window].astype(np.float64) / 255, alpha[window])
    return Matte(alpha, colours, matte_providers()[provider], LICENCES[provider], notes)


def keep_touching(alpha: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """`alpha` [H, W] without the components that nowhere touch `seed` [H, W] bool."""
    _, labels = cv2.connectedComponents((alpha > 0.02).astype(np.uint8), connectivity=4)
    kept = np.unique(labels[seed & (alpha > 0.5)])
    return np.where(np.isin(labels, kept[kept > 0]), alpha, 0).astype(np.float32)


def _doubts(alpha: np.ndarray, scene: Scene) -> tuple[str, ...]:
    """Notes on a matte that may be wrong. Raises VivantError for one that surely is."""
    if alpha[skeleton(scene, 0.01)].mean() < 0.5:
        raise VivantError(
            "The matte misses the person's body. Use a photo with a plainer background, "
            "or one whose alpha channel shows the person alone."
        )
    ys, xs = np.nonzero(alpha > 0.1)
    share = alpha.sum() / ((np.ptp(ys) + 1) * (np.ptp(xs) + 1))
    if MIN_SHARE < share < MAX_SHARE:
        return ()
    return (f"The matte fills {share:.0%} of the person's box, which is unusual: look at it before going on.",)


def _refined(scene: Scene, window: tuple[slice, slice]) -> np.ndarray:
    """The prior of a window refined by colour, at no more than a megapixel."""
    prior = scene.prior[window]
    scale = min(1.0, (MAX_MATTING_PIXELS / prior.size) ** 0.5)
    size = (round(prior.shape[1] * scale), round(prior.shape[0] * scale))

    def small(image: np.ndarray) -> np.ndarray:
        return cv2.resize(image[window].astype(np.float32), size, interpolation=cv2.INTER_AREA)

    known = Knowledge(
        prior=small(scene.prior),
        # Bones are surely the person only where the prior does not contradict: an arm may pass behind something.
        sure=small(skeleton(scene) & (scene.prior > 0.4)) > 0.5,
        never=small(other_people(scene) & (scene.prior < 0.4)) > 0.5,
        gaps=small(gaps(scene)) > 0.5,
        band=small(unsure_band(scene)) * scale,
    )
    alpha = alpha_from_prior(small(scene.rgb).astype(np.float64) / 255, known)
    return np.clip(cv2.resize(alpha, prior.shape[::-1], interpolation=cv2.INTER_LINEAR), 0, 1)


def _rembg_installed() -> bool:
    return importlib.util.find_spec("rembg") is not None


def _rembg_weights() -> Path:
    home = os.environ.get("U2NET_HOME") or os.path.join(os.environ.get("XDG_DATA_HOME", "~"), ".u2net")
    return Path(home).expanduser() / f"{REMBG_MODEL}.onnx"


def _rembg_state() -> str:
    if not _rembg_installed():
        return "not installed: python -m pip install 'vivant[matte]'"
    name = f"rembg {importlib.metadata.version('rembg')} {REMBG_MODEL}"
    return name if _rembg_weights().exists() else f"{name}, about 1 GB to fetch when first asked for"


def _rembg_alpha(scene: Scene, window: tuple[slice, slice]) -> np.ndarray:
    """BiRefNet's matte of a window, without what is far from the chosen person."""
    import rembg
    from PIL import Image

    try:
        session = rembg.new_session(REMBG_MODEL)
    except OSError as error:
        raise VivantError(f"rembg cannot fetch its model ({error}). Put it at {_rembg_weights()}.") from error
    mask = rembg.remove(Image.fromarray(scene.rgb[window]), session=session, only_mask=True)
    near = cv2.GaussianBlur(scene.prior, (0, 0), 0.1 * scene.torso)[window]
    return np.asarray(mask, dtype=np.float32) / 255 * np.clip(5 * near, 0, 1)
