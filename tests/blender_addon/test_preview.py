import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs the bpy module (pip install bpy)")

import gpu  # noqa: E402
from mathutils import Matrix  # noqa: E402

from tests.blender_addon import mocked  # noqa: E402
from tests.blender_addon.compositing import plane  # noqa: E402

SIZE = 64
VIEW = "00000000-0000-4000-8000-000000000009"
NEAR, FAR = 0.1, 100.0


@pytest.fixture(scope="module", autouse=True)
def open_gpu(vivant):
    """Let the GPU be used without a window; before, drawing raises, and updating a viewport crashes Blender."""
    if bpy.app.version >= (5, 2, 0):
        gpu.init()
    throwaway_render()
    yield
    throwaway_render()  # the first one after a viewport was drawn off screen may show nothing


def throwaway_render():
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    scene = bpy.context.scene
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    scene.render.engine, scene.render.resolution_x, scene.render.resolution_y = "BLENDER_WORKBENCH", 32, 32
    bpy.ops.render.render()


@pytest.fixture
def shader(empty):
    """The drawing module."""
    from bl_ext.dev.vivant import preview_shader

    yield preview_shader
    preview_shader.forget()


def frame(rgba, depth, x=0, y=0, full=SIZE, near=1.0, far=9.0):
    """A live frame as it comes from the wire: [h, w, 4] u1 display sRGB premultiplied, [h, w] metres."""
    from bl_ext.dev.vivant._shared.wire import messages, pixels
    from bl_ext.dev.vivant._shared.wire.codec import Envelope

    message = messages.Frame(full, full, x, y, view=VIEW, seq=1, near=near, far=far)
    return Envelope(message, {"rgba": rgba, "depth": pixels.depth_to_u2(depth, near, far)})


def perspective(focal=2.0):
    """An OpenGL projection of a square view."""
    a, b = (FAR + NEAR) / (NEAR - FAR), 2 * FAR * NEAR / (NEAR - FAR)
    return Matrix(((focal, 0, 0, 0), (0, focal, 0, 0), (0, 0, a, b), (0, 0, -1, 0)))


def depth_buffer(metres):
    """What the depth buffer holds at a planar distance."""
    a, b = (FAR + NEAR) / (NEAR - FAR), 2 * FAR * NEAR / (NEAR - FAR)
    return ((-a * metres + b) / metres + 1) / 2


def drawn(actions):
    """Colour [S, S, 4] and depth [S, S], top row first, after `actions` drew into an empty offscreen buffer."""
    offscreen = gpu.types.GPUOffScreen(SIZE, SIZE, format="RGBA32F")
    try:
        with offscreen.bind():
            buffer = gpu.state.active_framebuffer_get()
            buffer.clear(color=(0, 0, 0, 0), depth=1.0)
            actions(offscreen)
            colour = buffer.read_color(0, 0, SIZE, SIZE, 4, 0, "FLOAT")
            depth = buffer.read_depth(0, 0, SIZE, SIZE)
        colour, depth = (np.array(part.to_list(), np.float32)[::-1] for part in (colour, depth))
        return colour, depth.reshape(SIZE, SIZE)
    finally:
        offscreen.free()


def viewport():
    """A 3D viewport's space and region; Blender has a window without a screen too."""
    window = bpy.context.window_manager.windows[0]
    area = next(area for area in window.screen.areas if area.type == "VIEW_3D")
    return area.spaces.active, next(region for region in area.regions if region.type == "WINDOW")


def linear(srgb):
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def test_a_frame_is_drawn_in_its_box_with_exact_colour_and_depth(shader):
    rng = np.random.default_rng(0)
    rgba = rng.integers(0, 256, (20, 30, 4)).astype(np.uint8)
    rgba[..., 3] = 255
    rgba[:5, :5] = 0
    metres = rng.uniform(2, 8, (20, 30)).astype(np.float32)
    picture = []

    def draw(_):
        picture.append(shader.upload(shader.pack(frame(rgba, metres, x=10, y=7))))
        shader.draw(picture, perspective())

    colour, depth = drawn(draw)
    box = colour[7:27, 10:40]
    seen = rgba[..., 3] > 0
    np.testing.assert_allclose(box[seen][:, :3], linear(rgba[seen][:, :3] / 255.0), atol=1e-4)
    np.testing.assert_allclose(depth[7:27, 10:40][seen], depth_buffer(metres[seen]), atol=2e-6)
    assert not box[~seen].any()
    assert (depth[7:27, 10:40][~seen] == 1).all()
    outside = np.ones((SIZE, SIZE), bool)
    outside[7:27, 10:40] = False
    assert not colour[outside].any()


