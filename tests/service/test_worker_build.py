"""Real build workers: what they make, how they stop, and what is left when they die."""

import json
import os
import shutil
import signal
import time
import uuid
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from backend.avatar.files import load_avatar
from backend.checkpoint import load_observations, save_observations
from backend.registration.files import load_registration, save_registration
from backend.service.work import WorkCancel, WorkDone, WorkFailed, WorkJob, WorkMemory, WorkPing, WorkPong, WorkProgress
from shared.rig import load_rig
from shared.skeleton import JOINT_INDEX
from shared.wire import limits
from shared.wire.messages import BuildOptions
from tests.conftest import EXAMPLES
from tests.service.employer import Employer

TINY = ("-m", "tests.service.tiny_worker")
OPTIONS = BuildOptions(texture=128, size=96, steps=5, device="cpu")
ENDLESS = replace(OPTIONS, steps=100_000)
MADE = {
    *("avatar.json", "gaussians.safetensors", "registration.npz", "report.html", "rig.npz", "texture.png"),
    *("photo.png", "matte.png", "overlay.png", "preview.png", "turn.png"),
}
STAGES = ("photo", "registration", "training")


@pytest.fixture(scope="module")
def material(tmp_path_factory, observations, fit):
    place = tmp_path_factory.mktemp("material")
    save_observations(place / "observations.npz", observations)
    save_registration(place / "fit.npz", fit)
    return place


@pytest.fixture(scope="module")
def worker(material):
    """One worker for all tests that do it no lasting harm."""
    employer = Employer("build", TINY, {"TINY": str(material)})
    yield employer
    employer.close()


@pytest.fixture
def victim(material):
    employer = Employer("build", TINY, {"TINY": str(material)})
    yield employer
    employer.close()


def job(folder, task="build", photo="photo", **changes):
    """A job in `folder`; the photo's name may be a poison of the tiny worker."""
    folder.mkdir(exist_ok=True)
    (folder.parent / photo).write_bytes(b"a photo")
    work = WorkJob(str(uuid.uuid4()), task, str(folder), str(folder.parent / photo), options=OPTIONS)
    return replace(work, **changes)


def followed(worker):
    """All that was said until the job ended; the last is how."""
    said = [worker.receive()]
    while not isinstance(said[-1].message, WorkDone | WorkFailed):
        said.append(worker.receive())
    return said


def outcome(worker):
    """The stages that were told until the job ended, and how it ended."""
    *said, last = followed(worker)
    stages = [envelope.message.stage for envelope in said if isinstance(envelope.message, WorkProgress)]
    return set(stages), last.message


def reached(worker, stage, step=0):
    return worker.expect(WorkProgress, until=lambda message: message.stage == stage and message.step >= step)


@pytest.fixture(scope="module")
def built(worker, tmp_path_factory):
    """A job that went well: the message it was asked for with, its folder, and all that was said."""
    folder = tmp_path_factory.mktemp("built") / "job"
    work = job(folder)
    worker.send(work)
    return work, folder, followed(worker)


def test_a_build_makes_an_avatar_with_rig_and_texture(built, model):
    _, folder, said = built
    done = said[-1].message
    assert isinstance(done, WorkDone) and done.body_sha256 == model.sha256 and done.photo_psnr_db > 5
    assert {path.name for path in (folder / "result").iterdir()} == MADE
    assert {path.name for path in folder.iterdir()} == {"result", "log.txt"}
    assert len(load_avatar(folder / "result", model).face) == done.gaussians
    assert "training 5/5" in (folder / "log.txt").read_text(encoding="utf-8")


def test_pictures_of_fit_and_training_come_with_the_progress_and_are_small(built):
    _, _, said = built
    seen = {envelope.message.stage: envelope.buffers["preview"] for envelope in said if "preview" in envelope.buffers}
    assert set(seen) == {"registration", "training"}
    assert all(picture.ndim == 3 and max(picture.shape[:2]) <= 256 and picture.std() > 5 for picture in seen.values())


