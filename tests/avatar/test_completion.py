"""Completion on a body that is painted limb by limb and seen from the front."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from backend.avatar.anatomy import anatomy
from backend.avatar.completion import ROUND, Pose, complete, lenders
from backend.avatar.doubt import ASKED, seen_past_arms, shown_past_arms
from backend.avatar.eyes_and_mouth import MOUTH
from backend.avatar.lending import Limb, Offer, borrow, carry_round, symmetry_offers
from backend.avatar.limbs import LIMB_NAMES, Bone, twin
from backend.avatar.pattern import usual_colors
from backend.avatar.projection import Evidence
from backend.avatar.skin import FEATHER
from backend.avatar.texels import Texels
from backend.body.geometry import vertex_normals
from shared.skeleton import JOINT_INDEX

UNKNOWN = (0.0, 1.0, 0.0)
FACE = np.array([0.8, 0.6, 0.5])


@pytest.fixture(scope="module")
def parts(model, surface, texels):
    return anatomy(model, surface, texels)


@pytest.fixture(scope="module")
def pose(wearer):
    """Seen from straight ahead."""
    return Pose(wearer.joints, np.tile([0.0, 0.0, 3.0], (55, 1)))


@pytest.fixture(scope="module")
def palette():
    """A colour for each limb, the same for twins."""
    colors = np.random.default_rng(3).uniform(0.1, 0.9, (len(LIMB_NAMES), 3))
    return np.stack([colors[min(limb, twin(limb))] for limb in range(len(LIMB_NAMES))])


@pytest.fixture(scope="module")
def front(surface, texels, parts, palette):
    """The front of the body in its limbs' colours, the face in its own."""
    normals = texels.interpolate(vertex_normals(surface.vertices.numpy(), surface.faces), surface.faces)
    skin = parts.part == "skin"
    color = np.where(parts.face[:, None], FACE, palette[parts.limb])
    known = skin & (normals[:, 2] > 0.3)
    return seen(color, known, normals[:, 2])


def seen(color, known, facing):
    return Evidence(
        color=np.where(known[:, None], color, UNKNOWN),
        pixels=np.zeros((len(known), 2)),
        visible=known,
        bared=known,
        known=known,
        facing=facing,
        normal=np.zeros((len(known), 3)),
        inside=np.ones(len(known)),
        hair=np.zeros(len(known), dtype=bool),
        hairline=np.zeros(len(known), dtype=bool),
        to_outline=np.full(len(known), np.inf),
    )


def skin_of(parts, *, face):
    return (parts.part == "skin") & (parts.face == face) & ~parts.lash


def test_known_colours_are_left_alone_and_the_rest_is_filled(front, parts, pose):
    color = complete(front, parts, pose)
    np.testing.assert_array_equal(color[front.known], front.color[front.known])
    assert np.isfinite(color).all() and color.min() >= 0 and color.max() <= 1
    assert (np.abs(color[~front.known] - UNKNOWN).max(1) > 0.05).all()
    np.testing.assert_array_equal(front.color[~front.known], np.broadcast_to(UNKNOWN, (np.sum(~front.known), 3)))


def test_no_colour_crosses_from_limb_to_limb_nor_from_face_to_scalp(front, parts, pose, palette):
    color = complete(front, parts, pose)
    scalp, face = skin_of(parts, face=False), skin_of(parts, face=True)
    np.testing.assert_allclose(color[scalp], palette[parts.limb[scalp]], atol=0.02)
    np.testing.assert_allclose(color[face], np.broadcast_to(FACE, (face.sum(), 3)), atol=0.02)


@pytest.mark.parametrize("limb", ["left_forearm", "left_hand", "right_shin"])
def test_an_unseen_limb_looks_like_its_twin(front, parts, pose, palette, limb):
    here = skin_of(parts, face=False) & (parts.limb == LIMB_NAMES.index(limb))
    color = complete(seen(front.color, front.known & ~here, front.facing), parts, pose)
    assert here.any() and np.abs(color[here] - palette[LIMB_NAMES.index(limb)]).max() < 0.02


def test_hands_that_are_nowhere_seen_look_like_the_face(front, parts, pose):
    hands = np.isin(parts.limb, [LIMB_NAMES.index("left_hand"), LIMB_NAMES.index("right_hand")])
    color = complete(seen(front.color, front.known & ~hands, front.facing), parts, pose)
    np.testing.assert_allclose(color[hands], np.broadcast_to(FACE, (hands.sum(), 3)), atol=0.02)


