"""Build an avatar from a photo and save ten frames of it: everything a program needs to drive Vivant.

Start the service first (`vivant serve`, or `vivant serve --mock` for a pretended one), then:

    python examples/client.py PHOTO FOLDER
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from shared.rig import Rig, load_rig
from shared.skeleton import JOINT_INDEX
from shared.wire import calls
from shared.wire.connection import connection_file, data_folder, load_connection
from shared.wire.messages import JobSubmit, RenderFrames

FRAMES = 10


def main(photo: Path, folder: Path) -> None:
    """Build from `photo`, write `folder`/0001.png and so on, as large as the photo."""
    folder.mkdir(parents=True, exist_ok=True)
    connection = load_connection(connection_file(data_folder()))
    with calls.connect(connection, program="example") as client:
        avatar = calls.new_id()
        client.call(JobSubmit(avatar, "build", calls.upload(client, photo.read_bytes()), name=photo.stem))
        for event in calls.follow(client, avatar):
            print(event.info.state, event.info.message, f"{event.info.step}/{event.info.total}", file=sys.stderr)
        calls.finish(client, avatar)  # raises what went wrong, if anything did
        rig = load_rig(calls.download(client, avatar, "rig.npz"))
        width, height = map(int, rig.image_size)
        request = RenderFrames(calls.new_id(), avatar, width, height, 1, "rgba8", ("jawOpen",))
        for number, rgba, _depth in calls.frames(client, request, turning_head(rig)):
            colour = rgba[..., :3] / np.maximum(rgba[..., 3:] / 255, 1 / 255)  # PNG wants it without alpha in it
            pixels = np.dstack([np.minimum(colour, 255).astype("u1"), rgba[..., 3]])
            Image.fromarray(pixels).save(folder / f"{number:04}.png")


def turning_head(rig: Rig) -> dict[str, np.ndarray]:
    """The photo's pose and camera, with a head that turns while the mouth opens."""
    pose = np.tile(rig.full_pose, (FRAMES, 1))
    pose[:, 3 * JOINT_INDEX["neck"] + 1] += np.linspace(-0.4, 0.4, FRAMES)
    return {
        "full_pose": pose,
        "transl": np.tile(rig.transl, (FRAMES, 1)),
        "expression": np.linspace(0, 1, FRAMES, dtype="f4")[:, None],
        "K": rig.K[None],
        "world_to_camera": rig.world_to_camera[None],
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
