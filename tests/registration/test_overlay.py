import numpy as np

from backend.raster.mesh import rasterize_mesh
from backend.registration.ground import posed_body
from backend.registration.overlay import overlay


def test_the_overlay_changes_the_person_and_leaves_the_rest(seen, registration, model):
    picture = overlay(seen.observations, registration, model)
    covered = rasterize_mesh(posed_body(registration, model)[0], model.faces, registration.camera).face >= 0
    changed = (picture != seen.observations.rgb).any(-1)
    assert picture.dtype == np.uint8 and picture.shape == seen.observations.rgb.shape
    assert changed[covered].mean() > 0.97
    assert changed[~covered].mean() < 0.01
