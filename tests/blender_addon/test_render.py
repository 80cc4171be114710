import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs the bpy module (pip install bpy)")

from tests.blender_addon import mocked  # noqa: E402
from tests.blender_addon.compositing import render  # noqa: E402

SIZE = (48, 64)


@pytest.fixture(scope="module")
def avatar(vivant, tmp_path_factory):
    """An avatar's id, on a backend that runs as long as these tests."""
    with mocked.backend(tmp_path_factory.mktemp("backend")):
        yield mocked.built()


@pytest.fixture
def scene(empty, avatar, tmp_path):
    """Five frames of an avatar whose head turns from frame 3 on."""
    armature = mocked.avatar_in_scene(avatar)
    scene = bpy.context.scene
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.resolution_x, scene.render.resolution_y = SIZE
    scene.frame_start, scene.frame_end = 1, 5
    scene.vivant_render.folder = str(tmp_path / "frames")
    key_head(armature, {3: 0.0, 5: 0.5})
    yield scene
    operators().current = None


def operators():
    from bl_ext.dev.vivant.operators import render

    return render


def session():
    from bl_ext.dev.vivant import session

    return session


def key_head(armature, turns):
    head = armature.pose.bones["head"]
    head.rotation_mode = "QUATERNION"
    for frame, turn in turns.items():
        head.rotation_quaternion = (np.cos(turn / 2), 0, 0, np.sin(turn / 2))
        head.keyframe_insert("rotation_quaternion", frame=frame)


def files(tmp_path, avatar="Ada"):
    """Name -> (when it was written, what it was made from)."""
    from bl_ext.dev.vivant._shared.exr import read_header

    paths = sorted((tmp_path / "frames" / avatar).glob("*.exr"))
    return {path.name: (path.stat().st_mtime_ns, read_header(path).origin) for path in paths}


def rendered(tmp_path, before):
    """Names of the files that were written since."""
    return [name for name, (when, _) in files(tmp_path).items() if name not in before or when != before[name][0]]


def test_a_range_becomes_files_of_the_scenes_size(scene, tmp_path):
    from bl_ext.dev.vivant._shared.exr import read_header

    assert bpy.ops.vivant.render_avatar() == {"FINISHED"}
    found = files(tmp_path)
    assert list(found) == [f"frame_{frame:04d}.exr" for frame in range(7)]  # empty ones around the range
    assert [bool(origin) for _, origin in found.values()] == [False, *[True] * 5, False]
    header = read_header(tmp_path / "frames" / "Ada" / "frame_0003.exr")
    assert (header.width, header.height) == SIZE


def test_the_files_show_the_avatar_where_the_camera_sees_it(scene, tmp_path):
    from bpy_extras.object_utils import world_to_camera_view

    bpy.ops.vivant.render_avatar()
    alpha, depth = pixels_of(tmp_path / "frames" / "Ada" / "frame_0001.exr")
    armature = bpy.data.objects["Ada"]
    head = armature.matrix_world @ armature.pose.bones["head"].head
    x, y, z = world_to_camera_view(scene, scene.camera, head)
    row, column = int((1 - y) * SIZE[1]), int(x * SIZE[0])
    assert alpha[row, column] == 1
    assert abs(depth[row, column] - z) < 0.25  # metres, planar: a head's radius around its joint
    assert alpha[0].max() == 0


def pixels_of(path):
    """Alpha and depth [H, W] as Blender's compositor reads them."""
    from bl_ext.dev.vivant import compat, composite

    found = []
    for socket in ("Alpha", "Depth"):
        scene = bpy.data.scenes.new("reader")
        scene.camera, scene.render.engine = bpy.context.scene.camera, "BLENDER_WORKBENCH"
        scene.render.resolution_x, scene.render.resolution_y = SIZE
        tree = compat.compositor_tree(scene, ensure=True)
        node = tree.nodes.new("CompositorNodeImage")
        composite._show(node, composite.Sequence("reader", str(path), 1, 1))
        output = next(node for node in tree.nodes if node.bl_idname == compat.OUTPUT_NODE)
        tree.links.new(node.outputs[socket], output.inputs["Image"])
        found.append(render(scene, path.with_suffix(f".{socket}.exr"))[..., 0])
        bpy.data.scenes.remove(scene)
    return found


