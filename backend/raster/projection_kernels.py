"""Gaussians to screen-space splats and back again, one Gaussian at a time (numba)."""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from backend.raster.footprint import ALPHA_CUTOFF, DILATION, FIELD_MARGIN, NEAR
from backend.raster.jit import kernel, parallel_kernel
from shared.camera import Camera

SPLAT = 10
"""Floats of a splat: u, v (pixels), conic a, b, c (1/pixels^2), opacity, r, g, b, z (metres)."""

SUMS = 10
"""What the tiles sum over a splat's pixels, with q = dL/d(exponent) and d the pixel minus the splat's centre:
q, q dx, q dy, q dx dx, q dx dy, q dy dy, then dL/d(r, g, b, z)."""

_SLACK = 0.01  # pixels: the box may be larger than the ellipse it holds, never smaller
_CHUNK = 1024  # Gaussians per unit of parallel work


def view_parameters(camera: Camera) -> np.ndarray:  # [20]
    """The camera as the kernels read it: rotation (9), translation (3), fx, fy, cx, cy, limits of x/z and of y/z."""
    fx, fy, cx, cy = camera.K[0, 0], camera.K[1, 1], camera.K[0, 2], camera.K[1, 2]
    margin_x, margin_y = FIELD_MARGIN * camera.width / (2 * fx), FIELD_MARGIN * camera.height / (2 * fy)
    limits_x = (-cx / fx - margin_x, (camera.width - cx) / fx + margin_x)
    limits_y = (-cy / fy - margin_y, (camera.height - cy) / fy + margin_y)
    pose = (*camera.world_to_camera[:3, :3].ravel(), *camera.world_to_camera[:3, 3])
    return np.array([*pose, fx, fy, cx, cy, *limits_x, *limits_y], dtype=np.float64)


@parallel_kernel
def project(
    means: np.ndarray,  # [N, 3] float32 metres, world
    quats: np.ndarray,  # [N, 4] float32 wxyz
    scales: np.ndarray,  # [N, 3] float32 metres
    opacities: np.ndarray,  # [N] float32
    colors: np.ndarray,  # [N, 3] float32
    view: np.ndarray,  # [20] from view_parameters
    width: int,
    height: int,
    splats: np.ndarray,  # out [N, SPLAT] float32; only rows with a box that is not empty are written
    boxes: np.ndarray,  # out [N, 4] int32 pixels, x0, x1, y0, y1 half open; zeros where nothing is drawn
) -> None:
    """Project each Gaussian and box in the pixel centres where its alpha can reach the cut-off."""
    count = len(means)
    for chunk in prange((count + _CHUNK - 1) // _CHUNK):
        rotation, axes, spread = np.empty((3, 3)), np.empty((3, 3)), np.empty((2, 3))
        for i in range(chunk * _CHUNK, min(count, chunk * _CHUNK + _CHUNK)):
            boxes[i] = 0
            x, y, z = _in_camera(view, means[i])
            opacity = float(opacities[i])
            if not (z >= NEAR and opacity >= ALPHA_CUTOFF):  # so written that NaN is not drawn either
                continue
            _rotation(quats[i], rotation)
            _axes(view, rotation, scales[i], axes)
            _spread(view, x, y, z, axes, spread)
            xx, xy, yy = _covariance(spread)
            determinant = xx * yy - xy * xy
            if not determinant > 0.0:
                continue
            u, v = view[12] * x / z + view[14], view[13] * y / z + view[15]
            reach = math.sqrt(2.0 * math.log(opacity / ALPHA_CUTOFF))
            if not _box(u, v, reach * math.sqrt(xx), reach * math.sqrt(yy), width, height, boxes[i]):
                continue
            splats[i, 0], splats[i, 1] = u, v
            splats[i, 2], splats[i, 3], splats[i, 4] = yy / determinant, -xy / determinant, xx / determinant
            splats[i, 5] = opacity
            splats[i, 6], splats[i, 7], splats[i, 8] = colors[i, 0], colors[i, 1], colors[i, 2]
            splats[i, 9] = z


@parallel_kernel
def project_backward(
    means: np.ndarray,  # [N, 3], as given to project
    quats: np.ndarray,  # [N, 4]
    scales: np.ndarray,  # [N, 3]
    splats: np.ndarray,  # [N, SPLAT], as project wrote it
    view: np.ndarray,  # [20]
    pair_starts: np.ndarray,  # [N + 1] int64: rows of pair_sums that belong to each Gaussian
    pair_sums: np.ndarray,  # [M, SUMS] float32, one row for each tile a Gaussian touches
    grad_means: np.ndarray,  # out [N, 3] float32, zeros before; so are the rest
    grad_quats: np.ndarray,  # out [N, 4]
    grad_scales: np.ndarray,  # out [N, 3]
    grad_opacities: np.ndarray,  # out [N]
    grad_colors: np.ndarray,  # out [N, 3]
) -> None:
    """Sum each Gaussian's tiles in a fixed order and carry the result through its projection."""
    count = len(means)
    for chunk in prange((count + _CHUNK - 1) // _CHUNK):
        rotation, axes, spread = np.empty((3, 3)), np.empty((3, 3)), np.empty((2, 3))
        grad_point, grad_axes, sums = np.empty(3), np.empty((3, 3)), np.empty(SUMS)
        for i in range(chunk * _CHUNK, min(count, chunk * _CHUNK + _CHUNK)):
            if pair_starts[i] == pair_starts[i + 1]:
                continue
            sums[:] = 0.0
            for pair in range(pair_starts[i], pair_starts[i + 1]):
                for k in range(SUMS):
                    sums[k] += pair_sums[pair, k]
            grad_opacities[i] = -sums[0] / splats[i, 5]
            for k in range(3):
                grad_colors[i, k] = sums[6 + k]
            x, y, z = _in_camera(view, means[i])
            _rotation(quats[i], rotation)
            _axes(view, rotation, scales[i], axes)
            _spread(view, x, y, z, axes, spread)
            _spread_backward(view, x, y, z, axes, spread, splats[i], sums, grad_point, grad_axes)
            for k in range(3):
                grad_means[i, k] = view[k] * grad_point[0] + view[3 + k] * grad_point[1] + view[6 + k] * grad_point[2]
            _axes_backward(view, rotation, quats[i], scales[i], grad_axes, grad_quats[i], grad_scales[i])


@kernel
def _in_camera(view: np.ndarray, mean: np.ndarray) -> tuple[float, float, float]:
    m0, m1, m2 = float(mean[0]), float(mean[1]), float(mean[2])
    x = view[0] * m0 + view[1] * m1 + view[2] * m2 + view[9]
    y = view[3] * m0 + view[4] * m1 + view[5] * m2 + view[10]
    z = view[6] * m0 + view[7] * m1 + view[8] * m2 + view[11]
    return x, y, z


@kernel
def _unit(quat: np.ndarray) -> tuple[float, float, float, float, float]:
    w, x, y, z = float(quat[0]), float(quat[1]), float(quat[2]), float(quat[3])
    inverse = 1.0 / math.sqrt(w * w + x * x + y * y + z * z)
    return w * inverse, x * inverse, y * inverse, z * inverse, inverse


@kernel
def _rotation(quat: np.ndarray, out: np.ndarray) -> None:
    w, x, y, z, _ = _unit(quat)
    out[0, 0], out[0, 1], out[0, 2] = 1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)
    out[1, 0], out[1, 1], out[1, 2] = 2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)
    out[2, 0], out[2, 1], out[2, 2] = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)


