import numpy as np
import pytest
from numpy.testing import assert_allclose

bpy = pytest.importorskip("bpy", reason="needs the bpy module (pip install bpy)")

from shared.motion import Motion  # noqa: E402
from shared.skeleton import JOINT_INDEX, JOINT_NAMES, NUM_JOINTS  # noqa: E402
from tests.blender_addon.moving import assert_same_motion, assert_same_pose, foreign, key, now, read  # noqa: E402
from tests.blender_addon.people import NAMES, made_up_rig, posed, random_poses  # noqa: E402

FRAMES = 12
ALL = range(1, FRAMES + 1)


@pytest.fixture
def avatar(empty):
    from bl_ext.dev.vivant import rig

    bpy.context.scene.render.fps = 25
    return rig.create(bpy.context, made_up_rig(), None, "Ann", "a" * 8)


@pytest.fixture
def motion():
    rng = np.random.default_rng(1)
    names = tuple(dict.fromkeys(NAMES))
    return Motion(
        random_poses(rng, FRAMES), rng.normal(0, 1, (FRAMES, 3)), rng.uniform(0, 1, (FRAMES, len(names))), names, 25.0
    )


def test_any_keyed_motion_is_read_back(avatar, motion):
    key(avatar, motion)
    assert_same_motion(read(avatar, ALL), motion)


def test_one_frame_reads_as_the_range_does(avatar, motion):
    key(avatar, motion)
    bpy.context.scene.frame_set(5)
    full_pose, transl, expression, names = now(avatar)
    assert_same_motion(Motion(full_pose[None], transl[None], expression[None], names, 25.0), read(avatar, [5]))


def test_the_objects_own_place_and_turn_are_part_of_the_pose(avatar, motion):
    avatar.rotation_euler, avatar.location = (0.3, -0.8, 1.9), (1, -2, 0.5)
    bpy.context.view_layer.update()
    key(avatar, motion)
    assert_same_motion(read(avatar, ALL), motion)
    avatar.rotation_euler, avatar.location = (0, 0, 0), (0, 0, 0)
    bpy.context.view_layer.update()
    assert np.abs(read(avatar, ALL).transl - motion.transl).max() > 0.1


def test_a_turned_object_carries_the_body_with_it(avatar):
    """The world's joints of the pose read back are where Blender shows the bones."""
    from bl_ext.dev.vivant.conversion import points_to_smplx

    avatar.rotation_euler, avatar.location = (0.1, 0.2, 2.5), (3, 1, -1)
    bpy.context.view_layer.update()
    full_pose, transl, _, _ = now(avatar)
    places, _ = posed(made_up_rig(), full_pose, transl, {})
    heads = [avatar.matrix_world @ avatar.pose.bones[name].head for name in JOINT_NAMES]
    assert_allclose(points_to_smplx(np.array(heads)), places, atol=1e-5)


def test_constraints_and_drivers_count(avatar):
    from bl_ext.dev.vivant import rig

    rig.stand_at_rest(avatar)
    target = bpy.data.objects.new("Target", None)
    bpy.context.collection.objects.link(target)
    target.rotation_euler = (0, 0, 0.7)
    follow = avatar.pose.bones["head"].constraints.new("COPY_ROTATION")
    follow.target, follow.mix_mode, follow.target_space, follow.owner_space = target, "BEFORE", "WORLD", "WORLD"
    driver = avatar.children[0].data.shape_keys.key_blocks["jawOpen"].driver_add("value").driver
    driver.expression = "0.375"
    bpy.context.view_layer.update()
    full_pose, _, expression, names = now(avatar)
    assert_same_pose(full_pose.reshape(-1, 3)[JOINT_INDEX["head"]], (0, 0.7, 0))  # about the world's up
    assert expression[names.index("jawOpen")] == pytest.approx(0.375)


def test_nla_strips_count(avatar, motion):
    key(avatar, motion)
    data = avatar.animation_data
    action, data.action = data.action, None
    strip = data.nla_tracks.new().strips.new("strip", 21, action)
    if hasattr(strip, "action_slot"):
        strip.action_slot = action.slots[0]
    assert_same_pose(read(avatar, range(21, 21 + FRAMES)).full_pose, motion.full_pose)


def test_reading_leaves_the_scene_as_it_was(avatar, motion):
    key(avatar, motion)
    body, scene = avatar.children[0], bpy.context.scene
    body.active_shape_key_index = 3
    scene.frame_set(7, subframe=0.25)
    read(avatar, ALL)
    assert (scene.frame_current, scene.frame_subframe) == (7, 0.25)
    assert (body.active_shape_key_index, body.show_only_shape_key, body.modifiers[0].show_viewport) == (3, False, True)


def test_a_scaled_armature_is_refused_and_the_scene_put_back(avatar, motion):
    from bl_ext.dev.vivant._shared.errors import VivantError

    parent = bpy.data.objects.new("Parent", None)
    bpy.context.collection.objects.link(parent)
    avatar.parent, parent.scale = parent, (1, 1, 1.1)
    bpy.context.view_layer.update()
    with pytest.raises(VivantError, match="Ann is scaled"):
        read(avatar, ALL)
    assert avatar.children[0].modifiers[0].show_viewport


@pytest.mark.parametrize("part", ["armature", "body"])
def test_what_blender_does_not_evaluate_is_refused_rather_than_read_stale(avatar, part):
    from bl_ext.dev.vivant._shared.errors import VivantError

    avatar.children[0].hide_viewport = True
    avatar.hide_viewport = part == "armature"
    with pytest.raises(VivantError, match="disabled in viewports"):
        now(avatar)


def test_a_read_that_fails_on_the_way_puts_the_scene_back(avatar, motion):
    from bl_ext.dev.vivant._shared.errors import VivantError

    key(avatar, motion)
    bpy.context.scene.frame_set(3)
    avatar.children[0].hide_viewport = True
    with pytest.raises(VivantError) as caught:  # which keeps the frames of the stack alive
        read(avatar, ALL)
    assert bpy.context.scene.frame_current == 3 and caught
    assert avatar.children[0].modifiers[0].show_viewport


def test_what_is_merely_hidden_is_read(avatar, motion):
    key(avatar, motion)
    avatar.hide_set(True)
    avatar.children[0].hide_set(True)
    assert_same_motion(read(avatar, ALL), motion)


@pytest.mark.parametrize("up", ["Z", "Y"])
def test_smplx_armatures_of_other_programs_work_whatever_their_axes(empty, motion, up):
    armature = foreign("SMPLX", [f"SMPLX-{name}.001" for name in JOINT_NAMES], up)
    bpy.context.scene.render.fps = 25
    key(armature, motion)
    there = read(armature, ALL)
    assert_same_pose(there.full_pose, motion.full_pose)
    assert_allclose(there.transl, motion.transl, atol=1e-5)
    assert len(there.expression_names) == 0


def test_an_armature_that_is_none_of_ours_is_refused_by_name(empty):
    from bl_ext.dev.vivant._shared.errors import VivantError

    armature = foreign("Robot", [f"bone{k}" for k in range(NUM_JOINTS)])
    with pytest.raises(VivantError, match="Robot is no SMPL-X armature: it has no bone pelvis"):
        now(armature)
