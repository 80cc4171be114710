"""Jobs on a real server with workers that die, hang and lie. Numbers are rows of the fault table."""

import os
import signal
import time

import numpy as np
import pytest

from shared.wire import limits
from shared.wire.calls import download, follow, jobs, new_id, upload
from shared.wire.client import Client
from shared.wire.errors import WireError
from shared.wire.messages import (
    FINAL_STATES,
    AvatarList,
    BuildOptions,
    JobCancel,
    JobEvents,
    JobForget,
    JobList,
    JobLog,
    JobResume,
    JobSubmit,
    Ping,
    StatusGet,
)
from tests.service.fake_worker import DEAF, DIES, DIES_ALWAYS, DISK_FULL, FAILS, HANGS
from tests.service.serving import PHOTO, drain, state_of, submit, until, until_state


@pytest.fixture
def client(server):
    with server.connect() as connected:
        yield connected
        for info in connected.call(JobList()).message.jobs:
            if info.state not in FINAL_STATES:
                connected.call(JobCancel(info.job))
        until(lambda: all(info.state in FINAL_STATES for info in connected.call(JobList()).message.jobs))


ACKNOWLEDGED_S, EFFECTIVE_S = 0.5, 5.0
"""What a user is promised of cancelling."""


def cancelled(client, job):
    """Cancel twice; seconds until the quicker answer (a busy computer may delay one), and until the job has stopped."""
    began, took = time.monotonic(), []
    for _ in range(2):
        asked = time.monotonic()
        client.call(JobCancel(job))
        took.append(time.monotonic() - asked)
    until_state(client, job, "cancelled")
    return min(took), time.monotonic() - began


def workers_of(client, server, job):
    """Process ids of the workers that had the job, from its log."""
    text = client.call(JobLog(job)).message.text
    return [int(line.split()[1]) for line in text.splitlines() if line.startswith("worker")]


def test_a_build_ends_as_an_avatar_with_the_jobs_id_and_its_events_count_without_gap(client):
    job = submit(client, steps=5)
    events = list(follow(client, job))
    assert [event.info.last_event for event in events] == list(range(1, len(events) + 1))
    assert [events[0].info.state, events[1].info.state, events[-1].info.state] == ["queued", "running", "finished"]
    (avatar,) = (info for info in client.call(AvatarList()).message.avatars if info.avatar == job)
    assert (avatar.name, avatar.gaussians, avatar.photo_psnr_db) == ("Ada", 1000, 30.0)
    assert download(client, job, "overlay.png") == b"overlay" * 1000


def test_events_come_again_from_any_number_with_the_newest_preview(client):
    job = submit(client, steps=5)
    live = [came for came in _until_final(client, job) if came.message.info.job == job]
    client.call(JobEvents(job, 2))
    again = [came for came in drain(client) if came.message.info.job == job]
    assert [came.message for came in again] == [came.message for came in live][2:]
    pictures = [came for came in again if "preview" in came.buffers]
    assert len(pictures) == 1 and pictures[0].buffers["preview"].shape == (4, 6, 3)
    client.call(JobEvents(job, again[-1].message.info.last_event))
    assert not drain(client)


def _until_final(client, job):
    found = []
    until(lambda: found.extend(drain(client)) or (found and found[-1].message.info.state in FINAL_STATES))
    return found


def test_27_the_same_submit_again_is_one_job_and_another_content_is_refused(client):
    job, photo = new_id(), upload(client, PHOTO)
    message = JobSubmit(job, "build", photo, options=BuildOptions(steps=3, size=64))
    client.call(message)
    until_state(client, job, "finished")
    assert client.call(message).message.info.state == "finished"
    assert len([info for info in client.call(JobList()).message.jobs if info.job == job]) == 1
    with pytest.raises(WireError) as told:
        client.call(JobSubmit(job, "build", photo, options=BuildOptions(steps=4, size=64)))
    assert told.value.code == "conflict"


def test_a_photo_must_be_uploaded_and_a_registration_be_there(client):
    with pytest.raises(WireError) as told:
        client.call(JobSubmit(new_id(), "register", "0" * 64))
    assert (told.value.code, told.value.field) == ("unknown_file", "photo")
    with pytest.raises(WireError) as told:
        client.call(JobSubmit(new_id(), "build", upload(client, PHOTO), registration=new_id()))
    assert (told.value.code, told.value.field) == ("unknown_job", "registration")


def test_a_corrected_pose_reaches_a_build_from_a_finished_registration(client):
    fit = submit(client, "register")
    until_state(client, fit, "finished")
    assert download(client, fit, "registration.npz") == b"fit"
    job = new_id()
    pose = {"full_pose": np.zeros((1, 165), "f4"), "transl": np.zeros((1, 3), "f4")}
    options = BuildOptions(size=64, steps=1)
    client.call(JobSubmit(job, "build", upload(client, PHOTO), registration=fit, options=options), pose)
    until_state(client, job, "finished")


