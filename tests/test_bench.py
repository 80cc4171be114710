"""A build measured from outside."""

import pytest

from backend.bench import FINISHING, STARTING, bench, bench_builds, computer


def test_the_computer_is_named():
    assert computer()["cpu"] and computer()["cores"] >= 1


@pytest.mark.slow
def test_a_build_is_split_into_its_stages():
    rows = {row["stage"]: row for row in bench_builds(photos=("astronaut.png",), repeats=1)}
    assert {STARTING, "photo", "registration", "training", FINISHING, "all"} <= rows.keys()
    parts = sum(row["p50_s"] for stage, row in rows.items() if stage != "all")
    assert parts == pytest.approx(rows["all"]["p50_s"], abs=0.2)
    assert rows["all"]["p50_s"] < 300
    assert rows["all"]["peak_mb"] is None or 100 < rows["all"]["peak_mb"] < 4000


@pytest.mark.slow
def test_posing_is_measured_beside_smplx():
    results = bench("posing")
    assert all(row["ratio"] >= 3 for row in results["suites"]["posing"] if row["batch"] in (1, 64))
