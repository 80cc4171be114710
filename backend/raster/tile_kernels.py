"""Splats to pixels and back again, one 16 x 16 tile at a time (numba).

A tile keeps its pixels' state in one flat buffer of planes of 256 floats, and every inner loop runs over the 16 pixels
of a row with selects instead of branches, so that the compiler turns a row into one or two vector instructions per
operation. Backward walks front to back like forward and repeats its decisions; what lies behind a splat is
the pixel's known total minus what has passed, so nothing per pixel and splat is stored between the two.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from backend.raster.footprint import ALPHA_CUTOFF, ALPHA_MAX, TILE, TRANSMITTANCE_STOP
from backend.raster.jit import inlined, kernel, parallel_kernel

# Where things lie in a tile's state. Forward: blended r, g, b, z from _RED on; backward: their gradients.
# Unsigned, since a signed index might count from the end, and that question alone keeps a loop from being vectorised.
_ACROSS, _AREA = np.uint64(TILE), np.uint64(TILE * TILE)
_LIGHT = np.uint64(0)  # transmittance, negated once a pixel has stopped, 0 outside the image
_RED, _GREEN, _BLUE, _Z = _AREA, np.uint64(2) * _AREA, np.uint64(3) * _AREA, np.uint64(4) * _AREA
_X = np.uint64(5) * _AREA  # pixel centres
_FORWARD_STATE = int(np.uint64(6) * _AREA)
_OPAQUE = np.uint64(6) * _AREA  # gradient of alpha
_BEHIND = np.uint64(7) * _AREA  # dL/d(pixel) . (what the splats not yet passed add to it)
_BACKWARD_STATE = int(np.uint64(8) * _AREA)
# What SUMS needs, summed over rows alone: 16 floats each, in a buffer of their own
_Q, _Q_Y, _Q_YY, _SUM_RED, _SUM_GREEN, _SUM_BLUE, _SUM_Z = (np.uint64(k) * _ACROSS for k in range(7))
_ROW_SUMS = 7 * TILE

_LOOK = 16  # splats between two looks at which rows of a tile still let light through
_ZERO, _ONE, _HALF, _EIGHTH = np.float32(0), np.float32(1), np.float32(0.5), np.float32(0.125)
_CUTOFF, _MAX, _STOP = np.float32(ALPHA_CUTOFF), np.float32(ALPHA_MAX), np.float32(TRANSMITTANCE_STOP)
_FAR = np.float32(6.0)  # exp(-6) < ALPHA_CUTOFF: no opacity up to 1 is seen beyond
_E = tuple(
    np.polynomial.Chebyshev.interpolate(lambda t: np.exp(-t), 6, [0, 0.75])
    .convert(kind=np.polynomial.Polynomial)
    .coef.astype(np.float32)
)
"""exp(-t) on [0, 0.75] to 3e-9: without SVML, which wheels do not bring, numba's own exp is a call per pixel."""


@kernel
def depth_order(bits: np.ndarray) -> np.ndarray:  # [N] uint32 -> [N] int32
    """Stable argsort of depths > 0 given as the bits of their floats, which sort like the floats. Radix sort."""
    order, swapped = np.arange(len(bits)).astype(np.int32), np.empty(len(bits), np.int32)
    for shift in (0, 11, 22):
        starts = np.zeros(2049, np.int64)
        for value in bits:
            starts[((value >> shift) & 2047) + 1] += 1
        starts = np.cumsum(starts)
        for index in order:
            digit = (bits[index] >> shift) & 2047
            swapped[starts[digit]] = index
            starts[digit] += 1
        order, swapped = swapped, order
    return order


