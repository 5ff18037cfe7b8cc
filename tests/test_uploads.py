"""The uploads of the tests look on disk as Nextcloud's do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from blake3 import blake3

from tests import uploads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TAKEN = datetime(2021, 5, 6, 7, 8, 9, tzinfo=UTC)
DATA = os.urandom(50_000)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return uploads.make_data_dir(tmp_path / "data", ["alice"], samples_too=False) / "alice"


@pytest.mark.parametrize("way", [uploads.put, uploads.put_split_storage, uploads.chunked, uploads.bulk])
def test_an_upload_leaves_the_file_and_nothing_else(home: Path, way: Callable[..., Path]) -> None:
    path = way(home, "InstantUpload/2021/05/x.jpg", DATA, TAKEN)
    assert path == home / "files/InstantUpload/2021/05/x.jpg"
    assert path.read_bytes() == DATA
    assert path.stat().st_mtime == TAKEN.timestamp()
    assert path.stat().st_mode & 0o777 == 0o644
    assert [one for one in home.rglob("*") if one.is_file()] == [path]
    assert list((home / "uploads").iterdir()) == []


def test_without_a_time_from_the_client_the_file_is_new(home: Path) -> None:
    path = uploads.put(home, "Photos/x.jpg", DATA)
    assert abs(path.stat().st_mtime - path.stat().st_ctime) < 1


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace: apt-get install strace")
def test_what_a_watcher_sees_of_a_plain_put(home: Path, tmp_path: Path) -> None:
    """The rename is the only sign of the final name, and the time is set back after it."""
    folder = home / "files/InstantUpload"
    folder.mkdir()
    trace = tmp_path / "trace"
    code = (
        "import sys; from pathlib import Path; from tests import uploads;"
        "uploads.put(Path(sys.argv[1]), 'InstantUpload/x.jpg', b'0' * 40000, 1000)"
    )
    watched = ["strace", "-f", "-y", "-o", str(trace), "-e", "trace=openat,write,rename,utimensat,fsync,close"]
    subprocess.run([*watched, sys.executable, "-c", code, str(home)], check=True, stdin=subprocess.DEVNULL)
    lines = [line for line in trace.read_text().splitlines() if "ocTransferId" in line or "x.jpg" in line]
    calls = [line.split(maxsplit=1)[1].partition("(")[0] for line in lines]
    assert calls[0] == "openat"
    assert calls.count("write") >= 4
    assert calls[-3:] == ["close", "rename", "utimensat"]
    assert "fsync" not in calls


def test_overwriting_removes_the_name_first_and_keeps_the_old_version(home: Path) -> None:
    old = uploads.put(home, "Photos/x.jpg", b"old", TAKEN)
    inode = old.stat().st_ino
    held = old.open("rb")
    with held:
        new = uploads.overwrite(home, "Photos/x.jpg", b"new", TAKEN)
        assert new.read_bytes() == b"new"
        assert new.stat().st_ino != inode
        assert os.fstat(held.fileno()).st_nlink == 0
    versions = [one for one in (home / "files_versions").rglob("*") if one.is_file()]
    assert [one.read_bytes() for one in versions] == [b"old"]


def test_a_folder_moves_in_with_one_rename(home: Path) -> None:
    target = uploads.move_folder_in(home, "Photos/Trip", {"a.jpg": b"a", "b/c.jpg": b"c"})
    assert (target / "b/c.jpg").read_bytes() == b"c"
    assert [one.name for one in (home / "files").iterdir()] == ["Photos"]


def test_names_may_be_long_or_any_bytes(home: Path) -> None:
    for name in ("a" * 251 + ".jpg", os.fsdecode(b"\xff\xfe\n.jpg")):
        assert uploads.put(home, f"Photos/{name}", DATA).read_bytes() == DATA


def test_a_data_directory_has_what_stands_beside_homes(tmp_path: Path) -> None:
    data = uploads.make_data_dir(tmp_path / "d", ["alice", "o'hara @ home"])
    assert {".ncdata", "nextcloud.log", "files_external", "__groupfolders", "alice", "o'hara @ home"} <= {
        one.name for one in data.iterdir()
    }
    photos = {one.name: one.stat().st_size for one in (data / "alice/files/Photos").glob("*.jpg")}
    assert photos == uploads.SAMPLE_PHOTOS


def test_a_plan_is_the_same_for_the_same_seed_and_has_the_shares_asked_for() -> None:
    users = ["alice", "bob", "carol"]
    groups = uploads.plan(users, 1000, seed=3, duplicates=0.1, live=0.2)
    again = uploads.plan(users, 1000, seed=3, duplicates=0.1, live=0.2)
    flat = [one for group in groups for one in group]
    assert [(one.user, one.path, one.make()) for one in flat[:50]] == [
        (one.user, one.path, one.make()) for group in again for one in group
    ][:50]
    assert 1000 <= len(flat) <= 1001
    assert 0.06 < sum(group[0].duplicate for group in groups) / len(groups) < 0.14
    assert 0.15 < sum(len(group) == 2 and group[1].path.endswith(".mov") for group in groups) / len(groups) < 0.25
    assert len({(one.user, one.path) for one in flat}) == len(flat), "no upload overwrites another"
    assert len({one.path for one in flat}) < len(flat), "names of different people meet"


async def test_trickle_tells_the_truth(tmp_path: Path) -> None:
    users = ["alice", "bob"]
    data = uploads.make_data_dir(tmp_path / "data", users, samples_too=False)
    heard: list[uploads.Upload] = []
    truth = await uploads.trickle(data, users, 60, seed=5, duplicates=0.3, live=0.2, told=heard.append)
    assert sorted(heard, key=truth.index) == truth
    for one in truth:
        assert blake3((data / one.user / "files" / one.path).read_bytes()).hexdigest() == one.blake3
    first = {one.blake3 for one in truth if not one.duplicate}
    assert len(first) == sum(not one.duplicate for one in truth)
    assert {one.blake3 for one in truth if one.duplicate} <= first
    found = {digest for user in users for digest in uploads.contents(data / user)}
    assert found == first


def test_contents_counts_each_content(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name, content in (("x", b"1"), ("a/x", b"1"), ("y", b"2")):
        (tmp_path / name).write_bytes(content)
    assert sorted(uploads.contents(tmp_path).values()) == [1, 2]
