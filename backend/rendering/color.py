"""Splat colour is display-referred sRGB, premultiplied; files want it straight (PNG, video) or linear (EXR)."""

from __future__ import annotations

import numpy as np


def srgb_to_linear(srgb: np.ndarray) -> np.ndarray:
    """Decode sRGB [...] in [0, 1] to linear Rec.709 (IEC 61966-2-1)."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((np.maximum(srgb, 0.0) + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(linear: np.ndarray) -> np.ndarray:
    """Encode linear Rec.709 [...] in [0, 1] as sRGB."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0.0) ** (1 / 2.4) - 0.055)


def straight(
    rgb: np.ndarray,  # [H, W, 3] premultiplied
    alpha: np.ndarray,  # [H, W]
) -> np.ndarray:  # [H, W, 3] in [0, 1], 0 where alpha is 0
    """Divide the alpha out."""
    return np.clip(np.divide(rgb, alpha[..., None], out=np.zeros_like(rgb), where=alpha[..., None] > 0), 0.0, 1.0)


def premultiplied_linear(
    rgb: np.ndarray,  # [H, W, 3] premultiplied sRGB
    alpha: np.ndarray,  # [H, W]
) -> np.ndarray:  # [H, W, 3] premultiplied linear Rec.709
    """What a compositor wants. The decoding must see straight colour: premultiplied it would darken every soft edge."""
    return srgb_to_linear(straight(rgb, alpha)) * alpha[..., None]


def over(
    rgb: np.ndarray,  # [H, W, 3] premultiplied sRGB
    alpha: np.ndarray,  # [H, W]
    background: tuple[float, float, float],  # sRGB in [0, 1]
) -> np.ndarray:  # [H, W, 3] sRGB in [0, 1]
    """Lay the frame over one colour, blending in sRGB as the splats were trained."""
    return np.clip(rgb + (1 - alpha[..., None]) * np.asarray(background, rgb.dtype), 0.0, 1.0)


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Round [0, 1] to uint8."""
    return (np.clip(values, 0.0, 1.0) * 255 + 0.5).astype(np.uint8)
