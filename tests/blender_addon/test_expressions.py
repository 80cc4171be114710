import pytest
from numpy.testing import assert_allclose

bpy = pytest.importorskip("bpy", reason="needs the bpy module (pip install bpy)")

from tests.blender_addon.people import NAMES, evaluated_vertices, made_up_rig  # noqa: E402


@pytest.fixture
def expressions(empty):
    from bl_ext.dev.vivant import expressions

    return expressions


def make():
    from bl_ext.dev.vivant import rig
    from bl_ext.dev.vivant.avatars import body_of

    armature = rig.create(bpy.context, made_up_rig(), None, "Ann", "a" * 8)
    return armature, body_of(armature)


def face(armature):
    from bl_ext.dev.vivant.pose import pose_of

    _, _, values, names = pose_of(armature, bpy.context.evaluated_depsgraph_get())
    return dict(zip(names, values.tolist(), strict=True))


def test_a_name_that_comes_twice_is_one_key(expressions):
    _, body = make()
    assert body.data.shape_keys.key_blocks.keys() == ["Basis", *dict.fromkeys(NAMES)]
    assert expressions.names_of(body) == tuple(dict.fromkeys(NAMES))


def test_values_beyond_the_slider_arrive_and_widen_it(expressions):
    armature, body = make()
    block = body.data.shape_keys.key_blocks["mouthSmileLeft"]
    assert (block.value, block.slider_max) == (pytest.approx(1.4), pytest.approx(1.4))
    assert face(armature)["mouthSmileLeft"] == pytest.approx(1.4)
    assert face(armature)["browInnerUp"] == pytest.approx(-0.2)


def test_what_another_add_on_writes_to_exp_keys_is_read_by_name(expressions):
    armature, body = make()
    assert bpy.ops.vivant.add_exp_keys() == {"FINISHED"}
    assert bpy.ops.vivant.add_exp_keys() == {"FINISHED"}  # adds nothing twice
    blocks = body.data.shape_keys.key_blocks
    assert len(blocks) == 1 + len(set(NAMES)) + len(NAMES)
    blocks["jawOpen"].value = 0.25
    blocks[f"Exp{NAMES.index('jawOpen'):03d}"].value = 0.5
    assert face(armature)["jawOpen"] == pytest.approx(0.75)


def test_exp_keys_move_the_body_as_the_named_ones_do(expressions):
    _, body = make()
    bpy.ops.vivant.add_exp_keys()
    blocks = body.data.shape_keys.key_blocks
    for block in blocks:
        block.value = 0
    blocks["jawOpen"].value = 1
    named = evaluated_vertices(body)
    blocks["jawOpen"].value, blocks[f"Exp{NAMES.index('jawOpen'):03d}"].value = 0, 1
    assert_allclose(evaluated_vertices(body), named, atol=1e-6)


def test_a_muted_key_counts_nothing(expressions):
    armature, body = make()
    body.data.shape_keys.key_blocks["jawOpen"].mute = True
    assert face(armature)["jawOpen"] == 0


def test_a_foreign_body_speaks_in_its_own_columns(expressions):
    mesh = bpy.data.objects.new("SMPLX", bpy.data.meshes.new("SMPLX"))
    for name in ("Basis", "Shape000", "Exp000", "Exp001", "Pose000"):
        mesh.shape_key_add(name=name)
    assert expressions.spellings(mesh) == {"Exp000": "exp000", "Exp001": "exp001"}


@pytest.mark.parametrize(
    ("name", "group"),
    [("jawOpen", "Mouth"), ("eyeBlinkLeft", "Eyes"), ("blink", "Eyes"), ("browInnerUp", "Brows"), ("exp003", "Other")],
)
def test_sliders_are_grouped_by_the_part_of_the_face(expressions, name, group):
    assert expressions.group_of(name) == group
