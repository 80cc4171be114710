"""A zoo of photo files: each is read right, or refused in one sentence that names cause and way out (faults 28, 29)."""

import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from backend.photo.decode import read_photo
from shared.errors import VivantError


def picture(width=96, height=80, channels=3):
    rows, columns = np.mgrid[:height, :width]
    stack = np.stack([columns * 2, rows * 3, np.full_like(rows, 90), rows * 3], axis=2)[..., :channels]
    return Image.fromarray(stack.astype(np.uint8).squeeze())


def refused(path):
    with pytest.raises(VivantError) as caught:
        read_photo(path)
    return str(caught.value)


def png_header(path, width, height):
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    )


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_lossless_files_keep_every_pixel(tmp_path, suffix):
    picture().save(tmp_path / f"a.{suffix}", lossless=True)
    photo = read_photo(tmp_path / f"a.{suffix}")
    assert np.array_equal(photo.rgb, np.asarray(picture()))
    assert photo.alpha is None and photo.focal is None and photo.notes == ()


def test_missing_folder_and_empty_are_told_apart(tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    assert "Cannot read" in refused(tmp_path / "none.jpg")
    assert "folder" in refused(tmp_path)
    assert "empty (0 bytes)" in refused(tmp_path / "empty.jpg")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_truncated_files_are_refused(tmp_path, suffix, share):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    message = refused(path)
    assert ("damaged" in message and "again" in message) or "Vivant reads" in message


def test_flipped_bytes_never_escape_as_another_error(tmp_path):
    path = tmp_path / "a.png"
    picture().save(path)
    content = bytearray(path.read_bytes())
    random = np.random.default_rng(1)
    for _ in range(200):
        damaged = content.copy()
        for position in random.integers(8, len(content), 3):
            damaged[position] = random.integers(256)
        path.write_bytes(damaged)
        try:
            read_photo(path)
        except VivantError:
            continue


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"GIF89a" + b"\0" * 40, "GIF"),
        (b"II*\0" + b"\0" * 40, "TIFF"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 40, "HEIC"),
        (b"hello world" * 9, "not a photo"),
    ],
)
def test_other_kinds_are_named(tmp_path, content, named):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    message = refused(path)
    assert named in message and "PNG, JPEG and WEBP" in message


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_animated_files_are_refused(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    picture().save(path, save_all=True, append_images=[picture().rotate(90)])
    assert "animated (2 frames)" in refused(path)


def test_second_picture_of_a_phone_jpeg_is_ignored(tmp_path):
    path = tmp_path / "a.jpg"
    picture().save(path, format="MPO", save_all=True, append_images=[picture().rotate(180)], quality=98)
    assert np.abs(read_photo(path).rgb.astype(int) - np.asarray(picture())).mean() < 3


@pytest.mark.parametrize(("width", "height"), [(8200, 5000), (50_000, 50_000), (2_000_000_000, 3)])
def test_bombs_are_refused_by_their_header(tmp_path, width, height):
    png_header(tmp_path / "a.png", width, height)
    assert "40 megapixels" in refused(tmp_path / "a.png")


def test_too_small_files_are_refused(tmp_path):
    picture(40, 40).save(tmp_path / "a.png")
    assert "only 40 x 40 pixels" in refused(tmp_path / "a.png")


def test_cmyk_becomes_rgb(tmp_path):
    picture().convert("CMYK").save(tmp_path / "a.jpg", quality=98)
    assert np.abs(read_photo(tmp_path / "a.jpg").rgb.astype(int) - np.asarray(picture())).mean() < 6


def test_sixteen_bit_grey_keeps_its_tones(tmp_path):
    grey = np.linspace(0, 65535, 96 * 80).reshape(80, 96).astype(np.uint16)
    Image.fromarray(grey).save(tmp_path / "a.png")
    assert np.abs(read_photo(tmp_path / "a.png").rgb[..., 0] - grey / 257).max() <= 0.51


def test_profile_is_converted_to_srgb(tmp_path):
    """A linear-light profile must brighten the stored numbers; ignoring it would leave them."""
    linear = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ"))
    picture().save(tmp_path / "a.png", icc_profile=linear.tobytes())
    assert "profile" in " ".join(read_photo(tmp_path / "a.png").notes)  # not an RGB profile: said, not silent
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    picture().save(tmp_path / "b.png", icc_profile=srgb.tobytes())
    assert np.abs(read_photo(tmp_path / "b.png").rgb.astype(int) - np.asarray(picture())).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(tmp_path, orientation):
    upright = picture()
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transposes that store `upright` as a camera would
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_photo(tmp_path / "a.png").rgb, np.asarray(upright))


def with_exif(path, size=(300, 200), **tags):
    exif = Image.Exif()
    ifd = exif.get_ifd(ExifTags.IFD.Exif)
    for name, value in tags.items():
        ifd[ExifTags.Base[name]] = value
    picture(*size).save(path, exif=exif)
    return read_photo(path)


def test_focal_from_35mm_equivalent(tmp_path):
    photo = with_exif(tmp_path / "a.jpg", FocalLengthIn35mmFilm=50)
    assert photo.focal == pytest.approx(50 * np.hypot(300, 200) / np.hypot(36, 24))


def test_focal_from_sensor_resolution_of_a_photo_scaled_to_a_tenth(tmp_path):
    # 3000 pixels on 36 mm = 2116.67 per inch; 50 mm are 4166.7 of the sensor's pixels
    photo = with_exif(
        tmp_path / "a.jpg",
        FocalLength=50.0,
        FocalPlaneXResolution=3000 / 36 * 25.4,
        FocalPlaneResolutionUnit=2,
        ExifImageWidth=3000,
        ExifImageHeight=2000,
    )
    assert photo.focal == pytest.approx(416.67, rel=1e-3)


def test_focal_of_a_cropped_photo_is_not_believed(tmp_path):
    photo = with_exif(tmp_path / "a.jpg", FocalLengthIn35mmFilm=50, ExifImageWidth=4000, ExifImageHeight=2000)
    assert photo.focal is None and "cropped" in photo.notes[0]


def test_absurd_focal_is_ignored(tmp_path):
    assert with_exif(tmp_path / "a.jpg", FocalLengthIn35mmFilm=65535).focal is None


def test_alpha_is_kept_and_colours_stay_straight(tmp_path):
    image = picture(channels=4)
    image.save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png")
    stored = np.asarray(image)
    assert np.allclose(photo.alpha, stored[..., 3] / 255) and np.array_equal(photo.straight, stored[..., :3])
    assert (photo.rgb[0] == 255).all()  # the transparent first row is white


def test_opaque_alpha_is_no_matte_and_empty_alpha_no_photo(tmp_path):
    for value in (255, 0):
        image = picture()
        image.putalpha(value)
        image.save(tmp_path / f"{value}.png")
    assert read_photo(tmp_path / "255.png").alpha is None
    assert "transparent everywhere" in refused(tmp_path / "0.png")
