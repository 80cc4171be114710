"""The whole way in every Blender: zip, backend, rig, motion, frames, composite; judged by numpy and OpenEXR.

Blenders are Pythons with bpy in $VIVANT_BPY/bpy-<version> (default: build/bpy), as .ci/blender makes them.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import build_addon
from tests.conftest import EXAMPLES, ROOT
from tests.end_to_end import serving, truth

BLENDERS = ("4.2.23", "4.5.15", "5.0.1", "5.2.3")
HOME = Path(os.environ.get("VIVANT_BPY", ROOT / "build" / "bpy"))
TOLERANCE = 1 / 255
NOTHING = 1e9  # metres; nearer is something

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    """A server with a quickly built astronaut."""
    with serving.server(tmp_path_factory.mktemp("backend") / "data") as environment:
        photo = EXAMPLES / "astronaut.png"
        serving.client(environment, "build", photo, "--steps", 10, "--texture", 256, "--size", 512)
        yield environment


@pytest.fixture(scope="module", params=BLENDERS)
def python(request):
    """That has this Blender as a module."""
    python = HOME / f"bpy-{request.param}" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"needs {python} with bpy {request.param}; .ci/blender makes it")
    return python


@pytest.fixture(scope="module")
def film(python, backend, tmp_path_factory):
    """The folder that film.py has filled with this Blender, as a user would."""
    folder = tmp_path_factory.mktemp("film")
    build_addon.build(folder)
    run([python, Path(__file__).with_name("film.py"), folder], backend)
    return folder


@pytest.fixture(scope="module")
def seen(film):
    """What is where at the still: the avatar's frame, and the depths that Blender's ray casts give."""
    cast = np.load(film / "truth.npz")
    rgba, depth = truth.frame(film / "frames" / "astronaut" / f"frame_{cast['still']:04d}.exr")
    return rgba, depth, cast["objects"], cast["proxy"]


def run(command, environment=None):
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_the_backend_draws_the_avatar_where_blender_has_its_body(seen):
    rgba, depth, _, proxy = seen
    avatar, body = rgba[..., 3] > 0.5, proxy < NOTHING
    assert avatar.mean() > 0.1
    assert (avatar & (body | truth.edges(body, 2))).sum() > 0.97 * avatar.sum()
    assert np.median(abs(depth - proxy)[avatar & body]) < 0.02  # metres


@pytest.mark.parametrize("engine", ["cycles", "eevee"])
def test_cubes_hide_the_avatar_and_are_hidden_by_it_pixel_by_pixel(film, seen, engine):
    rgba, depth, objects, _ = seen
    avatar, nearer = rgba[..., 3] > 0.5, depth < objects
    assert (avatar & ~nearer).sum() > 300  # the cube in front covers so much
    assert (avatar & nearer & (objects < NOTHING)).sum() > 100
    expected = truth.composite(rgba, depth, truth.picture(film / f"{engine}_before.png"), objects)
    error = abs(truth.picture(film / f"{engine}.png") - expected).max(-1)
    assert (error > TOLERANCE)[~truth.edges(nearer)].sum() == 0


@pytest.mark.parametrize("engine", ["cycles", "eevee"])
def test_the_avatar_has_the_photos_colours_under_the_factory_view(film, seen, engine):
    rgba, depth, objects, _ = seen
    solid = (rgba[..., 3] == 1) & (depth < objects) & ~truth.edges(depth < objects)
    assert solid.sum() > 1000
    assert abs(truth.picture(film / f"{engine}.png") - truth.encoded(rgba[..., :3]))[solid].max() < TOLERANCE


def test_a_removed_composite_leaves_no_trace(film):
    assert np.array_equal(truth.picture(film / "cycles_after.png"), truth.picture(film / "cycles_before.png"))


def test_a_blender_without_extension_and_backend_renders_the_film(film, python):
    run([python, Path(__file__).with_name("farm.py"), film / "film.blend"])
    frames = sorted(film.glob("film*.png"))
    assert [frame.stem for frame in frames] == [f"film{number:04d}" for number in range(41, 51)]
    still = truth.picture(film / "cycles.png")
    errors = [abs(truth.picture(frame) - still).max() for frame in frames]
    assert errors[4] < TOLERANCE and min(errors[0], errors[-1]) > 0.1  # it moves
