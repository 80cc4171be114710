"""Motion into Blender and out again: files, rates, places, actions, other skeletons."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

bpy = pytest.importorskip("bpy", reason="needs the bpy module (pip install bpy)")

from shared.motion import Motion  # noqa: E402
from shared.motion_files import load_motion  # noqa: E402
from shared.rotations import matrices_from_axis_angles  # noqa: E402
from shared.skeleton import JOINT_INDEX, JOINT_NAMES  # noqa: E402
from shared.talking import talking_motion  # noqa: E402
from tests.blender_addon.moving import assert_same_motion, assert_same_pose, foreign, key, read  # noqa: E402
from tests.blender_addon.people import joints, made_up_rig, posed  # noqa: E402


@pytest.fixture
def avatar(empty):
    from bl_ext.dev.vivant import rig

    bpy.context.scene.render.fps, bpy.context.scene.render.fps_base = 25, 1.0
    return rig.create(bpy.context, made_up_rig(), None, "Ann", "a" * 8)


@pytest.fixture
def talk():
    return talking_motion(1.0, 25.0, seed=3)


def apply(armature, motion, **options):
    from bl_ext.dev.vivant.motion_in import apply_motion

    return apply_motion(bpy.context, armature, motion, **({"start": 1} | options))


def by_name(motion):
    return dict(zip(motion.expression_names, motion.expression.T, strict=True))


def test_a_motion_saved_and_loaded_is_the_same(avatar, talk, tmp_path):
    from bl_ext.dev.vivant.motion_out import save_motion

    key(avatar, talk)
    saved = save_motion(bpy.context, avatar, tmp_path / "talk.npz", 1, 25)
    again = load_motion(tmp_path / "talk.npz").motion
    assert_same_motion(again, saved)
    assert_same_pose(again.full_pose, talk.full_pose)
    assert again.fps == 25
    for name in ("jawOpen", "eyeBlinkLeft"):
        assert_allclose(by_name(again)[name], by_name(talk)[name], atol=1e-6)


def test_an_empty_range_is_refused(avatar, tmp_path):
    from bl_ext.dev.vivant._shared.errors import VivantError
    from bl_ext.dev.vivant.motion_out import save_motion

    with pytest.raises(VivantError, match="Frames 5 to 4 are none"):
        save_motion(bpy.context, avatar, tmp_path / "talk.npz", 5, 4)


def test_expressions_an_avatar_lacks_are_named(avatar, talk):
    notes = " ".join(apply(avatar, talk).notes)
    assert "mouthSmileRight" in notes and "jawOpen" not in notes


def test_it_plays_at_the_scenes_rate(avatar):
    bpy.context.scene.render.fps, bpy.context.scene.render.fps_base = 30, 1.001
    applied = apply(avatar, talking_motion(2.0, 120.0), start=11)
    assert (applied.first, applied.last) == (11, 11 + 59)
    assert read(avatar, [11]).fps == pytest.approx(29.97, abs=1e-3)
    assert "Resampled from 120 to 29.97" in applied.notes[0]


def test_loaded_in_the_world_it_stands_where_the_file_says(avatar, talk):
    avatar.location, avatar.rotation_euler = (1, 2, 0), (0, 0, 1)
    bpy.context.view_layer.update()
    apply(avatar, talk, place="WORLD")
    assert_allclose(read(avatar, range(1, 26)).transl, talk.transl, atol=1e-5)


def test_loaded_here_it_starts_where_the_avatar_stands_and_faces_and_stays_upright(avatar, talk):
    from bl_ext.dev.vivant.pose import pose_of

    avatar.location, avatar.rotation_euler = (1, 2, 0), (0, 0, 1)
    bpy.context.view_layer.update()
    _, before, _, _ = pose_of(avatar, bpy.context.evaluated_depsgraph_get())
    apply(avatar, talk, place="HERE")
    there = read(avatar, range(1, 26))
    assert_allclose(there.transl[0], before, atol=1e-5)
    up = matrices_from_axis_angles(there.full_pose[0, :3].astype(float))[:, 1]
    assert_allclose(up, (0, 1, 0), atol=1e-5)


def test_loaded_as_in_the_photo_it_starts_at_the_photos_spot(avatar, talk):
    person = made_up_rig()
    apply(avatar, talk, place="PHOTO")
    assert_allclose(read(avatar, [1]).transl[0], person.transl, atol=1e-5)


def test_a_new_action_keeps_the_old_one_and_replacing_does_not(avatar, talk):
    body = avatar.children[0]
    apply(avatar, talk, name="first")
    apply(avatar, talk, name="second")
    assert avatar.animation_data.action.name == "second"
    assert bpy.data.actions["first"].use_fake_user and bpy.data.actions["first face"].use_fake_user
    apply(avatar, talk, name="third", new_action=False)
    assert avatar.animation_data.action.name == "second"
    assert body.data.shape_keys.animation_data.action.name == "second face"
    assert len(bpy.data.actions) == 4


def test_replacing_leaves_no_key_of_the_longer_motion_before_it(avatar):
    from bl_ext.dev.vivant import compat

    apply(avatar, talking_motion(4.0, 25.0))
    apply(avatar, talking_motion(1.0, 25.0), new_action=False)
    curves = list(compat.fcurves_of(avatar)) + list(compat.fcurves_of(avatar.children[0].data.shape_keys))
    assert {len(curve.keyframe_points) for curve in curves} == {25}
    assert len(compat.fcurves_of(avatar)) == 4 * 55 + 3


def test_curves_are_listed_under_their_bones(avatar, talk):
    from bl_ext.dev.vivant import compat

    apply(avatar, talk)
    curves = compat.fcurves_of(avatar)
    assert {curve.group.name for curve in curves} == set(JOINT_NAMES)


def test_quaternion_curves_do_not_jump(avatar):
    turns = np.zeros((60, 165))
    turns[:, 1] = np.linspace(0, 4 * np.pi, 60)  # twice around: the axis-angle's sign flips on the way
    apply(avatar, Motion(turns, np.zeros((60, 3)), np.zeros((60, 0)), (), 25.0), place="WORLD")
    keys = np.array([[curve.evaluate(f) for f in range(1, 61)] for curve in pelvis_curves(avatar)])
    assert np.abs(np.diff(keys, axis=1)).max() < 0.2


def pelvis_curves(armature):
    from bl_ext.dev.vivant import compat

    path = 'pose.bones["pelvis"].rotation_quaternion'
    return [curve for curve in compat.fcurves_of(armature) if curve.data_path == path]


# From other armatures


def bake(source, target, frames, names=None):
    from bl_ext.dev.vivant import retarget

    return retarget.bake(bpy.context, retarget.source_of(source, names), target, frames)


def test_baking_between_smplx_armatures_copies_the_turns(avatar, talk):
    source = foreign("SMPLX", [f"root_{name}" for name in JOINT_NAMES])
    key(source, talk)
    assert_same_pose(bake(source, avatar, range(1, 26)).full_pose, talk.full_pose)


def mixamo(name="Robot"):
    from bl_ext.dev.vivant.bone_names import MIXAMO_NAMES

    armature = foreign(name, [f"mixamorig:{MIXAMO_NAMES.get(joint, f'x_{joint}')}" for joint in JOINT_NAMES], up="Y")
    armature.scale = (0.01,) * 3
    bpy.context.view_layer.update()
    return armature


def test_a_scaled_mixamo_skeleton_of_our_proportions_gives_the_same_turns(avatar, talk):
    source = mixamo()
    source.scale = (1, 1, 1)
    keyed(source, talk)
    source.scale = (0.01,) * 3
    bpy.context.view_layer.update()
    baked = bake(source, avatar, range(1, 26))
    known = [JOINT_INDEX[name] for name in JOINT_NAMES if name not in ("jaw", "left_eye", "right_eye")]
    poses = baked.full_pose.reshape(25, 55, 3), talk.full_pose.reshape(25, 55, 3)
    assert_same_pose(poses[0][:, known], poses[1][:, known])
    assert np.abs(poses[0][:, JOINT_INDEX["jaw"]]).max() < 1e-4  # no bone: rigid on the head


def keyed(source, motion):
    """Key a motion on the bones of another convention."""
    from bl_ext.dev.vivant import keyframes, retarget
    from bl_ext.dev.vivant.joints import bone_quats

    found = retarget.source_of(source).joints
    quats = bone_quats(found, motion.full_pose)
    for joint, name in enumerate(found.bones):
        if name:
            bone = source.pose.bones[name]
            bone.rotation_mode = "QUATERNION"
            keyframes._key(source, bone.path_from_id("rotation_quaternion"), name, np.arange(1, 26), quats[:, joint])


def test_limbs_point_the_same_way_whatever_the_rest_pose(avatar):
    """A skeleton that rests in an A-pose, unmoved, must hang our arms, too."""
    source = mixamo("A-pose")
    bpy.context.view_layer.objects.active = source
    bpy.ops.object.mode_set(mode="EDIT")
    for side, turn in (("Left", -0.7), ("Right", 0.7)):
        lower(source.data.edit_bones, f"mixamorig:{side}Arm", turn)
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.context.view_layer.update()
    baked = bake(source, avatar, [1])
    places, _ = posed(made_up_rig(), baked.full_pose[0], baked.transl[0], {})
    for side in ("left", "right"):
        shoulder, wrist = places[JOINT_INDEX[f"{side}_shoulder"]], places[JOINT_INDEX[f"{side}_wrist"]]
        rest = joints()
        flat = rest[JOINT_INDEX[f"{side}_wrist"]] - rest[JOINT_INDEX[f"{side}_shoulder"]]
        turn = matrices_from_axis_angles(np.array([0, 0, -0.7 if side == "left" else 0.7]))
        assert_allclose(wrist - shoulder, turn @ flat, atol=2e-3)
        wrist, finger = JOINT_INDEX[f"{side}_wrist"], JOINT_INDEX[f"{side}_middle3"]
        assert_allclose(places[finger] - places[wrist], turn @ (rest[finger] - rest[wrist]), atol=2e-3)


def lower(edit_bones, name, turn):
    """Turn a bone and all below it about the armature's z axis through its head."""
    pivot, rotation = np.array(edit_bones[name].head), matrices_from_axis_angles(np.array([0.0, 0.0, turn]))
    for bone in [edit_bones[name], *edit_bones[name].children_recursive]:
        bone.head, bone.tail = (rotation @ (np.array(end) - pivot) + pivot for end in (bone.head, bone.tail))


