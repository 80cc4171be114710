"""Packed buffers, for connections slower than zstd. Both sides must have announced the feature."""

from __future__ import annotations

try:
    import zstandard
except ImportError:  # Blender ships it; elsewhere it is the extra `zstd`
    zstandard = None  # type: ignore[assignment]

from .errors import WireError
from .limits import ZSTD_WINDOW_BYTES

FEATURES: tuple[str, ...] = ("zstd",) if zstandard else ()
"""What this side can unpack."""

_LEVEL = 1  # faster than a gigabit line


def pack(data: memoryview) -> bytes:
    """One zstd frame that names its size."""
    return zstandard.ZstdCompressor(level=_LEVEL).compress(data)


def unpack(data: bytes | memoryview, nbytes: int) -> bytes:
    """Exactly `nbytes`; no more is ever written, whatever the frame claims or holds.

    Raises:
        WireError: malformed, for a frame that is damaged or of another size, or where there is no zstd here.
    """
    if not zstandard:
        raise WireError("malformed", "A buffer came packed with zstd, which this side did not announce.")
    try:
        with zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES).stream_reader(data) as reader:
            unpacked = reader.read(nbytes)
            longer = reader.read(1)
    except zstandard.ZstdError as error:
        raise WireError("malformed", f"A packed buffer is damaged: {error}.") from error
    if longer or len(unpacked) != nbytes:
        raise WireError("malformed", f"A packed buffer does not hold the {nbytes} bytes announced.")
    return unpacked
