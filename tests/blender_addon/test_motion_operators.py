"""What the Motion panel's buttons and sliders do, pressed by themselves."""

import numpy as np
import pytest

bpy = pytest.importorskip("bpy", reason="needs the bpy module (pip install bpy)")

from shared.skeleton import JOINT_NAMES  # noqa: E402
from shared.talking import talking_motion  # noqa: E402
from tests.blender_addon.fake_layout import draw, panels  # noqa: E402
from tests.blender_addon.moving import assert_same_pose, foreign, key, now, read  # noqa: E402
from tests.blender_addon.people import made_up_rig  # noqa: E402


@pytest.fixture
def avatar(empty):
    from bl_ext.dev.vivant import rig

    bpy.context.scene.render.fps = 25
    return rig.create(bpy.context, made_up_rig(), None, "Ann", "a" * 8)


def expression(armature, name):
    _, _, values, names = now(armature)
    return values[names.index(name)]


def test_one_click_puts_the_backends_avatar_into_the_scene(empty, tmp_path):
    pytest.importorskip("zmq", reason="needs pyzmq")
    from tests.blender_addon import mocked

    with mocked.backend(tmp_path):
        avatar = mocked.built()
        bpy.ops.ed.undo_push(message="before")
        empty.session.wait(lambda: len(bpy.context.window_manager.vivant.avatars) == 1, 10)
        assert bpy.ops.vivant.create_rig() == {"FINISHED"}
        assert empty.session.wait(lambda: bpy.context.active_object is not None, 20)
        armature = bpy.context.active_object
        assert armature["vivant_avatar"] == avatar
        material = armature.children[0].active_material
        assert material.node_tree.nodes.active.image.size[0] > 0
        bpy.ops.ed.undo()
        assert not [item for item in bpy.data.objects if item.type == "ARMATURE"]


def test_without_an_avatar_the_buttons_say_what_is_missing(empty):
    assert not bpy.ops.vivant.talk.poll() and not bpy.ops.vivant.load_motion.poll()
    texts = " ".join(draw(panels()["VIVANT_PT_motion"]).texts)
    assert "Add an avatar from the list" in texts


def test_talking_needs_one_click(avatar):
    assert bpy.ops.vivant.talk(seconds=2.0, seed=4) == {"FINISHED"}
    scene = bpy.context.scene
    assert (scene.frame_start, scene.frame_end, scene.frame_current) == (1, 50, 1)
    wanted = talking_motion(2.0, 25.0, 4).full_pose
    assert_same_pose(read(avatar, range(1, 51)).full_pose[:, 3:], wanted[:, 3:])


def test_the_report_of_a_file_is_kept_for_the_panel_and_can_be_overruled(avatar, tmp_path):
    poses = np.zeros((5, 165))
    poses[:, 75:] = 0.1
    np.savez(tmp_path / "beat.npz", poses=poses, trans=np.zeros((5, 3)), model="smplx2020", mocap_frame_rate=30)
    options = {"filepath": str(tmp_path / "beat.npz"), "start": 3, "place": "WORLD"}
    assert bpy.ops.vivant.load_motion(**options) == {"FINISHED"}
    assert "BEAT2" in bpy.context.scene.vivant_motion.notes
    assert "BEAT2" in " ".join(draw(panels()["VIVANT_PT_motion"]).texts)
    hands = made_up_rig().hand_mean.reshape(-1) + 0.1
    assert_same_pose(read(avatar, [3]).full_pose[0, 75:], hands)
    bpy.ops.vivant.load_motion(hands="FLAT", fps=25.0, **options)
    assert_same_pose(read(avatar, [3]).full_pose[0, 75:], np.full(90, 0.1))
    assert bpy.context.scene.frame_end == 7
    bpy.ops.vivant.dismiss_notes()
    assert bpy.context.scene.vivant_motion.notes == ""


def test_a_file_that_is_no_motion_is_reported_and_changes_nothing(avatar, tmp_path):
    (tmp_path / "motion.npz").write_bytes(b"no archive")
    with pytest.raises(RuntimeError, match="Cannot read the motion file"):
        bpy.ops.vivant.load_motion(filepath=str(tmp_path / "motion.npz"))
    assert avatar.animation_data is None


def test_the_saved_file_covers_the_scenes_range(avatar, tmp_path):
    bpy.ops.vivant.talk(seconds=1.0)
    assert bpy.ops.vivant.save_motion(filepath=str(tmp_path / "talk")) == {"FINISHED"}
    with np.load(tmp_path / "talk.npz") as saved:
        assert saved["full_pose"].shape == (25, 165) and saved["fps"] == 25


def test_baking_from_another_armature(avatar):
    motion = talking_motion(1.0, 25.0, 5)
    source = foreign("SMPLX", list(JOINT_NAMES))
    key(source, motion)
    bpy.context.view_layer.objects.active = avatar
    assert not bpy.ops.vivant.bake_motion.poll()
    bpy.context.scene.vivant_motion.source = source
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = 1, 25
    assert bpy.ops.vivant.bake_motion() == {"FINISHED"}
    assert_same_pose(read(avatar, range(1, 26)).full_pose, motion.full_pose)


