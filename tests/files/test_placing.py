from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from daemon.errors import NeedsPerson, Refused, Transient
from daemon.files import placing, publishing
from daemon.files.faults import disk_fault
from daemon.files.opening import directory_below, file_below
from daemon.files.placing import Placed, copy_into, link_into
from daemon.files.publishing import free_bytes, made_dirs, make_dirs, publish, rename_noreplace
from daemon.fingerprint import Fingerprint
from tests.files.conftest import mount, unmount

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LONG_AGO = 1_234_567_890_123_456_789
DATA = bytes(range(256)) * 12345


def copy(source: Path, target: Path, **more: object) -> Placed:
    with (
        file_below(str(source.parent), source.name) as opened,
        directory_below(str(target.parent), "") as dir_fd,
    ):
        options = {"size": opened.status.st_size, "mtime_ns": opened.status.st_mtime_ns} | more
        return copy_into(opened.fd, dir_fd, target.name, **options)  # type: ignore[arg-type]


def extents(path: Path) -> list[int]:
    """The disk addresses of a file's extents (FS_IOC_FIEMAP)."""
    buffer = bytearray(struct.pack("=QQLLLL", 0, 1 << 62, 1, 0, 64, 0) + bytes(64 * 56))
    with path.open("rb") as file:
        fcntl.ioctl(file, 0xC020660B, buffer)
    count = struct.unpack_from("=L", buffer, 20)[0]
    return [struct.unpack_from("=Q", buffer, 32 + 56 * index + 8)[0] for index in range(count)]


def test_a_copy_has_the_bytes_the_time_and_the_mode(filesystem: Path) -> None:
    source = filesystem / "IMG_1.jpg"
    source.write_bytes(DATA)
    source.chmod(0o600)
    os.utime(source, ns=(LONG_AGO, LONG_AGO))
    (filesystem / "batch").mkdir()
    target = filesystem / "batch" / "IMG_1.jpg"
    placed = copy(source, target)
    assert target.read_bytes() == DATA
    assert target.stat().st_mtime_ns == LONG_AGO
    assert placed.times_kept
    assert stat.S_IMODE(target.stat().st_mode) == 0o664
    assert target.stat().st_nlink == 1
    assert target.stat().st_ino != source.stat().st_ino
    assert placed.fingerprint == Fingerprint.of(target.stat())
    with pytest.raises(FileExistsError):
        copy(source, target)


@pytest.mark.parametrize("kind", ["btrfs", "xfs"])
def test_a_reflink_shares_its_extents_and_no_later_write(
    mounted: Callable[[str], Path], tmp_path: Path, kind: str
) -> None:
    folder = mounted(kind) / tmp_path.name
    folder.mkdir()
    source, target = folder / "a.jpg", folder / "b.jpg"
    source.write_bytes(DATA)
    assert copy(source, target).method == "reflink"
    os.sync()
    assert extents(source) == extents(target) != []
    with source.open("r+b") as file:
        file.write(b"other")
    assert target.read_bytes() == DATA


def test_between_file_systems_it_is_copied(mounted: Callable[[str], Path], tmp_path: Path) -> None:
    source, target = tmp_path / "a.jpg", mounted("tmpfs") / f"{tmp_path.name}.jpg"
    source.write_bytes(DATA)
    assert copy(source, target).method in {"copy_file_range", "copy"}
    assert target.read_bytes() == DATA


def test_between_two_bind_mounts_of_one_disk_it_is_still_shared(mounted: Callable[[str], Path], tmp_path: Path) -> None:
    folder = mounted("btrfs") / tmp_path.name
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "x.jpg").write_bytes(DATA)
    (tmp_path / "bound").mkdir()
    subprocess.run(["mount", "--bind", str(folder / "a"), str(tmp_path / "bound")], check=True)
    try:
        assert copy(tmp_path / "bound" / "x.jpg", folder / "y.jpg").method == "reflink"
        with file_below(str(tmp_path / "bound"), "x.jpg") as opened, directory_below(str(folder), "") as dir_fd:
            assert link_into(opened.fd, dir_fd, "z.jpg", mode=0o644, expected=opened.fingerprint, sync=True) is None
    finally:
        unmount(tmp_path / "bound")


