"""The rooms, their imports, and the documents that describe them."""

import argparse
import ast
import re
from collections import defaultdict

import pytest

from backend import cli
from tests.conftest import ROOT

DOCS = ROOT / "docs"


def rooms_in_the_table():
    """Room -> rooms it may import, from docs/architecture.md."""
    rows = re.findall(r"^\| `backend/(\w+)/` \|.*\| (.*?) ?\|$", (DOCS / "architecture.md").read_text(), re.M)
    allowed = {room: set(names.split(", ")) - {""} for room, names in rows}
    allowed["evaluation"] = set(allowed) - {"evaluation"}
    return allowed


def imports_in_the_code():
    """Room (or module beside the rooms) -> rooms it imports, wherever in a file the import stands."""
    found = defaultdict(set)
    for path in (ROOT / "backend").rglob("*.py"):
        place = path.relative_to(ROOT / "backend").parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found[place[0].removesuffix(".py")] |= {name.split(".")[1] for name in names if name.startswith("backend.")}
    rooms = rooms_in_the_table()
    return {place: {name for name in names if name in rooms and name != place} for place, names in found.items()}


def test_rooms_import_what_the_table_says():
    found, allowed = imports_in_the_code(), rooms_in_the_table()
    assert {room: found[room] for room in allowed if room != "evaluation"} == {
        room: names for room, names in allowed.items() if room != "evaluation"
    }
    assert found["evaluation"] <= allowed["evaluation"]


def test_arrows_point_one_way():
    graph = rooms_in_the_table()
    while graph:
        leaves = {room for room, names in graph.items() if not names & graph.keys()}
        assert leaves, f"a circle among {sorted(graph)}"
        graph = {room: names for room, names in graph.items() if room not in leaves}


def test_the_modules_that_rooms_lean_on_import_no_room():
    found = imports_in_the_code()
    assert not any(found[module] for module in ("stages", "progress", "atomic", "cache", "memory", "page"))


def flags_of(parser):
    """All of a command, those of its actions among them."""
    found = set()
    for action in parser._actions:
        found |= set(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            found |= set().union(*map(flags_of, action.choices.values()))
    return found


@pytest.mark.parametrize(
    "command", ["demo", "build", "register", "render", "evaluate", "serve", "client", "keys", "bench", "doctor"]
)
def test_every_flag_is_documented(command):
    _, _, section = (DOCS / "cli.md").read_text(encoding="utf-8").partition(f"## vivant {command}\n")
    section = section.partition("\n## ")[0]
    (subparsers,) = (action for action in cli.parser()._actions if action.dest == "command")
    flags = flags_of(subparsers.choices[command])
    missing = [flag for flag in flags - {"-h", "--help", "--progress"} if flag not in section]
    assert not missing


def test_links_between_documents_lead_somewhere():
    for page in (ROOT / "README.md", ROOT / "LICENSES.md", *DOCS.glob("*.md"), ROOT / "benchmarks" / "README.md"):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