def test_sliders_turn_jaw_and_eyes_and_read_back(avatar):
    bpy.ops.vivant.pose_rest()
    face = avatar.vivant_rig
    face.jaw_open, face.look_left, face.look_down = 0.3, 0.2, -0.1
    jaw, left_eye, right_eye = now_updated(avatar).reshape(55, 3)[22:25]
    assert jaw == pytest.approx((0.3, 0, 0), abs=1e-5)
    assert left_eye == pytest.approx((-0.1, 0.2, 0), abs=0.02)
    assert right_eye == pytest.approx(left_eye, abs=1e-5)
    assert face.jaw_open == pytest.approx(0.3, abs=1e-5)
    assert (face.look_left, face.look_down) == (pytest.approx(0.2, abs=1e-5), pytest.approx(-0.1, abs=1e-5))


def now_updated(armature):
    bpy.context.view_layer.update()
    return now(armature)[0]


def test_sliders_key_themselves_when_blender_does(avatar):
    from bl_ext.dev.vivant import compat

    settings = bpy.context.scene.tool_settings
    settings.use_keyframe_insert_auto = True
    avatar.vivant_rig.jaw_open = 0.2
    settings.use_keyframe_insert_auto = False
    avatar.vivant_rig.look_left = 0.2
    assert {curve.data_path for curve in compat.fcurves_of(avatar)} == {'pose.bones["jaw"].rotation_quaternion'}


def test_face_keys_follow_the_rotation_mode_of_the_bones(avatar):
    from bl_ext.dev.vivant import compat

    avatar.pose.bones["jaw"].rotation_mode = "XYZ"
    avatar.vivant_rig.jaw_open = 0.25
    assert avatar.pose.bones["jaw"].rotation_euler.x == pytest.approx(0.25, abs=1e-5)
    bpy.ops.vivant.key_face()
    paths = {curve.data_path for curve in compat.fcurves_of(avatar)}
    assert 'pose.bones["jaw"].rotation_euler' in paths and 'pose.bones["left_eye"].rotation_quaternion' in paths


def test_a_file_dropped_into_the_viewport_is_loaded_at_once(avatar, tmp_path):
    talking_motion(1.0, 25.0).save(tmp_path / "talk.npz")
    assert bpy.ops.vivant.load_motion("INVOKE_DEFAULT", filepath=str(tmp_path / "talk.npz")) == {"FINISHED"}
    assert avatar.animation_data.action.name == "talk"


def test_a_face_can_be_keyed_and_reset(avatar):
    from bl_ext.dev.vivant import compat

    avatar.vivant_rig.jaw_open = 0.4
    assert bpy.ops.vivant.key_face() == {"FINISHED"}
    assert len(compat.fcurves_of(avatar)) == 12
    assert len(compat.fcurves_of(avatar.children[0].data.shape_keys)) == 6
    bpy.ops.vivant.reset_face()
    assert avatar.vivant_rig.jaw_open == 0
    assert expression(avatar, "mouthSmileLeft") == 0


@pytest.mark.parametrize(
    ("mode", "flags"),
    [
        ("CAST", (False, False, False, False)),
        ("HIDDEN", (True, True, False, False)),
        ("VISIBLE", (True, False, False, False)),
        ("SHADOW", (True, False, True, False)),
        ("HOLDOUT", (True, False, False, True)),
    ],
)
def test_the_body_throws_shadows_is_rendered_hidden_or_catches_shadows(avatar, mode, flags):
    avatar.vivant_rig.body_mode = mode
    body = avatar.children[0]
    assert (body.visible_camera, body.hide_render, body.is_shadow_catcher, body.is_holdout) == flags
    assert avatar.vivant_rig.body_mode == mode


def test_the_face_panels_show_every_expression_once_and_only_those_searched_for(avatar):
    groups = ("mouth", "eyes", "brows", "cheeks")
    shown = [text for group in groups for text in draw(panels()[f"VIVANT_PT_face_{group}"]).texts]
    assert sorted(shown) == sorted({"cheekPuff", "smile", "jawOpen", "mouthSmileLeft", "eyeBlinkLeft", "browInnerUp"})
    assert not panels()["VIVANT_PT_face_other"].poll(bpy.context)
    bpy.context.scene.vivant_motion.search = "SMILE"
    assert draw(panels()["VIVANT_PT_face_mouth"]).texts == ["smile", "mouthSmileLeft"]


def test_poses_of_photo_and_rest_undo(avatar):
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.vivant.pose_rest()
    assert avatar.pose.bones["neck"].rotation_quaternion.angle == 0
    bpy.ops.ed.undo_push(message="rest")
    bpy.ops.ed.undo()
    neck = bpy.data.objects["Ann"].pose.bones["neck"]
    assert neck.rotation_quaternion.angle > 0.1
    bpy.ops.vivant.pose_rest()
    bpy.ops.vivant.pose_photo()
    assert_same_pose(now_updated(bpy.data.objects["Ann"]), made_up_rig().full_pose)
