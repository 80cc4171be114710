import uuid

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tests.conftest import EXAMPLES

bpy = pytest.importorskip("bpy", reason="needs the bpy module (pip install bpy)")

from shared.camera import Camera  # noqa: E402
from shared.skeleton import JOINT_NAMES  # noqa: E402
from tests.blender_addon.moving import assert_same_pose  # noqa: E402
from tests.blender_addon.people import NAMES, made_up_rig, posed  # noqa: E402

PHOTO = EXAMPLES / "astronaut.png"


@pytest.fixture
def person():
    return made_up_rig()


@pytest.fixture
def editor(empty, person):
    """The editing scene, opened from a scene with a cursor and settings of its own."""
    from bl_ext.dev.vivant import edit_fit

    before = bpy.context.scene
    before.cursor.location = (4, 5, 6)
    before.vivant.photo, before.vivant.register_job = str(PHOTO), "the job"
    return edit_fit.open_editor(bpy.context, person, PHOTO, "the job")


def armature_of(scene):
    from bl_ext.dev.vivant.avatars import avatars_of

    (armature,) = avatars_of(scene)
    return armature


def test_joints_appear_in_blender_where_the_fit_projects_them(editor, person):
    from bpy_extras.object_utils import world_to_camera_view

    armature, (width, height) = armature_of(editor), person.image_size
    bpy.context.view_layer.update()
    views = [
        world_to_camera_view(editor, editor.camera, armature.matrix_world @ armature.pose.bones[name].head)
        for name in JOINT_NAMES
    ]
    seen = np.array([(view.x * width, (1 - view.y) * height) for view in views])
    places, _ = posed(person, person.full_pose, person.transl, {})
    projected, _ = Camera(width, height, person.K, person.world_to_camera).project(places)
    assert_allclose(seen, projected, atol=0.5)
    assert_allclose(seen, projected, atol=0.01)  # what the arithmetic gives


def test_the_photo_fills_the_view_half_transparent_before_the_body(editor, person):
    picture = editor.camera.data.background_images[0]
    assert picture.image.filepath.endswith(PHOTO.name) and editor.camera.data.show_background_images
    assert (picture.display_depth, picture.alpha) == ("FRONT", 0.5)
    assert (editor.render.resolution_x, editor.render.resolution_y) == tuple(person.image_size)
    assert bpy.context.mode == "POSE"


def test_a_fit_that_is_sent_untouched_is_the_fit(editor, person):
    from bl_ext.dev.vivant import edit_fit

    fit = edit_fit.corrected(bpy.context)
    assert fit.registration == "the job"
    assert {name: array.shape for name, array in fit.buffers.items()} == {
        "full_pose": (1, 165),
        "transl": (1, 3),
        "expression": (1, len(set(NAMES))),
    }
    assert all(array.dtype == np.float32 for array in fit.buffers.values())
    assert_same_pose(fit.buffers["full_pose"], person.full_pose)
    assert_allclose(fit.buffers["transl"][0], person.transl, atol=1e-5)
    there = dict(zip(fit.expression_names, fit.buffers["expression"][0], strict=True))
    assert there["mouthSmileLeft"] == pytest.approx(1.4)
    assert there["cheekPuff"] == pytest.approx(0.6)


def test_moving_the_armature_itself_is_a_correction_too(editor, person):
    from bl_ext.dev.vivant import edit_fit

    armature_of(editor).location = (0.5, 0, 0.25)
    bpy.context.view_layer.update()
    fit = edit_fit.corrected(bpy.context)
    assert_allclose(fit.buffers["transl"][0], np.add(person.transl, (0.5, 0.25, 0)), atol=1e-5)


def test_closing_goes_back_and_leaves_nothing_behind(editor):
    from bl_ext.dev.vivant import edit_fit

    edit_fit.close_editor(bpy.context)
    assert [scene.name for scene in bpy.data.scenes] == ["Scene"]
    assert bpy.context.scene.vivant.photo == str(PHOTO)
    assert not [item for item in bpy.data.objects if item.type in ("ARMATURE", "CAMERA")]


def test_undo_closes_the_editor(empty, person):
    from bl_ext.dev.vivant import edit_fit

    bpy.ops.ed.undo_push(message="before")
    edit_fit.open_editor(bpy.context, person, PHOTO, "the job")
    bpy.ops.ed.undo_push(message="edit fit")
    bpy.ops.ed.undo()
    assert [scene.name for scene in bpy.data.scenes] == ["Scene"]
    assert bpy.context.scene.name == "Scene"


def test_the_editor_keeps_the_photo_but_not_the_users_scene(editor):
    assert editor.vivant.photo == str(PHOTO)
    assert len(editor.objects) == 3


def test_edit_and_send_against_a_backend(empty, tmp_path):
    pytest.importorskip("zmq", reason="needs pyzmq")
    from tests.blender_addon import mocked

    with mocked.backend(tmp_path):
        bpy.ops.vivant.choose_photo(filepath=str(PHOTO))
        bpy.ops.vivant.register_photo()
        first = bpy.context.scene.vivant.register_job
        assert empty.session.wait(lambda: empty.mirror.job(first).state == "finished", 20)
        bpy.ops.vivant.edit_fit()
        assert empty.session.wait(lambda: bpy.context.scene.name == "Vivant Fit", 20)
        with pytest.raises(RuntimeError, match="poll"):
            bpy.ops.vivant.edit_fit()
        armature_of(bpy.context.scene).pose.bones["left_elbow"].rotation_quaternion = (0.8, 0, 0.6, 0)
        bpy.ops.vivant.send_fit()
        second = bpy.context.scene.vivant.register_job
        assert bpy.context.scene.name == "Scene" and second != first and uuid.UUID(second)
        assert empty.session.wait(lambda: empty.mirror.job(second).state == "finished", 20)
        empty.session.wait(lambda: False, 0.2)  # the overlay of the second fit comes in