def test_joints_without_a_bone_stay_still(avatar):
    source = mixamo("Stiff")
    bpy.context.view_layer.objects.active = source
    bpy.ops.object.mode_set(mode="EDIT")
    lower(source.data.edit_bones, "mixamorig:LeftArm", -0.7)
    source.data.edit_bones.remove(source.data.edit_bones["mixamorig:LeftForeArm"])
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.context.view_layer.update()
    baked = bake(source, avatar, [1]).full_pose.reshape(55, 3)
    assert_allclose(baked[JOINT_INDEX["left_elbow"]], 0, atol=1e-5)


def test_a_giants_steps_become_ours(avatar, talk):
    source = foreign("Giant", list(JOINT_NAMES))
    key(source, talk)
    source.scale = (2, 2, 2)
    bpy.context.view_layer.update()
    assert_allclose(bake(source, avatar, range(1, 26)).transl, talk.transl, atol=1e-5)


def test_a_map_of_the_users_own_is_read_line_by_line(empty):
    from bl_ext.dev.vivant import retarget
    from bl_ext.dev.vivant._shared.errors import VivantError

    assert retarget.parse_map("# mine\npelvis = hip.C\n\nleft_knee=shin.L  # left\n") == {
        "pelvis": "hip.C",
        "left_knee": "shin.L",
    }
    with pytest.raises(VivantError, match="Line 2 of the map, 'leftknee"):
        retarget.parse_map("pelvis = hip\nleftknee = shin.L")
    with pytest.raises(VivantError, match="no bone for pelvis"):
        retarget.parse_map("left_knee = shin.L")


def test_a_skeleton_nobody_knows_is_refused_with_the_way_out(avatar):
    from bl_ext.dev.vivant import retarget
    from bl_ext.dev.vivant._shared.errors import VivantError

    with pytest.raises(VivantError, match="Write a text in the Text Editor"):
        retarget.source_of(foreign("Spider", [f"leg{k}" for k in range(55)]))
