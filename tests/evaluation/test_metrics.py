"""Metrics: equal to scikit-image where it has them, and the laws that the two PSNR conventions must obey."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from backend.evaluation import metrics
from shared.camera import Camera


def noisy_pair(seed: int, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random((40, 31, 3)).astype(np.float32)
    render = np.clip(truth + noise * rng.standard_normal(truth.shape), 0, 1).astype(np.float32)
    return render, truth


@settings(max_examples=10)
@given(st.integers(0, 1000), st.floats(0.01, 0.5))
def test_psnr_and_ssim_equal_scikit_image(seed, noise):
    render, truth = noisy_pair(seed, noise)
    expected = structural_similarity(
        truth, render, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0, channel_axis=-1
    )
    assert metrics.ssim_frame(render, truth) == pytest.approx(expected, abs=1e-5)
    assert metrics.psnr_frame(render, truth) == pytest.approx(peak_signal_noise_ratio(truth, render, data_range=1.0))


def test_person_psnr_ignores_how_much_white_surrounds_the_person():
    render, truth = noisy_pair(1)
    alpha = np.ones((40, 31))
    frame = metrics.psnr_person(render, truth, alpha)
    assert frame == pytest.approx(metrics.psnr_frame(render, truth))
    padded = [np.pad(image, ((50, 50), (50, 50), (0, 0)), constant_values=1.0) for image in (render, truth)]
    assert metrics.psnr_person(*padded, np.pad(alpha, 50)) == pytest.approx(frame)
    assert metrics.psnr_frame(*padded) > frame + 5


def test_a_halo_outside_the_person_costs():
    render, truth = noisy_pair(2)
    alpha = np.zeros((40, 31))
    alpha[10:30, 10:20] = 1
    haloed = render.copy()
    haloed[:5] = 0
    assert metrics.psnr_person(haloed, truth, alpha) < metrics.psnr_person(render, truth, alpha)


def test_identical_images_are_perfect_and_empty_truth_is_undefined():
    _, truth = noisy_pair(3)
    alpha = np.zeros(truth.shape[:2])
    assert metrics.psnr_frame(truth, truth) == float("inf")
    assert metrics.ssim_frame(truth, truth) == pytest.approx(1)
    assert np.isnan(metrics.psnr_person(truth, truth, alpha))
    assert np.isnan(metrics.iou(alpha, alpha))
    assert metrics.person_box(alpha) is None


def test_render_and_truth_compose_the_same_picture_over_white():
    rng = np.random.default_rng(4)
    rgba = rng.integers(0, 256, (8, 9, 4), dtype=np.uint8)
    alpha = rgba[..., 3] / 255.0
    render = metrics.render_over_white(rgba[..., :3] / 255.0 * alpha[..., None], alpha)
    assert np.abs(render - metrics.truth_over_white(rgba)).max() <= 0.5 / 255 + 1e-6
    assert np.allclose(render * 255, np.round(render * 255), atol=1e-4)


def test_iou_and_depth_count_only_what_both_sides_show():
    a, b = np.zeros((10, 10)), np.zeros((10, 10))
    a[:, :6], b[:, 4:] = 1, 1
    assert metrics.iou(a, b) == pytest.approx(0.2)
    depth, true_depth = np.full((10, 10), 2.01), np.where(b > 0, 2.0, 0.0)
    depth[:, 8:] = 99  # alpha is 0 there
    assert metrics.depth_error_mm(depth, a, true_depth) == pytest.approx(10)


def test_crops_follow_the_joints_and_vanish_out_of_view():
    camera = Camera(200, 300, np.array([[500.0, 0, 100], [0, 500, 150], [0, 0, 1]]), np.eye(4))
    joints = np.tile(np.array([0.0, 0.0, 2.0]), (55, 1))
    x0, y0, x1, y1 = metrics.face_box(joints, camera)
    assert (x0 + x1, y0 + y1) == (200, 300) and x1 - x0 == 56  # 0.22 m x 500 px / 2 m, rounded outwards
    joints[40:55, 0], joints[21, 0] = 9.0, 9.0
    assert set(metrics.hand_boxes(joints, camera)) == {"left"}


def test_the_person_box_holds_the_silhouette_and_stays_in_the_image():
    alpha = np.zeros((100, 80))
    alpha[20:90, 30:79] = 1
    assert metrics.person_box(alpha, margin=0.1) == (23, 13, 80, 97)
    assert metrics.crop(alpha, (30, 20, 79, 90)).all()
