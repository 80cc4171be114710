"""Skin that the photo does not show: a tone without pattern, which meets what is next to it without a seam."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.spatial import cKDTree

from backend.avatar.blend import blended, by_distance
from backend.avatar.lending import BLEND, Limb
from backend.avatar.limbs import mirrored
from backend.avatar.recurring import near, skin_like
from shared.skeleton import JOINT_INDEX

BROW, LIPS = 0.04, 0.02
"""Metres from an eye's centre, and from the mouth's inside, seen from the front, within which those and paint are."""
FEATURE_RIM = 0.008
"""Metres round them in which skin is partly theirs."""
IN_PLACE = 0.003
"""Metres from its mirror image within which a face's other half tells what is there: a brow, a nostril."""
FEATHER = 0.03
"""Metres from its border over which what is next to unseen skin goes over into its tone."""
DARK = 0.6
"""Of a face's usual light: what is darker at that border is a brow, a lash or a strand, and is not drawn out."""

Tone = Callable[[np.ndarray], np.ndarray]
"""Colours [P, 3] at points [P, 3] in metres."""


def fill_face(color: np.ndarray, limb: Limb, unseen: np.ndarray) -> np.ndarray:
    """Fill a face's texels `unseen` [U] in place in `color` [M, 3].

    They get the tone of the skin around, as far off it as the other half is in the very place, and the border nearby.
    Neither is copied as it is, for halves lie in different lights. Returns the texel ids that nobody could lend to.
    """
    position, evidence = limb.anatomy.position, limb.evidence
    own = np.flatnonzero(limb.members & limb.lender)
    skin = own[~_features(limb, own)]
    if len(skin) < BLEND:
        return unseen
    tone = partial(blended, places=position[skin], color=color[skin])
    seen = limb.members & evidence.known & ~evidence.hair & ~evidence.hairline
    border = np.flatnonzero(seen & (color.mean(1) > DARK * np.median(color[skin])))
    here = position[unseen]
    across = mirrored(here, limb.pose.middle)
    off = _off(color, position, own, tone, across, IN_PLACE) * _off(color, position, border, tone, here, FEATHER)
    color[unseen] = np.clip(tone(here) * off, 0.0, 1.0)
    return unseen[:0]


def fill_bare(color: np.ndarray, limb: Limb, unseen: np.ndarray) -> np.ndarray:
    """Fill other skin and shoes in place, from this side's and from the twin's; returns what `fill_face` does.

    A head's and a neck's skin, if like the face's, goes over from that, which must be filled before.
    """
    position, lender = limb.anatomy.position, limb.lender & ~limb.evidence.hair & ~limb.evidence.hairline
    own, other = (np.flatnonzero(side.members & lender) for side in (limb, limb.twin))
    places = np.concatenate([position[own], mirrored(position[other], limb.pose.middle)])
    if not len(places):
        return unseen
    tone = partial(blended, places=places, color=color[np.concatenate([own, other])])
    here = position[unseen]
    face = np.flatnonzero(limb.anatomy.face & (limb.anatomy.part == "skin") & ~limb.evidence.hair)
    color[unseen] = tone(here)
    if limb.name in ("head", "neck") and len(face):
        skin = skin_like(color[unseen], color[face])
        off = _off(color, position, face, tone, here[skin], FEATHER)
        color[unseen[skin]] = np.clip(color[unseen[skin]] * off, 0.0, 1.0)
    return unseen[:0]


def _off(
    color: np.ndarray,  # [M, 3]
    position: np.ndarray,  # [M, 3] metres
    donors: np.ndarray,  # [D] texel ids
    tone: Tone,
    points: np.ndarray,  # [U, 3] metres
    reach: float,  # metres
) -> np.ndarray:
    """By how much the donors next to each point differ from the tone, as factors [U, 3]; 1 far beyond `reach`."""
    factor = np.ones_like(points)
    if len(donors) < BLEND:
        return factor
    apart, nearest = cKDTree(position[donors]).query(points, k=BLEND)
    close = np.flatnonzero(apart[:, 0] < 2 * reach)
    used, back = np.unique(nearest[close], return_inverse=True)
    there = donors[used]
    off = np.log(np.maximum(color[there], 0.01) / np.maximum(tone(position[there]), 0.01))
    met = by_distance(apart[close], off[back.reshape(nearest[close].shape)])
    factor[close] = np.exp(met * np.exp(-((apart[close, :1] / reach) ** 2)))
    return factor


def _features(limb: Limb, own: np.ndarray) -> np.ndarray:
    """Which of the face's texels `own` [D] are brows, lashes, lips or their rim, [D] bool."""
    anatomy, color = limb.anatomy, limb.evidence.color[own]
    position, mouth = anatomy.position[own], anatomy.position[anatomy.part == "cavity"]
    eyes = limb.pose.joints[[JOINT_INDEX["left_eye"], JOINT_INDEX["right_eye"]]]
    to_eye, to_mouth = (cKDTree(places[:, :2]).query(position[:, :2])[0] for places in (eyes, mouth))
    there = (to_eye < BROW) | (to_mouth < LIPS)
    return there & near(position, there & ~skin_like(color, color), FEATURE_RIM)
