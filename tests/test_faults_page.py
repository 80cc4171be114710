"""The table of faults and the tests that prove its rows."""

import re

from tests.conftest import ROOT

NEEDED = {*range(1, 28), 29, 31, *range(34, 40)}
TEST = re.compile(r"def test_(?:rows?_)?((?:\d+_(?:and_)?)+)")
PARAMETER = re.compile(r'"row_(\d+)')


def rows_in_the_table():
    text = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    return {int(number) for number in re.findall(r"^\| (\d+) \|", text, re.M)}


def rows_with_a_test():
    rows = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        rows |= {int(number) for found in TEST.findall(text) for number in re.findall(r"\d+", found)}
        rows |= {int(number) for number in PARAMETER.findall(text)}
    return rows


def test_every_row_that_the_service_must_survive_is_in_the_table():
    assert rows_in_the_table() >= NEEDED


def test_every_row_of_the_table_has_a_test_with_its_number():
    assert not rows_in_the_table() - rows_with_a_test()
