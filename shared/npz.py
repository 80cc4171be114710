"""Read named arrays from a foreign .npz with care: nothing is unpickled, sizes are checked before they are read."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import NoReturn

import numpy as np

from .errors import VivantError

MAX_FRAMES = 500_000
MAX_BYTES = 1 << 30
"""Per array, unpacked: beyond any recording, and small enough to read."""


class NpzReader:
    """A motion archive. Every complaint is a `VivantError` that names the file, the cause and the way out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            archive = np.load(path, allow_pickle=False)
        except Exception as error:  # damaged bytes make zipfile, zlib and numpy's header parser raise anything
            raise self._unreadable(error) from error
        if not isinstance(archive, np.lib.npyio.NpzFile):
            self.fail("is a single array, not an .npz archive", "Save it with np.savez and named arrays.")
        self._archive = archive
        self.keys = frozenset(archive.files)

    def __enter__(self) -> NpzReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._archive.close()

    def fail(self, cause: str, remedy: str) -> NoReturn:
        """Raise the error that says what is wrong with this file and what to do."""
        raise VivantError(f"The motion file {self._path} {cause}. {remedy}")

    def numbers(self, key: str, frames: int | None, width: int | None) -> np.ndarray:
        """A finite float array [frames, width]; None leaves a length open. Trailing axes are flattened."""
        array = self._array(key)
        if array.ndim < 2 or array.dtype.kind not in "fiu":
            self.fail(f"has a {key} of shape {array.shape} and type {array.dtype}", "Write numbers, one row per frame.")
        if len(array) == 0:
            self.fail(f"has no frames in {key}", "Export at least one frame.")
        if len(array) > MAX_FRAMES:
            self.fail(f"has {len(array)} frames", f"Cut it to at most {MAX_FRAMES}.")
        array = array.reshape(len(array), -1)
        if (frames or len(array), width or array.shape[1]) != array.shape:
            wanted = f"{frames or 'any'} x {width or 'any'}"
            self.fail(
                f"has a {key} of {array.shape[0]} x {array.shape[1]} numbers instead of {wanted}", "Export it again."
            )
        if not np.isfinite(array).all():
            frame = int(np.argmin(np.isfinite(array).all(axis=1)))
            self.fail(f"has a number that is not finite in {key}, frame {frame}", "Cut or repair those frames.")
        return array.astype(np.float64)

    def scalar(self, key: str) -> float | None:
        """A lone number, or None where the key is missing."""
        if key not in self.keys:
            return None
        array = self._array(key)
        if array.size != 1 or array.dtype.kind not in "fiub":
            self.fail(f"has a {key} that is not one number", "Write a single number there.")
        return float(array.reshape(()))

    def text(self, key: str) -> str:
        """A lone text, or an empty one where the key is missing."""
        return "".join(self.texts(key)[:1]) if key in self.keys else ""

    def texts(self, key: str) -> tuple[str, ...]:
        """An array of texts."""
        array = self._array(key)
        if array.dtype.kind not in "US":
            self.fail(f"has a {key} that is not text", "Write plain text arrays, no Python objects.")
        decoded = np.char.decode(array, "utf-8", "replace") if array.dtype.kind == "S" else array
        return tuple(str(item) for item in decoded.ravel())

    def _array(self, key: str) -> np.ndarray:
        if key not in self.keys:
            self.fail(f"lacks {key}", f"It holds {', '.join(sorted(self.keys)[:12])}.")
        try:
            size = self._archive.zip.getinfo(f"{key}.npy").file_size
            array = np.asarray(self._archive[key]) if size <= MAX_BYTES else None
        except Exception as error:  # as above
            raise self._unreadable(error) from error
        if array is None:
            self.fail(f"unpacks {key} to more than {MAX_BYTES >> 20} MiB", "Cut the motion into shorter pieces.")
        return array

    def _unreadable(self, error: Exception) -> VivantError:
        if isinstance(error, FileNotFoundError):
            return VivantError(f"There is no motion file {self._path}. Check the path.")
        return VivantError(
            f"Cannot read the motion file {self._path}: {error}. Give an .npz of plain arrays "
            "(np.savez, no Python objects); a .pkl, .pt or .npy must be converted first."
        )
