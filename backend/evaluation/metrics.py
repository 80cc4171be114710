"""Image metrics between a render and the truth: images [H, W, 3] float32 in [0, 1] over white unless said otherwise."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import correlate1d

from shared.camera import Camera
from shared.skeleton import JOINT_INDEX, LEFT_HAND, RIGHT_HAND

PERSON_ALPHA = 0.02
"""A pixel counts as person in `psnr_person` when its true alpha exceeds this."""

_HEAD_JOINTS = [JOINT_INDEX[name] for name in ("jaw", "left_eye", "right_eye")]
_HAND_JOINTS = {
    "left": [JOINT_INDEX["left_wrist"], *range(LEFT_HAND.start, LEFT_HAND.stop)],
    "right": [JOINT_INDEX["right_wrist"], *range(RIGHT_HAND.start, RIGHT_HAND.stop)],
}
_FACE_HALF_SIZE_M = 0.11
_HAND_MARGIN_M = 0.04  # the last finger joint sits 2-3 cm before the tip
_SMALLEST_CROP_PX = 16

Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels, half open


def render_over_white(
    rgb: np.ndarray,  # [H, W, 3] premultiplied, display-referred, in [0, 1]
    alpha: np.ndarray,  # [H, W] in [0, 1]
) -> np.ndarray:
    """Return the render over white, rounded to 8 bits as any viewer or file would show it. [H, W, 3] float32."""
    composite = rgb + (1.0 - alpha[..., None])
    return (np.round(np.clip(composite, 0.0, 1.0) * 255.0) / 255.0).astype(np.float32)


def truth_over_white(rgba: np.ndarray) -> np.ndarray:
    """Return a true frame (`rgba` [H, W, 4] uint8, straight alpha) over white, [H, W, 3] float32."""
    values = rgba.astype(np.float32) / 255.0
    return values[..., :3] * values[..., 3:] + (1.0 - values[..., 3:])


def psnr_frame(render: np.ndarray, truth: np.ndarray) -> float:
    """PSNR in dB over every pixel: the convention of the papers, flattered by a large white background."""
    return _decibel(np.mean(_squared_error(render, truth)))


def psnr_person(render: np.ndarray, truth: np.ndarray, true_alpha: np.ndarray) -> float:
    """PSNR in dB of the person: squared error summed over the whole frame, divided by 3 x the person's pixels.

    A halo outside the person costs, and the white background does not flatter. `true_alpha` is [H, W] in [0, 1];
    NaN where it holds no person.
    """
    pixels = np.count_nonzero(true_alpha > PERSON_ALPHA)
    return _decibel(np.sum(_squared_error(render, truth)) / (3 * pixels)) if pixels else float("nan")


def ssim_frame(render: np.ndarray, truth: np.ndarray) -> float:
    """SSIM with an 11 x 11 Gaussian window of sigma 1.5 (Wang et al. 2004), mean over channels and whole windows."""
    mean_r, mean_t = _window_mean(render), _window_mean(truth)
    variance_r = _window_mean(render * render) - mean_r * mean_r
    variance_t = _window_mean(truth * truth) - mean_t * mean_t
    covariance = _window_mean(render * truth) - mean_r * mean_t
    c1, c2 = 0.01**2, 0.03**2
    similarity = ((2 * mean_r * mean_t + c1) * (2 * covariance + c2)) / (
        (mean_r * mean_r + mean_t * mean_t + c1) * (variance_r + variance_t + c2)
    )
    return float(similarity[5:-5, 5:-5].mean(dtype=np.float64))


def iou(alpha: np.ndarray, true_alpha: np.ndarray) -> float:
    """Intersection over union of two silhouettes [H, W], both cut at alpha 0.5. NaN where both are empty."""
    a, b = alpha > 0.5, true_alpha > 0.5
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else float("nan")


def depth_error_mm(
    depth: np.ndarray,  # [H, W] metres, planar
    alpha: np.ndarray,  # [H, W]
    true_depth: np.ndarray,  # [H, W] metres, planar, 0 where nothing is
) -> float:
    """Median absolute depth error in millimetres where both sides show a surface. NaN where they share none."""
    both = (alpha > 0.5) & (true_depth > 0)
    error = np.abs(depth[both].astype(np.float64) - true_depth[both])
    return float(np.median(error) * 1000.0) if error.size else float("nan")


def person_box(true_alpha: np.ndarray, margin: float = 0.05) -> Box | None:
    """The box of the true silhouette, widened by `margin` of its longer side, inside the image. None if empty."""
    person = true_alpha > PERSON_ALPHA
    rows, columns = np.flatnonzero(person.any(1)), np.flatnonzero(person.any(0))
    if not len(rows):
        return None
    lower = np.array([columns[0], rows[0]], dtype=np.float64)
    upper = np.array([columns[-1] + 1, rows[-1] + 1], dtype=np.float64)
    widen = margin * (upper - lower).max()
    return _inside(lower - widen, upper + widen, true_alpha.shape[1], true_alpha.shape[0])


def face_box(joints: np.ndarray, camera: Camera) -> Box | None:
    """The square around jaw and eyes of true `joints` [55, 3] (metres, world), 22 cm wide. None if out of view."""
    pixels, depth = camera.project(joints[_HEAD_JOINTS])
    half = _FACE_HALF_SIZE_M * camera.K[0, 0] / depth.mean()
    centre = pixels.mean(0)
    return _inside(centre - half, centre + half, camera.width, camera.height)


def hand_boxes(joints: np.ndarray, camera: Camera) -> dict[str, Box]:
    """The boxes around wrist and finger joints (plus 4 cm) of each hand in view, by side: "left", "right"."""
    boxes = {}
    for side, indices in _HAND_JOINTS.items():
        pixels, depth = camera.project(joints[indices])
        margin = _HAND_MARGIN_M * camera.K[0, 0] / depth.mean()
        box = _inside(pixels.min(0) - margin, pixels.max(0) + margin, camera.width, camera.height)
        if box is not None:
            boxes[side] = box
    return boxes


def crop(image: np.ndarray, box: Box) -> np.ndarray:
    """Cut `box` out of an image [H, W, ...]."""
    x0, y0, x1, y1 = box
    return image[y0:y1, x0:x1]


def _squared_error(render: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return (render.astype(np.float64) - truth) ** 2


def _decibel(mean_squared_error: float) -> float:
    return float(-10.0 * np.log10(mean_squared_error)) if mean_squared_error > 0 else float("inf")


def _window_mean(image: np.ndarray) -> np.ndarray:
    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    taps /= taps.sum()
    return correlate1d(correlate1d(image.astype(np.float64), taps, axis=0), taps, axis=1)


def _inside(lower: np.ndarray, upper: np.ndarray, width: int, height: int) -> Box | None:
    x0, y0 = np.maximum(np.floor(lower), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(upper), (width, height)).astype(int)
    return (int(x0), int(y0), int(x1), int(y1)) if min(x1 - x0, y1 - y0) >= _SMALLEST_CROP_PX else None
