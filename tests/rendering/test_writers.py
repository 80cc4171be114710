"""PNG, EXR and MP4 read back by other libraries."""

import av
import numpy as np
import OpenEXR
import pytest
from PIL import Image

from backend.atomic import ensure_writable
from backend.rendering import writers
from backend.rendering.color import linear_to_srgb, premultiplied_linear, srgb_to_linear, straight
from backend.rendering.writers import NO_DEPTH, write_exr, write_mp4, write_png
from backend.stages import Frame
from shared.errors import VivantError


def made_frame(height=40, width=56, seed=0):
    """A frame with smooth colours, alpha from 0 to 1, and rows that are wholly empty."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    colour = np.stack([x / width, y / height, 0.5 + 0.5 * np.sin(seed + x / 9)], axis=-1)
    alpha = np.clip((y - 5) / (height - 15), 0, 1).astype(np.float32)
    return Frame((colour * alpha[..., None]).astype(np.float32), alpha, (2 + x / width).astype(np.float32))


def test_png_has_straight_alpha(tmp_path):
    frame = made_frame()
    write_png(tmp_path / "a.png", frame)
    rgba = np.asarray(Image.open(tmp_path / "a.png")).astype(float) / 255
    assert np.abs(rgba[..., 3] - frame.alpha).max() <= 0.5 / 255 + 1e-6
    assert np.abs(rgba[..., :3] - straight(frame.rgb, frame.alpha)).max() <= 0.5 / 255 + 1e-6
    assert not rgba[frame.alpha == 0].any()


def test_exr_holds_premultiplied_linear_colour_and_depth_under_blenders_names(tmp_path):
    frame = made_frame()
    write_exr(tmp_path / "a.exr", frame)
    with OpenEXR.File(str(tmp_path / "a.exr"), separate_channels=True) as file:
        channels = {name: channel.pixels for name, channel in file.channels().items()}
        assert file.header()["compression"] == OpenEXR.ZIP_COMPRESSION
    assert set(channels) == {*(f"Avatar.Combined.{c}" for c in "RGBA"), "Avatar.Depth.Z"}
    assert channels["Avatar.Combined.R"].dtype == np.float16
    depth = channels["Avatar.Depth.Z"]
    assert depth.dtype == np.float32
    assert (depth[frame.alpha == 0] == np.float32(NO_DEPTH)).all()
    np.testing.assert_array_equal(depth[frame.alpha > 0], frame.depth[frame.alpha > 0])
    expected = srgb_to_linear(straight(frame.rgb, frame.alpha)) * frame.alpha[..., None]
    for k, name in enumerate("RGB"):
        np.testing.assert_allclose(channels[f"Avatar.Combined.{name}"], expected[..., k], atol=5e-4)
    np.testing.assert_allclose(channels["Avatar.Combined.A"], frame.alpha, atol=5e-4)


def read_video(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return pictures, float(stream.average_rate), stream.codec_context


@pytest.mark.parametrize("size", [(40, 56), (41, 57)])
def test_mp4_plays_back_over_the_background(tmp_path, size):
    frames = [made_frame(*size, seed=k) for k in range(6)]
    encoder = write_mp4(tmp_path / "a.mp4", iter(frames), 25.0, background=(0.2, 0.4, 0.6))
    pictures, rate, codec = read_video(tmp_path / "a.mp4")
    assert encoder
    assert (len(pictures), rate, codec.name, codec.pix_fmt) == (6, 25.0, "h264", "yuv420p")
    assert pictures[0].shape == (size[0] + size[0] % 2, size[1] + size[1] % 2, 3)
    assert np.abs(pictures[3][1, 1].astype(int) - [51, 102, 153]).max() <= 4
    expected = frames[3].rgb + (1 - frames[3].alpha[..., None]) * np.array([0.2, 0.4, 0.6])
    error = np.abs(pictures[3][: size[0], : size[1]] / 255 - expected)
    assert error.mean() < 0.02
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # plays before it is loaded whole


def test_linear_and_srgb_are_inverse():
    values = np.linspace(0, 1, 1001)
    np.testing.assert_allclose(linear_to_srgb(srgb_to_linear(values)), values, atol=1e-6)


def test_soft_edges_keep_their_colour_in_linear_light():
    grey, alpha = np.full((1, 1, 3), 0.5 * 0.25, np.float32), np.full((1, 1), 0.25, np.float32)
    np.testing.assert_allclose(premultiplied_linear(grey, alpha) / 0.25, srgb_to_linear(np.float32(0.5)), rtol=1e-6)


WRITE = {
    "png": lambda path: write_png(path, made_frame()),
    "exr": lambda path: write_exr(path, made_frame()),
    "mp4": lambda path: write_mp4(path, [made_frame()], 25),
}


@pytest.mark.parametrize("kind", WRITE)
def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path, kind):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VivantError, match="Cannot write"):
        WRITE[kind](tmp_path / "file" / f"a.{kind}")


@pytest.mark.parametrize("kind", WRITE)
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, kind, monkeypatch):
    path = tmp_path / f"a.{kind}"
    path.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("backend.atomic.os.fsync", full)
    with pytest.raises(VivantError, match="No space left"):
        WRITE[kind](path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_video_that_breaks_off_leaves_nothing(tmp_path):
    def broken():
        yield made_frame()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_mp4(tmp_path / "a.mp4", broken(), 25)
    assert not list(tmp_path.iterdir())


def test_a_video_of_no_frames_is_refused(tmp_path):
    with pytest.raises(VivantError, match="No frame"):
        write_mp4(tmp_path / "a.mp4", iter(()), 25)
    assert not list(tmp_path.iterdir())


def test_without_an_encoder_the_way_out_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(writers, "_VIDEO_ENCODERS", (("no_such_encoder", {}),))
    with pytest.raises(VivantError, match="pip install"):
        write_mp4(tmp_path / "a.mp4", [made_frame()], 25)


def test_writability_is_known_before_the_work(tmp_path):
    ensure_writable(tmp_path / "new" / "folder")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(VivantError, match="Cannot write"):
        ensure_writable(tmp_path / "file" / "folder")
