import torch

from backend.raster import bench, bench_gsplat


def test_gsplats_pytorch_path_draws_the_same_picture_as_the_kernels_it_is_timed_against():
    scene = bench.disc_of_gaussians(300, 64)
    ours, theirs = scene.draw("cpu"), bench_gsplat.draw(scene)
    torch.testing.assert_close(ours.rgb, theirs.rgb, atol=5e-4, rtol=0)
    torch.testing.assert_close(ours.alpha, theirs.alpha, atol=5e-4, rtol=0)
    torch.testing.assert_close(theirs.rgb, bench_gsplat.draw(scene, bench_gsplat.intersections(scene)).rgb)


def test_rows_name_size_time_memory_and_machine(monkeypatch):
    monkeypatch.setattr(bench, "COUNTS", (50,))
    monkeypatch.setattr(bench, "SIDES", (32,))
    monkeypatch.setattr(bench, "_COMPARED", (50, 32))
    events = []
    rows = bench.bench_raster(events.append)
    assert [row["pass"] for row in rows[:2]] == ["forward", "forward+backward"]
    assert {row["provider"] for row in rows} >= {"cpu", "reference", "gsplat PyTorch"}
    for row in rows:
        assert row["p95_ms"] >= row["p50_ms"] > 0 and row["device"] and row["threads"] >= 1
        assert row["repeats"] >= 3  # ours and the rivals alike: they were once timed by a single cold run
    assert events
