"""Where photos go: import, originals, the folder archive, the state folder, and the room there."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon.checks import places, space, state
from daemon.checks.check import Check, Level
from daemon.checks.doing import make_and_remove
from tests.checks.conftest import House, snapshot
from tests.checks.watched_folder import WatchedFolder
from tests.files.conftest import mount, unmount

if TYPE_CHECKING:
    from collections.abc import Iterator


def only(checks: list[Check]) -> Check:
    [check] = checks
    return check


@pytest.fixture
def shm() -> Iterator[Path]:
    """A folder on another file system than the tests'."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def test_import_is_tried_with_hidden_names_alone(house: House) -> None:
    watched, before = WatchedFolder(house.imports), snapshot(house.root)
    found = only(places.import_folder(house.settings()))
    assert found.level is Level.OK
    assert "on the same file system" in found.message or "reflink" in found.message
    events = watched.events()
    assert [what for what, _ in events] == ["create", "from", "to", "delete"]
    assert all(name.startswith(".photon-relay-check-") for _, name in events)
    assert snapshot(house.root) == before


def test_import_that_is_not_there(house: House) -> None:
    house.imports.rmdir()
    found = only(places.import_folder(house.settings()))
    assert (found.level, found.code) == (Level.FAILED, "disk.no_root")
    assert "photoprism.import" in found.hint


def test_import_that_is_a_file(house: House) -> None:
    house.imports.rmdir()
    house.imports.touch()
    assert only(places.import_folder(house.settings())).level is Level.FAILED


def test_import_without_the_data_directory(house: House) -> None:
    found = only(places.import_folder(house.settings(nextcloud={"data": "/nowhere"})))
    assert found.level is Level.OK
    assert "not known" in found.message
    assert list(house.imports.iterdir()) == []


def test_import_on_another_file_system(house: House, shm: Path) -> None:
    found = only(places.import_folder(house.settings(photoprism={"import": str(shm)})))
    assert found.level is Level.OK
    assert "another file system, and photos are copied once" in found.message


def test_import_on_a_file_system_that_shares_bytes(house: House, tmp_path: Path) -> None:
    point = mount("btrfs", tmp_path)
    try:
        (point / "data").mkdir()
        (point / "data/.ncdata").write_text("# Nextcloud data directory\n")
        (point / "import").mkdir()
        settings = house.settings(nextcloud={"data": str(point / "data")}, photoprism={"import": str(point / "import")})
        assert "reflink" in only(places.import_folder(settings)).message
    finally:
        unmount(point)


def test_a_full_file_system_is_told(house: House, tmp_path: Path) -> None:
    point = mount("tmpfs", tmp_path, megabytes=1)
    try:
        with (point / "fill").open("wb", buffering=0) as fill, suppress(OSError):
            while fill.write(b"x" * 4096):
                pass
        before = snapshot(point)
        found = only(places.import_folder(house.settings(photoprism={"import": str(point)})))
        assert (found.level, found.code) == (Level.FAILED, "disk.full")
        assert snapshot(point) == before
        settings = house.settings(photoprism={"import": str(point)})
        assert "disk.low" in [check.code for check in space.free_space(settings)]
    finally:
        unmount(point)


