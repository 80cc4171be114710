"""docs/protocol.md says what the code does."""

import hashlib
import re
from dataclasses import fields

import numpy as np
import pytest

from shared.wire import limits
from shared.wire import messages as m
from shared.wire.codec import Envelope, encode
from shared.wire.errors import CODES
from tests.conftest import ROOT
from tests.shared.wire.hexdump import hexdump
from tests.shared.wire.strategies import MESSAGES

PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
LIMITS = {name: value for name, value in vars(limits).items() if name.isupper()}
ZERO, ONE = "00000000-0000-4000-8000-000000000000", "00000000-0000-4000-8000-000000000001"
PHOTO = b"a photo"
SHA256 = hashlib.sha256(PHOTO).hexdigest()
EXAMPLES = [
    Envelope(m.Hello(ZERO, program="example"), id=ZERO, session=ZERO),
    Envelope(m.AssetPut(SHA256, len(PHOTO)), {"data": np.frombuffer(PHOTO, "u1")}, id=ZERO, session=ZERO),
    Envelope(m.AssetHave(SHA256, len(PHOTO)), id=ONE, re=ZERO),
]


def row(name):
    """The line of a table that begins with this name."""
    (found,) = re.findall(rf"^\| `{re.escape(name)}` \|.*$", PAGE, re.M)
    return found


@pytest.mark.parametrize("cls", [*MESSAGES, m.FileInfo, m.JobInfo, m.AvatarInfo, m.BuildOptions])
def test_every_message_stands_there_with_all_its_fields_and_buffers(cls):
    line = row(getattr(cls, "kind", cls.__name__))
    names = {field.name for field in fields(cls)} | set(getattr(cls, "BUFFERS", ()))
    missing = [name for name in names if f"`{name}`" not in line]
    assert not missing


def test_no_message_stands_there_that_is_none():
    rows = re.findall(r"^\| `([a-z.]+)` \| (?:c→s|s→c)", PAGE, re.M)
    assert sorted(rows) == sorted(cls.kind for cls in MESSAGES)


@pytest.mark.parametrize("cls", MESSAGES)
def test_the_answer_that_a_message_names_stands_in_its_row(cls):
    answers = re.findall(r"[Aa]nswered by `(\w+)`", cls.__doc__)
    line = row(cls.kind).rpartition(" | ")
    assert all(f"`{getattr(m, name).kind}`" in row(cls.kind) for name in answers), line


@pytest.mark.parametrize("code", CODES)
def test_every_error_code_stands_there_with_its_meaning(code):
    assert f"\n| `{code}` | {CODES[code]} |\n" in PAGE


@pytest.mark.parametrize("name", sorted(LIMITS.keys() - {"MAJOR", "MINOR", "MAGIC"}))
def test_every_limit_stands_there_with_its_value(name):
    assert f"| {LIMITS[name]} |" in row(name)


def test_the_version_is_the_code_s():
    assert f"# Protocol {limits.MAJOR}.{limits.MINOR}\n" in PAGE and limits.MAGIC.decode() in PAGE


@pytest.mark.parametrize("envelope", EXAMPLES, ids=lambda envelope: envelope.message.kind)
def test_the_examples_stand_there_byte_for_byte(envelope):
    assert "\n\n".join(hexdump(bytes(part)) for part in encode(envelope)) in PAGE


def test_the_states_are_the_service_s():
    from backend.service.states import MOVES

    moves = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (.*?) \|$", PAGE, re.M)
    assert {(before, after) for before, after, _ in moves} == {
        (before, after) for before, after_these in MOVES.items() for after in after_these
    }
    assert all(words.startswith(MOVES[before][after]) for before, after, words in moves)


def test_codes_that_the_code_uses_are_on_the_list():
    used = set()
    for path in (*(ROOT / "shared").rglob("*.py"), *(ROOT / "backend" / "service").rglob("*.py")):
        used |= set(re.findall(r"\b(?:Wire)?Error\(\s*\"(\w+)\"", path.read_text(encoding="utf-8")))
    assert used <= CODES.keys()
