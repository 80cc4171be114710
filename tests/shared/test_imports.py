"""`shared` is copied into the Blender extension: it imports what Blender has, and itself relatively."""

import ast
import sys

import pytest

from tests.conftest import ROOT

FILES = sorted((ROOT / "shared").rglob("*.py"))
OTHERS = {"zmq": {"sockets", "link", "client", "server"}, "zstandard": {"compression"}}
"""Packages beside numpy, and the modules that may import them."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shared_module_imports_the_standard_library_numpy_and_its_neighbours(path):
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(str(node.module).partition(".")[0])
    foreign = found - sys.stdlib_module_names - {"numpy"}
    assert all(path.stem in OTHERS.get(name, ()) for name in foreign), foreign
