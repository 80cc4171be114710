"""A photo file, read once and safely: upright 8-bit sRGB pixels, its alpha, its focal length."""

from __future__ import annotations

import io
import math
import struct
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps

from shared.errors import VivantError

MAX_PIXELS = 40_000_000
MIN_SIDE = 64
OPAQUE = 0.95  # rounded corners and the like cut nobody out
MAX_FILE_BYTES = 300_000_000
FULL_FRAME_DIAGONAL_MM = math.hypot(36, 24)
FORMATS = ("PNG", "JPEG", "WEBP")

DECODING_ERRORS = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, OverflowError, struct.error)
"""What Pillow raises on damaged files, by experience with cut and flipped bytes."""


@dataclass(frozen=True)
class Photo:
    """The upright photo. Colours are display-referred sRGB."""

    rgb: np.ndarray  # [H, W, 3] uint8; where the file is transparent: blended over white
    alpha: np.ndarray | None  # [H, W] float32 in [0, 1]; None if the file is opaque
    straight: np.ndarray  # [H, W, 3] uint8, the file's own colours, not blended
    focal: float | None  # pixels, from EXIF
    notes: tuple[str, ...] = ()


def read_photo(path: Path) -> Photo:
    """Read a PNG, JPEG or WEBP still of at most 40 megapixels.

    EXIF rotation is applied, an embedded colour profile is converted to sRGB, CMYK and 16-bit files are converted.

    Raises:
        VivantError: the file is missing, empty, damaged, animated, too large, too small or of another kind.
    """
    content = _bytes(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower and follows
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                _check_header(image, path)
                image.load()
                return _photo(image)
    except Image.DecompressionBombError as error:
        raise VivantError(_too_large(path, "far more than 40 megapixels")) from error
    except Image.UnidentifiedImageError as error:
        raise VivantError(_not_an_image(path, content)) from error
    except DECODING_ERRORS as error:
        raise VivantError(
            f"{path} is damaged or cut off ({error}). Copy or export the photo again; nothing could be read from it."
        ) from error


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise VivantError(f"{path} is a folder. Name one photo: a PNG, JPEG or WEBP file.")
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise VivantError(f"{path} is larger than {MAX_FILE_BYTES // 10**6} MB. Save the photo as a JPEG.")
        content = path.read_bytes()
    except OSError as error:
        raise VivantError(
            f"Cannot read {path}: {error.strerror or error}. Check the name and its permissions."
        ) from error
    if not content:
        raise VivantError(f"{path} is empty (0 bytes). Copy or download the photo again.")
    return content


def _not_an_image(path: Path, content: bytes) -> str:
    kinds = {
        b"GIF8": "a GIF",
        b"II*\0": "a TIFF or raw file",
        b"MM\0*": "a TIFF or raw file",
        b"BM": "a BMP",
        b"%PDF": "a PDF",
    }
    kind = next((name for magic, name in kinds.items() if content.startswith(magic)), None)
    if content[4:8] == b"ftyp":
        kind = "a HEIC, AVIF or video file"
    found = f"is {kind}" if kind else "is not a photo, or its beginning is damaged"
    return f"{path} {found}. Vivant reads PNG, JPEG and WEBP: export the photo as one of these."


def _too_large(path: Path, size: str) -> str:
    return f"{path} has {size}; the limit is 40 megapixels. Scale it down: 4000 pixels on the longer side are plenty."


def _check_header(image: Image.Image, path: Path) -> None:
    """Everything that can be refused before a pixel is decoded."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise VivantError(_too_large(path, f"{width} x {height} pixels"))
    if min(width, height) < MIN_SIDE:
        raise VivantError(
            f"{path} has only {width} x {height} pixels. Use a photo of at least 512 pixels on each side."
        )
    # A phone's JPEG may carry a second picture (MPO: depth or preview); the first one is the photo.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise VivantError(f"{path} is animated ({image.n_frames} frames). Save the frame you want as a still picture.")  # type: ignore[attr-defined]


def _photo(image: Image.Image) -> Photo:
    focal, focal_note = _focal(image)
    upright = ImageOps.exif_transpose(image)
    alpha = _alpha(upright)
    straight, colour_note = _srgb(upright)
    notes = tuple(note for note in (focal_note, colour_note) if note)
    if alpha is None:
        return Photo(straight, None, straight, focal, notes)
    blended = straight * alpha[..., None] + 255 * (1 - alpha[..., None])
    return Photo(np.round(blended).astype(np.uint8), alpha, straight, focal, notes)


def _alpha(image: Image.Image) -> np.ndarray | None:
    if not image.has_transparency_data:
        return None
    alpha = np.asarray(image.convert("RGBA").getchannel("A"), dtype=np.float32) / 255
    if alpha.max() < 0.5:
        raise VivantError("The photo is transparent everywhere. Save it with the person visible.")
    return None if alpha.mean() > OPAQUE else alpha


def _srgb(image: Image.Image) -> tuple[np.ndarray, str]:
    """8-bit sRGB pixels [H, W, 3], and a note if an embedded colour profile could not be used."""
    if image.mode.startswith("I"):  # 16-bit grey; Pillow reduces 16-bit colour itself
        grey = np.clip(np.round(np.asarray(image, dtype=np.float64) / 257), 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2), ""
    profile = image.info.get("icc_profile")
    plain = image if image.mode in ("RGB", "L", "CMYK") else image.convert("RGB")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(plain, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            return np.array(converted), ""
        except (ImageCms.PyCMSError, OSError):
            return np.array(
                plain.convert("RGB")
            ), "The photo's colour profile cannot be used; its colours are taken as sRGB."
    return np.array(plain.convert("RGB")), ""


def _focal(image: Image.Image) -> tuple[float | None, str]:
    """The focal length in pixels of the file, from EXIF, and a note if the file contradicts itself."""
    tags = image.getexif().get_ifd(ExifTags.IFD.Exif)
    long_side, short_side = max(image.size), min(image.size)
    recorded = sorted((_number(tags, "ExifImageWidth"), _number(tags, "ExifImageHeight")))
    if recorded[0] and abs(recorded[1] / recorded[0] - long_side / short_side) > 0.02:
        return None, "The photo was cropped after it was taken, so its focal length is estimated, not read."
    equivalent = _number(tags, "FocalLengthIn35mmFilm")
    if equivalent:
        focal = equivalent * math.hypot(*image.size) / FULL_FRAME_DIAGONAL_MM
    else:
        unit_mm = {2: 25.4, 3: 10.0, 4: 1.0}.get(int(_number(tags, "FocalPlaneResolutionUnit") or 2), 25.4)
        focal = _number(tags, "FocalLength") * _number(tags, "FocalPlaneXResolution") / unit_mm
        focal *= long_side / recorded[1] if recorded[1] else 1.0  # the sensor's pixels, if the photo was scaled down
    # Fisheye to super-telephoto; anything else is a wrong entry.
    return (focal, "") if 0.3 < focal / long_side < 30 else (None, "")


def _number(tags: dict[int, object], name: str) -> float:
    """A tag's value, 0 where it is missing, malformed or infinite."""
    try:
        value = float(tags.get(ExifTags.Base[name].value, 0))  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0
    return value if math.isfinite(value) and value > 0 else 0.0