def test_legs_that_are_nowhere_seen_go_on_from_the_trunk(front, parts, pose, palette):
    legs = [name for name in LIMB_NAMES if name.endswith(("thigh", "shin"))]
    unseen = skin_of(parts, face=False) & np.isin(parts.limb, [LIMB_NAMES.index(name) for name in legs])
    color = complete(seen(front.color, front.known & ~unseen, front.facing), parts, pose)
    trunk = palette[LIMB_NAMES.index("trunk")]
    np.testing.assert_allclose(color[unseen], np.broadcast_to(trunk, (unseen.sum(), 3)), atol=0.03)


@pytest.fixture(scope="module")
def striped(front, parts, pose):
    """Stripes on the trunk, seen from the front; the limb, its unseen texels and the stripes' colours everywhere."""
    color = np.where(parts.position[:, 1:2] % 0.12 < 0.06, [0.2, 0.2, 0.5], [0.9, 0.9, 0.85])
    evidence = seen(color, front.known, front.facing)
    index = LIMB_NAMES.index("trunk")
    trunk = Limb(index, False, evidence, lenders(evidence, parts, pose), parts, pose)
    return trunk, np.flatnonzero(trunk.members & ~evidence.known), color


def test_where_a_limb_is_capped_the_pattern_fades_into_copies(striped, monkeypatch):
    """Stripes run round a trunk; over its shoulders nothing does."""
    trunk, unseen, color = striped
    level = trunk.bone.direction
    monkeypatch.setattr(Limb, "level", lambda self: level if self.name == "trunk" else None)
    carried, copied = color.copy(), color.copy()
    carry_round(carried, trunk, unseen, level)
    borrow(copied, unseen, symmetry_offers(trunk, unseen), trunk.anatomy.position)
    filled = complete(trunk.evidence, trunk.anatomy, trunk.pose)
    slope = np.abs(trunk.anatomy.normal[unseen] @ level)
    side, cap = unseen[slope < ROUND[0]], unseen[slope > ROUND[1]]
    np.testing.assert_array_equal(filled[side], carried[side])
    np.testing.assert_allclose(filled[cap], copied[cap], atol=1e-9)
    between = np.setdiff1d(unseen, np.concatenate([side, cap]))
    low, high = np.minimum(carried, copied)[between], np.maximum(carried, copied)[between]
    assert min(len(side), len(cap), len(between)) > 20
    assert ((filled[between] >= low - 1e-9) & (filled[between] <= high + 1e-9)).all()


@pytest.mark.parametrize(("depth", "least", "most"), [(0.0, 0.0, 0.01), (0.05, 0.02, 0.08), (0.5, 0.05, 0.16)])
def test_a_back_is_about_as_creased_as_the_front(striped, depth, least, most):
    """Even cloth stays even, and what is too deep for a fold is none."""
    trunk, unseen, _ = striped
    filled = 0.5 * np.exp(np.random.default_rng(0).normal(0, depth, (len(trunk.lender), 1))) * np.ones(3)
    carry_round(filled, trunk, unseen, trunk.bone.direction)
    back = unseen[trunk.evidence.facing[unseen] < -0.5]
    folds = np.log(filled[back, 0])
    assert len(back) > 100 and least <= np.median(np.abs(folds - np.median(folds))) <= most


def test_a_neck_that_shows_some_skin_is_skin_all_round(front, parts, pose):
    neck = skin_of(parts, face=False) & (parts.limb == LIMB_NAMES.index("neck"))
    between_hair = neck & front.known & (np.abs(parts.position[:, 0]) < 0.015)
    assert 0 < between_hair.sum() < 0.1 * neck.sum()
    color = np.where(neck[:, None], 0.9 * FACE, front.color)
    completed = complete(seen(color, front.known & (~neck | between_hair), front.facing), parts, pose)
    from_face = cKDTree(parts.position[skin_of(parts, face=True)]).query(parts.position)[0]
    below, next_to_it = neck & (from_face > 2 * FEATHER), neck & (from_face < 0.4 * FEATHER) & ~between_hair
    assert min(below.sum(), next_to_it.sum()) > 5
    np.testing.assert_allclose(completed[below], np.broadcast_to(0.9 * FACE, (below.sum(), 3)), atol=0.01)
    np.testing.assert_allclose(completed[next_to_it], np.broadcast_to(FACE, (next_to_it.sum(), 3)), atol=0.05)