def test_a_group_that_is_not_the_folders_own(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("giving a folder to another group needs root")
    os.chown(house.imports, -1, 4321)
    house.imports.chmod(0o775)
    # Root gives away what it makes; anybody else cannot.
    assert only(places.import_folder(house.settings())).level is Level.OK
    monkeypatch.setattr(os, "geteuid", lambda: 33)
    found = places.import_folder(house.settings())
    assert [(check.level, check.code) for check in found] == [(Level.OK, ""), (Level.WARNING, "import.group")]
    assert "4321" in found[1].message
    assert "g+rwxs" in found[1].hint
    house.imports.chmod(0o2775)
    assert only(places.import_folder(house.settings())).level is Level.OK


@pytest.mark.parametrize(
    ("folder", "file", "well"), [(0o775, 0o664, True), (0o775, 0o644, False), (0o755, 0o664, False)]
)
def test_modes_that_are_not_kept(house: House, folder: int, file: int, well: bool) -> None:
    made = make_and_remove(str(house.imports), str(house.data))
    assert stat.S_IMODE(made.folder.st_mode) & 0o2777 == 0o2775
    assert stat.S_IMODE(made.file.st_mode) == 0o664

    def with_mode(status: os.stat_result, mode: int) -> os.stat_result:
        return os.stat_result([stat.S_IFMT(status.st_mode) | mode, *status[1:]])

    made = type(made)(made.top, with_mode(made.folder, folder), with_mode(made.file, file), made.method, True, True)
    assert [check.code for check in places.ownership("/import", made)] == ([] if well else ["import.mode"])


def test_originals(house: House) -> None:
    found = only(places.originals(house.settings()))
    assert (found.level, "one mount with import" in found.message) == (Level.OK, True)


def test_originals_not_mounted(house: House) -> None:
    found = only(places.originals(house.settings(photoprism={"originals": ""})))
    assert (found.level, found.code) == (Level.WARNING, "originals.not_mounted")
    assert "side files cannot be proved" in found.message


def test_originals_not_there_or_empty(house: House, tmp_path: Path) -> None:
    found = only(places.originals(house.settings(photoprism={"originals": str(tmp_path / "gone")})))
    assert (found.level, found.code) == (Level.FAILED, "disk.no_root")
    (house.originals / "2026/11/a.jpg").unlink()
    (house.originals / ".hidden").mkdir()
    (house.originals / ".hidden/x").touch()
    found = only(places.originals(house.settings()))
    assert (found.level, found.code) == (Level.WARNING, "originals.empty")


def test_originals_on_another_mount(house: House, shm: Path) -> None:
    (shm / "a.jpg").touch()
    found = only(places.originals(house.settings(photoprism={"originals": str(shm)})))
    assert (found.level, "another mount than import" in found.message) == (Level.OK, True)


def test_folder_archive(house: House, shm: Path) -> None:
    before = snapshot(house.root)
    found = only(places.archive_folder(house.settings()))
    assert (found.level, "one mount with the data directory" in found.message) == (Level.OK, True)
    found = only(places.archive_folder(house.settings(archive={"folder": {"path": str(shm)}})))
    assert "another file system" in found.message
    assert snapshot(house.root) == before
    assert list(shm.iterdir()) == []


def test_folder_archive_with_faults(house: House) -> None:
    folder = {"path": str(house.root / "gone"), "template": "{what}"}
    found = places.archive_folder(house.settings(archive={"folder": folder}))
    assert {check.level for check in found} == {Level.FAILED}
    assert {check.code for check in found} == {"template.invalid", "disk.no_root"}
    assert "archive.folder.path" in found[-1].hint


def test_free_space(house: House) -> None:
    assert [check.level for check in space.free_space(house.settings())] == [Level.OK, Level.OK]
    found = space.free_space(house.settings(relay={"min_free": "100000TiB"}))
    assert [check.level for check in found] == [Level.FAILED, Level.WARNING]
    assert {check.code for check in found} == {"disk.low"}
    assert all("relay.min_free" in check.hint for check in found)
    settings = house.settings(archive={"via": "folder", "folder": {"path": str(house.root / "gone")}})
    assert len(space.free_space(settings)) == 1


def test_state_folder(house: House) -> None:
    before = snapshot(house.root)
    assert "can be written" in only(state.state_folder(house.settings())).message
    assert snapshot(house.root) == before
    (house.root / "state").rmdir()
    assert "will be made" in only(state.state_folder(house.settings())).message
    assert not (house.root / "state").exists()
    (house.root / "state").touch()
    assert only(state.state_folder(house.settings())).code == "state.no_folder"


@pytest.mark.parametrize(
    ("kind", "level", "code"),
    [("nfs4", Level.FAILED, "state.network"), ("fuse.shfs", Level.WARNING, "state.fuse"), (None, Level.OK, "")],
)
def test_state_on_a_network(
    house: House, monkeypatch: pytest.MonkeyPatch, kind: str | None, level: Level, code: str
) -> None:
    monkeypatch.setattr(state, "silent_kind", lambda _path: kind)
    found = only(state.state_folder(house.settings()))
    assert (found.level, found.code) == (level, code)
