"""From a photo to an avatar and its end, by operators alone, against the mock server. No timer ticks here: `wait`."""

import threading
import time

import pytest

from tests.conftest import EXAMPLES

bpy = pytest.importorskip("bpy", reason="needs the bpy module (pip install bpy)")
pytest.importorskip("zmq", reason="needs pyzmq")

PACE = 0.02
FINAL = ("finished", "failed", "cancelled")


@pytest.fixture
def addon(empty, tmp_path):
    """Connected to a mock server that hurries."""
    empty.session.connect(empty.backend_process.start_mock(tmp_path, PACE))
    assert empty.session.wait(empty.session.is_ready, 10)
    yield empty
    empty.session.disconnect()
    empty.backend_process.stop()
    empty.mirror.dismiss()


def choose(name="astronaut.png"):
    assert bpy.ops.vivant.choose_photo(filepath=str(EXAMPLES / name)) == {"FINISHED"}


def ended(addon, setting):
    """Wait for the end of the job that this setting of the scene names."""
    job = getattr(bpy.context.scene.vivant, setting)
    assert addon.session.wait(lambda: addon.mirror.job(job).state in FINAL, 30)
    return addon.mirror.job(job)


def notice():
    return bpy.context.window_manager.vivant.notice


def avatars():
    return list(bpy.context.window_manager.vivant.avatars)


def test_a_photo_becomes_a_fit_then_an_avatar_that_can_be_renamed_and_deleted(addon):
    choose()
    assert bpy.ops.vivant.register_photo() == {"FINISHED"}
    assert ended(addon, "register_job").state == "finished"
    fit_job = bpy.context.scene.vivant.register_job
    assert addon.session.wait(lambda: addon.results.fit(fit_job) is not None, 10), notice()
    assert addon.results.fit(fit_job).overlay.is_file()
    assert bpy.ops.vivant.build_avatar() == {"FINISHED"}
    assert ended(addon, "build_job").state == "finished"
    assert addon.session.wait(lambda: len(avatars()) == 1, 10)
    assert avatars()[0].label == "astronaut"
    bpy.ops.vivant.rename_avatar(name="Eileen")
    assert addon.session.wait(lambda: avatars()[0].label == "Eileen", 10)
    bpy.ops.vivant.open_avatar()
    assert addon.session.wait(lambda: avatars()[0].is_open, 10)
    bpy.ops.vivant.free_memory()
    bpy.ops.vivant.delete_avatar()
    assert addon.session.wait(lambda: not avatars(), 10)


def test_a_job_is_listed_at_once_and_cancelled_resumed_and_forgotten(addon):
    choose()
    bpy.ops.vivant.build_avatar()
    job = bpy.context.scene.vivant.build_job
    assert [row.job for row in bpy.context.window_manager.vivant.jobs] == [job]
    assert addon.session.wait(lambda: addon.mirror.job(job).state == "running", 10)
    bpy.ops.vivant.cancel_job(job=job)
    assert addon.session.wait(lambda: addon.mirror.job(job).state == "cancelled", 10)
    bpy.ops.vivant.resume_job(job=job)
    assert addon.session.wait(lambda: addon.mirror.job(job).state != "cancelled", 10)
    assert ended(addon, "build_job").state == "finished"
    bpy.ops.vivant.forget_job(job=job)
    assert addon.session.wait(lambda: not bpy.context.window_manager.vivant.jobs, 10)


def test_a_job_is_not_submitted_twice_while_it_runs(addon):
    choose()
    bpy.ops.vivant.build_avatar()
    with pytest.raises(RuntimeError, match="poll"):
        bpy.ops.vivant.build_avatar()
    ended(addon, "build_job")


def test_the_log_of_a_job_comes_into_a_text(addon):
    choose()
    bpy.ops.vivant.register_photo()
    ended(addon, "register_job")
    bpy.ops.vivant.open_log()
    assert addon.session.wait(lambda: "registration" in bpy.data.texts["Vivant Log"].as_string(), 10)


