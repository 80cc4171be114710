"""Read the arrays of an SMPL-X `.npz`, official or open, and check them at the border."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.errors import VivantError
from shared.skeleton import NUM_JOINTS, PARENTS

CONVERT_PICKLE = (
    "If you trust where it comes from, convert it once: "
    "python -c \"import numpy as np, pickle; d = pickle.load(open('FILE.pkl', 'rb'), encoding='latin1'); "
    "np.savez('FILE.npz', **{k: v.toarray() if hasattr(v, 'toarray') else np.asarray(v) for k, v in d.items()})\""
)
OFFICIAL = "SMPL-X model files (SMPLX_NEUTRAL.npz and its siblings) come from smpl-x.is.tue.mpg.de."
POSE_FEATURES = 9 * (NUM_JOINTS - 1)


@dataclass(frozen=True)
class BodyArrays:
    """The numeric content of a body file, under the file's own key names."""

    sha256: str  # of the whole file
    v_template: np.ndarray  # [V, 3] metres
    f: np.ndarray  # [F, 3] int64
    vt: np.ndarray  # [T, 2]
    ft: np.ndarray  # [F, 3] int64
    weights: np.ndarray  # [V, 55]
    J_regressor: np.ndarray  # [55, V]
    shapedirs: np.ndarray  # [V, 3, S]
    posedirs: np.ndarray  # [V, 3, 486]
    hands_meanl: np.ndarray  # [45] axis-angle
    hands_meanr: np.ndarray  # [45]
    open_part: np.ndarray | None  # [F] str, the open body's own names
    open_expression_names: np.ndarray | None  # [E] str


def read_body(path: Path) -> BodyArrays:
    """Read and check a body file. Only the arrays named in `BodyArrays` are touched, and never a pickle.

    Raises:
        VivantError: not an `.npz` body, a pickle, or a key is missing or has the wrong shape.
    """
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise VivantError(f"Cannot read the body file {path}: {error.strerror}. {OFFICIAL}") from error
    if not zipfile.is_zipfile(path):
        raise _unreadable(path)
    with np.load(path, allow_pickle=False) as archive:
        arrays = _Reader(path, archive)
        kintree = arrays.numeric("kintree_table", lambda a: a.shape == (2, NUM_JOINTS))
        if tuple(kintree[0, 1:].tolist()) != PARENTS[1:]:
            raise VivantError(f"{path} does not have SMPL-X's 55-joint tree (key kintree_table). {OFFICIAL}")
        return _read(arrays, digest)


def _unreadable(path: Path) -> VivantError:
    with path.open("rb") as file:
        pickled = file.read(1) == b"\x80"  # how a pickle begins
    if pickled or path.suffix == ".pkl":
        return VivantError(
            f"{path} is a pickle, not an .npz; it is refused because loading one runs code. {CONVERT_PICKLE}"
        )
    return VivantError(f"{path} is not a readable .npz: empty, cut off or something else. Fetch it again. {OFFICIAL}")


def _read(arrays: _Reader, digest: str) -> BodyArrays:
    template = arrays.numeric("v_template", lambda a: a.ndim == 2 and a.shape[1] == 3)
    faces = arrays.indices("f", len(template), lambda a: a.ndim == 2 and a.shape[1] == 3)
    uv = arrays.numeric("vt", lambda a: a.ndim == 2 and a.shape[1] == 2)
    return BodyArrays(
        sha256=digest,
        v_template=template,
        f=faces,
        vt=uv,
        ft=arrays.indices("ft", len(uv), lambda a: a.shape == faces.shape),
        weights=arrays.numeric("weights", lambda a: a.shape == (len(template), NUM_JOINTS)),
        J_regressor=arrays.numeric("J_regressor", lambda a: a.shape == (NUM_JOINTS, len(template))),
        shapedirs=arrays.numeric("shapedirs", lambda a: a.shape[:2] == template.shape and a.shape[2:] >= (20,)),
        posedirs=arrays.numeric("posedirs", lambda a: a.shape == (*template.shape, POSE_FEATURES)),
        hands_meanl=arrays.numeric("hands_meanl", lambda a: a.shape == (45,)),
        hands_meanr=arrays.numeric("hands_meanr", lambda a: a.shape == (45,)),
        open_part=arrays.names("open_part"),
        open_expression_names=arrays.names("open_expression_names"),
    )


class _Reader:
    """Named arrays of one archive, each checked as it is read."""

    def __init__(self, path: Path, archive: np.lib.npyio.NpzFile) -> None:
        self.path, self.archive = path, archive

    def numeric(self, key: str, fits: Callable[[np.ndarray], bool]) -> np.ndarray:
        """A finite numeric array whose shape `fits`, as float32 unless integer."""
        array = self._array(key)
        if array.dtype.kind not in "fiu" or not fits(array) or not np.isfinite(array).all():
            found = f"{array.dtype} {array.shape}"
            raise VivantError(f"{self.path}: the array {key} ({found}) is not what an SMPL-X file holds. {OFFICIAL}")
        return array.astype(np.float32) if array.dtype.kind == "f" else array

    def indices(self, key: str, limit: int, fits: Callable[[np.ndarray], bool]) -> np.ndarray:
        """Integers below `limit`, as int64."""

        def in_range(array: np.ndarray) -> bool:
            return array.dtype.kind in "iu" and fits(array) and 0 <= array.min() <= array.max() < limit

        return self.numeric(key, in_range).astype(np.int64)

    def names(self, key: str) -> np.ndarray | None:
        """Strings only our own open body holds."""
        return self._array(key) if key in self.archive.files else None

    def _array(self, key: str) -> np.ndarray:
        if key not in self.archive.files:
            hint = "It has no UV map: take the .npz of SMPL-X v1.1. " if key in ("vt", "ft") else ""
            raise VivantError(f"{self.path} lacks the array {key}. {hint}{OFFICIAL}")
        try:
            return self.archive[key]
        except (ValueError, OSError, zlib.error, zipfile.BadZipFile) as error:
            raise VivantError(
                f"{self.path}: the array {key} cannot be read ({error}). Fetch the file again. {OFFICIAL}"
            ) from error