def test_12_a_job_whose_worker_dies_goes_on_from_the_last_finished_stage(client, server):
    job = submit(client, steps=4, seed=DIES)
    events = list(follow(client, job))
    assert events[-1].info.state == "finished"
    assert [event.info.state for event in events if event.info.state == "queued"] == ["queued"] * 2
    again = [event.info.stage for event in events[events.index(_lost(events)) + 2 :]]
    assert set(again) == {"training"}
    first, second = workers_of(client, server, job)
    assert first != second


def _lost(events):
    return next(event for event in events if "was lost" in event.info.message)


def test_12_a_killed_worker_is_told_within_five_seconds_and_pings_are_answered_throughout(client, server):
    job = submit(client, steps=1000, size=100)
    slowest = 0.0
    for death in (1, 2):
        until(
            lambda death=death: (
                len(workers_of(client, server, job)) == death and state_of(client, job).stage == "training"
            )
        )
        os.kill(workers_of(client, server, job)[-1], signal.SIGKILL)
        killed = time.monotonic()
        while "was lost" not in (info := state_of(client, job)).message + info.error:
            began = time.monotonic()
            client.call(Ping())
            slowest = max(slowest, time.monotonic() - began)
        assert time.monotonic() - killed < 5
    assert (info.state, info.error_code, info.retryable) == ("failed", "worker_died", True) and slowest < 2


def test_12_the_second_death_fails_for_good_and_pings_are_answered_throughout(client):
    job = submit(client, steps=4, seed=DIES_ALWAYS)
    slowest = 0.0
    while (info := state_of(client, job)).state not in FINAL_STATES:
        began = time.monotonic()
        client.call(Ping())
        slowest = max(slowest, time.monotonic() - began)
    assert (info.state, info.error_code, info.retryable) == ("failed", "worker_died", True)
    assert "signal 9" in info.error and slowest < 2
    client.call(JobResume(job))
    assert until_state(client, job, "failed").last_event > info.last_event


def test_18_the_next_job_after_a_crash_is_fine(client):
    until_state(client, submit(client, steps=2, seed=DIES_ALWAYS), "failed")
    until_state(client, submit(client), "finished")


@pytest.mark.slow
def test_19_a_stopped_worker_is_found_by_its_silence_and_replaced(client):
    job = submit(client, steps=2, seed=HANGS)
    assert until_state(client, job, "finished", "failed").state == "finished"


def test_a_worker_that_gives_up_says_why(client):
    info = until_state(client, submit(client, seed=FAILS), "failed")
    assert (info.error_code, info.retryable) == ("no_person", False)
    with pytest.raises(WireError) as told:
        client.call(JobResume(info.job))
    assert told.value.code == "conflict"


def test_15_a_full_disk_fails_the_job_and_it_can_be_resumed(client):
    info = until_state(client, submit(client, seed=DISK_FULL), "failed")
    assert (info.error_code, info.retryable) == ("disk_full", True)
    assert client.call(JobResume(info.job)).message.info.state in ("queued", "running")
    until_state(client, info.job, "failed")


def test_20_cancel_is_answered_at_once_and_works_within_five_seconds(client):
    job = submit(client, steps=1000, size=100)
    until(lambda: state_of(client, job).stage == "training")
    acknowledged, effective = cancelled(client, job)
    assert acknowledged < ACKNOWLEDGED_S and effective < EFFECTIVE_S
    assert client.call(JobCancel(job)).message.info.state == "cancelled"


def test_20_a_worker_that_hears_no_cancel_is_ended_and_replaced(client, server):
    job = submit(client, steps=1000, size=100, seed=DEAF)
    until(lambda: state_of(client, job).stage == "training")
    acknowledged, effective = cancelled(client, job)
    assert acknowledged < ACKNOWLEDGED_S and limits.CANCEL_KILL_S < effective < EFFECTIVE_S
    until_state(client, submit(client), "finished")


def test_20_only_the_cancelled_job_stops_and_a_queued_one_at_once(client):
    running, queued = submit(client, steps=30, size=64), submit(client, steps=1)
    until_state(client, running, "running")
    assert client.call(JobCancel(queued)).message.info.state == "cancelled"
    until_state(client, running, "finished")
    with pytest.raises(WireError) as told:
        client.call(JobCancel(new_id()))
    assert told.value.code == "unknown_job"


def test_a_cancelled_job_goes_on_where_it_was(client, server):
    job = submit(client, steps=1000, size=100)
    until(lambda: state_of(client, job).stage == "training")
    client.call(JobCancel(job))
    until_state(client, job, "cancelled")
    client.call(JobResume(job))
    until(lambda: len(workers_of(client, server, job)) == 2 and state_of(client, job).stage == "training")
    client.call(JobCancel(job))