def test_nothing_seen_is_grey_and_finite(front, parts, pose):
    color = complete(seen(front.color, np.zeros_like(front.known), front.facing), parts, pose)
    skin = (parts.part == "skin") & ~parts.lash
    assert np.isfinite(color).all()
    np.testing.assert_allclose(color[skin], 0.5)


def test_a_shirt_has_its_hem_at_the_same_height_behind(front, parts, pose):
    """Red above, blue below: the seen front decides, wherever on the back one looks."""
    trunk = skin_of(parts, face=False) & (parts.limb == LIMB_NAMES.index("trunk"))
    height = parts.position[:, 1]
    hem = np.median(height[trunk])
    shirt = np.where(height[:, None] > hem, [0.8, 0.1, 0.1], [0.1, 0.1, 0.8])
    color = complete(seen(shirt, front.known, front.facing), parts, pose)
    back = trunk & (front.facing < -0.3) & (np.abs(height - hem) > 0.04)
    assert back.sum() > 200
    wrong = np.abs(color - shirt).max(1) > 0.2
    assert wrong[back].mean() < 0.02


def test_the_outline_keeps_its_colour_but_does_not_lend_it(front, parts, pose, palette):
    """Outlines catch other light."""
    rim = front.known & (front.facing < 0.34)
    stained = seen(np.where(rim[:, None], [1.0, 0.0, 1.0], front.color), front.known, front.facing)
    color = complete(stained, parts, pose)
    np.testing.assert_array_equal(color[rim], np.broadcast_to([1.0, 0.0, 1.0], (rim.sum(), 3)))
    behind = ~front.known & skin_of(parts, face=False)
    np.testing.assert_allclose(color[behind], palette[parts.limb[behind]], atol=0.02)


def test_a_badge_stays_where_it_is_and_is_not_met_on_the_back(front, parts, pose):
    badge = np.linalg.norm(parts.position - parts.position[chest(parts)].mean(0) - [0.06, 0, 0], axis=1) < 0.05
    seen_badge = badge & front.known
    assert seen_badge.sum() > 30
    marked = seen(np.where(seen_badge[:, None], [0.1, 0.1, 0.9], front.color), front.known, front.facing)
    color = complete(marked, parts, pose)
    np.testing.assert_array_equal(color[seen_badge], marked.color[seen_badge])
    np.testing.assert_allclose(color[~front.known], complete(front, parts, pose)[~front.known], atol=0.02)


def test_what_shows_past_an_arms_outline_is_not_the_arms(front, parts):
    """A forearm before a chest: a badge cut by its outline, a watch strap that goes round, a patch in its middle."""
    arm = parts.limb == LIMB_NAMES.index("left_forearm")
    inwards = np.where(arm, 0.1 * (front.facing - 0.3), np.inf)
    along = parts.position[:, 0] - parts.position[arm, 0].min()
    badge = arm & front.known & (inwards < 0.04) & (along < 0.1)
    strap = arm & (np.abs(along - 0.13) < 0.015)
    patch = arm & (inwards > 0.06) & (np.abs(along - 0.18) < 0.02)
    color = np.where(badge[:, None], [0.1, 0.1, 0.9], front.color)
    color = np.where(strap[:, None], [0.1, 0.1, 0.1], color)
    color = np.where(patch[:, None], [0.9, 0.9, 0.1], color)
    past = seen_past_arms(replace(front, color=color, to_outline=inwards), parts)
    assert badge.sum() > 5 and past[badge].all()
    assert (strap & front.known).sum() > 5 and not past[strap | patch].any() and not past[~arm].any()
    assert past[arm & ~badge & front.known].mean() < 0.02
    assert not seen_past_arms(replace(front, color=color), parts).any()  # where nothing lies behind, the matte decides


