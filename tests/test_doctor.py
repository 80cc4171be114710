"""What the doctor says of this computer, which has the test extra."""

import dataclasses
from importlib import resources
from types import SimpleNamespace

import pytest

from backend import doctor
from backend.doctor import ABSENT, READY, USED, WRONG, examine
from shared.errors import VivantError


@pytest.fixture(scope="module")
def findings():
    return {finding.capability: finding for finding in examine()}


@pytest.fixture
def open_body():
    with resources.as_file(resources.files("backend.body.assets") / "open_body.npz") as path:
        yield path


def test_every_stage_has_a_provider_in_use(findings):
    for capability in ("python", "torch", "landmarks", "body", "video", "cache"):
        assert findings[capability].state == USED, findings[capability]
    mattes = [finding for name, finding in findings.items() if name.startswith("matte ")]
    assert [finding.state for finding in mattes].count(USED) == 1
    assert USED in (findings["splats on CPU"].state, findings["splats on CUDA"].state)


def test_what_is_absent_says_how_to_get_it(findings):
    absent = [finding for finding in findings.values() if finding.state == ABSENT]
    assert all("install" in str(finding) or "CUDA device" in str(finding) for finding in absent)


def test_licences_are_said(findings):
    assert "CC0" in findings["body"].advice
    assert "non-commercial" in findings["posing check"].provider


def test_a_body_file_is_held_against_smplx(open_body):
    findings = {finding.capability: finding for finding in examine(open_body)}
    assert findings["body given"].state == READY
    assert "same posing within" in findings["posing check"].advice


def test_a_body_that_moves_otherwise_than_in_smplx_is_refused(open_body, monkeypatch):
    load = doctor.BodyModel.load

    def bent(path=None):
        model = load(path)
        return model if path is None else dataclasses.replace(model, template=model.template + 1e-3)

    monkeypatch.setattr(doctor.BodyModel, "load", bent)
    with pytest.raises(VivantError, match="moves differently"):
        list(examine(open_body))


def test_a_full_disk_is_wrong(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: SimpleNamespace(free=10**8))
    (disk,) = [finding for finding in doctor._room() if finding.capability == "disk"]
    assert disk.state == WRONG
