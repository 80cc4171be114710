from dataclasses import replace

import numpy as np
import pytest

from backend.avatar.draft import draft_avatar
from backend.avatar.limbs import LIMB_NAMES, limb_of
from shared.skeleton import JOINT_INDEX
from tests.standing import photograph


@pytest.fixture(scope="module")
def observations(wearer, registration, model):
    """Every limb in its own grey."""
    shade = np.linspace(0.2, 0.8, len(LIMB_NAMES))[limb_of(model.weights.numpy())]
    return photograph(wearer, np.zeros_like(wearer.vertices), np.repeat(shade[:, None], 3, axis=1), registration.camera)


def draft(observations, registration, model, *, show_unseen=False):
    return draft_avatar(observations, registration, model, 64, show_unseen)


def bust(observations, registration, rows):
    """The photo's upper `rows` alone."""
    cut = {name: getattr(observations, name)[:rows] for name in ("rgb", "foreground", "alpha")}
    camera = registration.camera.cropped(0, 0, registration.camera.width, rows)
    return replace(observations, **cut), replace(registration, camera=camera)


def rows_of(registration, point):
    return int(registration.camera.project(np.asarray(point)[None])[0][0, 1])


def test_a_draft_has_a_colour_for_every_texel(observations, registration, model):
    made = draft(observations, registration, model)
    count = len(made.texels)
    assert made.color.shape == (count, 3) and made.color.min() >= 0 and made.color.max() <= 1
    assert all(len(values) == count for values in (made.limb, made.trust, made.visibility))
    assert (made.visibility == 1).all()  # the photo shows the whole person
    assert made.trust.min() == 0 and made.trust.max() == 1 and 0.1 < made.trust.mean() < 0.6


def test_each_limb_gets_its_own_grey_all_the_way_round(observations, registration, model):
    made = draft(observations, registration, model)
    shade = np.linspace(0.2, 0.8, len(LIMB_NAMES))
    for name in ("trunk", "left_forearm", "right_thigh"):
        here = (made.limb == LIMB_NAMES.index(name)) & (made.trust < 0.5)
        assert np.median(np.abs(made.color[here] - shade[LIMB_NAMES.index(name)])) < 0.035


def test_a_bust_ends_where_the_photo_ends(observations, registration, wearer, model):
    hips = wearer.joints[0]
    cut = bust(observations, registration, rows_of(registration, hips))
    made = draft(*cut, model)
    shins = np.isin(made.limb, [LIMB_NAMES.index("left_shin"), LIMB_NAMES.index("right_shin")])
    assert not made.visibility[shins].any()
    assert (made.visibility[made.limb == LIMB_NAMES.index("head")] == 1).all()
    trunk = made.visibility[made.limb == LIMB_NAMES.index("trunk")]
    assert trunk.max() == 1 and trunk.min() == 0 and ((trunk > 0) & (trunk < 1)).any()  # it fades out
    assert (draft(*cut, model, show_unseen=True).visibility == 1).all()


def test_an_arm_that_begins_in_the_photo_is_shown_whole(observations, registration, wearer, model):
    elbow = wearer.posed(np.zeros_like(wearer.vertices))[wearer.dominant == 18].max(0)
    made = draft(*bust(observations, registration, rows_of(registration, elbow) + 10), model)
    for part in ("upper_arm", "forearm", "hand"):
        here = np.isin(made.limb, [LIMB_NAMES.index(f"{side}_{part}") for side in ("left", "right")])
        assert (made.visibility[here] == 1).all()


@pytest.mark.parametrize(("part", "limb"), [("left_hand", "left_hand"), ("right_arm", "right_forearm")])
def test_what_the_fit_only_guessed_takes_no_colour_from_where_it_was_guessed(
    observations, registration, model, part, limb
):
    here = LIMB_NAMES.index(limb)
    sure, guess = (draft(observations, replace(registration, confidence={part: value}), model) for value in (0.9, 0.1))
    assert sure.trust[sure.limb == here].any() and not guess.trust[guess.limb == here].any()
    np.testing.assert_array_equal(sure.trust[sure.limb != here], guess.trust[guess.limb != here])


def test_strands_on_the_chest_are_not_the_chests(observations, registration, wearer, model):
    hair = np.zeros(observations.alpha.shape, dtype=bool)
    row = rows_of(registration, wearer.joints[JOINT_INDEX["spine3"]])
    hair[row - 10 : row + 10] = True
    plain = draft(observations, registration, model)
    strands = draft(observations, replace(registration, hair_pixels=hair), model)
    trunk = plain.limb == LIMB_NAMES.index("trunk")
    doubted = trunk & (plain.trust > 0) & (strands.trust == 0)
    assert doubted.sum() > 100
    np.testing.assert_array_equal(strands.trust[~doubted & trunk], plain.trust[~doubted & trunk])