@pytest.mark.parametrize("size", [0, 1, (1 << 20) + 3])
@pytest.mark.parametrize("broken", [errno.EXDEV, errno.ENOSYS, errno.EPERM])
def test_where_the_kernel_offers_nothing_it_reads_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, broken: int
) -> None:
    def no(*_args: object) -> int:
        raise OSError(broken, os.strerror(broken))

    monkeypatch.setattr(placing, "clone", no)
    monkeypatch.setattr(os, "copy_file_range", no)
    (tmp_path / "a.jpg").write_bytes(os.urandom(size))
    told: list[int] = []
    assert copy(tmp_path / "a.jpg", tmp_path / "b.jpg", each_block=told.append).method == "copy"
    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes()
    assert told[-1:] == ([size] if size else [])


def test_a_kernel_copy_that_ends_early_is_finished_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.copy_file_range

    def lazy(source: int, target: int, count: int, at: int, to: int) -> int:
        return 0 if at else real(source, target, min(count, 1000), at, to)

    monkeypatch.setattr(os, "copy_file_range", lazy)
    monkeypatch.setattr(placing, "clone", lambda *_: (_ for _ in ()).throw(OSError(errno.EOPNOTSUPP, "no")))
    (tmp_path / "a.jpg").write_bytes(DATA)
    copy(tmp_path / "a.jpg", tmp_path / "b.jpg")
    assert (tmp_path / "b.jpg").read_bytes() == DATA


def test_a_full_disk_passes_by_itself_and_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "a.jpg"
    source.write_bytes(os.urandom(2 << 20))
    point = mount("tmpfs", tmp_path, megabytes=1)
    try:
        with pytest.raises(Transient) as caught:
            copy(source, point / "b.jpg")
        assert caught.value.code == "disk.full"
        assert list(point.iterdir()) == []
        assert free_bytes(str(point)) > 900_000
        subprocess.run(["mount", "-o", "remount,ro", str(point)], check=True)
        with pytest.raises(Transient) as caught:
            copy(source, point / "b.jpg")
        assert caught.value.code == "disk.read_only"
    finally:
        unmount(point)


def test_a_source_that_became_shorter_is_not_placed(filesystem: Path) -> None:
    (filesystem / "a.jpg").write_bytes(DATA)
    with pytest.raises(Transient, match="changed"):
        copy(filesystem / "a.jpg", filesystem / "b.jpg", size=len(DATA) + 1)
    assert not (filesystem / "b.jpg").exists()


def test_a_source_that_became_longer_is_not_placed(filesystem: Path) -> None:
    source = filesystem / "a.jpg"
    source.write_bytes(DATA)
    expected = Fingerprint.of(source.stat())
    with source.open("ab") as file:
        file.write(b"more")
    with pytest.raises(Transient, match="changed"):
        copy(source, filesystem / "b.jpg", size=len(DATA), expected=expected)
    assert not (filesystem / "b.jpg").exists()


def test_a_source_that_changes_while_it_is_copied_is_not_placed(tmp_path: Path) -> None:
    source = tmp_path / "a.jpg"
    source.write_bytes(DATA)
    expected = Fingerprint.of(source.stat())

    def write(_done: int) -> None:
        with source.open("r+b") as file:
            file.write(b"other")

    with pytest.raises(Transient, match="changed"):
        copy(source, tmp_path / "b.jpg", expected=expected, each_block=write)
    assert not (tmp_path / "b.jpg").exists()


