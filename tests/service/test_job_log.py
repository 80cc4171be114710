"""A job's log: how long it grows, over all tries of the job, and what a reader finds at its end."""

import logging

import pytest

from backend.service.job_log import END, LOG, job_log
from shared.wire import limits


def written(folder, *texts, logger="vivant"):
    """The log after one try of the job said so."""
    with job_log(folder):
        for text in texts:
            logging.getLogger(logger).warning(text)
    return (folder / LOG).read_bytes()


@pytest.fixture
def line(tmp_path):
    """How many bytes a record without words takes."""
    (tmp_path / "other").mkdir()
    return len(written(tmp_path / "other", ""))


@pytest.mark.limits("JOB_LOG_BYTES")
@pytest.mark.parametrize("letter", ["x", "ü"])
def test_it_grows_to_its_limit_and_one_byte_more_ends_it(tmp_path, line, letter):
    room = limits.JOB_LOG_BYTES - len(f"{END}\n")
    fitting = (room - line) // len(letter.encode())
    exact = letter * fitting + "x" * (room - line - fitting * len(letter.encode()))
    assert len(written(tmp_path, exact)) == room
    full = written(tmp_path, "")
    assert full.decode().splitlines()[1:] == [END] and len(full) == limits.JOB_LOG_BYTES
    (tmp_path / LOG).unlink()
    assert written(tmp_path, exact + "x", "short").decode().splitlines() == [END]


def test_what_was_read_stays_where_it_was_and_later_tries_add_nothing_to_a_full_log(tmp_path, line):
    begun = written(tmp_path, "one", logger="a.library")
    again = written(tmp_path, "two", "x" * limits.JOB_LOG_BYTES, "three")
    assert again.startswith(begun) and [text.split()[-1] for text in again.decode().splitlines()] == [
        "one",
        "two",
        END.split()[-1],
    ]
    assert written(tmp_path, "four") == again


def test_half_a_character_is_written_as_what_it_is(tmp_path):
    assert written(tmp_path, "\ud800").endswith(b"\\ud800\n")


def test_a_record_that_cannot_be_written_ends_no_job(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own ones raise
    with job_log(tmp_path):
        logging.getLogger("a.library").warning("%d items", "many")
        assert "Logging error" in capsys.readouterr().err
        (tmp_path / LOG).unlink()
        logging.getLogger("a.library").warning("on")
