"""What a message may hold: the limits that field types carry, and the check of a parsed header against them."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache, lru_cache, partial
from typing import Annotated, Any, ClassVar, get_args, get_origin, get_type_hints

import numpy as np

from .errors import WireError

KINDS: dict[str, type[Message]] = {}
"""Every message class by its kind."""


@dataclass(frozen=True)
class Buffer:
    """An array that travels beside a message. Letters in `shape` are free, but the same letter is the same size."""

    dtypes: str  # of u1 u2 f2 f4, separated by |; little-endian
    shape: tuple[int | str, ...]
    optional: bool = False


class Message:
    """Base of all messages. Subclasses are frozen dataclasses with a `kind`."""

    kind: ClassVar[str]
    BUFFERS: ClassVar[dict[str, Buffer]] = {}

    def __init_subclass__(cls) -> None:
        KINDS[cls.kind] = cls

    def check(self, buffers: Mapping[str, np.ndarray]) -> None:
        """Refuse what types and shapes cannot tell.

        Raises:
            WireError: with the name of the field.
        """


@dataclass(frozen=True)
class Range:
    """Of a number, both ends included."""

    low: float
    high: float

    def check(self, value: float, where: str) -> None:
        """Raise `WireError` for a number outside."""
        if not self.low <= value <= self.high:
            raise WireError("out_of_range", f"{where} is {value}; it must lie in {self.low} to {self.high}.", where)


class Length:
    """Of a string in characters, or of a list in items."""

    def __init__(self, at_most: int, at_least: int = 0) -> None:
        self.at_most, self.at_least = at_most, at_least

    def check(self, value: str | tuple[Any, ...], where: str) -> None:
        """Raise `WireError` for what is longer or shorter."""
        if not self.at_least <= len(value) <= self.at_most:
            limits = f"{self.at_least} to {self.at_most}"
            raise WireError("out_of_range", f"{where} has {len(value)} items or letters; it may have {limits}.", where)


class Choice:
    """One of a closed list."""

    def __init__(self, *options: str | int) -> None:
        self.options = options

    def check(self, value: str | int, where: str) -> None:
        """Raise `WireError` for another value."""
        if value not in self.options:
            raise WireError("out_of_range", f"{where} must be one of {', '.join(map(str, self.options))}.", where)


@dataclass(frozen=True)
class Hex:
    """Lower-case hexadecimal digits."""

    digits: int
    or_empty: bool = False

    def check(self, value: str, where: str) -> None:
        """Raise `WireError` for anything else."""
        right = len(value) == self.digits and set(value) <= set(string.hexdigits.lower())
        if not right and not (self.or_empty and value == ""):
            raise WireError("out_of_range", f"{where} must be {self.digits} lower-case hexadecimal digits.", where)


@dataclass(frozen=True)
class Uuid:
    """A UUID as `str(uuid.uuid4())` writes it."""

    or_empty: bool = False

    def check(self, value: str, where: str) -> None:
        """Raise `WireError` for anything else."""
        if self.or_empty and value == "":
            return
        if not _UUID.fullmatch(value):
            raise WireError("out_of_range", f"{where} must be a UUID in lower case with hyphens.", where)


def to_json(message: object) -> dict[str, Any]:
    """The body of a message dataclass. Shares its texts and numbers, unlike `asdict`, which copies each."""
    cls: Any = type(message)
    return {name: _plain(getattr(message, name)) for name in _readers(cls)}


def _plain(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    if is_dataclass(value):
        return to_json(value)
    if isinstance(value, tuple) and value and is_dataclass(value[0]):
        return [to_json(item) for item in value]
    return value


def from_json(cls: Any, body: Any, where: str = "") -> Any:
    """A `cls` from a parsed body. Fields that `cls` does not have are ignored: a newer side may send them.

    Raises:
        WireError: a field is missing, of another type, or outside its limits.
    """
    if not isinstance(body, dict):
        raise WireError("malformed", f"{where or 'The body'} must be an object.", where)
    values = {}
    for name, (read, required) in _readers(cls).items():
        path = f"{where}.{name}" if where else name
        if name in body:
            values[name] = read(body[name], path)
        elif required:
            raise WireError("malformed", f"{path} is missing.", path)
    return cls(**values)


Reader = Callable[[Any, str], Any]
"""From a parsed value and its place in the message to the value of a field; raises `WireError`."""


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


@cache
def _readers(cls: Any) -> dict[str, tuple[Reader, bool]]:
    """The reader of each field and whether it must be there. Kept, for asking types what they are is slow."""
    hints = _hints(cls)
    return {field.name: (_reader(hints[field.name]), field.default is MISSING) for field in fields(cls)}


def _reader(kind: Any) -> Reader:
    if get_origin(kind) is Annotated:
        base, limit = get_args(kind)
        return _checked(_reader(base), limit.check)
    if get_origin(kind) is tuple:
        return _list(_reader(get_args(kind)[0]))
    if is_dataclass(kind):
        return partial(from_json, kind)
    return {str: _text, float: _number}.get(kind) or partial(_read, kind)


def _checked(read: Reader, check: Callable[[Any, str], None]) -> Reader:
    def checked(value: Any, where: str) -> Any:
        value = read(value, where)
        check(value, where)
        return value

    return checked


def _list(read: Reader) -> Reader:
    def items(value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise WireError("malformed", f"{where} must be a list.", where)
        if set(map(type, value)) <= {str}:
            return texts(tuple(value), where)
        return plain(value, where)

    def plain(values: Sequence[Any], where: str) -> tuple[Any, ...]:
        return tuple([read(item, f"{where}[{k}]") for k, item in enumerate(values)])

    texts = lru_cache(maxsize=8)(plain)  # every live frame names the same expressions
    return items


def _read(kind: Any, value: Any, where: str) -> Any:
    if type(value) is not kind:
        raise WireError("malformed", f"{where} must be of type {kind.__name__}.", where)
    return value


def _number(value: Any, where: str) -> float:
    if type(value) is int and abs(value) < _LARGEST:
        value = float(value)
    value = _read(float, value, where)
    if not math.isfinite(value):
        raise WireError("malformed", f"{where} is not a finite number.", where)
    return value


def _text(value: Any, where: str) -> str:
    if type(value) is not str:
        raise WireError("malformed", f"{where} must be of type str.", where)
    if not is_text(value):
        raise WireError("malformed", f"{where} holds half a character.", where)
    return value


_PLAIN = frozenset((str, int, float, bool))
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LARGEST = 2**1023
"""Integers beyond do not fit a float."""


def is_text(value: str) -> bool:
    """Whether UTF-8 can hold it: JSON lets lone surrogates pass, which would fail later, on the way out."""
    try:
        return value.isascii() or bool(value.encode())
    except UnicodeEncodeError:
        return False
