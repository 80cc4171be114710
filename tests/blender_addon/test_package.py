import pytest

bpy = pytest.importorskip("bpy", reason="needs the bpy module (pip install bpy)")


def test_the_staged_package_enables(empty):
    assert bpy.context.scene.vivant.texture == "512"
    assert empty.session.client() is None
