import pytest
import torch

from backend.raster import splats
from backend.raster.warm_up import warm_up
from shared.errors import VivantError
from tests.raster.scenes import camera, gaussians


def test_unknown_provider_is_refused_by_name():
    with pytest.raises(ValueError, match="opengl"):
        splats.rasterize(*gaussians(), camera(), provider="opengl")


def test_auto_falls_back_to_the_cpu_aloud(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    events = []
    assert splats.choose_device("auto", events.append) == torch.device("cpu")
    assert "no CUDA device" in events[0].message


def test_cuda_that_is_not_there_is_an_error_with_a_way_out(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(VivantError, match="--device cpu"):
        splats.choose_device("cuda")


def test_visible_device_whose_kernels_do_not_run_is_not_taken(monkeypatch):
    def broken():
        raise RuntimeError("nvcc not found")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr("backend.raster.cuda.probe", broken)
    events = []
    assert splats.choose_device("auto", events.append).type == "cpu"
    assert "nvcc not found" in events[0].message


def test_warm_up_announces_each_step_before_it_runs():
    events = []
    warm_up(events.append)
    assert [event.step for event in events] == [0, 1, 2, 3, 4] and all(event.total == 4 for event in events)
