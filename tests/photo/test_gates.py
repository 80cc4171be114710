"""The gates, on synthetic landmarks: what is believed, how much, and what a refusal is called."""

import numpy as np
import pytest

from backend.photo import gates
from backend.photo.people import Person, choose_person, person_box, torso_length
from shared.errors import VivantError

SHAPE = (1000, 600, 3)
HAND = np.stack(np.meshgrid(np.linspace(0, 40, 7), np.linspace(0, 40, 3)), axis=2).reshape(21, 2)


@pytest.fixture
def body():
    """A person standing upright in the middle; unlisted points at the nose."""
    points = np.tile([300.0, 150.0], (33, 1))
    points[[11, 12, 23, 24]] = [[380, 250], [220, 250], [350, 500], [250, 500]]
    points[[13, 14, 15, 16]] = [[420, 370], [180, 370], [440, 480], [160, 480]]
    points[[25, 26, 27, 28]] = [[350, 700], [250, 700], [350, 900], [250, 900]]
    return points


@pytest.fixture
def face():
    """A flat face of 100 pixels around (300, 150)."""
    points = np.random.default_rng(0).uniform([270, 100, -10], [330, 200, 10], (478, 3))
    points[[234, 454, 33, 263]] = [[250, 150, 0], [350, 150, 0], [275, 140, 0], [325, 140, 0]]
    return points


def turned(face, degrees):
    angle = np.radians(degrees)
    rotation = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
    centre = np.array([300, 150, 0])
    return (face - centre) @ rotation.T + centre


def test_body_joints_outside_the_image_count_nothing(body):
    body[27] = [350, 1001]
    confidence = gates.body_confidence(body, np.ones(33), torso_length(body), SHAPE)
    assert confidence[27] == 0 and confidence[28] == 1


def test_of_two_collapsed_joints_the_less_visible_loses(body):
    body[25], visibility = body[26] + 5, np.ones(33)
    visibility[25] = 0.6
    confidence = gates.body_confidence(body, visibility, torso_length(body), SHAPE)
    assert confidence[25] == pytest.approx(0.15) and confidence[26] == 1


def test_who_lies_is_not_upright(body):
    assert gates.upright(body)
    for turn in (np.array([[0, 1], [-1, 0]]), -np.eye(2)):
        assert not gates.upright(body @ turn)


def test_agreement_falls_with_the_spread():
    looks = np.zeros((5, 2, 2))
    looks[:, 1, 0] = [-16, -8, 0, 8, 16]
    assert gates.agreement(looks, 100) == pytest.approx([1.0, 0.5])


@pytest.mark.parametrize("degrees", [-70, -30, 0, 30, 70])
def test_yaw_is_measured_and_gated(face, degrees):
    view = turned(face, degrees)
    assert gates.face_yaw_deg(view) == pytest.approx(degrees, abs=1)
    fault = gates.face_fault(view, np.array([300, 150]), 100, SHAPE)
    assert (fault is None) == (abs(degrees) < 60)
    assert fault is None or "turned away by about 70 degrees" in fault


def test_face_faults_are_named(face):
    nose = np.array([300, 150])
    assert gates.face_fault(None, nose, 100, SHAPE) == "is hidden"
    assert gates.face_fault(face, nose + 80, 100, SHAPE) == "is hidden"
    assert "cut off" in gates.face_fault(face, nose, 100, (150, 600))
    small = (face - [300, 150, 0]) * 0.2 + [300, 150, 0]
    assert "only 20 pixels" in gates.face_fault(small, nose, 20, SHAPE)


def test_hand_must_sit_on_its_own_wrist(body):
    torso, wrist = torso_length(body), body[15]
    assert gates.hand_fits(HAND + wrist, True, body, torso, SHAPE)
    assert not gates.hand_fits(HAND + wrist, False, body, torso, SHAPE)
    assert not gates.hand_fits(HAND + wrist + 60, True, body, torso, SHAPE)
    assert not gates.hand_fits(HAND * 0.3 + wrist, True, body, torso, SHAPE)  # 12 pixels
    assert not gates.hand_fits(HAND + wrist, True, body, torso, (490, 600))  # mostly below the image


def test_one_hand_found_twice():
    assert gates.merged_hands(HAND, HAND + 5) and not gates.merged_hands(HAND, HAND + 30)


def person(x, size=100.0):
    points = np.tile([x, 200.0], (33, 1))
    points[[11, 12, 23, 24]] = [
        [x + size, 300],
        [x - size, 300],
        [x + size, 300 + 2 * size],
        [x - size, 300 + 2 * size],
    ]
    return Person(points, np.ones(33), None, person_box(points, np.ones(33), None, SHAPE))


def test_largest_most_central_person_is_taken_and_said():
    people = [person(80, 40), person(290, 60), person(500, 60)]
    chosen, note = choose_person(people, SHAPE, None)
    assert chosen is people[1] and "3 people" in note and "person 2 from the left" in note
    chosen, note = choose_person(people, SHAPE, 3)
    assert chosen is people[2] and "as asked" in note
    assert choose_person(people[:1], SHAPE, None) == (people[0], "")


@pytest.mark.parametrize(("count", "number"), [(0, None), (0, 1), (1, 2), (3, 0), (3, 4)])
def test_nobody_of_that_number(count, number):
    with pytest.raises(VivantError, match="person"):
        choose_person([person(100 + 150 * k) for k in range(count)], SHAPE, number)
