"""Expressions are shape keys of the proxy body, under their ARKit names; `Exp000`, `Exp001`, ... are read as well.

What a key is worth counts in columns: the avatar's expression names in the order of its body model, which the body
object remembers. `Exp004` is the fifth of them, as in the add-ons that come with SMPL-X bodies.
"""

from __future__ import annotations

import re

import bpy

NAMES_KEY = "vivant_expressions"
"""Custom property of the proxy body: the names of all expression columns, in order."""

_EXP = re.compile(r"Exp\d{3}")
_GROUPS = (
    ("Eyes", ("eye", "blink")),
    ("Brows", ("brow",)),
    ("Cheeks and Nose", ("cheek", "nose")),
    ("Other", ("exp",)),  # columns without a meaning of their own
)
GROUP_NAMES = ("Mouth", *(label for label, _ in _GROUPS))


def group_of(name: str) -> str:
    """The panel's section for an expression name; what is no other part is the mouth."""
    lower = name.lower()
    return next((label for label, words in _GROUPS if lower.startswith(words)), GROUP_NAMES[0])


def exp_name(column: int) -> str:
    """The name that SMPL-X add-ons give to expression column `column`."""
    return f"Exp{column:03d}"


def names_of(body: bpy.types.Object) -> tuple[str, ...]:
    """The expressions this body has, each once."""
    return tuple(dict.fromkeys(spellings(body).values()))


def spellings(body: bpy.types.Object) -> dict[str, str]:
    """Which shape key moves which expression, `{key: name}`; an expression's keys add up.

    A foreign body's `Exp000` is the column `exp000` of its own body model.
    """
    keys = body.data.shape_keys
    blocks = keys.key_blocks.keys() if keys else []
    if body.get(NAMES_KEY) is None:
        return {name: name.lower() for name in blocks if _EXP.fullmatch(name)}
    columns = list(body[NAMES_KEY])
    known = {name: name for name in columns} | {exp_name(column): name for column, name in enumerate(columns)}
    return {block: known[block] for block in blocks if block in known}


def blocks_of(body: bpy.types.Object) -> dict[str, bpy.types.ShapeKey]:
    """The shape key to write for each expression, in order."""
    first = {name: key for key, name in reversed(spellings(body).items())}  # doubles come last
    return {name: body.data.shape_keys.key_blocks[first[name]] for name in names_of(body)}


def set_value(block: bpy.types.ShapeKey, value: float) -> None:
    """Set a shape key to any value; its slider range grows where the value lies outside, for Blender would clip it."""
    widen(block, value, value)
    block.value = value


def widen(block: bpy.types.ShapeKey, low: float, high: float) -> None:
    """Make the slider reach from `low` to `high` at least."""
    block.slider_min = min(block.slider_min, low)
    block.slider_max = max(block.slider_max, high)
