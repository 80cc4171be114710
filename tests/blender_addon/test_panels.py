import time
import uuid
from types import SimpleNamespace

import pytest

bpy = pytest.importorskip("bpy", reason="needs the bpy module (pip install bpy)")

from tests.blender_addon.fake_layout import FakeLayout, draw, panels  # noqa: E402

STATES = ("queued", "running", "interrupted", "finished", "failed", "cancelled")


def job(vivant, state, task="build", **more):
    """A job of the backend in this state, as if it had been told of."""
    messages = vivant.mirror.messages
    info = messages.JobInfo(str(uuid.uuid4()), task, "me", state, time.time(), **more)
    vivant.mirror._jobs[info.job] = info
    vivant.mirror.rewrite()
    return info


@pytest.fixture
def addon(empty):
    yield empty
    empty.mirror.clear()
    empty.mirror.dismiss()


def all_panels():
    for cls in panels().values():
        if not hasattr(cls, "poll") or cls.poll(bpy.context):
            yield cls.bl_idname, draw(cls)


def test_every_panel_draws_in_an_empty_scene_without_a_backend(addon):
    drawn = dict(all_panels())
    assert {"VIVANT_PT_backend", "VIVANT_PT_photo", "VIVANT_PT_avatar", "VIVANT_PT_jobs"} <= set(drawn)


def test_without_a_backend_the_panel_says_in_one_sentence_what_to_do_and_offers_a_stand_in(addon):
    layout = draw(panels()["VIVANT_PT_backend"])
    assert "vivant.start_backend" in layout.operators and "vivant.try_mock" in layout.operators
    assert "in a process of its own" in " ".join(layout.texts)


def test_an_avatar_is_built_as_the_wire_does_it_by_default(addon):
    shown, options = bpy.context.scene.vivant, addon.late.messages.BuildOptions()
    assert {name: str(getattr(shown, name)) for name in vars(options)} == {k: str(v) for k, v in vars(options).items()}


def test_panels_stand_in_the_order_of_the_work():
    order = {name: cls.bl_order for name, cls in panels().items() if not hasattr(cls, "bl_parent_id")}
    wanted = ["backend", "photo", "avatar", "motion", "render", "jobs"]
    names = [name.removeprefix("VIVANT_PT_") for name in sorted(order, key=order.get)]
    assert [name for name in names if name in wanted] == [name for name in wanted if name in names]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("task", ["register", "build", "render"])
def test_every_panel_draws_a_job_in_every_state(addon, state, task):
    error = "It broke." if state == "failed" else ""
    info = job(addon, state, task, stage="training", step=3, total=10, eta_s=70, error=error)
    settings = bpy.context.scene.vivant
    settings.photo, settings.register_job, settings.build_job = "//me.png", info.job, info.job
    drawn = dict(all_panels())
    texts = drawn["VIVANT_PT_jobs"].texts
    assert any("me" in text for text in texts)
    if state == "running":
        assert "Training, 70 s left" in texts
        assert "vivant.cancel_job" in drawn["VIVANT_PT_jobs"].operators
    if state == "failed":
        assert "It broke." in texts and "vivant.copy_text" in drawn["VIVANT_PT_jobs"].operators
        assert ("It broke." in drawn["VIVANT_PT_avatar"].texts) and ("It broke." in drawn["VIVANT_PT_photo"].texts)


def test_an_interrupted_build_can_be_resumed_from_the_avatar_panel(addon):
    bpy.context.scene.vivant.build_job = job(addon, "interrupted").job
    assert "vivant.resume_job" in draw(panels()["VIVANT_PT_avatar"]).operators


