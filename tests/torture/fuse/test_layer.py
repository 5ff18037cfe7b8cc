"""The layer, mounted: an ordinary disk as long as nobody disturbs, then one that fails, and one that forgets."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from daemon.files import syscalls
from daemon.files.placing import copy_into
from daemon.files.publishing import rename_noreplace
from tests.torture.fuse.mount import ROOT, Mount
from tests.torture.needs import needs_fuse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = needs_fuse


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mount]:
    folder = tmp_path_factory.mktemp("plain")
    with Mount(folder / "backing", folder / "mount") as mount:
        yield mount


@pytest.fixture
def plain(shared: Mount) -> Iterator[Mount]:
    yield shared
    shared.clear()
    subprocess.run(["find", str(shared.path), "-mindepth", "1", "-delete"], check=True)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mount]:
    folder = tmp_path_factory.mktemp("recorded")
    with Mount(folder / "backing", folder / "mount", record=True) as mount:
        yield mount


@pytest.fixture(params=["plain", "recorded"])
def mount(request: pytest.FixtureRequest, shared: Mount, disk: Mount) -> Iterator[Mount]:
    used = shared if request.param == "plain" else disk
    yield used
    subprocess.run(["find", str(used.path), "-mindepth", "1", "-delete"], check=True)


def _again(disk: Mount, seed: int = 1, how: str = "nothing") -> None:
    disk.cut()
    assert disk.power_on(seed, how) == how


def _synced(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    os.close(fd)


def _made(path: Path, content: bytes) -> Path:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    _synced(path.parent)
    return path


class TestOrdinary:
    def test_files_folders_links_modes_and_times(self, mount: Mount) -> None:
        path = mount.path
        (path / "a/b").mkdir(parents=True)
        file = path / "a/b" / os.fsdecode(b"not utf-8 \xff.jpg")
        file.write_bytes(b"x" * 300_000)
        os.utime(file, ns=(1, 1_700_000_000_123_456_789))
        file.chmod(0o640)
        os.link(file, path / "second")
        (path / "link").symlink_to("a/b")
        status = file.stat()
        assert (status.st_mtime_ns, status.st_mode & 0o777, status.st_nlink) == (1_700_000_000_123_456_789, 0o640, 2)
        assert status.st_ino == (path / "second").stat().st_ino == os.lstat(mount.backing / "second").st_ino
        assert os.listdir(path / "link") == [file.name]
        assert (mount.backing / "a/b" / file.name).read_bytes() == b"x" * 300_000
        with pytest.raises(OSError, match="not empty"):
            (path / "a").rmdir()
        file.unlink()
        assert (path / "second").stat().st_nlink == 1
        with (path / "second").open("r+b") as held:
            (path / "second").unlink()
            held.write(b"still")
            held.seek(0)
            assert held.read(6) == b"stillx"
            os.fsync(held.fileno())
        (path / "a/b").rmdir()
        assert sorted(os.listdir(path)) == ["a", "link"]

    def test_a_socket_where_nothing_is_recorded(self, plain: Mount) -> None:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(plain.path / "socket"))
        assert (plain.path / "socket").is_socket()

    def test_what_the_program_asks_of_a_disk(self, mount: Mount) -> None:
        path = mount.path
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        passing = os.open(path, os.O_PATH | os.O_DIRECTORY)
        (path / "one").write_bytes(b"1" * 100_000)
        (path / "two").write_bytes(b"2")
        with pytest.raises(FileExistsError):
            syscalls.renameat2_noreplace(fd, "one", fd, "two")
        rename_noreplace(passing, "one", passing, "three")
        with (path / "three").open("rb") as source:
            os.link(f"/proc/self/fd/{source.fileno()}", "four", dst_dir_fd=fd, follow_symlinks=True)
            placed = copy_into(source.fileno(), fd, "five", size=100_000, mtime_ns=5)
            # A copy of the kernel's own, which reads and writes here.
            assert placed.method == "copy_file_range"
            target = os.open(path / "six", os.O_WRONLY | os.O_CREAT, 0o600)
            with pytest.raises(OSError, match="not supported"):
                syscalls.clone(source.fileno(), target)
            os.close(target)
        with pytest.raises(OSError, match="not supported"):
            os.open(path, os.O_TMPFILE | os.O_WRONLY)
        assert (path / "five").read_bytes() == b"1" * 100_000
        assert (path / "five").stat().st_mtime_ns == 5
        with (path / "lock").open("w") as one, (path / "lock").open("w") as other:
            fcntl.flock(one, fcntl.LOCK_EX)
            with pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (path / "some-shm").write_bytes(b"1" * 5000)
        with (path / "some-shm").open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
            mapped[0:3] = b"map"
            mapped.flush()
        assert (mount.backing / "some-shm").read_bytes()[:3] == b"map"
        os.close(fd)
        os.close(passing)

    def test_files_belong_to_who_makes_them(self, mount: Mount) -> None:
        mount.path.chmod(0o2777)
        os.chown(mount.path, -1, 5)
        code = "umask 027; mkdir d; : > f; ln -s f l"
        subprocess.run(["/bin/sh", "-c", code], cwd=mount.path, user=33, group=33, extra_groups=[], check=True)
        for name in "dfl":
            status = os.lstat(mount.path / name)
            assert (status.st_uid, status.st_gid) == (33, 5), name
        assert (mount.path / "f").stat().st_mode & 0o777 == 0o640
        denied = subprocess.run(["cat", "f"], cwd=mount.path, user=34, group=34, extra_groups=[], check=False)
        assert denied.returncode == 1

    def test_inotify_hears_of_what_goes_through_the_mount(self, plain: Mount) -> None:
        from watchfiles import watch

        heard: list[str] = []
        stop = threading.Event()
        seen = threading.Thread(
            target=lambda: heard.extend(
                path for found in watch(plain.path, stop_event=stop, step=20) for _, path in found
            )
        )
        seen.start()
        time.sleep(0.3)
        (plain.path / "new.jpg").write_bytes(b"x")
        until = time.monotonic() + 10
        while not heard and time.monotonic() < until:
            time.sleep(0.02)
        stop.set()
        seen.join()
        assert str(plain.path / "new.jpg") in heard


class TestFaults:
    def test_an_error_on_chosen_paths_and_for_so_many_calls(self, plain: Mount) -> None:
        _made(plain.path / "a.jpg", b"a")
        _made(plain.path / "b.jpg", b"b")
        rule = plain.fault("read", path="a.*", errno="EIO", times=1)
        assert (plain.path / "b.jpg").read_bytes() == b"b"
        with pytest.raises(OSError, match="Input/output") as found:
            (plain.path / "a.jpg").read_bytes()
        assert found.value.errno == errno.EIO
        assert (plain.path / "a.jpg").read_bytes() == b"a"
        assert plain.acted(rule) == 1
        assert plain.clear(rule) == 1

    @pytest.mark.parametrize("name", ["ENOSPC", "EDQUOT"])
    def test_a_disk_that_is_full_from_the_third_write_on(self, plain: Mount, name: str) -> None:
        plain.fault("growing", errno=name, first=4)  # the file's making is the first
        with (plain.path / "grows").open("wb", buffering=0) as file:
            file.write(b"1")
            file.write(b"2")
            with pytest.raises(OSError) as found:  # noqa: PT011
                file.write(b"3")
        assert found.value.errno == getattr(errno, name)
        with pytest.raises(OSError):  # noqa: PT011
            (plain.path / "folder").mkdir()
        plain.free(5 << 20)
        assert 4 << 20 < os.statvfs(plain.path).f_bavail * os.statvfs(plain.path).f_frsize <= 5 << 20
        plain.free(None)

    def test_read_only(self, plain: Mount) -> None:
        _made(plain.path / "a", b"a")
        plain.fault("changing", errno="EROFS")
        for change in (
            (plain.path / "a").unlink, (plain.path / "b").mkdir, lambda: (plain.path / "a").rename(plain.path / "c"),
            lambda: (plain.path / "a").write_bytes(b""), lambda: (plain.path / "a").chmod(0o600),
        ):  # fmt: skip
            with pytest.raises(OSError, match="Read-only"):
                change()
        assert (plain.path / "a").read_bytes() == b"a"

    def test_syncing_fails(self, plain: Mount) -> None:
        plain.fault("syncing", errno="EIO")
        with pytest.raises(OSError, match="Input/output"):
            _made(plain.path / "a", b"a")
        with pytest.raises(OSError, match="Input/output"):
            _synced(plain.path)

    def test_a_chance_by_its_seed(self, plain: Mount) -> None:
        _made(plain.path / "a", b"a")

        def tries() -> list[bool]:
            plain.fault("getattr", path="a", errno="EIO", chance=0.5, seed=3)
            found = [os.access(plain.path / "a", os.F_OK) for _ in range(30)]
            plain.clear()
            return found

        first = tries()
        assert 3 < sum(first) < 27
        assert tries() == first

    def test_slow_reads_do_not_hold_up_others(self, plain: Mount) -> None:
        _made(plain.path / "slow", b"s")
        _made(plain.path / "quick", b"q")
        plain.fault("read", path="slow", seconds=1.0)
        began = time.monotonic()
        reader = threading.Thread(target=(plain.path / "slow").read_bytes)
        reader.start()
        time.sleep(0.1)
        assert (plain.path / "quick").read_bytes() == b"q"
        assert time.monotonic() - began < 0.9
        reader.join()
        assert time.monotonic() - began >= 1.0

    def test_unmounted_under_way_and_dead(self, tmp_path: Path) -> None:
        with Mount(tmp_path / "backing", tmp_path / "mount") as mount:
            (mount.path / "open").write_bytes(b"x")
            with (mount.path / "open").open("rb") as held:
                mount.unmount()
                assert os.listdir(mount.path) == []
                assert held.read() == b"x"
        with Mount(tmp_path / "backing", tmp_path / "mount") as mount:
            mount.die()
            with pytest.raises(OSError, match="not connected"):
                os.listdir(mount.path)
        assert os.listdir(tmp_path / "mount") == []

    def test_a_test_that_dies_leaves_no_mount(self, tmp_path: Path) -> None:
        code = (
            "import os, sys; from pathlib import Path; from tests.torture.fuse.mount import Mount\n"
            f"Mount(Path({str(tmp_path / 'back')!r}), Path({str(tmp_path / 'mount')!r})).__enter__(); os._exit(3)"
        )
        assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 3
        until = time.monotonic() + 20
        while os.path.ismount(tmp_path / "mount") and time.monotonic() < until:
            time.sleep(0.05)
        assert not os.path.ismount(tmp_path / "mount")

    def test_calls_are_counted(self, plain: Mount) -> None:
        before = plain.calls().get("rename", 0)
        (plain.path / "a").write_bytes(b"")
        (plain.path / "a").rename(plain.path / "b")
        assert plain.calls()["rename"] == before + 1


class TestPowerCut:
    @pytest.fixture(autouse=True)
    def _empty(self, disk: Mount) -> Iterator[None]:
        yield
        subprocess.run(["find", str(disk.path), "-mindepth", "1", "-delete"], check=True)
        disk.settle()

    def test_what_was_synced_is_there_and_nothing_else(self, disk: Mount) -> None:
        _made(disk.path / "kept", b"kept")
        inode = (disk.path / "kept").stat()
        (disk.path / "no name").write_bytes(b"lost")
        with (disk.path / "no folder synced").open("wb") as file:
            file.write(b"lost too")
            file.flush()
            os.fsync(file.fileno())
        with (disk.path / "kept").open("r+b") as file:
            file.write(b"changed and longer")
        _again(disk)
        assert os.listdir(disk.path) == ["kept"]
        assert (disk.path / "kept").read_bytes() == b"kept"
        status = (disk.path / "kept").stat()
        assert (status.st_ino, status.st_ctime_ns, status.st_mtime_ns, status.st_nlink) == (
            inode.st_ino, inode.st_ctime_ns, inode.st_mtime_ns, 1,
        )  # fmt: skip

    def test_a_name_without_its_bytes(self, disk: Mount) -> None:
        (disk.path / "empty").write_bytes(b"x" * 5000)
        _synced(disk.path)
        disk.cut()
        disk.power_on(3, "nothing")
        assert (disk.path / "empty").read_bytes() == b""

    def test_removed_and_renamed_files_come_back_as_the_same_inodes(self, disk: Mount) -> None:
        _made(disk.path / "a", b"a")
        _made(disk.path / "b", b"b")
        (disk.path / "folder").mkdir()
        _synced(disk.path)
        before = {path.name: path.stat().st_ino for path in disk.path.iterdir()}
        (disk.path / "a").unlink()
        (disk.path / "b").rename(disk.path / "c")
        (disk.path / "folder").rmdir()
        (disk.path / "d").write_bytes(b"d")
        os.replace(disk.path / "d", disk.path / "c")
        _again(disk)
        assert {path.name: path.stat().st_ino for path in disk.path.iterdir()} == before
        assert (disk.path / "a").read_bytes() + (disk.path / "b").read_bytes() == b"ab"
        (disk.path / "a").unlink()
        (disk.path / "b").rename(disk.path / "c")
        _again(disk, how="all")
        assert sorted(os.listdir(disk.path)) == ["c", "folder"]

    def test_writes_that_were_cut_off_and_grown_are_undone(self, disk: Mount) -> None:
        content = bytes(range(256)) * 100
        path = _made(disk.path / "file", content)
        with path.open("r+b") as file:
            file.truncate(1000)
            file.seek(5000)
            file.write(b"beyond")
            file.flush()
            file.truncate(30_000)
            file.seek(10)
            file.write(b"within")
        changed = path.read_bytes()
        assert changed != content
        _again(disk)
        assert path.read_bytes() == content
        with path.open("r+b") as file:
            file.write(b"again")
            file.flush()
            os.fsync(file.fileno())
        _again(disk)
        assert path.read_bytes() == b"again" + content[5:]

    def test_the_power_goes_at_a_chosen_call_and_takes_a_process_along(self, disk: Mount, tmp_path: Path) -> None:
        numbers = tmp_path / "pids"
        code = (
            "import os, sys\nfrom pathlib import Path\n"
            f"Path({str(numbers)!r}).write_text(str(os.getpid()))\n"
            "for n in range(100):\n"
            "    fd = os.open(str(n), os.O_WRONLY | os.O_CREAT); os.write(fd, b'x'); os.fsync(fd); os.close(fd)\n"
            "    fd = os.open('.', os.O_RDONLY); os.fsync(fd); os.close(fd)\n"
        )
        for at, whole in ((1, 0), (4, 0), (5, 1), (11, 2), (41, 10)):
            disk.cut(at=at, kill=numbers)
            ran = subprocess.run([sys.executable, "-c", code], cwd=disk.path, check=False, timeout=30)
            assert ran.returncode == -9
            assert disk.is_cut()
            with pytest.raises(OSError, match="Input/output"):
                os.listdir(disk.path)
            disk.power_on(1, "nothing")
            assert sorted(os.listdir(disk.path)) == sorted(map(str, range(whole)))
            assert all(path.read_bytes() == b"x" for path in disk.path.iterdir())
            subprocess.run(["find", str(disk.path), "-mindepth", "1", "-delete"], check=True)
            disk.settle()

    def test_sqlite_keeps_what_it_has_committed(self, disk: Mount) -> None:
        path = disk.path / "ledger.db"
        for seed in range(12):
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("CREATE TABLE IF NOT EXISTS numbers (number INTEGER)")
                for number in range(20):
                    connection.execute("INSERT INTO numbers VALUES (?)", (number,))
                connection.execute("BEGIN")
                connection.execute("INSERT INTO numbers VALUES (-1)")
                disk.cut()
            disk.power_on(seed)
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                count, least = connection.execute("SELECT count(*), min(number) FROM numbers").fetchone()
                assert (count, least) == (20 * (seed + 1), 0)
