"""What a client needs beside the avatar itself: `rig.npz` and `texture.png`."""

from __future__ import annotations

from pathlib import Path

from backend.album import write_picture
from backend.body.model import BodyModel
from backend.service.rig_export import rig_of
from backend.service.texture import bake
from backend.stages import Avatar
from shared.rig import save_rig

RIG, TEXTURE = "rig.npz", "texture.png"
FINER = 2
"""Texels of the texture per texel of the avatar, along each side."""


def add_client_files(folder: Path, avatar: Avatar, model: BodyModel) -> None:
    """Write into the avatar's folder what it lacks of them: the command line builds avatars without.

    Raises:
        VivantError: the folder cannot be written to.
    """
    if not (folder / TEXTURE).exists():
        write_picture(folder / TEXTURE, bake(avatar, model, FINER * avatar.info["settings"]["texture"]))
    if not (folder / RIG).exists():
        save_rig(folder / RIG, rig_of(avatar.registration, model))
