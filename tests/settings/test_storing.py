"""The settings file is the old one or the new one, whole; nobody's change is overwritten; mounts are respected."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from daemon.errors import NeedsPerson
from daemon.settings import storing
from daemon.settings.storing import etag_of, is_mounted, store, writable
from daemon.settings.versions import KEPT, Versions

if TYPE_CHECKING:
    from collections.abc import Iterator

OLD, NEW = b"watch: {settle: 10s}\n# the end\n", b"watch: {settle: 15s}\n"
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")


class PowerCut(BaseException):
    """The machine is gone at once: nothing that would tidy up runs any more."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "config" / "photon-relay.yaml"
    file.parent.mkdir()
    file.write_bytes(OLD)
    return file


def mount(*words: object) -> None:
    done = subprocess.run(["mount", *map(str, words)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"no mounts here: {done.stderr.decode()}")


def unmount(path: Path) -> None:
    subprocess.run(["umount", str(path)], check=True)


@pytest.fixture
def mounted(file: Path, tmp_path: Path) -> Iterator[Path]:
    """Give a file that alone is bind-mounted, with blanks in its name as the kernel escapes them."""
    target = tmp_path / "in the container" / "photon relay.yaml"
    target.parent.mkdir()
    target.touch()
    mount("--bind", file, target)
    yield target
    unmount(target)


def test_a_file_is_replaced_with_its_mode_and_owner(file: Path) -> None:
    file.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(file, 1234, 2345)
    before = file.stat()
    assert store(file, NEW, etag_of(OLD)) == "renamed"
    after = file.stat()
    assert file.read_bytes() == NEW
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino
    assert list(file.parent.iterdir()) == [file]


def test_a_link_stays_a_link_and_what_it_leads_to_is_replaced(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.yaml"
    link.symlink_to(file)
    store(link, NEW, etag_of(OLD))
    assert link.is_symlink()
    assert file.read_bytes() == NEW


def test_what_was_changed_meanwhile_is_not_overwritten(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NeedsPerson) as caught:
        store(file, NEW, etag_of(NEW))
    assert caught.value.code == "config.conflict"
    # An editor that saves while ours is being written.
    real = storing._dress
    monkeypatch.setattr(storing, "_dress", lambda *args: (real(*args), file.write_bytes(b"theirs: 1\n")))
    with pytest.raises(NeedsPerson) as caught:
        store(file, NEW, etag_of(OLD))
    assert caught.value.code == "config.conflict"
    assert file.read_bytes() == b"theirs: 1\n"
    assert list(file.parent.iterdir()) == [file]
    file.unlink()
    with pytest.raises(NeedsPerson):
        store(file, NEW, etag_of(OLD))


@root_only
def test_where_only_the_file_is_mounted_it_is_written_in_place(mounted: Path, file: Path) -> None:
    assert is_mounted(mounted)
    assert not is_mounted(file)
    assert writable(mounted).can
    assert store(mounted, NEW, etag_of(OLD)) == "in place"
    assert mounted.read_bytes() == file.read_bytes() == NEW
    longer = NEW + b"# " + b"x" * 10_000 + b"\n"
    store(mounted, longer, etag_of(NEW))
    assert file.read_bytes() == longer
    assert list(mounted.parent.iterdir()) == [mounted]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Give a folder on a disk of 16 pages with the old settings in it, and not one page free."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", disk)
    (disk / "photon-relay.yaml").write_bytes(OLD)
    with (disk / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while ballast.write(b"x" * 4096):
            pass
    yield disk
    unmount(disk)


LONG = NEW + b"# " + b"x" * 10_000 + b"\n"


@root_only
@pytest.mark.parametrize("content", [NEW, LONG])
def test_on_a_full_disk_the_old_text_stays_whole_and_it_is_said(small: Path, content: bytes) -> None:
    file = small / "photon-relay.yaml"
    with pytest.raises(NeedsPerson) as caught:
        store(file, content, etag_of(OLD))
    assert caught.value.code == "config.read_only"
    assert "No space left" in caught.value.message
    assert "space" in caught.value.hint
    assert file.read_bytes() == OLD
    assert sorted(one.name for one in small.iterdir()) == ["ballast", file.name]
    (small / "ballast").unlink()
    assert store(file, content, etag_of(OLD)) == "renamed"
    assert file.read_bytes() == content


@root_only
def test_a_mounted_file_on_a_full_disk_is_not_torn(small: Path, tmp_path: Path) -> None:
    target = tmp_path / "mounted.yaml"
    target.touch()
    mount("--bind", small / "photon-relay.yaml", target)
    try:
        with pytest.raises(NeedsPerson) as caught:
            store(target, LONG, etag_of(OLD))
        assert "No space left" in caught.value.message
        assert target.read_bytes() == OLD
        # What fits into the room that the file has goes.
        assert store(target, NEW, etag_of(OLD)) == "in place"
        assert target.read_bytes() == NEW
    finally:
        unmount(target)


@root_only
def test_killed_while_writing_in_place_it_still_says_the_new(mounted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object) -> None:
        raise PowerCut

    monkeypatch.setattr("daemon.settings.storing.os.ftruncate", cut)
    with pytest.raises(PowerCut):
        store(mounted, NEW, etag_of(OLD))
    assert mounted.read_bytes() == NEW + b"\n" * (len(OLD) - len(NEW))


@root_only
def test_a_read_only_mount_says_so(mounted: Path) -> None:
    mount("-o", "remount,bind,ro", mounted)
    found = writable(mounted)
    assert not found.can
    assert "read-only" in found.why_not
    with pytest.raises(NeedsPerson) as caught:
        store(mounted, NEW, etag_of(OLD))
    assert caught.value.code == "config.read_only"
    assert "read-only" in caught.value.hint


@root_only
def test_a_mounted_folder_is_written_by_renaming(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "mounted"
    target.mkdir()
    mount("--bind", file.parent, target)
    try:
        assert store(target / file.name, NEW, etag_of(OLD)) == "renamed"
    finally:
        unmount(target)
    assert file.read_bytes() == NEW


@pytest.mark.parametrize("name", ["write", "fchmod", "fsync", "rename", "listxattr"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_power_cut_at_any_call_leaves_one_of_both_whole(
    file: Path, monkeypatch: pytest.MonkeyPatch, name: str, when: str
) -> None:
    target: Any = Path if name == "rename" else os
    real = getattr(target, name)

    def cut(*args: object) -> None:
        if when == "after":
            real(*args)
        raise PowerCut

    monkeypatch.setattr(target, name, cut)
    monkeypatch.setattr(Path, "unlink", lambda _: None)
    with pytest.raises(PowerCut):
        store(file, NEW, etag_of(OLD))
    assert file.read_bytes() in {OLD, NEW}
    assert (file.read_bytes() == NEW) == (name == "rename" and when == "after")


def test_the_last_twenty_versions_are_kept_for_our_eyes_only(tmp_path: Path) -> None:
    versions = Versions(tmp_path / "state" / "versions")
    assert versions.all() == []
    for number in range(KEPT + 5):
        versions.note(b"a: %d\n" % number, f"page {number}", 1000.0 + number)
    again = versions.note(b"a: 24\n", "somebody else", 5.0)
    assert again.who == "page 24"
    found = versions.all()
    assert [one.id for one in found] == list(range(25, 5, -1))
    assert versions.content(25) == b"a: 24\n"
    assert found[0].at == 1024.0
    folder = tmp_path / "state" / "versions"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in folder.iterdir()} == {0o600}
    assert len(list(folder.iterdir())) == 2 * KEPT
    for number in (5, -1, 99):
        with pytest.raises(NeedsPerson) as caught:
            versions.content(number)
        assert caught.value.code == "version.unknown"


def test_a_version_that_is_damaged_is_none(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    versions.note(b"a: 1\n", "x", 1.0)
    versions.note(b"a: 2\n", "x", 2.0)
    (tmp_path / "1.json").write_text("{")
    (tmp_path / "2.yaml").write_text("a: 3\n")
    (tmp_path / "9.json").write_text("[]")
    assert [one.id for one in versions.all()] == [2]
    with pytest.raises(NeedsPerson):
        versions.content(2)
    assert versions.note(b"a: 4\n", "x", 3.0).id == 3