def test_a_photo_that_vanished_fails_the_job_with_the_way_on(addon, tmp_path):
    photo = tmp_path / "me.png"
    photo.write_bytes((EXAMPLES / "astronaut.png").read_bytes())
    bpy.ops.vivant.choose_photo(filepath=str(photo))
    photo.unlink()
    bpy.ops.vivant.register_photo()
    info = ended(addon, "register_job")
    assert info.state == "failed" and "Choose the photo again" in info.error


def test_another_photo_lets_go_of_the_old_fit(addon):
    choose()
    bpy.ops.vivant.register_photo()
    ended(addon, "register_job")
    choose("full_body.png")
    assert bpy.context.scene.vivant.register_job == ""


def test_a_loaded_file_finds_lists_and_fit_again(addon, tmp_path):
    choose()
    bpy.ops.vivant.register_photo()
    job = bpy.context.scene.vivant.register_job
    ended(addon, "register_job")
    addon.session.wait(lambda: addon.results.fit(job) is not None, 10)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    assert len(bpy.context.window_manager.vivant.jobs) == 1 and bpy.context.scene.vivant.register_job == ""
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "scene.blend"))
    assert bpy.context.scene.vivant.register_job == job and addon.results.fit(job) is not None
    assert addon.session.is_ready()


def test_undo_neither_forgets_jobs_nor_disturbs_the_connection(addon):
    choose()
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.vivant.build_avatar()
    bpy.ops.ed.undo_push(message="build")
    bpy.ops.ed.undo()
    assert len(bpy.context.window_manager.vivant.jobs) == 1
    (job,) = (row.job for row in bpy.context.window_manager.vivant.jobs)
    assert addon.session.wait(lambda: addon.mirror.job(job).state == "finished", 30)


def test_importing_what_is_no_avatar_is_refused_in_the_panel(addon, tmp_path):
    assert bpy.ops.vivant.import_avatar(directory=str(tmp_path / "nothing")) == {"FINISHED"}
    assert addon.session.wait(notice, 10)
    bpy.ops.vivant.dismiss()
    assert not notice()


def test_lists_of_several_pages_are_whole_and_lose_what_is_gone(addon, tmp_path, monkeypatch):
    from bl_ext.dev.vivant._shared.wire import limits

    from tests.blender_addon.mocked import backend, built

    monkeypatch.setattr(limits, "WAITING_JOBS", 1)
    monkeypatch.setattr(limits, "AVATARS", 1)
    with backend(tmp_path / "paged"):
        made = {built() for _ in range(3)}
        gone = made.pop()
        addon.session.client().call(addon.mirror.messages.AvatarDelete(gone))
        addon.session.client().call(addon.mirror.messages.JobForget(gone))
        addon.mirror.drop_jobs(set(made))  # as if nobody had told of them
        addon.session.refresh()
        assert addon.session.wait(lambda: addon.mirror.known_avatars() == addon.mirror.known_jobs() == made, 10)


def test_a_server_that_ends_is_noticed_and_asked_for_again(addon):
    addon.backend_process.stop()
    assert addon.session.wait(lambda: addon.session.client().state == "lost", 15)
    errors = []
    addon.session.call(addon.mirror.messages.StatusGet(), on_error=errors.append)
    assert addon.session.wait(lambda: errors, 10)


def test_stop_ends_the_mock_and_the_connection(addon):
    assert bpy.ops.vivant.stop_backend() == {"FINISHED"}
    assert addon.session.client() is None and not addon.backend_process.runs_mock()


def test_disabling_while_a_job_runs_takes_less_than_a_second_and_leaves_no_thread(addon):
    before = threading.active_count()
    choose()
    bpy.ops.vivant.build_avatar()
    addon.session.wait(lambda: addon.mirror.is_busy(), 10)
    name = addon.__name__
    start = time.monotonic()
    bpy.ops.preferences.addon_disable(module=name)
    seconds = time.monotonic() - start
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("vivant")]
    assert threading.active_count() < before
    bpy.ops.preferences.addon_enable(module=name)
    assert seconds < 1.0