def test_what_stops_a_copy_leaves_no_half_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(DATA)

    def stop(_done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy(tmp_path / "a.jpg", tmp_path / "b.jpg", each_block=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]


@pytest.mark.parametrize("sync", [False, True])
def test_a_link_gives_the_new_baseline(filesystem: Path, sync: bool) -> None:
    source = filesystem / "a.jpg"
    source.write_bytes(DATA)
    source.chmod(0o640)
    before = Fingerprint.of(source.stat())
    with file_below(str(filesystem), "a.jpg") as opened, directory_below(str(filesystem), "") as dir_fd:
        placed = link_into(opened.fd, dir_fd, "b.jpg", mode=0o664, expected=before, sync=sync)
        assert placed is not None
        assert placed.method == "link"
        assert placed.fingerprint == Fingerprint.of(source.stat()) == Fingerprint.of((filesystem / "b.jpg").stat())
        assert before.renamed(placed.fingerprint)
        assert (filesystem / "b.jpg").stat().st_mode & 0o7777 == 0o664, "as a copy would have it"
    assert sorted(path.name for path in filesystem.iterdir()) == ["a.jpg", "b.jpg"]


def link(folder: Path, name: str = "b.jpg") -> Placed | None:
    with file_below(str(folder), "a.jpg") as opened, directory_below(str(folder), "") as dir_fd:
        return link_into(opened.fd, dir_fd, name, mode=0o664, expected=opened.fingerprint, sync=False)


def test_a_name_that_is_taken_is_not_linked_over(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(DATA)
    (tmp_path / "b.jpg").write_bytes(b"another")
    with pytest.raises(FileExistsError):
        link(tmp_path)
    assert (tmp_path / "b.jpg").read_bytes() == b"another"
    assert (tmp_path / "a.jpg").stat().st_nlink == 1


def test_a_file_with_two_names_already_is_copied(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(DATA)
    os.link(tmp_path / "a.jpg", tmp_path / "other.jpg")
    assert link(tmp_path) is None


def test_a_file_that_somebody_has_open_for_writing_is_copied(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(DATA)
    with (tmp_path / "a.jpg").open("r+b"):
        assert link(tmp_path) is None
    with (tmp_path / "a.jpg").open("rb"):
        assert link(tmp_path) is not None


def test_a_file_of_another_owner_or_group_is_copied(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to give files away")
    (tmp_path / "a.jpg").write_bytes(DATA)
    os.chown(tmp_path / "a.jpg", 33, -1)
    assert link(tmp_path) is None
    os.chown(tmp_path / "a.jpg", 0, 33)
    assert link(tmp_path) is None
    os.chown(tmp_path, 0, 33)
    tmp_path.chmod(0o2775)
    assert link(tmp_path) is not None, "a copy would belong to the folder's group"


def test_what_was_written_to_since_is_not_linked(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(DATA)
    with file_below(str(tmp_path), "a.jpg") as opened, directory_below(str(tmp_path), "") as dir_fd:
        (tmp_path / "a.jpg").write_bytes(DATA + b"more")
        with pytest.raises(Transient, match="since it was examined"):
            link_into(opened.fd, dir_fd, "b.jpg", mode=0o664, expected=opened.fingerprint, sync=False)
    assert not (tmp_path / "b.jpg").exists()


def test_a_link_is_made_of_the_open_file_not_of_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"examined")
    with file_below(str(tmp_path), "a.jpg") as opened:
        (tmp_path / "a.jpg").rename(tmp_path / "moved.jpg")
        (tmp_path / "a.jpg").write_bytes(b"another")
        now = Fingerprint.of(os.fstat(opened.fd))
        link_into(opened.fd, opened.dir_fd, "b.jpg", mode=0o644, expected=now, sync=True)
    assert (tmp_path / "b.jpg").read_bytes() == b"examined"


@pytest.mark.parametrize("kernel", ["renameat2", "link"])
def test_publishing_never_overwrites(filesystem: Path, monkeypatch: pytest.MonkeyPatch, kernel: str) -> None:
    if kernel == "link":
        without_renameat2(monkeypatch)
    (filesystem / ".new").write_bytes(b"new")
    (filesystem / "x.jpg").write_bytes(b"old")
    with directory_below(str(filesystem), "") as dir_fd:
        with pytest.raises(FileExistsError):
            publish(dir_fd, ".new", "x.jpg")
        assert (filesystem / "x.jpg").read_bytes() == b"old"
        assert (filesystem / ".new").read_bytes() == b"new"
        publish(dir_fd, ".new", "y.jpg")
        with pytest.raises(Refused, match="no longer"):
            publish(dir_fd, ".new", "z.jpg")
    assert sorted(path.name for path in filesystem.iterdir()) == ["x.jpg", "y.jpg"]


@pytest.mark.parametrize("kernel", ["renameat2", "link"])
def test_a_folder_is_published_whole_and_never_over_another(
    filesystem: Path, monkeypatch: pytest.MonkeyPatch, kernel: str
) -> None:
    if kernel == "link":
        without_renameat2(monkeypatch)
    (filesystem / ".batch").mkdir()
    (filesystem / ".batch" / "x.jpg").write_bytes(b"new")
    (filesystem / "taken").mkdir()
    with directory_below(str(filesystem), "") as dir_fd:
        with pytest.raises(FileExistsError):
            publish(dir_fd, ".batch", "taken")
        publish(dir_fd, ".batch", "batch")
    assert (filesystem / "batch" / "x.jpg").read_bytes() == b"new"
    assert sorted(path.name for path in filesystem.iterdir()) == ["batch", "taken"]


def test_a_link_without_its_unlink_is_finished_by_the_next_call(
    tmp_path: Path, folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_renameat2(monkeypatch)
    (tmp_path / ".new").write_bytes(b"new")
    with monkeypatch.context() as crash:
        crash.setattr(os, "unlink", lambda *_args, **_more: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            publish(folder, ".new", "x.jpg")
    assert sorted(os.listdir(folder)) == [".new", "x.jpg"]
    publish(folder, ".new", "x.jpg")
    assert os.listdir(folder) == ["x.jpg"]
    (tmp_path / ".new").hardlink_to(tmp_path / "x.jpg")
    monkeypatch.undo()
    publish(folder, ".new", "x.jpg")
    assert os.listdir(folder) == ["x.jpg"]


@pytest.mark.parametrize("kernel", ["renameat2", "link"])
def test_one_name_seen_twice_is_never_unlinked(
    tmp_path: Path, folder: int, monkeypatch: pytest.MonkeyPatch, kernel: str
) -> None:
    if kernel == "link":
        without_renameat2(monkeypatch)
    (tmp_path / "x.jpg").write_bytes(b"the only copy")
    with pytest.raises(FileExistsError):
        rename_noreplace(folder, "x.jpg", folder, "x.jpg")
    assert (tmp_path / "x.jpg").read_bytes() == b"the only copy"


def test_a_file_system_without_a_safe_rename_needs_a_person(
    tmp_path: Path, folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_renameat2(monkeypatch)
    monkeypatch.setattr(os, "link", lambda *_args, **_more: (_ for _ in ()).throw(OSError(errno.EPERM, "no links")))
    (tmp_path / "a").write_bytes(b"a")
    with pytest.raises(NeedsPerson) as caught:
        rename_noreplace(folder, "a", folder, "b")
    assert caught.value.code == "disk.no_safe_rename"
    assert os.listdir(folder) == ["a"]


def test_a_folder_filled_by_another_meanwhile_is_not_replaced(
    tmp_path: Path, folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_renameat2(monkeypatch)
    (tmp_path / ".batch").mkdir()
    real = os.rename

    def slow(source: str, target: str, **more: int) -> None:
        (tmp_path / "batch" / "foreign").write_bytes(b"1")
        real(source, target, **more)

    monkeypatch.setattr(os, "rename", slow)
    with pytest.raises(FileExistsError):
        publish(folder, ".batch", "batch")
    assert (tmp_path / "batch" / "foreign").exists()
    assert (tmp_path / ".batch").exists()


def test_folders_are_made_with_their_mode_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        make_dirs(str(tmp_path), "2026/11", mode=0o2775)
        with made_dirs(str(tmp_path), "2026/11/x") as fd:
            assert os.path.samestat(os.fstat(fd), (tmp_path / "2026/11/x").stat())
    finally:
        os.umask(before)
    for part in ("2026", "2026/11", "2026/11/x"):
        assert stat.S_IMODE((tmp_path / part).stat().st_mode) == 0o2775
    make_dirs(str(tmp_path), "")


def test_folders_are_not_made_through_links(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "out")
    (tmp_path / "in" / "file").touch()
    for relpath, code in (("link/x", "file.link"), ("file/x", "file.not_directory"), ("../x", "file.outside")):
        with pytest.raises(Refused) as caught:
            make_dirs(str(tmp_path / "in"), relpath)
        assert caught.value.code == code
    assert list((tmp_path / "out").iterdir()) == []


def test_missing_rights_are_told_with_user_and_path() -> None:
    error = disk_fault(PermissionError(errno.EACCES, "Permission denied"), "copying to", "/import/a\nb.jpg")
    assert isinstance(error, NeedsPerson)
    assert error.code == "disk.permission"
    assert f"uid {os.geteuid()}" in error.message
    assert "/import/a\\u000ab.jpg" in error.message


@pytest.mark.parametrize(
    ("code", "kind", "told"),
    [
        (errno.ENOSPC, Transient, "disk.full"),
        (errno.EDQUOT, Transient, "disk.full"),
        (errno.EROFS, Transient, "disk.read_only"),
        (errno.EIO, Transient, "disk.error"),
        (errno.ESTALE, Transient, "disk.error"),
        (errno.EPERM, NeedsPerson, "disk.permission"),
        (errno.ENOENT, Refused, "file.vanished"),
        (errno.ENAMETOOLONG, Refused, "file.name"),
        (errno.EBUSY, Transient, "file.busy"),
    ],
)
def test_each_answer_of_the_disk_has_its_code(code: int, kind: type[Exception], told: str) -> None:
    error = disk_fault(OSError(code, os.strerror(code)), "reading", "/x")
    assert isinstance(error, kind)
    assert error.code == told


def without_renameat2(monkeypatch: pytest.MonkeyPatch) -> None:
    def no(*_args: object) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(publishing, "renameat2_noreplace", no)
