"""A build measured from outside."""

import pytest

from backend.bench import FINISHING, RUNS, STARTING, Run, bench, bench_builds, computer, measure
from backend.service import bench as wire
from backend.service import bench_frame
from shared.errors import VivantError


def test_the_computer_is_named():
    assert computer()["cpu"] and computer()["cores"] >= 1


@pytest.mark.slow
def test_a_run_is_split_into_its_stages_and_a_megapixel_is_registered_in_time():
    rows = {row["stage"]: row for row in bench_builds(runs=RUNS[2:], repeats=1)}
    assert {STARTING, "photo", "registration", FINISHING, "all"} <= rows.keys()
    parts = sum(row["p50_s"] for stage, row in rows.items() if stage != "all")
    assert parts == pytest.approx(rows["all"]["p50_s"], abs=0.2)
    assert rows["registration"]["pixels"] == "1024 x 1024" and rows["registration"]["p50_s"] < 45
    assert rows["all"]["peak_mb"] is None or 100 < rows["all"]["peak_mb"] < 4000


@pytest.mark.slow
def test_a_run_that_fails_says_why():
    with pytest.raises(VivantError, match=r"vivant register of astronaut\.png failed: .* \.npz"):
        measure(Run("astronaut.png", (64, 64), "register", "fit.txt"))


@pytest.mark.slow
def test_posing_is_measured_beside_smplx():
    results = bench("posing")
    assert all(row["ratio"] >= 3 for row in results["suites"]["posing"] if row["batch"] in (1, 64))


@pytest.mark.slow
def test_frames_are_measured_on_both_ways():
    rows = {row["what"]: row for row in wire.bench_wire(count=20)}
    assert len(rows) == wire.ROWS and all(row["mean_ms"] > 0 for row in rows.values())
    assert all(rows[f"live frames, {way}"]["over_bare"] > 0 for way in wire.WAYS.values())


def test_a_live_frame_is_split_into_drawing_and_writing(monkeypatch):
    monkeypatch.setattr(bench_frame, "COUNTS", (1000,))
    drawn, written = bench_frame.bench_frame(repeats=2)
    assert (drawn["step"], written["step"]) == ("drawn", "written into its slot")
    assert drawn["p50_ms"] > 0 < written["p50_ms"] and drawn["share"] + written["share"] == pytest.approx(1, abs=0.02)


def test_a_bench_whose_other_process_dies_says_so(monkeypatch):
    monkeypatch.setattr(wire.peers, "MODULE", "no_such_module")
    monkeypatch.setattr(wire, "SILENCE_MS", 100)
    with pytest.raises(VivantError, match="silent"):
        wire._bare(1, curve=False)