def test_a_second_run_renders_nothing(scene, tmp_path):
    bpy.ops.vivant.render_avatar()
    before = files(tmp_path)
    assert bpy.ops.vivant.render_avatar() == {"FINISHED"}
    assert rendered(tmp_path, before) == []
    assert operators().current.rendered == 0


def test_a_changed_key_renders_exactly_the_frames_it_changes(scene, tmp_path):
    bpy.ops.vivant.render_avatar()
    before = files(tmp_path)
    key_head(bpy.data.objects["Ada"], {5: -0.5})
    bpy.ops.vivant.render_avatar()
    assert rendered(tmp_path, before) == ["frame_0004.exr", "frame_0005.exr"]


def test_camera_and_size_are_inputs_too(scene, tmp_path):
    bpy.ops.vivant.render_avatar()
    before = files(tmp_path)
    scene.camera.location.x = 0.1
    scene.camera.keyframe_insert("location", frame=4)
    scene.camera.location.x = 0
    scene.camera.keyframe_insert("location", frame=3)
    bpy.ops.vivant.render_avatar()
    assert rendered(tmp_path, before) == ["frame_0004.exr", "frame_0005.exr"]
    before = files(tmp_path)
    scene.render.resolution_percentage = 50
    bpy.ops.vivant.render_avatar()
    assert len(rendered(tmp_path, before)) == 7


def test_a_picture_cropped_to_the_render_region_is_a_part_of_the_whole(scene, tmp_path):
    scene.frame_end = 1
    bpy.ops.vivant.render_avatar()
    bpy.ops.vivant.insert_composite()
    whole = render(scene, tmp_path / "whole.exr")
    settings = scene.render
    settings.use_border, settings.use_crop_to_border = True, True
    settings.border_min_x, settings.border_max_x = 0.3, 0.75
    settings.border_min_y, settings.border_max_y = 0.21, 0.93
    bpy.ops.vivant.render_avatar()
    part = render(scene, tmp_path / "part.exr")
    left, right, bottom, top = 14, 36, 13, 59  # of 48 x 64 pixels
    expected = whole[SIZE[1] - top : SIZE[1] - bottom, left:right]
    assert part.shape == expected.shape and expected[..., 3].max() == 1
    assert np.abs(part - expected).max() < 2e-3  # half floats


def test_a_deleted_file_is_noticed(scene, tmp_path):
    bpy.ops.vivant.render_avatar()
    (tmp_path / "frames" / "Ada" / "frame_0002.exr").unlink()
    before = files(tmp_path)
    bpy.ops.vivant.render_avatar()
    assert rendered(tmp_path, before) == ["frame_0002.exr"]


def test_a_cancelled_run_keeps_what_it_has_and_the_next_one_goes_on(scene, tmp_path):
    from bl_ext.dev.vivant import session

    scene.frame_end = 40
    run = operators().start(bpy.context)
    assert session.wait(lambda: not run.poll() or run.rendered >= 3, 30)
    assert operators().is_running()
    bpy.ops.vivant.cancel_render()
    assert run.state == "cancelled"
    kept = [name for name, (_, origin) in files(tmp_path).items() if origin]
    assert 3 <= len(kept) < 40
    before = files(tmp_path)
    assert bpy.ops.vivant.render_avatar() == {"FINISHED"}
    assert operators().current.rendered == 40 - len(kept)
    assert not set(rendered(tmp_path, before)) & set(kept)