def test_a_fit_shows_its_confidence_notes_and_offers_to_edit_it(addon, tmp_path):
    info = job(addon, "finished", "register")
    settings = bpy.context.scene.vivant
    settings.photo, settings.register_job = "//me.png", info.job
    fit = addon.results.Fit(tmp_path / "overlay.png", {"hands": 0.1}, ("The left hand is hidden.",))
    addon.results._fits[info.job] = fit
    layout = draw(panels()["VIVANT_PT_photo"])
    assert "The left hand is hidden." in layout.texts
    assert {"vivant.edit_fit", "vivant.show_fit", "vivant.register_photo"} <= set(layout.operators)


def test_an_avatar_of_the_backend_can_be_opened_renamed_deleted(addon):
    messages = addon.mirror.messages
    info = messages.AvatarInfo(str(uuid.uuid4()), "Me", time.time(), gaussians=160_000, size=20_000_000)
    addon.mirror._avatars[info.avatar] = info
    addon.mirror.rewrite()
    layout = draw(panels()["VIVANT_PT_avatar_list"])
    assert {"vivant.open_avatar", "vivant.rename_avatar", "vivant.delete_avatar"} <= set(layout.operators)
    assert "Me" in layout.texts and "160 k Gaussians, 20 MB" in layout.texts


def test_long_words_are_wrapped_to_the_sidebar(addon):
    addon.mirror.notice(Exception("word " * 60))
    assert max(len(text) for text in draw(panels()["VIVANT_PT_backend"]).texts) < 60


class FakePreferences:
    """The extension's preferences with another layout."""

    def __init__(self, addon):
        self.layout = FakeLayout()
        self._real = addon.preferences.get()

    def __getattr__(self, name):
        return getattr(self._real, name)


@pytest.mark.parametrize("where", ["LOCAL", "REMOTE"])
def test_the_preferences_draw_with_what_the_doctor_said(addon, where):
    addon.preferences.get().where = where
    addon.preferences.show_doctor(["used    python           Python 3.11", "What is no table."])
    drawing = FakePreferences(addon)
    addon.preferences.VivantPreferences.draw(drawing, bpy.context)
    addon.preferences.get().where = "LOCAL"
    addon.preferences.show_doctor([])
    assert ("Python 3.11" in drawing.layout.texts) == (where == "LOCAL")


def test_every_operator_has_a_tooltip_and_stands_in_a_menu_that_f3_searches(addon):
    menu = bpy.types.Menu.bl_rna_get_subclass_py("VIVANT_MT_commands")
    in_menu = {name.removeprefix("vivant.") for name in draw(menu).operators}
    for name in dir(bpy.ops.vivant):
        rna = getattr(bpy.ops.vivant, name).get_rna_type()
        assert rna.description, name
        assert not rna.description.endswith("."), f"{name}: Blender adds the full stop"
    of_a_row = {"open_avatar", "close_avatar", "forget_job", "forget_finished", "refresh"}
    small = {"copy_text", "dismiss", "dismiss_notes", "open_preferences", "test_python"}
    assert in_menu == set(dir(bpy.ops.vivant)) - of_a_row - small


def test_operators_say_what_is_missing(addon):
    for name in ("register_photo", "build_avatar", "free_memory", "cancel_job", "delete_avatar"):
        with pytest.raises(RuntimeError, match="poll"):
            getattr(bpy.ops.vivant, name)()


def render_panel():
    armature = bpy.data.objects.new("Ada", bpy.data.armatures.new("Ada"))
    armature["vivant_avatar"] = str(uuid.uuid4())
    bpy.context.scene.collection.objects.link(armature)
    return draw(panels()["VIVANT_PT_render"])


def test_the_render_panel_says_that_a_new_file_must_be_saved_first(addon):
    assert "Save the .blend file first" in " ".join(render_panel().texts)


def test_the_render_panel_shows_how_far_a_long_range_is_read(addon, monkeypatch):
    monkeypatch.setattr(addon.operators.render, "reading", SimpleNamespace(done=3, frames=range(10)))
    layout = render_panel()
    assert "Reading the motion" in layout.texts
    assert "vivant.cancel_render" in layout.operators and "vivant.render_avatar" not in layout.operators