def test_a_finished_job_that_is_asked_for_again_only_gets_what_its_folder_lacks(built, worker):
    work, folder, said = built
    (folder / "result" / "rig.npz").unlink()  # as if the worker had been killed right before
    worker.send(work)
    stages, again = outcome(worker)
    assert again == said[-1].message and not stages & set(STAGES)
    assert {path.name for path in (folder / "result").iterdir()} == MADE


def test_a_register_job_leaves_the_fit_its_picture_and_a_rig(worker, tmp_path, model, fit):
    worker.send(job(tmp_path / "job", "register"))
    stages, done = outcome(worker)
    assert isinstance(done, WorkDone) and "training" not in stages
    result = tmp_path / "job" / "result"
    assert {path.name for path in result.iterdir()} == {"registration.npz", "overlay.png", "photo.png", "rig.npz"}
    assert {path.name for path in result.parent.iterdir()} == {"result", "log.txt"}
    np.testing.assert_array_equal(load_registration(result / "registration.npz", model).full_pose, fit.full_pose)
    np.testing.assert_allclose(load_rig(result / "rig.npz").full_pose, fit.full_pose)
    assert worker.expect(WorkMemory).message.used > 0


@pytest.mark.slow
def test_a_posture_set_by_hand_is_kept_and_clothes_are_found_anew(worker, material, tmp_path, model, fit):
    pose = fit.full_pose.astype(np.float32).copy()
    pose[3 * JOINT_INDEX["left_shoulder"] + 2] = -1.1
    expression = np.array([[0.4, 0.2]], np.float32)
    edited = {"full_pose": pose[None], "transl": fit.transl[None].astype(np.float32), "expression": expression}
    given = {"registration": str(material / "fit.npz"), "expression_names": ("jawOpen", "nonsense")}
    worker.send(job(tmp_path / "job", "register", **given), edited)
    said = followed(worker)
    assert any("nonsense" in getattr(envelope.message, "message", "") for envelope in said)
    made = load_registration(tmp_path / "job" / "result" / "registration.npz", model)
    np.testing.assert_array_equal(made.full_pose, pose)
    np.testing.assert_array_equal(made.betas, fit.betas)
    np.testing.assert_array_equal(made.camera.K, fit.camera.K)
    assert made.expression[model.expression_names.index("jawOpen")] == np.float32(0.4)
    assert np.abs(made.offsets).max() > 0.005 and not fit.offsets.any()


def test_row_20_cancel_in_every_stage_stops_this_job_alone_and_it_can_be_resumed(worker, tmp_path):
    work = job(tmp_path / "job", options=ENDLESS)
    for stage in STAGES:
        worker.send(work)
        reached(worker, stage)
        worker.send(WorkCancel(str(uuid.uuid4())))
        began = time.monotonic()
        worker.send(WorkCancel(work.job))
        _, ended = outcome(worker)
        assert isinstance(ended, WorkFailed) and ended.code == "cancelled" and ended.retryable
        assert time.monotonic() - began < limits.CANCEL_KILL_S
    worker.send(work)
    assert reached(worker, "training", 2)
    worker.send(WorkCancel(work.job))
    assert outcome(worker)[1].code == "cancelled"


def test_row_19_a_stopped_worker_is_silent_and_a_training_one_is_not(worker, tmp_path):
    work = job(tmp_path / "job", options=ENDLESS)
    worker.send(work)
    reached(worker, "training", 2)
    for _ in range(5):
        worker.send(WorkPing())
        worker.expect(WorkPong, timeout_s=limits.PING_S * limits.PINGS_MISSED)
    worker.kill(signal.SIGSTOP)
    while worker.socket.poll(300):  # what was on its way
        worker.receive()
    worker.send(WorkPing())
    assert not worker.socket.poll(1000)
    worker.kill(signal.SIGCONT)
    worker.expect(WorkPong)
    worker.send(WorkCancel(work.job))
    outcome(worker)


