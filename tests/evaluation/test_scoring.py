"""Scores under their names, group means, and the evaluation's files."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from backend.evaluation.report import METRICS, save_results, write_evaluation_report
from backend.evaluation.results import OURS, Evaluation
from backend.evaluation.scoring import Scorer, TruePicture, mean_by_group, mean_scores
from backend.evaluation.sheet import row, sheet
from backend.evaluation.truth import load_subject
from backend.stages import Frame


@pytest.fixture(scope="module")
def subject(truth):
    return load_subject(truth / "subject_a")


@pytest.fixture(scope="module")
def scored(subject):
    """The scores of the truth itself and of a darker copy of it, on the photo frame."""
    source = subject.source
    rgba = source.rgba().astype(np.float32) / 255
    perfect = Frame(rgba[..., :3] * rgba[..., 3:], rgba[..., 3], source.depth)
    darker = replace(perfect, rgb=perfect.rgb * 0.8, depth=perfect.depth + 0.012)
    renders, true = {OURS: perfect, "cutout": darker}, TruePicture.of(source)
    return renders, true, Scorer.load(torch.device("cpu")).score(renders, true)


def test_the_truth_scores_perfectly_under_every_name(scored):
    perfect = scored[2][OURS]
    assert {"st_lpips", "face_psnr", "hand_psnr", "face_st_lpips", "hand_st_lpips"} <= set(perfect) <= set(METRICS)
    assert perfect["psnr_person"] > 50 and perfect["iou"] == 1 and perfect["depth_mm"] == 0
    assert perfect["ssim_frame"] > 0.999 and perfect["st_lpips"] < 1e-3


def test_a_worse_render_scores_worse_everywhere(scored):
    perfect, darker = scored[2][OURS], scored[2]["cutout"]
    for name in ("psnr_person", "psnr_frame", "ssim_frame", "face_psnr", "hand_psnr"):
        assert darker[name] < perfect[name]
    assert darker["st_lpips"] > perfect["st_lpips"]
    assert darker["depth_mm"] == pytest.approx(12, abs=0.1)
    assert darker["psnr_person"] < darker["psnr_frame"]


def test_means_leave_out_undefined_values_and_metrics():
    each = [{"a": 1.0, "b": np.nan, "c": np.nan}, {"a": 3.0, "b": 5.0, "c": np.nan}]
    assert mean_scores(each) == {"a": 2.0, "b": 5.0}


def test_each_frame_enters_the_means_of_its_groups(subject):
    means = mean_by_group(subject.frames, [{"index": float(k)} for k in range(len(subject.frames))])
    assert {group: mean["index"] for group, mean in means.items()} == {
        "photo": 0.0,
        "talk": 8.5,
        "talk_odd": 8.0,
        "turn": 18.5,
        "turn60": 18.5,
        "close": 23.0,
    }


def test_the_report_shows_sheets_before_tables_and_the_json_is_plain(scored, subject, tmp_path):
    renders, true, scores = scored
    pictures = row(true.white, renders, OURS)
    assert list(pictures) == ["truth", OURS, "cutout", f"error of {OURS}"]
    assert sheet({"photo": pictures}).shape[1] == 4 * pictures["truth"].shape[1]
    methods = {name: {"photo": values} for name, values in scores.items()}
    methods["registration"] = {"photo": {"joints_pa_mm": 31.5}}
    results = {"subject_a": methods, "settings": {"registration": "fitted", "device": "cpu", "perceptual": {}}}
    evaluation = Evaluation(results, {"subject_a": {"photo": pictures}})
    save_results(evaluation, tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == results
    write_evaluation_report(evaluation, tmp_path / "out.html")
    html = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert html.index("<img") < html.index("<table") and "31.5" in html and "PSNR person" in html
    assert html.count('<tr class="chosen">') == 1
