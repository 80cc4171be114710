"""The EXR files of the extension against the OpenEXR library."""

import numpy as np
import OpenEXR
import pytest

from backend.rendering import writers
from backend.stages import Frame
from shared.exr import NO_DEPTH, empty_exr, read_header, write_exr, write_whole


def picture(height, width, seed=0):
    rng = np.random.default_rng(seed)
    rgba = rng.random((height, width, 4)).astype(np.float16)
    rgba[: height // 2, : width // 2] = 0
    return rgba, rng.uniform(0.5, 9, (height, width)).astype(np.float32)


def channels(path):
    file = OpenEXR.File(str(path), separate_channels=True)
    return {name: channel.pixels for name, channel in file.channels().items()}


# Deflating makes the first two longer, so that they are stored as they are.
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (15, 16), (16, 7), (17, 64), (50, 33)])
def test_openexr_reads_back_every_bit(tmp_path, size):
    rgba, depth = picture(*size)
    write_exr(tmp_path / "a.exr", rgba, depth)
    read = channels(tmp_path / "a.exr")
    for k, name in enumerate("RGBA"):
        np.testing.assert_array_equal(read[f"Avatar.Combined.{name}"], rgba[..., k])
    np.testing.assert_array_equal(read["Avatar.Depth.Z"], np.where(rgba[..., 3] > 0, depth, np.float32(NO_DEPTH)))


def test_both_writers_of_vivant_name_and_type_their_channels_alike(tmp_path):
    rgba, depth = picture(20, 30)
    write_exr(tmp_path / "client.exr", rgba, depth)
    alpha = rgba[..., 3].astype(np.float32)
    writers.write_exr(tmp_path / "server.exr", Frame(rgba[..., :3].astype(np.float32), alpha, depth))
    ours, theirs = channels(tmp_path / "client.exr"), channels(tmp_path / "server.exr")
    assert {name: plane.dtype for name, plane in ours.items()} == {name: plane.dtype for name, plane in theirs.items()}
    np.testing.assert_array_equal(ours["Avatar.Depth.Z"], theirs["Avatar.Depth.Z"])


def test_an_empty_frame_is_transparent_and_endlessly_far(tmp_path):
    write_whole(tmp_path / "a.exr", empty_exr(21, 37))
    read = channels(tmp_path / "a.exr")
    assert read["Avatar.Combined.A"].shape == (37, 21)
    assert not any(read[f"Avatar.Combined.{name}"].any() for name in "RGBA")
    assert (read["Avatar.Depth.Z"] == np.float32(NO_DEPTH)).all()


def test_a_file_knows_its_origin_and_size(tmp_path):
    rgba, depth = picture(9, 12)
    write_exr(tmp_path / "a.exr", rgba, depth, origin="5f3a")
    header = read_header(tmp_path / "a.exr")
    assert header is not None
    assert (header.width, header.height, header.origin) == (12, 9, "5f3a")


def test_foreign_and_missing_files_have_no_origin(tmp_path):
    (tmp_path / "text.exr").write_text("no picture")
    OpenEXR.File({}, {"Y": np.zeros((4, 4), np.float32)}).write(str(tmp_path / "foreign.exr"))
    assert [read_header(tmp_path / name) for name in ("text.exr", "foreign.exr", "missing.exr")] == [None] * 3


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path):
    write_whole(tmp_path / "a.exr", b"old")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        write_whole(tmp_path / "folder", b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.exr", "folder"]