def test_half_transparent_pixels_blend_in_linear_light(shader):
    grey = np.full((SIZE, SIZE, 4), 64, np.uint8)  # 0.5 of display colour, at half alpha
    grey[..., 3] = 128
    back = np.full((SIZE, SIZE, 4), 255, np.uint8)

    def draw(_):
        shader.draw([uploaded(shader, back, 5.0), uploaded(shader, grey, 3.0)], perspective())

    colour, _ = drawn(draw)
    alpha = 128 / 255
    np.testing.assert_allclose(colour[..., 0], linear(64 / 128) * alpha + (1 - alpha), atol=1e-5)


def uploaded(shader, pixels, metres):
    """A picture of [S, S, 4] u1 at one distance or at [S, S] of them."""
    return shader.upload(shader.pack(frame(pixels, np.broadcast_to(np.float32(metres), (SIZE, SIZE)))))


def test_an_avatar_that_is_far_as_a_whole_lies_with_its_soft_edge_over_what_it_is_before(shader):
    """Two interlocking avatars: the soft one is at 3 metres on the left and at 8 on the right, the solid one at 5."""
    grey = np.full((SIZE, SIZE, 4), 64, np.uint8)
    grey[..., 3] = 128
    back = np.full((SIZE, SIZE, 4), 255, np.uint8)
    metres = np.full((SIZE, SIZE), 3.0)
    metres[:, SIZE // 2 :] = 8.0
    colour, _ = drawn(lambda _: shader.draw([uploaded(shader, grey, metres), uploaded(shader, back, 5)], perspective()))
    alpha = 128 / 255
    np.testing.assert_allclose(colour[:, : SIZE // 2 - 1, 0], linear(64 / 128) * alpha + (1 - alpha), atol=1e-5)
    np.testing.assert_allclose(colour[:, SIZE // 2 + 1 :, 0], 1, atol=1e-5)


def test_what_stands_before_the_avatar_hides_it_in_the_viewport(shader):
    """Two planes at 4 and 8 metres, the avatar at 6: the near one hides it, the far one does not."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    plane("Near", -1.5, 3, 4, (0.8, 0.1, 0.2, 1))
    plane("Far", 3, 6, 8, (0.1, 0.3, 0.9, 1))
    bpy.context.view_layer.update()
    (space, region), scene = viewport(), bpy.context.scene
    space.overlay.show_overlays = False
    space.clip_start, space.clip_end = NEAR, FAR
    looking_along_y = Matrix(((1, 0, 0, 0), (0, 0, 1, 0), (0, -1, 0, 0), (0, 0, 0, 1)))
    green = np.zeros((SIZE, SIZE, 4), np.uint8)
    green[..., 1], green[..., 3] = 255, 255

    def draw(offscreen):
        offscreen.draw_view3d(scene, scene.view_layers[0], space, region, looking_along_y, perspective())
        picture = shader.upload(shader.pack(frame(green, np.full((SIZE, SIZE), 6, np.float32))))
        shader.draw([picture], perspective())

    colour, _ = drawn(draw)
    is_avatar = (colour[..., 1] > 0.99) & (colour[..., 0] < 0.01) & (colour[..., 2] < 0.01)
    middle = is_avatar[SIZE // 2]
    assert not middle[12:28].any()  # the near plane reaches from the left edge to the middle
    assert middle[34:60].all()


def test_background_mode_has_no_preview_and_says_so(empty):
    from bl_ext.dev.vivant import preview
    from bl_ext.dev.vivant._shared.errors import VivantError

    with pytest.raises(VivantError, match="background"):
        preview.start(bpy.context)
    assert not preview.is_on()


@pytest.fixture(scope="module")
def avatar(vivant, tmp_path_factory):
    """An avatar's id, on a backend that runs as long as these tests."""
    with mocked.backend(tmp_path_factory.mktemp("backend")):
        yield mocked.built()


@pytest.fixture
def looking(empty, avatar):
    """The preview's module, and a preview of a viewport that looks at an avatar."""
    from bl_ext.dev.vivant import preview

    mocked.avatar_in_scene(avatar)
    space, region = viewport()
    space.region_3d.view_perspective = "PERSP"
    space.region_3d.view_matrix = Matrix.Translation((0, 0, -4)) @ Matrix.Rotation(-np.pi / 2, 4, "X")
    space.region_3d.update()
    looking = preview.Preview(space, region)
    yield preview, looking
    for view in looking.views.values():
        preview._forget(view)


def answered(preview, looking, seq):
    """Wait for the frame that answers the request `seq`."""
    from bl_ext.dev.vivant import session

    (view,) = looking.views.values()
    assert session.wait(lambda: view.newest is not None and view.newest.message.seq == seq, 20)
    return view.newest.message


def test_a_moving_view_gets_small_pictures_and_a_resting_one_a_full_one(looking):
    preview, looking = looking
    preview.ask(looking, bpy.context)
    small = answered(preview, looking, 1)
    looking.changed += 60  # however long the answer took
    preview.ask(looking, bpy.context)  # nothing moved, too early to refine
    assert looking.seq == 1
    looking.changed -= 60 + 2 * preview.REST_S
    preview.ask(looking, bpy.context)
    full = answered(preview, looking, 2)
    region = looking.region
    assert (full.width, full.height) == preview._size(region, is_fine=True)
    assert small.width < full.width
    looking.changed -= 2 * preview.REST_S
    preview.ask(looking, bpy.context)  # at rest, nothing more to ask
    assert looking.seq == 2


def test_a_frame_that_came_is_packed_by_a_thread_for_the_next_drawing(looking):
    from bl_ext.dev.vivant import session

    preview, looking = looking
    preview.ask(looking, bpy.context)
    frame = answered(preview, looking, 1)
    (view,) = looking.views.values()
    assert session.wait(lambda: view.seq == 1, 20)
    assert not view.is_uploaded and view.packed.range == (frame.near, frame.far)


def test_a_new_pose_asks_anew(looking):
    preview, looking = looking
    preview.ask(looking, bpy.context)
    first = answered(preview, looking, 1)
    bpy.data.objects["Ada"].location.x = 0.5
    bpy.context.view_layer.update()
    looking.is_dirty = True
    preview.ask(looking, bpy.context)
    second = answered(preview, looking, 2)
    assert second.x > first.x  # to the right


def test_the_frame_lies_where_the_viewport_sees_the_avatar(looking):
    from bpy_extras.view3d_utils import location_3d_to_region_2d

    preview, looking = looking
    preview.ask(looking, bpy.context)
    frame = answered(preview, looking, 1)
    armature = bpy.data.objects["Ada"]
    head = armature.matrix_world @ armature.pose.bones["head"].head
    x, y = location_3d_to_region_2d(looking.region, looking.space.region_3d, head)
    x, y = x / looking.region.width * frame.width, (1 - y / looking.region.height) * frame.height
    (view,) = looking.views.values()
    height, width = view.newest.buffers["depth"].shape
    assert frame.x < x < frame.x + width
    assert frame.y < y < frame.y + height / 4


def test_an_orthographic_view_is_told_what_to_do(looking):
    preview, looking = looking
    looking.space.region_3d.view_perspective = "ORTHO"
    looking.space.region_3d.update()
    preview.ask(looking, bpy.context)
    assert "Numpad 5" in looking.message
    assert not looking.views


def test_an_armature_that_cannot_be_read_is_told_and_the_preview_goes_on_when_it_can(looking):
    preview, looking = looking
    armature = bpy.data.objects["Ada"]
    armature.scale = (1, 2, 1)
    bpy.context.view_layer.update()
    for _ in range(2):
        preview.ask(looking, bpy.context)
    assert "scale" in looking.message
    armature.scale = (1, 1, 1)
    bpy.context.view_layer.update()
    looking.is_dirty = True
    for _ in range(2):
        preview.ask(looking, bpy.context)
    assert looking.message == ""
    answered(preview, looking, 1)


def test_an_avatar_that_left_the_scene_is_asked_for_no_more(looking):
    preview, looking = looking
    preview.ask(looking, bpy.context)
    answered(preview, looking, 1)
    bpy.data.objects.remove(bpy.data.objects["Ada"])
    looking.is_dirty = True
    preview.ask(looking, bpy.context)
    assert not looking.views


def test_bodies_stand_aside_and_come_back(looking):
    from bl_ext.dev.vivant.avatars import body_of

    preview, looking = looking
    body = body_of(bpy.data.objects["Ada"])
    preview.ask(looking, bpy.context)
    assert body.display_type == "BOUNDS"
    preview._come_back(body)
    assert body.display_type == "TEXTURED"
    assert preview.BODY_DISPLAY not in body