@kernel
def _axes(view: np.ndarray, rotation: np.ndarray, scale: np.ndarray, out: np.ndarray) -> None:
    """The Gaussian's scaled axes in the camera's frame, as columns."""
    for i in range(3):
        for k in range(3):
            turned = view[3 * i] * rotation[0, k] + view[3 * i + 1] * rotation[1, k] + view[3 * i + 2] * rotation[2, k]
            out[i, k] = turned * scale[k]


@kernel
def _slopes(view: np.ndarray, x: float, y: float, z: float) -> tuple[float, float]:
    return min(max(x / z, view[16]), view[17]), min(max(y / z, view[18]), view[19])


@kernel
def _spread(view: np.ndarray, x: float, y: float, z: float, axes: np.ndarray, out: np.ndarray) -> None:
    """The axes on the image [2, 3] in pixels: Jacobian of the projection times axes."""
    slope_x, slope_y = _slopes(view, x, y, z)
    for k in range(3):
        out[0, k] = view[12] / z * (axes[0, k] - slope_x * axes[2, k])
        out[1, k] = view[13] / z * (axes[1, k] - slope_y * axes[2, k])


@kernel
def _covariance(spread: np.ndarray) -> tuple[float, float, float]:
    xx, xy, yy = DILATION, 0.0, DILATION
    for k in range(3):
        xx += spread[0, k] * spread[0, k]
        xy += spread[0, k] * spread[1, k]
        yy += spread[1, k] * spread[1, k]
    return xx, xy, yy


@kernel
def _box(u: float, v: float, reach_x: float, reach_y: float, width: int, height: int, out: np.ndarray) -> bool:
    x0 = max(0.0, math.ceil(u - reach_x - 0.5 - _SLACK))
    x1 = min(float(width), math.floor(u + reach_x - 0.5 + _SLACK) + 1.0)
    y0 = max(0.0, math.ceil(v - reach_y - 0.5 - _SLACK))
    y1 = min(float(height), math.floor(v + reach_y - 0.5 + _SLACK) + 1.0)
    if not (x0 < x1 and y0 < y1):
        return False
    out[0], out[1], out[2], out[3] = int(x0), int(x1), int(y0), int(y1)
    return True


