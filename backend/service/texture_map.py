"""Where on the texture each triangle of the clothed surface lies: the body on its UV map, hair in cells beside it.

The hair layer is made for one photo and has no UV map. Its triangles are laid out in pairs, two to a square cell.
"""

from __future__ import annotations

import numpy as np

from backend.avatar.surface import Surface
from backend.body.model import BodyModel

BODY_SHARE = 0.75
"""Of the texture's width that the body's map keeps where there is hair."""
INSET = 0.12
"""Of a cell's side, left free around its triangles: neighbours do not bleed into each other."""
_LOWER = np.array([[INSET, INSET], [1 - 2 * INSET, INSET], [INSET, 1 - 2 * INSET]])
_UPPER = 1 - _LOWER


def corner_uvs(model: BodyModel, surface: Surface) -> np.ndarray:  # [T, 3, 2] float32 in [0, 1], v up
    """Texture coordinates of every triangle's corners."""
    body = model.uv[model.uv_faces]
    hair = len(surface.faces) - surface.num_body_faces
    if not hair:
        return body.astype(np.float32)
    squeezed = body * [BODY_SHARE, 1.0]
    return np.concatenate([squeezed, _cells(hair)]).astype(np.float32)


def _cells(count: int) -> np.ndarray:  # [count, 3, 2]
    """Pairs of triangles in square-ish cells that fill the strip right of the body."""
    pairs = -(-count // 2)
    columns = max(1, round(np.sqrt(pairs * (1 - BODY_SHARE))))
    rows = -(-pairs // columns)
    pair = np.arange(count) // 2
    corner = np.where((np.arange(count) % 2 == 0)[:, None, None], _LOWER, _UPPER)
    cell = np.stack([pair % columns, pair // columns], axis=1)[:, None]
    return (cell + corner) / [columns, rows] * [1 - BODY_SHARE, 1.0] + [BODY_SHARE, 0.0]
