from dataclasses import replace

import numpy as np
import pytest

from backend.avatar.draft import draft_avatar
from backend.avatar.limbs import LIMB_NAMES
from backend.progress import Cancelled
from backend.training.settings import TrainingSettings
from backend.training.train import REPAINTED, train

TINY = TrainingSettings(texture=128, size=160, steps=12, device="cpu")


@pytest.fixture(scope="module")
def draft(observations, registration, model):
    return draft_avatar(observations, registration, model, TINY.texture, show_unseen=False)


@pytest.fixture(scope="module")
def trained(observations, registration, model):
    return train(observations, registration, model, TINY)


def colors(logits):
    return 1 / (1 + np.exp(-logits))


def test_the_photo_is_met_better_step_by_step(observations, registration, model, trained):
    untrained = train(observations, registration, model, replace(TINY, steps=1))
    assert trained.photo_psnr > untrained.photo_psnr + 0.3
    assert trained.losses["photo"][-1] < trained.losses["photo"][0]
    assert {len(values) for values in trained.losses.values()} == {TINY.steps}
    assert np.isfinite([*trained.losses["photo"], *trained.losses["regularisers"], trained.photo_psnr]).all()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_avatar_and_another_one_another(observations, registration, model, trained):
    again = train(observations, registration, model, TINY)
    for name in ("face", "barycentric", "offset", "log_scale", "rgb", "rgb_photo", "visibility"):
        np.testing.assert_array_equal(getattr(again.avatar, name), getattr(trained.avatar, name))
    assert again.losses == trained.losses
    other = train(observations, registration, model, replace(TINY, seed=1))
    assert not np.array_equal(other.avatar.rgb, trained.avatar.rgb)


def test_every_texel_becomes_a_gaussian_where_the_photo_shows_the_whole_person(draft, trained):
    avatar = trained.avatar
    np.testing.assert_array_equal(avatar.face, draft.texels.face)
    np.testing.assert_array_equal(avatar.barycentric, draft.texels.barycentric)
    assert all(getattr(avatar, name).dtype == np.float32 for name in ("offset", "log_scale", "rgb", "visibility"))
    assert avatar.offset.shape == avatar.rgb.shape == (len(avatar.face), 3) and avatar.log_scale.shape[1] == 1


def test_what_the_photo_does_not_show_keeps_its_fill(draft, trained):
    unseen = draft.trust == 0
    fill = np.clip(draft.color, 0.01, 0.99)
    np.testing.assert_allclose(colors(trained.avatar.rgb)[unseen], fill[unseen], atol=1e-5)
    painted = np.abs(colors(trained.avatar.rgb_photo) - fill).max(1)
    assert painted[~draft.bared].max() < 1e-5 and np.median(painted[draft.bared]) > 0.002


def test_what_it_shows_plainly_looks_alike_in_every_pose(draft, trained):
    plain = draft.trust == 1
    np.testing.assert_allclose(trained.avatar.rgb[plain], trained.avatar.rgb_photo[plain], atol=1e-4)


@pytest.mark.slow
def test_other_views_than_the_photos_are_repainted_only_a_little(draft, observations, registration, model):
    avatar = train(observations, registration, model, replace(TINY, steps=80)).avatar
    change, in_photo = (
        np.abs(colors(rgb) - np.clip(draft.color, 0.01, 0.99)) for rgb in (avatar.rgb, avatar.rgb_photo)
    )
    assert in_photo.max() > 1.2 * REPAINTED and change.max() < REPAINTED + 1e-5


def test_a_hand_that_the_fit_only_guessed_keeps_its_place(observations, registration, model):
    """The photo shows something else there, and would tear it."""
    guess = replace(registration, confidence={"left_hand": 0.1})
    draft, avatar = (
        draft_avatar(observations, guess, model, TINY.texture, show_unseen=False),
        train(observations, guess, model, TINY).avatar,
    )
    hand = draft.limb == LIMB_NAMES.index("left_hand")
    np.testing.assert_array_equal(draft.guessed, hand)
    assert not avatar.offset[hand, :2].any()
    assert avatar.offset[~hand, :2].any(axis=1).mean() > 0.5


def test_gaussians_stay_near_their_texels(draft, trained):
    spacing = draft.texels.spacing
    assert np.median(np.linalg.norm(trained.avatar.offset, axis=1) / spacing) < 2
    grown = np.exp(trained.avatar.log_scale[:, 0]) / spacing
    assert np.percentile(grown, 1) > 0.1 and np.percentile(grown, 99) < 2


def test_what_lies_beyond_the_photo_is_dropped_unless_asked_for(observations, registration, model):
    upper = {name: getattr(observations, name)[:150] for name in ("rgb", "foreground", "alpha")}
    bust = replace(observations, **upper)
    framed = replace(registration, camera=registration.camera.cropped(0, 0, registration.camera.width, 150))
    shown = train(bust, framed, model, replace(TINY, steps=1)).avatar
    everything = train(bust, framed, model, replace(TINY, steps=1, show_unseen=True)).avatar
    assert (shown.visibility > 0).all() and len(shown.face) < 0.9 * len(everything.face)
    assert (everything.visibility == 1).all()


def test_progress_is_told_and_a_cancellation_passes_through(observations, registration, model):
    events = []

    def stop_at_three(event):
        events.append(event)
        if event.stage == "training" and event.step == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        train(observations, registration, model, TINY, progress=stop_at_three)
    steps = [event.step for event in events if event.stage == "training"]
    assert steps[-4:] == [0, 1, 2, 3] and events[-1].total == TINY.steps