@pytest.mark.parametrize(
    ("poison", "code", "words"),
    [
        ("memory_never_suffices", "oom", "bytes are free"),
        ("memory_never_suffices_to_torch", "oom", "bytes are free"),
        ("gpu_memory_never_suffices", "oom", "Tried to allocate 2.00 GiB"),
        ("loss_becomes_nan", "diverged", "step 3"),
        pytest.param("files_stay_small", "disk_full", "bytes are free", marks=pytest.mark.slow),
        ("a_stage_is_wrong", "internal", "KeyError"),
    ],
    ids=["row_17_numpy", "row_17_torch", "row_17_cuda", "row_33", "row_15", "row_18_defect"],
)
def test_what_goes_wrong_is_told_as_such_and_the_checkpoints_survive(worker, tmp_path, model, poison, code, words):
    worker.send(job(tmp_path / "job", photo=poison))
    stages, ended = outcome(worker)
    assert isinstance(ended, WorkFailed) and ended.code == code and words in ended.message and ended.retryable
    assert ("memory" in stages) == (code == "oom")
    assert code in (log := (tmp_path / "job" / "log.txt").read_text(encoding="utf-8"))
    assert ("Traceback" in log) == (code == "internal")
    (partial,) = (tmp_path / "job").glob("result.*.partial")
    load_observations(partial / "observations.npz")
    load_registration(partial / "registration.npz", model)


@pytest.mark.slow
@pytest.mark.parametrize("poison", ["memory_suffices_for_half", "gpu_memory_suffices_for_half"])
def test_row_17_less_memory_makes_a_smaller_avatar_and_says_so(worker, tmp_path, poison):
    worker.send(job(tmp_path / "job", photo=poison))
    said = followed(worker)
    assert isinstance(said[-1].message, WorkDone)
    assert any("Out of memory" in getattr(envelope.message, "message", "") for envelope in said)
    info = json.loads((tmp_path / "job" / "result" / "avatar.json").read_text(encoding="utf-8"))
    assert info["settings"]["texture"] == OPTIONS.texture // 2


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_row_12_a_killed_worker_leaves_what_another_goes_on_from(victim, tmp_path, stage, model):
    work = job(tmp_path / "job", options=ENDLESS)
    victim.send(work)
    reached(victim, stage, 1)
    victim.kill()
    victim.restart()
    victim.send(replace(work, options=OPTIONS))
    stages, done = outcome(victim)
    assert isinstance(done, WorkDone)
    assert stages & set(STAGES) == set(STAGES[STAGES.index(stage) :])
    load_avatar(tmp_path / "job" / "result", model)
    assert {path.name for path in (tmp_path / "job").iterdir()} == {"result", "log.txt"}
    victim.process.stdin.close()  # the server is gone, however it went
    assert victim.process.wait(10) == 0


@pytest.mark.slow
def test_row_12_killed_while_the_texture_is_baked(victim, tmp_path):
    work = job(tmp_path / "job")
    victim.send(work)
    reached(victim, "rig")
    victim.kill()
    victim.restart()
    victim.send(work)
    stages, done = outcome(victim)
    assert isinstance(done, WorkDone) and not stages & set(STAGES)
    assert {path.name for path in (tmp_path / "job" / "result").iterdir()} == MADE


@pytest.mark.slow
def test_rows_28_and_30_photos_that_will_not_do_and_one_that_does(tmp_path, model):
    worker = Employer("build")
    Image.new("RGB", (640, 480), (90, 120, 90)).save(tmp_path / "meadow.png")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_bytes(b"no picture at all")
    shutil.copy(EXAMPLES / "astronaut.png", tmp_path / "person")
    try:
        for name, code in (("meadow.png", "no_person"), ("empty", "bad_photo"), ("text", "bad_photo"), ("person", "")):
            folder = tmp_path / f"of {name}"
            worker.send(replace(job(folder), photo=str(tmp_path / name)))
            _, ended = outcome(worker)
            assert getattr(ended, "code", "") == code
            if code:
                assert not ended.retryable and os.listdir(folder) == ["log.txt"]
        load_avatar(folder / "result", model)
    finally:
        worker.close()