def test_a_chest_has_what_the_photo_shows_past_an_arms_outline(front, parts):
    """An arm lies over some of the chest; on the left its texels show a badge, on the right they are sleeve."""
    trunk, arm = (parts.limb == LIMB_NAMES.index(name) for name in ("trunk", "left_forearm"))
    forearm, chest = np.flatnonzero(arm & front.known), np.flatnonzero(trunk & front.known)
    under = np.random.default_rng(0).permutation(chest)[: len(forearm) // ASKED]
    pixels = 1000 * parts.position[:, :2]
    forearm = forearm[: len(under) * ASKED]
    pixels[forearm] = pixels[np.repeat(under, ASKED)]
    past = np.zeros(len(trunk), dtype=bool)
    past[forearm] = pixels[forearm, 0] > 0
    evidence = replace(front, pixels=pixels, bared=front.bared & ~trunk, visible=front.visible & ~trunk)
    shown = shown_past_arms(evidence, parts, past)
    left = pixels[under, 0] > 0
    assert min(left.sum(), (~left).sum()) >= 5 and shown[under[left]].all() and not shown[under[~left]].any()
    assert not shown[~trunk].any() and not shown[trunk & (front.facing < 0)].any()
    assert not shown_past_arms(front, parts, past).any()  # nothing stands before the chest


@pytest.mark.parametrize(("worn_below", "lends"), [(False, False), (True, True)])
def test_the_end_of_a_lock_that_the_hair_mask_missed_lends_nothing_unless_it_is_worn(
    front, parts, pose, worn_below, lends
):
    hair, brown = chest(parts) & front.known, np.array([0.15, 0.08, 0.04])
    height, side = parts.position[:, 1], np.abs(parts.position[:, 0] - pose.middle)
    lock = hair & (side < 0.12)
    mask = lock & (height > np.median(height[lock]))
    trunk = front.known & (parts.limb == LIMB_NAMES.index("trunk"))
    below = trunk & (height < height[mask].min() - 0.2)
    color = np.where((lock | (below & worn_below))[:, None], brown, front.color)
    told = lenders(replace(front, color=color, hair=mask), parts, pose)
    end = lock & ~mask & (front.facing > 0.6) & (height > height[mask].min() - 0.1)
    assert end.sum() > 100 and (told[end].mean() > 0.5) == lends


def test_clothes_as_dark_as_the_hair_lend_where_nothing_of_the_trunk_is_far_from_it(front, parts, pose):
    brown, height = np.array([0.15, 0.08, 0.04]), parts.position[:, 1]
    top = np.quantile(height[chest(parts)], 0.5)
    shown = front.known & ~((parts.limb == LIMB_NAMES.index("trunk")) & (height < top - 0.1))
    dark = shown & (parts.limb == LIMB_NAMES.index("trunk"))
    color = np.where(dark[:, None], brown, front.color)
    bust = replace(front, color=color, known=shown, visible=shown, hair=dark & (height > top))
    below = dark & (height < top) & (front.facing > 0.6)
    assert below.sum() > 100 and lenders(bust, parts, pose)[below].mean() > 0.5


def far_side(front, parts, pose, beyond):
    """A face that is seen up to `beyond` metres to the left of its middle, and which texels are not."""
    hidden = skin_of(parts, face=True) & (parts.position[:, 0] > pose.middle + beyond)
    return seen(front.color, front.known & ~hidden, front.facing), hidden


def brow(parts, pose):
    head = parts.position[skin_of(parts, face=True) & (parts.limb == LIMB_NAMES.index("head"))]
    height = np.quantile(head[:, 1], 0.7)
    return skin_of(parts, face=True) & (np.abs(parts.position[:, 1] - height) < 0.006)


def test_what_is_seen_of_a_face_ends_in_no_seam(front, parts, pose):
    """A cheek in a shade that only its border shows: what is not seen begins as dark, and is as bright farther off."""
    evidence, hidden = far_side(front, parts, pose, 0.015)
    out = parts.position[:, 0] - pose.middle - 0.015
    shade = skin_of(parts, face=True) & evidence.known & (out > -0.01)
    color = np.where(shade[:, None], 0.8 * FACE, evidence.color)
    filled = complete(replace(evidence, color=color), parts, pose)
    cheek = hidden & (parts.position[:, 1] < pose.joints[JOINT_INDEX["left_eye"], 1] - 0.02)
    beside, far = cheek & (out < 0.006), cheek & (out > 0.045)
    assert min(shade.sum(), beside.sum(), far.sum()) > 20
    assert np.abs(np.median(filled[beside] / FACE) - 0.8) < 0.05 and np.median(filled[far] / FACE) > 0.9


def test_a_brow_at_the_end_of_what_is_seen_of_a_face_is_not_drawn_out(front, parts, pose):
    evidence, hidden = far_side(front, parts, pose, 0.03)
    here = (
        brow(parts, pose) & (np.abs(parts.position[:, 0] - pose.middle) < 0.045) & (parts.position[:, 0] > pose.middle)
    )
    dark = evidence.known & here
    color = complete(replace(evidence, color=np.where(dark[:, None], 0.1, evidence.color)), parts, pose)
    assert dark.sum() > 20 and hidden.sum() > 200
    np.testing.assert_allclose(color[hidden], np.broadcast_to(FACE, (hidden.sum(), 3)), atol=0.03)


def test_a_brow_that_only_the_other_half_shows_is_where_that_has_it(front, parts, pose):
    evidence, hidden = far_side(front, parts, pose, 0.03)
    dark = brow(parts, pose) & (np.abs(parts.position[:, 0] - pose.middle) < 0.05)
    color = complete(
        replace(evidence, color=np.where((dark & evidence.known)[:, None], 0.1, evidence.color)), parts, pose
    )
    ours = dark & hidden & (front.facing > 0.6)
    assert ours.sum() > 10 and color[ours].mean() < 0.3


def test_skin_in_the_shade_of_hair_lends_nothing_to_the_other_half(front, parts, pose):
    evidence, hidden = far_side(front, parts, pose, 0.0)
    out = pose.middle - parts.position[:, 0]
    face = skin_of(parts, face=True) & evidence.known
    hair, shade = face & (out > 0.05), face & (out > 0.04) & (out <= 0.05)
    color = np.where(hair[:, None], 0.05, np.where(shade[:, None], 0.6 * FACE, evidence.color))
    filled = complete(replace(evidence, color=color, hair=hair), parts, pose)
    assert hair.sum() > 20 and shade.sum() > 20
    assert (np.abs(filled[hidden] - FACE).max(1) < 0.03).mean() > 0.99


def test_a_closed_eye_ends_in_a_line_of_lashes(front, parts, pose, surface, texels, model):
    closing = texels.interpolate(surface.expression_deltas[model.blinks].sum(0).numpy(), surface.faces)
    closed = parts.position + closing
    color = complete(seen(front.color, front.known & ~parts.lid, front.facing), parts, pose)
    down = parts.lid & (closing[:, 1] < -0.002)
    for eye in ("left_eye", "right_eye"):
        beside = np.abs(closed[:, 0] - pose.joints[JOINT_INDEX[eye], 0]) < 0.01
        lid, lash = down & beside & ~parts.lash, parts.lash & beside
        assert lid.sum() > lash.sum() > 10 and not (parts.lash & ~down).any()
        assert np.quantile(closed[lid, 1], 0.1) > np.median(closed[lash, 1]) and np.ptp(closed[lash, 1]) < 0.006
        np.testing.assert_allclose(np.median(color[lash] / np.median(color[lid], axis=0)), 0.4, atol=0.05)


def test_an_open_collar_is_closed_behind(front, parts, pose):
    """A patch of the face's skin over the middle of the chest."""
    collar = chest(parts) & (np.abs(parts.position[:, 0]) < 0.03) & front.known
    assert collar.sum() > 20
    opened = seen(np.where(collar[:, None], FACE, front.color), front.known, front.facing)
    color = complete(opened, parts, pose)
    np.testing.assert_allclose(color[~front.known], complete(front, parts, pose)[~front.known], atol=0.02)


def test_a_thread_of_cloth_within_a_collar_does_not_lend(front, parts, pose):
    away = np.linalg.norm(parts.position[:, :2] - np.median(parts.position[chest(parts), :2], axis=0), axis=1)
    collar = chest(parts) & (away < 0.08) & front.known
    thread = collar & (away < np.sort(away[collar])[3])
    color = np.where((collar & ~thread)[:, None], FACE, front.color)
    told = lenders(seen(color, front.known, front.facing), parts, pose)
    assert collar.sum() > 50 and thread.sum() == 3 and not told[thread].any()
    beyond = chest(parts) & front.known & (away > 0.11) & (front.facing > 0.6)
    assert told[beyond].mean() > 0.8


def chest(parts):
    """The upper third of the trunk."""
    trunk = skin_of(parts, face=False) & (parts.limb == LIMB_NAMES.index("trunk"))
    return trunk & (parts.position[:, 1] > np.quantile(parts.position[trunk, 1], 0.7))


def test_what_two_sides_lend_fades_over_on_the_back(front, parts, pose):
    """The left of the trunk is lighter: no seam runs down the middle of the back."""
    trunk = skin_of(parts, face=False) & (parts.limb == LIMB_NAMES.index("trunk"))
    sideways = parts.position[:, 0] - pose.joints[0, 0]
    light = np.where(sideways[:, None] > 0, 0.7, 0.5) * np.ones(3)
    color = complete(seen(light, front.known, front.facing), parts, pose)
    for left, right in ((0.004, -0.004), (0.012, 0.0)):
        beside = [np.abs(sideways - place) < 0.003 for place in (left, right)]
        steps = [color[trunk & here & (front.facing < -0.3)].mean() for here in beside]
        assert abs(steps[0] - steps[1]) < 0.15


def test_the_far_side_of_a_pattern_is_usual_for_its_height(parts, pose, front):
    """A striped shirt with a vertical stain: the stripes run on round the back, the stain does not."""
    trunk = skin_of(parts, face=False) & (parts.limb == LIMB_NAMES.index("trunk"))
    height = parts.position[:, 1]
    striped = np.where((height[:, None] % 0.12) < 0.06, [0.2, 0.2, 0.5], [0.9, 0.9, 0.85])
    stain = np.abs(parts.position[:, 0] - pose.joints[0, 0]) < 0.03
    color = np.where(stain[:, None], [0.5, 0.4, 0.2], striped)
    filled = complete(seen(color, front.known, front.facing), parts, pose)
    back = trunk & (front.facing < -0.5) & (np.abs(height % 0.06 - 0.03) < 0.015)
    assert back.sum() > 100
    assert (np.abs(filled - striped).max(1)[back] > 0.15).mean() < 0.1


def test_a_height_where_little_is_cloth_takes_its_colour_from_the_next():
    """Stripes of one colour per height, and between 0.4 and 0.5 m a badge with a little white cloth beside it."""
    rng = np.random.default_rng(0)
    height = rng.uniform(0, 1, 20_000)
    badge = (height > 0.4) & (height < 0.5)
    cloth = ~badge | (rng.uniform(size=len(height)) < 0.1)
    color = np.where((badge & cloth)[:, None], [1.0, 1.0, 1.0], height[:, None] * [0.5, 0.2, 0.1])
    places = np.linspace(0.01, 0.99, 50)
    told = usual_colors(height, color, cloth, places)
    np.testing.assert_allclose(told, places[:, None] * [0.5, 0.2, 0.1], atol=0.01)


def test_a_copy_is_folded_over_at_the_border_round_the_limb():
    """On a drum that is seen up to a right angle, what lies 3 cm beyond looks like what lies 3 cm before."""
    radius, rows = 0.1, np.linspace(0, 0.2, 60)
    angle, height = (grid.ravel() for grid in np.meshgrid(np.linspace(-np.pi, np.pi, 361), rows))
    position = np.stack([radius * np.sin(angle), height, radius * np.cos(angle)], axis=1)
    known = np.abs(angle) <= np.pi / 2
    color = np.where(known, np.sin(20 * angle), 0.0)[:, None] * np.ones(3)
    unseen = np.flatnonzero((angle > np.pi / 2 + 0.05) & (angle < np.pi / 2 + 0.3))
    bone = Bone(np.zeros(3), np.array([0.0, 1.0, 0.0]))
    filled = color.copy()
    borrow(filled, unseen, [Offer(position[unseen], np.flatnonzero(known), np.eye(3), bone, 0.0)], position)
    np.testing.assert_allclose(filled[unseen, 0], np.sin(20 * (np.pi - angle[unseen])), atol=0.1)


def test_a_scalp_of_hair_is_completed_with_hair(front, parts, pose):
    """Where the front of a head shows both, its back is hair."""
    scalp = skin_of(parts, face=False) & (parts.limb == LIMB_NAMES.index("head"))
    high = scalp & (parts.position[:, 1] > np.quantile(parts.position[scalp, 1], 0.6))
    brown = np.array([0.25, 0.15, 0.1])
    known = front.known | (high & (front.facing > -0.2))
    assert (known & high).sum() > 50
    evidence = replace(seen(np.where(high[:, None], brown, FACE), known, np.maximum(front.facing, 0.5)), hair=high)
    color = complete(evidence, parts, pose)
    back_of_head = scalp & (front.facing < -0.7) & high
    np.testing.assert_allclose(color[back_of_head], np.broadcast_to(brown, (back_of_head.sum(), 3)), atol=0.05)


@pytest.fixture(scope="module")
def eyes(model, surface, pose):
    """Texels on the eyeballs, denser than a map's, and how far each lies from its eye's axis, radians."""
    balls = np.flatnonzero(np.isin(model.part, ["left_eye", "right_eye"]))
    rng = np.random.default_rng(0)
    face = rng.choice(balls, 4000).astype(np.int32)
    barycentric = rng.dirichlet([1, 1, 1], len(face)).astype(np.float32)
    texels = Texels(face, barycentric, np.full(len(face), 1e-3, np.float32), np.zeros((len(face), 2), np.int32))
    parts = anatomy(model, surface, texels)
    centre = np.stack([pose.joints[JOINT_INDEX[part]] for part in parts.part])
    direction = (parts.position - centre) / np.linalg.norm(parts.position - centre, axis=1, keepdims=True)
    return parts, np.arccos(direction[:, 2]), direction[:, 0]


def test_an_eye_is_completed_round_its_axis(eyes, pose):
    """One half is seen, brown iris and light white; the other half and the back get the same rings."""
    parts, angle, sideways = eyes
    color = np.where(angle[:, None] < 0.4, [0.3, 0.2, 0.1], [0.8, 0.8, 0.8])
    half = (angle < 0.8) & (sideways > 0)
    filled = complete(seen(color, half, np.ones(len(half))), parts, pose)
    np.testing.assert_array_equal(filled[half], color[half])
    off_the_rim = np.abs(angle - 0.4) > 0.1
    assert np.abs(filled - color)[off_the_rim].max() < 0.05


def test_an_unseen_eye_has_a_dark_iris_in_a_light_white(eyes, pose):
    parts, angle, _ = eyes
    nothing = np.zeros(len(angle), dtype=bool)
    color = complete(seen(np.zeros((len(angle), 3)), nothing, np.ones(len(angle))), parts, pose)
    assert color[angle < 0.3].max() < 0.3 and color[angle > 0.6].min() > 0.6


def test_the_mouths_inside_is_painted_in_the_light_of_the_face(front, parts, pose):
    bright = complete(front, parts, pose)
    dark = complete(seen(0.7 * front.color, front.known, front.facing), parts, pose)
    for part in MOUTH:
        here = parts.part == part
        assert here.any() and np.ptp(bright[here], axis=0).max() < 1e-6
        assert (dark[here] < bright[here]).all()
    assert bright[parts.part == "upper_teeth"].mean() > 2 * bright[parts.part == "cavity"].mean()


def test_teeth_that_the_photo_shows_keep_their_colour(front, parts, pose):
    smile = parts.part == "upper_teeth"
    white = np.where(smile[:, None], [0.9, 0.9, 0.85], front.color)
    color = complete(seen(white, front.known | smile, front.facing), parts, pose)
    np.testing.assert_array_equal(color[smile], white[smile])
    np.testing.assert_array_equal(color[parts.part == "tongue"], complete(front, parts, pose)[parts.part == "tongue"])


def test_teeth_that_a_smile_does_not_show_are_about_as_bright_as_those_it_does(front, parts, pose):
    teeth = np.isin(parts.part, ["upper_teeth", "lower_teeth"])
    smile = (parts.part == "tongue") & (np.arange(len(teeth)) % 2 == 0)  # the fit may have something else there
    white, shade = np.array([0.9, 0.9, 0.85]), 0.6 * FACE
    shown, dark = (
        complete(seen(np.where(smile[:, None], what, front.color), front.known | smile, front.facing), parts, pose)
        for what in (white, shade)
    )
    assert (shown[teeth] > 0.8 * white).all() and (shown[teeth] <= white).all()
    np.testing.assert_array_equal(dark[teeth], complete(front, parts, pose)[teeth])


def test_the_lining_is_skin_inside_the_head(front, parts, wearer):
    lining = parts.part == "cavity"
    assert lining.sum() > 10 and not front.known[lining].any()
    teeth = parts.position[parts.part == "upper_teeth"].mean(0)
    assert np.linalg.norm(parts.position[lining] - teeth, axis=1).max() < 0.09


def test_a_subset_describes_the_same_texels(parts):
    some = parts.subset(parts.face)
    np.testing.assert_array_equal(some.position, parts.position[parts.face])
    assert some.face.all() and len(some.limb) == len(some.part) == len(some.lid) == parts.face.sum()
