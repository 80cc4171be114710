import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs the bpy module (pip install bpy)")

from tests.blender_addon.compositing import HEIGHT, WIDTH, render_png, scene_with_planes  # noqa: E402

VIEWS = [("Standard", 0.0, 1.0), ("AgX", 0.0, 1.0), ("Filmic", 0.0, 1.0), ("AgX", 0.7, 1.2), ("Standard", -0.5, 1.0)]


@pytest.fixture
def addon(empty):
    """The package, where compositor nodes render without noise."""
    from bl_ext.dev import vivant

    return vivant


def photo_colours(seed=0):
    """[H, W, 3] uint8: saturated, bright and dark colours as a photo has them."""
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def as_rendered(srgb):
    """[H, W, 4] float16 premultiplied linear, opaque but for the left third, where nothing is."""
    value = srgb / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    rgba = np.concatenate([linear, np.ones((HEIGHT, WIDTH, 1))], -1)
    rgba[:, : WIDTH // 3] = 0
    return rgba.astype(np.float16)


@pytest.mark.parametrize("view", VIEWS)
def test_the_photo_keeps_its_colours_and_the_scene_its_look(addon, tmp_path, view):
    from bl_ext.dev.vivant import composite
    from bl_ext.dev.vivant._shared import exr

    scene = scene_with_planes()
    scene.render.dither_intensity = 0
    scene.view_settings.view_transform, scene.view_settings.exposure, scene.view_settings.gamma = view
    before = render_png(scene, tmp_path / "before.png")
    photo = photo_colours()
    exr.write_exr(tmp_path / "a_0001.exr", as_rendered(photo), np.full((HEIGHT, WIDTH), 2, np.float32))
    sequence = composite.Sequence("A", str(tmp_path / "a_0001.exr"), 1, 1)
    composite.insert(scene, [sequence], match_photo=True)
    after = render_png(scene, tmp_path / "after.png")
    bare, covered = slice(None, WIDTH // 3), slice(WIDTH // 3, None)
    assert np.abs(after[:, covered, :3].astype(int) - photo[:, covered]).max() <= 1
    assert np.abs(after[:, bare].astype(int) - before[:, bare]).max() <= 1


def test_without_matching_the_view_transform_would_change_the_photo(addon, tmp_path):
    from bl_ext.dev.vivant import composite
    from bl_ext.dev.vivant._shared import exr

    scene = scene_with_planes()
    scene.view_settings.view_transform = "AgX"
    photo = photo_colours()
    exr.write_exr(tmp_path / "a_0001.exr", as_rendered(photo), np.full((HEIGHT, WIDTH), 2, np.float32))
    composite.insert(scene, [composite.Sequence("A", str(tmp_path / "a_0001.exr"), 1, 1)])
    after = render_png(scene, tmp_path / "after.png")
    assert np.abs(after[:, WIDTH // 3 :, :3].astype(int) - photo[:, WIDTH // 3 :]).max() > 50


def test_what_nodes_cannot_stand_for_is_refused_before_anything_changes(addon):
    from bl_ext.dev.vivant import compat, view_bake
    from bl_ext.dev.vivant._shared.errors import VivantError

    scene = bpy.context.scene
    view = view_bake.view_of(scene) | {"view_transform": "False Color"}
    if compat.V50:
        view_bake.check_bakeable(scene, view)
        return
    with pytest.raises(VivantError, match="AgX, Filmic"):
        view_bake.check_bakeable(scene, view)
    with pytest.raises(VivantError, match="look"):
        view_bake.check_bakeable(scene, view | {"view_transform": "AgX", "look": "AgX - Punchy"})
