"""What is committed, in which order it is told, and how often."""

import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.service.journal import SCHEMA, Job, Journal, OwnedAvatar
from backend.service.ledger import Ledger, Step
from backend.service.states import MOVES, RESUMABLE, START, ForbiddenMoveError, check_move, is_final
from shared.errors import VivantError
from shared.wire.calls import new_id
from shared.wire.limits import PROGRESS_HZ
from shared.wire.messages import FINAL_STATES, AvatarInfo, JobInfo
from tests.service.clock import FakeClock
from tests.service.serving import ROOT


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path / "journal.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def told():
    return []


@pytest.fixture
def ledger(journal, clock, told):
    def announce(owner, event):
        assert journal.events(event.info.job, event.info.last_event - 1, 1)[0].info == event.info  # committed first
        told.append((owner, event))

    return Ledger(journal, announce, clock)


def a_job(owner="ada", task="build", state=START):
    return Job(JobInfo(new_id(), task, "Ada", state, 1.0, last_event=1), owner, "content", b"request")


def test_final_states_can_only_be_left_by_a_wish_to_resume():
    assert {state for state in MOVES if is_final(state)} == set(FINAL_STATES)
    assert all(set(MOVES[state]) <= {"queued"} for state in FINAL_STATES)
    assert MOVES["finished"] == {} and set(RESUMABLE) == {"interrupted", "failed", "cancelled"}


def test_every_state_can_be_reached_and_every_unfinished_one_can_end():
    reached, ends = {START}, set(FINAL_STATES)
    for _ in MOVES:
        reached |= {after for state in reached for after in MOVES[state]}
        ends |= {state for state in MOVES if ends & MOVES[state].keys()}
    assert reached == ends == set(MOVES)


@pytest.mark.parametrize(
    ("before", "after"), [("finished", "running"), ("queued", "finished"), ("cancelled", "failed")]
)
def test_a_move_that_is_not_in_the_table_is_a_defect(before, after):
    with pytest.raises(ForbiddenMoveError):
        check_move(before, after)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["a", "b"]), st.integers(1, 9), st.floats(0, 0.3))))
def test_events_count_without_gap_and_progress_is_thinned(steps):
    journal, clock, told = Journal(Path(":memory:")), FakeClock(), []
    ledger = Ledger(journal, lambda owner, event: told.append((clock(), event)), clock)
    job = a_job()
    ledger.add(job)
    ledger.move(job.id, "running")
    for is_step, stage, step, pause in steps:
        clock.pass_(pause)
        ledger.progress(job.id, Step(stage, step, 9)) if is_step else ledger.tick()
    ledger.move(job.id, "failed")
    journal.close()
    assert [event.info.last_event for _, event in told] == list(range(1, len(told) + 1))
    times = [time for time, event in told if event.info.state == "running"][1:]
    assert all(later - earlier >= 1 / PROGRESS_HZ - 1e-9 for earlier, later in itertools.pairwise(times))
    last = [step for step in steps if step[0]]
    if last:
        assert (told[-1][1].info.stage, told[-1][1].info.step) == last[-1][1:3]


@pytest.mark.limits("PROGRESS_HZ")
def test_the_newest_step_is_told_when_its_turn_comes(ledger, clock, told):
    job = a_job()
    ledger.add(job)
    ledger.move(job.id, "running")
    picture = np.zeros((2, 3, 3), "u1")
    ledger.progress(job.id, Step("training", 1, 9))
    ledger.progress(job.id, Step("training", 2, 9, preview=picture))
    ledger.progress(job.id, Step("training", 3, 9))
    assert told[-1][1].info.step == 1
    clock.pass_(1 / PROGRESS_HZ)
    ledger.tick()
    assert told[-1][1].info.step == 3 and told[-1][1].preview is picture


def test_38_the_time_left_comes_from_time_that_only_grows(ledger, clock, told):
    job = a_job()
    ledger.add(job)
    ledger.move(job.id, "running")
    for step in range(1, 4):
        ledger.progress(job.id, Step("training", step, 10))
        clock.pass_(2.0)
    ledger.tick()
    assert told[-1][1].info.eta_s == pytest.approx(2.0 * 7, rel=0.5)


def test_the_journal_gives_back_what_it_took(journal, tmp_path):
    job, avatar = a_job(), OwnedAvatar(AvatarInfo(new_id(), "Ada", 1.0), "ada")
    journal.add(job)
    picture = np.arange(4 * 5 * 3, dtype="u1").reshape(4, 5, 3)
    info = journal.record(replace(job.info, state="running"), 1, picture)
    journal.put_avatar(avatar, whole=True)
    journal.put_asset("ada", "0" * 64)
    again = Journal(tmp_path / "journal.sqlite")
    assert again.job(job.id) == replace(job, info=info, deaths=1, place=1)
    first, second = again.events(job.id, 0, 10)
    assert (first.info, second.info) == (job.info, info) and first.preview is None
    np.testing.assert_array_equal(second.preview, picture)
    assert again.avatar(avatar.info.avatar) == avatar and again.avatars_of("bob") == []
    assert again.has_asset("ada", "0" * 64) and not again.has_asset("bob", "0" * 64)
    again.close()


def test_an_avatar_on_its_way_is_not_shown(journal):
    avatar = OwnedAvatar(AvatarInfo(new_id(), "Ada", 1.0), "ada")
    journal.put_avatar(avatar, whole=False)
    assert journal.avatar(avatar.info.avatar) is None and journal.avatars_of("ada") == []
    assert journal.all_avatars(whole=False) == [avatar]


def test_a_journal_of_a_newer_version_is_left_alone(tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    journal._db.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    journal.close()
    with pytest.raises(VivantError, match="newer"):
        Journal(tmp_path / "journal.sqlite")


FILLING = """
import sys
from pathlib import Path
from backend.service.journal import Journal
from shared.wire.errors import WireError
from tests.service.test_journal import a_job
import resource
journal = Journal(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
kept = 0
try:
    while True:
        journal.add(a_job())
        kept += 1
except WireError as error:
    print(error.code, error.retryable, sys.argv[1] in error.message)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
journal.add(a_job())
print(len(journal.jobs_of("ada")) == kept + 1)
"""


def test_15_a_full_disk_is_told_and_nothing_that_was_committed_is_lost(tmp_path):
    command = [sys.executable, "-c", FILLING, str(tmp_path / "journal.sqlite")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout.split("\n")[:2] == ["disk_full True True", "True"], done.stderr
