"""What the photo is taken to say about limbs."""

from dataclasses import replace

import numpy as np
import pytest

from backend.registration.evidence import FOREARMS, HAND_ROWS, gather
from backend.registration.rig import build_rig
from backend.stages import Landmarks
from tests.registration.people import person, unseen


@pytest.fixture(scope="module")
def rig(model):
    return build_rig(model)


@pytest.fixture(scope="module")
def seen(model):
    return person(model, 0).observations


def with_hand_at(seen, side, place, **more):
    """The person with what is seen of a hand moved to `place` [2] pixels."""
    points = seen.body.points.copy()
    points[HAND_ROWS[side]] = place
    return replace(seen, body=Landmarks(points, seen.body.confidence), **more)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_hand_lost_at_the_head_is_behind_it(rig, seen, side):
    temple = seen.face.points[rig.face_rows].mean(0) + np.array([12.0, -8.0])
    before = gather(seen, rig, ("pose",)).limb_direction
    lost = with_hand_at(seen, side, temple, **{f"{side}_hand": unseen(seen.left_hand)})
    after = gather(lost, rig, ("pose",)).limb_direction
    row = FOREARMS[side]
    assert after[row, 2] < -0.7
    np.testing.assert_allclose(np.cross(after[row, :2], before[row, :2]), 0, atol=1e-9)
    np.testing.assert_array_equal(np.delete(after, row, 0), np.delete(before, row, 0))


def test_a_hand_found_at_the_head_and_one_lost_elsewhere_stay_as_they_seem(rig, seen):
    temple = seen.face.points[rig.face_rows].mean(0)
    before = gather(seen, rig, ("pose",)).limb_direction
    for other in (with_hand_at(seen, "left", temple), replace(seen, left_hand=unseen(seen.left_hand))):
        np.testing.assert_array_equal(gather(other, rig, ("pose",)).limb_direction, before)
