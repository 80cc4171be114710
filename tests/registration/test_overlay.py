import numpy as np

from backend.raster.mesh import rasterize_mesh
from backend.registration.fit import fit_body
from backend.registration.ground import posed_body
from backend.registration.overlay import overlay

from .people import person


def test_the_overlay_changes_the_person_and_leaves_the_rest(model):
    seen = person(model, 2).observations
    registration = fit_body(seen, model)
    picture = overlay(seen, registration, model)
    covered = rasterize_mesh(posed_body(registration, model)[0], model.faces, registration.camera).face >= 0
    changed = (picture != seen.rgb).any(-1)
    assert picture.dtype == np.uint8 and picture.shape == seen.rgb.shape
    assert changed[covered].mean() > 0.97
    assert changed[~covered].mean() < 0.01
