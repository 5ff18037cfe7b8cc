"""The playground's ``occ``, asked the way the program asks the real one."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from daemon.clock import Clock
from daemon.demo import occ as stand_in
from daemon.demo import samples
from daemon.errors import NeedsPerson, Transient
from daemon.nextcloud.occ import Occ
from daemon.nextcloud.runner import CommandRunner
from tests import uploads

if TYPE_CHECKING:
    from pathlib import Path

NAME = "Zoë's \udcff photo.jpg"
FOLDER = "Insta Upload/2026"


@pytest.fixture
def playground(tmp_path: Path) -> Path:
    data = uploads.make_data_dir(tmp_path / "nextcloud-data", ["alice", "bob"], samples_too=False)
    photo = samples.jpeg(datetime(2026, 1, 2, tzinfo=UTC), 1)
    uploads.put(data / "alice", f"{FOLDER}/{NAME}", photo)
    uploads.abandon(data / "alice", f"{FOLDER}/x.jpg", photo)
    uploads.make_folders(tmp_path / "archive/2026/01")
    (tmp_path / "archive/2026/01/a.jpg").write_bytes(photo)
    return tmp_path


@pytest.fixture
def occ(playground: Path) -> Occ:
    command = [sys.executable, "-I", "-S", stand_in.__file__, str(playground)]
    return Occ(CommandRunner(command), timeout=20, clock=Clock())


async def test_it_says_what_it_is(occ: Occ) -> None:
    assert (await occ.status()).version == stand_in.VERSION
    features = await occ.features()
    assert features.generate_metadata
    assert features.memories_option == "--path"
    assert features.photos
    assert [mount.mount_point for mount in await occ.external_mounts()] == ["/Album"]


async def test_a_scan_tells_the_truth(occ: Occ, playground: Path) -> None:
    first = await occ.scan("alice", FOLDER)
    assert (first.folders, first.files, first.new, first.removed, first.errors) == (1, 1, 1, 0, 0)
    again = await occ.scan("alice", FOLDER)
    assert (again.files, again.new, again.updated) == (1, 0, 0)
    (playground / "nextcloud-data/alice/files" / FOLDER / NAME).unlink()
    assert (await occ.scan("alice", FOLDER)).removed == 1


async def test_the_album_is_everybodys(occ: Occ) -> None:
    assert not await occ.knows("bob", "Album/2026/01/a.jpg")
    with pytest.raises(NeedsPerson, match="does not know"):
        await occ.scan("bob", "Album/2026/01/a.jpg")
    assert (await occ.scan("bob", "Album/2026/01")).new == 1
    assert await occ.knows("alice", "Album/2026/01/a.jpg")
    assert (await occ.scan("alice", "Album/2026/01/a.jpg", generate_metadata=True)).files == 1
    assert (await occ.memories_index("alice", "Album/2026/01")).failed == 0


async def test_what_is_not_there_is_said(occ: Occ) -> None:
    for call, code in (
        (occ.scan("nobody", ""), "occ.unknown_user"),
        (occ.scan("alice", "Nope"), "occ.path_not_found"),
        (occ.memories_index("nobody", "x"), "occ.unknown_user"),
        (occ.memories_index("alice", "Nope"), "occ.path_not_found"),
        (occ.delete("alice", "Nope.jpg"), "occ.unknown_file"),
    ):
        with pytest.raises((NeedsPerson, Transient)) as caught:
            await call
        assert caught.value.code == code


async def test_a_deleted_file_lies_in_its_owners_bin(occ: Occ, playground: Path) -> None:
    home = playground / "nextcloud-data/alice"
    content = (home / "files" / FOLDER / NAME).read_bytes()
    await occ.delete("alice", f"{FOLDER}/{NAME}")
    assert not (home / "files" / FOLDER / NAME).exists()
    (binned,) = (home / "files_trashbin/files").iterdir()
    assert binned.name.startswith(f"{NAME}.d")
    assert binned.read_bytes() == content
    assert not await occ.knows("alice", f"{FOLDER}/{NAME}")


async def test_a_tag_stays(occ: Occ) -> None:
    await occ.tag("alice", f"{FOLDER}/{NAME}", "relayed")
    with pytest.raises(NeedsPerson):
        await occ.tag("alice", "Nope.jpg", "relayed")