def test_a_long_range_is_read_in_pieces_between_which_the_scene_is_as_before(scene, monkeypatch):
    monkeypatch.setattr(operators(), "READ_S", 0.0)  # a frame at a time
    scene.frame_set(4)
    operators().begin(bpy.context)
    seen = []
    while operators().reading is not None:
        seen.append((operators().reading.done, scene.frame_current))
        operators().go_on(bpy.context)
    assert seen == [(done, 4) for done in range(5)]
    assert session().wait(lambda: not operators().go_on(bpy.context), 30)
    assert (operators().current.state, operators().current.rendered) == ("finished", 5)


def test_reading_is_cancelled_without_a_trace(scene, tmp_path, monkeypatch):
    monkeypatch.setattr(operators(), "READ_S", 0.0)
    operators().begin(bpy.context)
    operators().go_on(bpy.context)
    assert bpy.ops.vivant.cancel_render() == {"FINISHED"}
    assert not operators().go_on(bpy.context) and not operators().is_running()
    assert not (tmp_path / "frames").exists()


def test_an_undo_while_a_range_is_read_is_told(scene, monkeypatch):
    monkeypatch.setattr(operators(), "READ_S", 0.0)
    bpy.ops.ed.undo_push(message="one")
    bpy.context.scene.vivant_render.occlude = False
    bpy.ops.ed.undo_push(message="another")
    operators().begin(bpy.context)
    operators().go_on(bpy.context)
    bpy.ops.ed.undo()
    with pytest.raises(Exception, match="Render again"):
        operators().go_on(bpy.context)
    operators().cancel()


def test_several_avatars_are_rendered_into_folders_of_their_own(scene, avatar, tmp_path):
    mocked.avatar_in_scene(avatar, "Grace").location.x = 0.5
    bpy.ops.vivant.render_avatar()
    assert list(files(tmp_path, "Grace")) == list(files(tmp_path, "Ada"))
    assert operators().current.rendered == 10


def test_avatars_that_would_share_a_folder_are_refused(scene, avatar):
    mocked.avatar_in_scene(avatar, "A b")
    mocked.avatar_in_scene(avatar, "A_b")
    with pytest.raises(RuntimeError, match="Rename one"):
        bpy.ops.vivant.render_avatar()


def test_an_unknown_avatar_is_a_clear_error(scene):
    bpy.data.objects["Ada"]["vivant_avatar"] = "00000000-0000-4000-8000-00000000dead"
    with pytest.raises(RuntimeError, match="no such avatar"):
        bpy.ops.vivant.render_avatar()
    assert operators().current.state == "failed"


def test_a_folder_that_cannot_be_written_to_is_a_clear_error(scene, tmp_path):
    (tmp_path / "frames").write_text("a file in the way")
    with pytest.raises(RuntimeError, match="Choose another folder"):
        bpy.ops.vivant.render_avatar()


def test_a_folder_beside_an_unsaved_file_is_refused(scene):
    scene.vivant_render.folder = "//frames/"
    with pytest.raises(RuntimeError, match="save the file first"):
        bpy.ops.vivant.render_avatar()


def test_frames_of_a_saved_file_lie_beside_it(scene, tmp_path):
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    scene.vivant_render.folder = "//frames/"
    bpy.ops.vivant.render_avatar()
    bpy.ops.vivant.insert_composite()
    assert len(files(tmp_path)) == 7
    assert [image.filepath for image in bpy.data.images if image.source == "SEQUENCE"] == [
        "//frames/Ada/frame_0001.exr"
    ]


def test_a_backend_that_does_not_know_the_job_any_more_is_asked_for_what_is_left(scene):
    from bl_ext.dev.vivant import session
    from bl_ext.dev.vivant._shared.wire.errors import WireError

    run = operators().start(bpy.context)
    run._no_answer(WireError("unknown_job", "There is no such job."))
    assert session.wait(lambda: not run.poll(), 30)
    assert (run.state, run.rendered, run.done) == ("finished", 5, 5)
