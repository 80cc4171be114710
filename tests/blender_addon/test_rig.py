import numpy as np
import pytest
from numpy.testing import assert_allclose

bpy = pytest.importorskip("bpy", reason="needs the bpy module (pip install bpy)")

from shared.skeleton import JOINT_NAMES, PARENTS  # noqa: E402
from tests.blender_addon.people import NAMES, evaluated_vertices, made_up_rig, posed  # noqa: E402


@pytest.fixture
def person():
    return made_up_rig()


@pytest.fixture
def avatar(empty, person):
    from bl_ext.dev.vivant import rig

    return rig.create(bpy.context, person, None, "Ann", "a" * 8)


def body_of(armature):
    from bl_ext.dev.vivant.avatars import body_of

    return body_of(armature)


def in_blender(points):
    from bl_ext.dev.vivant.conversion import points_to_blender

    return points_to_blender(points)


def test_the_armature_has_the_55_joints_with_their_parents(avatar, person):
    bones = avatar.data.bones
    assert sorted(bones.keys()) == sorted(JOINT_NAMES)
    for joint, parent in enumerate(PARENTS):
        bone = bones[JOINT_NAMES[joint]]
        assert (bone.parent.name if bone.parent else None) == (JOINT_NAMES[parent] if parent >= 0 else None)
        assert_allclose(bone.head_local, in_blender(person.joints[joint]), atol=1e-6)


def test_a_bones_quaternion_is_the_joints_quaternion(avatar):
    for bone in avatar.data.bones:
        assert_allclose(np.array(bone.matrix_local.to_3x3()), [[1, 0, 0], [0, 0, -1], [0, 1, 0]], atol=1e-6)


def test_it_stands_as_in_the_photo_to_a_tenth_of_a_millimetre(avatar, person):
    values = dict(zip(NAMES, person.expression, strict=True))
    _, vertices = posed(person, person.full_pose, person.transl, values)
    assert_allclose(evaluated_vertices(body_of(avatar)), in_blender(vertices), atol=1e-4)


def test_blender_skins_like_numpy_in_any_pose_and_face(avatar, person):
    from bl_ext.dev.vivant import keyframes
    from bl_ext.dev.vivant.joints import joints_of

    rng = np.random.default_rng(5)
    full_pose, transl = rng.normal(0, 0.8, 165), rng.normal(0, 1, 3)
    values = dict(zip(NAMES, rng.uniform(-0.5, 1.5, len(NAMES)), strict=True))
    keyframes.set_pose(avatar, joints_of(avatar), full_pose, transl)
    keyframes.set_expression(body_of(avatar), values.keys(), values.values())
    places, vertices = posed(person, full_pose, transl, values)
    assert_allclose(evaluated_vertices(body_of(avatar)), in_blender(vertices), atol=1e-4)
    bpy.context.view_layer.update()
    heads = np.array([avatar.pose.bones[name].head for name in JOINT_NAMES])
    assert_allclose(heads, in_blender(places), atol=1e-5)


def test_at_rest_the_feet_stand_on_the_floor(avatar):
    from bl_ext.dev.vivant import rig

    rig.stand_at_rest(avatar)
    assert evaluated_vertices(body_of(avatar))[:, 2].min() == pytest.approx(0, abs=1e-5)


def test_uvs_and_groups_arrive(avatar, person):
    mesh = body_of(avatar).data
    uvs = np.empty(2 * len(mesh.loops), np.float32)
    mesh.uv_layers.active.data.foreach_get("uv", uvs)
    assert_allclose(uvs, person.uvs.ravel(), atol=1e-6)
    weights = {body_of(avatar).vertex_groups[g.group].name: g.weight for g in mesh.vertices[7].groups}
    wanted = {JOINT_NAMES[j]: w for j, w in zip(person.skin_joints[7], person.skin_weights[7], strict=True)}
    assert weights == pytest.approx(wanted, abs=1e-6)


def test_several_avatars_of_one_name_do_not_share_anything(avatar, person):
    from bl_ext.dev.vivant import rig
    from bl_ext.dev.vivant.avatars import active_avatar, avatars_of

    other = rig.create(bpy.context, person, None, "Ann", "b" * 8)
    assert avatars_of(bpy.context.scene) == [avatar, other]
    assert active_avatar(bpy.context) == other
    assert (body_of(avatar).data, avatar.data) != (body_of(other).data, other.data)
    rig.stand_at_rest(other)
    assert avatar.pose.bones["neck"].rotation_quaternion.angle > 0.1


def test_it_stands_at_the_cursor(empty, person):
    from bl_ext.dev.vivant import rig

    bpy.context.scene.cursor.location = (1, 2, 3)
    assert tuple(rig.create(bpy.context, person, None, "Ann", "a" * 8).location) == (1, 2, 3)


def test_a_texture_is_packed_and_shown_by_the_viewport(empty, person, tmp_path):
    from bl_ext.dev.vivant import rig

    picture = bpy.data.images.new("red", 4, 4)
    picture.filepath_raw, picture.file_format = str(tmp_path / "texture.png"), "PNG"
    picture.save()
    body = body_of(rig.create(bpy.context, person, tmp_path / "texture.png", "Ann", "a" * 8))
    nodes = body.active_material.node_tree.nodes
    assert nodes.active.image.packed_file


def test_bones_are_sorted_for_the_animator(avatar):
    members = {c.name: {bone.name for bone in c.bones} for c in avatar.data.collections}
    assert {name: len(bones) for name, bones in members.items()} == {"Body": 22, "Face": 3, "Hands": 30}
    assert all(bone.custom_shape for bone in avatar.pose.bones)
    assert not any(avatar.pose.bones["pelvis"].lock_location) and all(avatar.pose.bones["head"].lock_location)


def test_undo_takes_the_avatar_away_again(empty, person):
    from bl_ext.dev.vivant import rig

    bpy.ops.ed.undo_push(message="before")
    rig.create(bpy.context, person, None, "Ann", "a" * 8)
    bpy.ops.ed.undo_push(message="rig")
    bpy.ops.ed.undo()
    assert "Ann" not in bpy.data.objects
    bpy.ops.ed.redo()
    assert "Ann" in bpy.data.objects


@pytest.mark.parametrize("hidden", ["exclude", "hide_viewport"])
def test_it_can_be_added_while_the_active_collection_is_hidden(empty, person, hidden):
    from bl_ext.dev.vivant import rig

    scene, layers = bpy.context.scene, bpy.context.view_layer
    scene.collection.children.link(bpy.data.collections.new("Old"))
    layers.active_layer_collection = layers.layer_collection.children["Old"]
    setattr(layers.layer_collection.children["Old"], hidden, True)
    assert rig.create(bpy.context, person, None, "Ann", "a" * 8).visible_get()


def test_a_saved_file_brings_the_avatar_back(avatar, person, tmp_path):
    from bl_ext.dev.vivant.avatars import avatars_of
    from bl_ext.dev.vivant.rig import hand_mean, pose_as_in_photo, stand_at_rest

    before = evaluated_vertices(body_of(avatar))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    (again,) = avatars_of(bpy.context.scene)
    stand_at_rest(again)
    pose_as_in_photo(again)
    assert_allclose(evaluated_vertices(body_of(again)), before, atol=1e-6)
    assert_allclose(hand_mean(again), person.hand_mean, atol=1e-6)
