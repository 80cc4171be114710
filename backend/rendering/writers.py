"""Frames -> files: PNG (straight alpha), multilayer EXR (premultiplied linear, with depth), MP4 (over a colour)."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import OpenEXR
from PIL import Image

from backend.atomic import written_whole
from backend.rendering.color import over, premultiplied_linear, straight, to_bytes
from backend.stages import Frame
from shared.errors import VivantError

NO_DEPTH = 1e10
"""What Blender's own renderers write where there is nothing."""

WHITE = (1.0, 1.0, 1.0)

_VIDEO_ENCODERS: tuple[tuple[str, dict[str, str]], ...] = (
    ("libx264", {"crf": "16", "preset": "medium"}),
    ("libopenh264", {"b": "12000000"}),
    ("h264_videotoolbox", {"b": "12000000"}),
    ("h264_mf", {"b": "12000000"}),
)
"""H.264 encoders, best first: PyAV's own wheels have libx264, other builds what their system has."""


def write_png(path: Path, frame: Frame) -> None:
    """Write 8-bit sRGB with straight alpha. Raises `VivantError` where the file cannot be written."""
    rgba = np.concatenate([straight(frame.rgb, frame.alpha), frame.alpha[..., None]], axis=-1)
    with written_whole(path) as temporary:
        Image.fromarray(to_bytes(rgba)).save(temporary, format="PNG", compress_level=4)


def write_exr(path: Path, frame: Frame) -> None:
    """Write what Blender's compositor takes as it stands: premultiplied linear Rec.709 and planar depth.

    Channels `Avatar.Combined.R/G/B/A` (half) and `Avatar.Depth.Z` (float, metres, 1e10 where alpha is 0): Blender shows
    them as the sockets Combined and Depth of one layer. Raises `VivantError` where the file cannot be written.
    """
    linear = premultiplied_linear(frame.rgb, frame.alpha)
    channels = {f"Avatar.Combined.{name}": _plane(linear[..., k], np.float16) for k, name in enumerate("RGB")}
    channels["Avatar.Combined.A"] = _plane(frame.alpha, np.float16)
    channels["Avatar.Depth.Z"] = _plane(np.where(frame.alpha > 0, frame.depth, NO_DEPTH), np.float32)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with written_whole(path) as temporary:
        try:
            OpenEXR.File(header, channels).write(str(temporary))
        except RuntimeError as error:  # how OpenEXR tells of a full disk
            raise OSError(str(error)) from error


def write_mp4(
    path: Path,
    frames: Iterable[Frame],
    fps: float,
    background: tuple[float, float, float] = WHITE,  # sRGB in [0, 1]
) -> str:
    """Write H.264 (yuv420p, tagged BT.709) that browsers play, frame by frame as they come; returns the encoder's name.

    The last line of an odd width or height is doubled, for H.264 halves its colour planes.

    Raises:
        VivantError: no frame came, no encoder is there, or the file cannot be written.
    """
    encoder, options = video_encoder()
    with (
        written_whole(path) as temporary,
        av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"}) as container,
    ):
        stream = None
        for frame in frames:
            picture = _even(to_bytes(over(frame.rgb, frame.alpha, background)))
            if stream is None:
                stream = _video_stream(container, encoder, options, fps, picture)
            container.mux(stream.encode(_video_frame(picture)))
        if stream is None:
            raise VivantError(f"No frame to write to {path}. Choose a range of frames that the motion has.")
        container.mux(stream.encode())
    return encoder


def _plane(values: np.ndarray, kind: type) -> np.ndarray:
    return np.ascontiguousarray(values.astype(kind))


def video_encoder() -> tuple[str, dict[str, str]]:
    """The best H.264 encoder that PyAV has here, and its options. Raises `VivantError` where it has none."""
    for name, options in _VIDEO_ENCODERS:
        if name in av.codecs_available:
            return name, options
    raise VivantError(
        "This PyAV has no H.264 encoder. Install PyAV's own wheel (pip install --force-reinstall av), or render PNG."
    )


def _video_stream(
    container: av.container.OutputContainer, encoder: str, options: dict[str, str], fps: float, picture: np.ndarray
) -> av.VideoStream:
    stream = container.add_stream(encoder, rate=Fraction(fps).limit_denominator(1001), options=options)
    assert isinstance(stream, av.VideoStream)
    stream.height, stream.width = picture.shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.codec_context.color_range = 1  # limited, what players expect
    stream.codec_context.colorspace = 1  # BT.709, and not the BT.601 that some players guess for small pictures
    stream.codec_context.color_primaries = 1
    stream.codec_context.color_trc = 1
    return stream


def _video_frame(picture: np.ndarray) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")


def _even(picture: np.ndarray) -> np.ndarray:  # [H, W, 3]
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