def test_21_cancel_that_races_with_the_end_leaves_one_final_state(client):
    for delay in np.linspace(0, 0.25, 6):
        job = submit(client, steps=2, size=64)
        until(lambda job=job: state_of(client, job).state != "queued")
        time.sleep(delay)
        client.call(JobCancel(job))
        until_state(client, job, *FINAL_STATES)
        client.call(JobEvents(job))
        finals = [
            came.message.info.state
            for came in drain(client)
            if came.message.info.job == job and came.message.info.state in FINAL_STATES
        ]
        assert len(set(finals)) == 1


def test_an_ended_job_can_be_forgotten_and_a_running_one_not(client):
    job = submit(client, steps=1000, size=100)
    with pytest.raises(WireError, match="Cancel it first"):
        client.call(JobForget(job))
    client.call(JobCancel(job))
    until_state(client, job, "cancelled")
    client.call(JobForget(job))
    assert job not in {info.job for info in client.call(JobList()).message.jobs}


def test_a_forgotten_job_leaves_its_avatar_and_nothing_else(client, server):
    photo = upload(client, b"a photo for one job")
    job = new_id()
    client.call(JobSubmit(job, "build", photo, options=BuildOptions(steps=1, size=64)))
    until_state(client, job, "finished")
    client.call(JobForget(job))
    assert job in {info.avatar for info in client.call(AvatarList()).message.avatars}
    until(lambda: not list((server.data / "jobs").glob(f"*{job}*")))
    assert not (server.data / "assets" / photo).exists()
    assert upload(client, b"a photo for one job") == photo and (server.data / "assets" / photo).exists()


def test_a_fit_that_a_build_still_needs_is_not_forgotten(client):
    fit, build, photo = submit(client, "register"), new_id(), upload(client, PHOTO)
    until_state(client, fit, "finished")
    client.call(JobSubmit(build, "build", photo, registration=fit, options=BuildOptions(steps=1000, size=100)))
    with pytest.raises(WireError, match="needs this fit"):
        client.call(JobForget(fit))
    client.call(JobCancel(build))
    until_state(client, build, "cancelled")
    client.call(JobForget(fit))


def test_the_log_comes_in_pieces_without_cutting_characters(client, server):
    job = submit(client)
    until_state(client, job, "finished")
    text = "äöü€🙂" * 5000
    (server.data / "jobs" / job / "log.txt").write_text(text, encoding="utf-8")
    read, offset = "", 0
    while (piece := client.call(JobLog(job, offset)).message).text:
        read, offset = read + piece.text, piece.offset
    assert read == text


def test_so_many_jobs_may_wait_and_no_more(client):
    first = submit(client, steps=1000, size=100)
    until_state(client, first, "running")
    photo = upload(client, PHOTO)
    waiting = [new_id() for _ in range(limits.WAITING_JOBS)]
    for job in waiting:
        client.call(JobSubmit(job, "register", photo))
    with pytest.raises(WireError) as told:
        client.call(JobSubmit(new_id(), "register", photo))
    assert (told.value.code, told.value.retryable) == ("busy", True)
    assert client.call(StatusGet()).message.queued == limits.WAITING_JOBS
    assert first in {info.job for info in client.call(JobList()).message.jobs}
    assert {first, *waiting} <= {info.job for info in jobs(client)}
    client.call(JobCancel(waiting[0]))
    waiting.append(submit(client, "register"))
    with pytest.raises(WireError, match="waiting already"):  # what was cancelled takes a place as well
        client.call(JobResume(waiting[0]))
    client.call(JobCancel(waiting[1]))
    assert client.call(JobResume(waiting[0])).message.info.state == "queued"
    assert client.call(StatusGet()).message.queued == limits.WAITING_JOBS
    for job in (first, *waiting):
        client.call(JobCancel(job))


def test_23_a_client_that_comes_back_gets_each_missed_event_once_and_in_order(server):
    with server.connect() as watcher:
        client = server.client()
        until(lambda: client.state == "ready")
        job = submit(watcher, steps=12, size=100)
        until(lambda: any(came.message.info.job == job for came in drain(client)))
        session, seen = client.session, 1
        client.close()
        until_state(watcher, job, "finished")
        back = Client(server.connection(), session=session)
        numbers = [event.info.last_event for event in follow(back, job, seen)]
        assert numbers == list(range(2, state_of(watcher, job).last_event + 1))
        back.close()


def test_22_a_build_goes_on_without_its_client(server):
    with server.connect() as client:
        job = submit(client, steps=10, size=64)
    with server.connect() as client:
        until_state(client, job, "finished")


def test_a_worker_killed_while_idle_is_replaced(client, server):
    job = submit(client)
    until_state(client, job, "finished")
    os.kill(workers_of(client, server, job)[-1], signal.SIGKILL)
    until_state(client, submit(client), "finished")