@kernel
def bin_splats(
    order: np.ndarray,  # [N] int32 front to back
    boxes: np.ndarray,  # [N, 4] int32 pixels
    columns: int,  # tiles across
    rows: int,  # tiles down
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """List for each tile the splats whose box meets it, front to back.

    Returns: pair_starts [N + 1], the first (Gaussian, tile) pair of each Gaussian; tile_starts [T + 1] into
    the lists; splat [M] int32 and pair [M] int32, the lists themselves.
    """
    pair_starts = np.zeros(len(boxes) + 1, np.int64)
    tile_starts = np.zeros(columns * rows + 1, np.int64)
    for i in range(len(boxes)):
        x0, x1, y0, y1 = _tiles(boxes[i])
        pair_starts[i + 1] = pair_starts[i] + (x1 - x0) * (y1 - y0)
        for y in range(y0, y1):
            for x in range(x0, x1):
                tile_starts[y * columns + x + 1] += 1
    tile_starts = np.cumsum(tile_starts)
    splat, pair = np.empty(pair_starts[-1], np.int32), np.empty(pair_starts[-1], np.int32)
    cursor = tile_starts[:-1].copy()
    for i in order:
        x0, x1, y0, y1 = _tiles(boxes[i])
        next_pair = pair_starts[i]
        for y in range(y0, y1):
            for x in range(x0, x1):
                slot = cursor[y * columns + x]
                cursor[y * columns + x] += 1
                splat[slot], pair[slot] = i, next_pair
                next_pair += 1
    return pair_starts, tile_starts, splat, pair


@kernel
def _tiles(box: np.ndarray) -> tuple[int, int, int, int]:
    if box[0] == box[1]:
        return 0, 0, 0, 0
    return box[0] // TILE, (box[1] - 1) // TILE + 1, box[2] // TILE, (box[3] - 1) // TILE + 1


@parallel_kernel
def composite(
    shares: int,  # units of parallel work
    busy: np.ndarray,  # [B] tiles with splats, the longest lists first
    tile_starts: np.ndarray,  # [T + 1]
    splat: np.ndarray,  # [M]
    splats: np.ndarray,  # [N, SPLAT]
    boxes: np.ndarray,  # [N, 4]
    rgb: np.ndarray,  # out [H, W, 3] float32, zeros before; so are the rest
    depth: np.ndarray,  # out [H, W], times alpha
    alpha: np.ndarray,  # out [H, W]
) -> None:
    """Blend each tile's splats front to back."""
    for share in prange(shares):
        state = np.empty(_FORWARD_STATE, np.float32)
        open_rows = np.empty(TILE, np.bool_)
        for index in range(share, len(busy), shares):
            top, left = _corner(busy[index], alpha.shape[1])
            _clear(state, open_rows, top, left, alpha.shape)
            start, stop = tile_starts[busy[index]], tile_starts[busy[index] + 1]
            for slot in range(start, stop):
                if (slot - start) % _LOOK == _LOOK - 1 and not _look(state, open_rows):
                    break
                _add(state, open_rows, top, splats, boxes, splat[slot])
            for y in range(top, min(top + TILE, alpha.shape[0])):
                for x in range(left, min(left + TILE, alpha.shape[1])):
                    at = np.uint64((y - top) * TILE + x - left)
                    alpha[y, x] = _ONE - abs(state[_LIGHT + at])
                    rgb[y, x, 0], rgb[y, x, 1] = state[_RED + at], state[_GREEN + at]
                    rgb[y, x, 2], depth[y, x] = state[_BLUE + at], state[_Z + at]


@parallel_kernel
def composite_backward(
    shares: int,
    busy: np.ndarray,  # [B]
    tile_starts: np.ndarray,  # [T + 1]
    splat: np.ndarray,  # [M]
    pair: np.ndarray,  # [M]
    splats: np.ndarray,  # [N, SPLAT]
    boxes: np.ndarray,  # [N, 4]
    rgb: np.ndarray,  # [H, W, 3], as composite wrote it
    depth: np.ndarray,  # [H, W]
    alpha: np.ndarray,  # [H, W]
    grad_rgb: np.ndarray,  # [H, W, 3]
    grad_depth: np.ndarray,  # [H, W]
    grad_alpha: np.ndarray,  # [H, W]
    pair_sums: np.ndarray,  # out [M, SUMS] float32, zeros before
) -> None:
    """Sum what each tile's pixels say about each of its splats (projection_kernels.SUMS)."""
    for share in prange(shares):
        state, row_sums = np.empty(_BACKWARD_STATE, np.float32), np.empty(_ROW_SUMS, np.float32)
        open_rows = np.empty(TILE, np.bool_)
        for index in range(share, len(busy), shares):
            top, left = _corner(busy[index], alpha.shape[1])
            _clear(state, open_rows, top, left, alpha.shape)
            for y in range(top, min(top + TILE, alpha.shape[0])):
                for x in range(left, min(left + TILE, alpha.shape[1])):
                    at = np.uint64((y - top) * TILE + x - left)
                    behind = depth[y, x] * grad_depth[y, x] + alpha[y, x] * grad_alpha[y, x]
                    for k in range(3):
                        behind += rgb[y, x, k] * grad_rgb[y, x, k]
                    state[_BEHIND + at], state[_OPAQUE + at] = behind, grad_alpha[y, x]
                    state[_RED + at], state[_GREEN + at] = grad_rgb[y, x, 0], grad_rgb[y, x, 1]
                    state[_BLUE + at], state[_Z + at] = grad_rgb[y, x, 2], grad_depth[y, x]
            start, stop = tile_starts[busy[index]], tile_starts[busy[index] + 1]
            for slot in range(start, stop):
                if (slot - start) % _LOOK == _LOOK - 1 and not _look(state, open_rows):
                    break
                _add_backward(state, row_sums, open_rows, top, splats, boxes, splat[slot], pair_sums, pair[slot])


@kernel
def _corner(tile: int, width: int) -> tuple[int, int]:
    columns = (width + TILE - 1) // TILE
    return tile // columns * TILE, tile % columns * TILE


@kernel
def _clear(state: np.ndarray, open_rows: np.ndarray, top: int, left: int, shape: tuple[int, int]) -> None:
    state[:] = _ZERO  # all of it: what lies outside the image is blended too, and must stay finite
    for y in range(TILE):
        for x in range(TILE):
            at = np.uint64(y * TILE + x)
            state[_X + at] = np.float32(left + x) + _HALF
            if top + y < shape[0] and left + x < shape[1]:
                state[_LIGHT + at] = _ONE
    _look(state, open_rows)


@kernel
def _look(state: np.ndarray, open_rows: np.ndarray) -> bool:
    """Note which rows still let light through, and say whether any does."""
    any_open = False
    for y in range(_ACROSS):
        light = _ZERO
        for x in range(_ACROSS):
            light = max(light, state[y * _ACROSS + x])
        open_rows[y] = light > _ZERO
        any_open |= open_rows[y]
    return any_open


@inlined
def _seen(falloff: np.float32, opacity: np.float32) -> np.float32:
    """opacity exp(-falloff), by exp(-t) = exp(-t / 8)^8; too large but under the cut-off beyond _FAR."""
    t = min(max(falloff, _ZERO), _FAR) * _EIGHTH
    root = _E[0] + t * (_E[1] + t * (_E[2] + t * (_E[3] + t * (_E[4] + t * (_E[5] + t * _E[6])))))
    root *= root
    root *= root
    return opacity * (root * root)


@inlined
def _add(state: np.ndarray, open_rows: np.ndarray, top: int, splats: np.ndarray, boxes: np.ndarray, i: int) -> None:
    """Blend splat i over one tile's pixels."""
    u, v, a, b, c = splats[i, 0], splats[i, 1], _HALF * splats[i, 2], splats[i, 3], _HALF * splats[i, 4]
    opacity, red, green, blue, z = splats[i, 5], splats[i, 6], splats[i, 7], splats[i, 8], splats[i, 9]
    for y in range(max(boxes[i, 2] - top, 0), min(boxes[i, 3] - top, TILE)):
        if not open_rows[y]:
            continue
        dy = np.float32(top + y) + _HALF - v
        b_dy, c_dy = b * dy, c * dy * dy
        row = np.uint64(y) * _ACROSS
        for x in range(_ACROSS):
            at = row + x
            dx = state[_X + at] - u
            alpha = min(_seen(dx * (a * dx + b_dy) + c_dy, opacity), _MAX)
            light = state[_LIGHT + at]
            left_over = light * (_ONE - alpha)
            touched = (alpha >= _CUTOFF) & (light > _ZERO)
            stopped = left_over <= _STOP
            weight = alpha * light if touched & (not stopped) else _ZERO
            state[_LIGHT + at] = (-light if stopped else left_over) if touched else light
            state[_RED + at] += weight * red
            state[_GREEN + at] += weight * green
            state[_BLUE + at] += weight * blue
            state[_Z + at] += weight * z


@inlined
def _add_backward(
    state: np.ndarray,
    row_sums: np.ndarray,
    open_rows: np.ndarray,
    top: int,
    splats: np.ndarray,
    boxes: np.ndarray,
    i: int,
    pair_sums: np.ndarray,
    pair: int,
) -> None:
    """Pass splat i over one tile's pixels as `_add` did and write what they say about it."""
    u, v, a, b, c = splats[i, 0], splats[i, 1], _HALF * splats[i, 2], splats[i, 3], _HALF * splats[i, 4]
    opacity, red, green, blue, z = splats[i, 5], splats[i, 6], splats[i, 7], splats[i, 8], splats[i, 9]
    row_sums[:] = _ZERO
    for y in range(max(boxes[i, 2] - top, 0), min(boxes[i, 3] - top, TILE)):
        if not open_rows[y]:
            continue
        dy = np.float32(top + y) + _HALF - v
        b_dy, c_dy = b * dy, c * dy * dy
        row = np.uint64(y) * _ACROSS
        for x in range(_ACROSS):
            at = row + x
            dx = state[_X + at] - u
            unclamped = _seen(dx * (a * dx + b_dy) + c_dy, opacity)
            alpha = min(unclamped, _MAX)
            light = state[_LIGHT + at]
            left_over = light * (_ONE - alpha)
            touched = (alpha >= _CUTOFF) & (light > _ZERO)
            stopped = left_over <= _STOP
            weight = alpha * light if touched & (not stopped) else _ZERO
            state[_LIGHT + at] = (-light if stopped else left_over) if touched else light
            grad_red, grad_green = state[_RED + at], state[_GREEN + at]
            grad_blue, grad_z = state[_BLUE + at], state[_Z + at]
            here = red * grad_red + green * grad_green + blue * grad_blue + z * grad_z + state[_OPAQUE + at]
            behind = state[_BEHIND + at] - weight * here
            state[_BEHIND + at] = behind
            q = behind * alpha / (_ONE - alpha) - weight * here  # -alpha dL/d(alpha)
            q = q if (weight > _ZERO) & (unclamped <= _MAX) else _ZERO
            row_sums[_Q + x] += q
            row_sums[_Q_Y + x] += q * dy
            row_sums[_Q_YY + x] += q * dy * dy
            row_sums[_SUM_RED + x] += weight * grad_red
            row_sums[_SUM_GREEN + x] += weight * grad_green
            row_sums[_SUM_BLUE + x] += weight * grad_blue
            row_sums[_SUM_Z + x] += weight * grad_z
    _write_sums(state, row_sums, u, pair_sums, pair)


@kernel
def _write_sums(state: np.ndarray, row_sums: np.ndarray, u: np.float32, pair_sums: np.ndarray, pair: int) -> None:
    q, q_x, q_y, q_xx, q_xy, q_yy = _ZERO, _ZERO, _ZERO, _ZERO, _ZERO, _ZERO
    red, green, blue, z = _ZERO, _ZERO, _ZERO, _ZERO
    for x in range(_ACROSS):
        dx = state[_X + x] - u
        q += row_sums[_Q + x]
        q_x += row_sums[_Q + x] * dx
        q_y += row_sums[_Q_Y + x]
        q_xx += row_sums[_Q + x] * dx * dx
        q_xy += row_sums[_Q_Y + x] * dx
        q_yy += row_sums[_Q_YY + x]
        red += row_sums[_SUM_RED + x]
        green += row_sums[_SUM_GREEN + x]
        blue += row_sums[_SUM_BLUE + x]
        z += row_sums[_SUM_Z + x]
    for k, value in enumerate((q, q_x, q_y, q_xx, q_xy, q_yy, red, green, blue, z)):
        pair_sums[pair, k] = value