@kernel
def _spread_backward(
    view: np.ndarray,
    x: float,
    y: float,
    z: float,
    axes: np.ndarray,
    spread: np.ndarray,
    splat: np.ndarray,
    sums: np.ndarray,
    grad_point: np.ndarray,  # out [3] camera
    grad_axes: np.ndarray,  # out [3, 3]
) -> None:
    a, b, c = float(splat[2]), float(splat[3]), float(splat[4])
    grad_u, grad_v = -(a * sums[1] + b * sums[2]), -(b * sums[1] + c * sums[2])
    # d(conic) to d(covariance): -conic G conic, with G = [[qxx, qxy], [qxy, qyy]] / 2
    ax, ay = a * sums[3] + b * sums[4], a * sums[4] + b * sums[5]
    bx, by = b * sums[3] + c * sums[4], b * sums[4] + c * sums[5]
    xx, xy, yy = -0.5 * (ax * a + ay * b), -0.5 * (ax * b + ay * c), -0.5 * (bx * b + by * c)
    focal_x, focal_y = view[12] / z, view[13] / z
    slope_x, slope_y = _slopes(view, x, y, z)
    stretch_x, stretch_y, tilt_x, tilt_y = 0.0, 0.0, 0.0, 0.0
    for k in range(3):
        grad_0 = 2.0 * (xx * spread[0, k] + xy * spread[1, k])
        grad_1 = 2.0 * (xy * spread[0, k] + yy * spread[1, k])
        grad_axes[0, k] = focal_x * grad_0
        grad_axes[1, k] = focal_y * grad_1
        grad_axes[2, k] = -(slope_x * focal_x * grad_0 + slope_y * focal_y * grad_1)
        stretch_x += grad_0 * spread[0, k]
        stretch_y += grad_1 * spread[1, k]
        tilt_x -= focal_x * grad_0 * axes[2, k]
        tilt_y -= focal_y * grad_1 * axes[2, k]
    # focal / z scales a whole row of the spread; u and v move with the true slope, the tilt only where not clamped
    grad_slope_x, grad_slope_y = view[12] * grad_u, view[13] * grad_v
    if slope_x == x / z:
        grad_slope_x += tilt_x
    if slope_y == y / z:
        grad_slope_y += tilt_y
    grad_point[0] = grad_slope_x / z
    grad_point[1] = grad_slope_y / z
    grad_point[2] = sums[9] - (stretch_x + stretch_y + grad_slope_x * x / z + grad_slope_y * y / z) / z


@kernel
def _axes_backward(
    view: np.ndarray,
    rotation: np.ndarray,
    quat: np.ndarray,
    scale: np.ndarray,
    grad_axes: np.ndarray,
    grad_quat: np.ndarray,  # out [4]
    grad_scale: np.ndarray,  # out [3]
) -> None:
    g = np.empty((3, 3))  # d(rotation)
    for k in range(3):
        along = 0.0
        for i in range(3):
            turned = view[i] * grad_axes[0, k] + view[3 + i] * grad_axes[1, k] + view[6 + i] * grad_axes[2, k]
            along += turned * rotation[i, k]
            g[i, k] = turned * scale[k]
        grad_scale[k] = along
    w, x, y, z, inverse = _unit(quat)
    gw = 2 * (x * (g[2, 1] - g[1, 2]) + y * (g[0, 2] - g[2, 0]) + z * (g[1, 0] - g[0, 1]))
    gx = 2 * (y * (g[1, 0] + g[0, 1]) + z * (g[2, 0] + g[0, 2]) + w * (g[2, 1] - g[1, 2])) - 4 * x * (g[1, 1] + g[2, 2])
    gy = 2 * (x * (g[1, 0] + g[0, 1]) + z * (g[2, 1] + g[1, 2]) + w * (g[0, 2] - g[2, 0])) - 4 * y * (g[0, 0] + g[2, 2])
    gz = 2 * (x * (g[2, 0] + g[0, 2]) + y * (g[2, 1] + g[1, 2]) + w * (g[1, 0] - g[0, 1])) - 4 * z * (g[0, 0] + g[1, 1])
    along = w * gw + x * gx + y * gy + z * gz  # a longer quaternion is the same rotation
    grad_quat[0] = (gw - w * along) * inverse
    grad_quat[1] = (gx - x * along) * inverse
    grad_quat[2] = (gy - y * along) * inverse
    grad_quat[3] = (gz - z * along) * inverse
