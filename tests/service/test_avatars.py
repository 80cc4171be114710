"""Avatars and photos on a real server: opened, imported, deleted, uploaded. Numbers are rows of the fault table."""

import hashlib
import json
import os

import numpy as np
import pytest

from shared.wire import calls, limits
from shared.wire.errors import WireError
from shared.wire.messages import (
    AssetPut,
    AvatarClose,
    AvatarDelete,
    AvatarImport,
    AvatarList,
    AvatarOpen,
    FilesList,
    MemoryFree,
    RenderCredit,
)
from tests.service.serving import (
    motion,
    render_frames,
    submit,
    until,
    until_state,
)


@pytest.fixture
def client(server):
    with server.connect() as connected:
        yield connected


def test_an_avatar_is_opened_closed_and_its_memory_freed(client, avatar):
    def is_open():
        return next(one.open for one in client.call(AvatarList()).message.avatars if one.avatar == avatar)

    client.call(AvatarOpen(avatar))
    until(is_open)
    client.call(AvatarClose(avatar))
    until(lambda: not is_open())
    client.call(AvatarOpen(avatar))
    until(is_open)
    assert client.call(MemoryFree()).message.open_avatars == 0


def test_a_deleted_avatar_ends_its_render_and_leaves_the_disk(server, client):
    avatar = submit(client)
    until_state(client, avatar, "finished")
    request = render_frames(avatar)
    client.call(request, motion(1000, delay=0.01))
    client.post(RenderCredit(3))
    until_state(client, request.job, "running")
    client.call(AvatarDelete(avatar))
    for _ in range(5):
        client.post(RenderCredit(1))
    assert until_state(client, request.job, "failed").error_code == "bad_avatar"
    until(lambda: not list((server.data / "avatars").glob(f"*{avatar}*")))


def test_an_avatar_of_the_command_line_is_copied_in_and_belongs_to_the_client(client, folder):
    info = client.call(AvatarImport(calls.new_id(), str(folder))).message.info
    assert (info.name, info.gaussians, info.photo_psnr_db, info.open) == ("Ada Lovelace", 1000, 30.0, True)
    names = {file.name for file in client.call(FilesList(info.avatar)).message.files}
    assert {"rig.npz", "avatar.json"} <= names and not (folder / "rig.npz").exists()


def test_the_longest_name_of_a_file_is_listed(client, folder):
    name = "n" * limits.NAME_CHARS
    (folder / name).touch()
    avatar = client.call(AvatarImport(calls.new_id(), str(folder))).message.info.avatar
    assert name in {file.name for file in client.call(FilesList(avatar)).message.files}


def _symlink(folder):
    (folder / "photo.png").symlink_to("/etc/passwd")


def _inner_folder(folder):
    (folder / "inner").mkdir()


def _no_gaussians(folder):
    (folder / "gaussians.safetensors").unlink()


def _not_json(folder):
    (folder / "avatar.json").write_text("[" * 100_000)


def _wrong_count(folder):
    (folder / "gaussians.safetensors").write_bytes((2**63).to_bytes(8, "little") + b"{}")


def _enormous(folder):
    with (folder / "photo.png").open("wb") as file:
        file.truncate(10 << 30)


def _many(folder):
    for number in range(100):
        (folder / f"{number}.txt").touch()


def _too_many_gaussians(folder):
    claim_gaussians(folder, limits.GAUSSIANS + 1)


def claim_gaussians(folder, count):
    """A header alone: what it announces is counted, and is on no disk."""
    header = json.dumps({"face": {"dtype": "I32", "shape": [count], "data_offsets": [0, 4 * count]}}).encode()
    (folder / "gaussians.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)


@pytest.mark.limits("GAUSSIANS")
def test_an_avatar_may_have_so_many_gaussians(client, folder):
    claim_gaussians(folder, limits.GAUSSIANS)
    answer = client.call(AvatarImport(calls.new_id(), str(folder)))
    assert answer.message.info.gaussians == limits.GAUSSIANS
    client.call(AvatarDelete(answer.message.info.avatar))


def _long_name(folder):
    (folder / ("n" * (limits.NAME_CHARS + 1))).touch()


def _name_of_no_letters(folder):
    (folder / os.fsdecode(b"\xff")).touch()


def _symlink_of_no_letters(folder):
    (folder / os.fsdecode(b"\xff")).symlink_to("/etc/passwd")


def _worker_refuses(folder):
    (folder / "avatar.json").write_text((folder / "avatar.json").read_text().replace('"schema"', '"bad": 1, "schema"'))


@pytest.mark.parametrize(
    "spoil",
    [
        _symlink,
        _inner_folder,
        _no_gaussians,
        _not_json,
        _wrong_count,
        _enormous,
        _many,
        _too_many_gaussians,
        _long_name,
        _name_of_no_letters,
        _symlink_of_no_letters,
        _worker_refuses,
    ],
)
def test_35_a_folder_that_is_no_plain_avatar_is_refused_and_nothing_stays(server, client, folder, spoil):
    spoil(folder)
    until(lambda: not list((server.data / "avatars").glob(".*.deleted")))  # another test's, on its way from the disk
    before = sorted((server.data / "avatars").iterdir())
    with pytest.raises(WireError) as told:
        client.call(AvatarImport(calls.new_id(), str(folder)))
    assert told.value.code == "bad_avatar"
    assert sorted((server.data / "avatars").iterdir()) == before


@pytest.mark.parametrize("path", ["relative/folder", "/nowhere/at/all", "/etc/passwd", "a\0b", "/etc/../etc"])
def test_34_a_path_that_is_no_avatar_folder_is_refused(client, path):
    with pytest.raises(WireError) as told:
        client.call(AvatarImport(calls.new_id(), path))
    assert told.value.code == "bad_avatar"


def test_an_upload_goes_on_where_it_stopped_and_a_wrong_hash_is_refused(server, client):
    data = np.random.default_rng(0).integers(0, 256, 100_000, "u1")
    sha = hashlib.sha256(data).hexdigest()
    assert client.call(AssetPut(sha, len(data))).message.offset == 0
    assert client.call(AssetPut(sha, len(data)), {"data": data[:40_000]}).message.offset == 40_000
    assert client.call(AssetPut(sha, len(data), 10), {"data": data[10:20]}).message.offset == 40_000
    with server.connect() as second:
        assert calls.upload(second, data.tobytes()) == sha
    assert client.call(AssetPut(sha, len(data))).message.offset == len(data)
    wrong = "0" * 64
    with pytest.raises(WireError) as told:
        client.call(AssetPut(wrong, 10), {"data": data[:10]})
    assert told.value.code == "wrong_hash"
    assert client.call(AssetPut(wrong, 10)).message.offset == 0
