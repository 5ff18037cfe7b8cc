"""Every call that reaches the mount: asked of the faults, counted, and passed through to the folder behind."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager, suppress
from errno import EIO, ENOENT
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfusepy import FUSE, Operations, fuse_get_context

from tests.torture.fuse.audit import Audit, photos_count
from tests.torture.fuse.disk import Plain, Recording
from tests.torture.fuse.faults import Faults

if TYPE_CHECKING:
    from collections.abc import Iterator

_STATUS = ("st_mode", "st_ino", "st_uid", "st_gid", "st_size", "st_blocks", "st_blksize", "st_rdev")
_SPACE = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_frsize", "f_favail", "f_ffree", "f_files", "f_namemax")
_NOW, _OMIT = (1 << 30) - 1, (1 << 30) - 2
# What the kernel has done already, or what would change how we write to the folder behind.
_NOT_PASSED = os.O_APPEND | os.O_DIRECT | os.O_CREAT | os.O_EXCL | os.O_TRUNC | os.O_NOFOLLOW


class Power:
    """Whether there is power, and when it goes: instead of the ``at``-th changing or syncing call."""

    def __init__(self, disk: Plain) -> None:
        self.lock = threading.RLock()
        self.points = 0
        self.is_cut = False
        self.audit: Audit | None = None
        self._disk = disk
        self._left: int | None = None
        self._path = "*"
        self._kill = ""

    def cut(self, at: int | None = None, kill: str | None = None, path: str = "*") -> None:
        """Take the power away, now or at the ``at``-th call to come on such a path; ``kill`` names who dies with it."""
        with self.lock:
            self._kill, self._path, self._left = kill or "", path, at
            if at is None:
                self._go()

    def on(self, seed: int, how: str = "") -> str:
        """Give it back: the folder is in a state that may have survived."""
        with self.lock:
            if not self.is_cut or not isinstance(self._disk, Recording):
                raise ValueError("the power is not away, or nothing was recorded")
            found = self._disk.restore(seed, how)
            self.is_cut, self._left, self.points = False, None, 0
            return found

    def settle(self) -> None:
        """Let everything count as durable, and count points anew."""
        with self.lock:
            if isinstance(self._disk, Recording):
                self._disk.settle()
            self.points = 0

    def begin_audit(self, wanted: list[str], each: int, seed: int) -> None:
        """Look at ``each`` states at every call from now on, whether these contents stand in them."""
        with self.lock:
            assert isinstance(self._disk, Recording)
            self.audit = Audit(self._disk, wanted, each, seed, photos_count)

    def end_audit(self) -> tuple[int, list[str]]:
        """Give how many states were looked at, and in which something was lost."""
        with self.lock:
            assert self.audit is not None
            ended, self.audit = self.audit, None
            return ended.states, ended.lost

    def need(self) -> None:
        """Raise ``EIO`` where there is none."""
        if self.is_cut:
            raise OSError(EIO, "the power is away")

    def meet(self, path: str | None) -> None:
        """Count a point, and perhaps end at it."""
        self.need()
        self.points += 1
        if self.audit is not None:
            self.audit.look(self.points)
        if self._left is not None and fnmatchcase(path or "", self._path):
            self._left -= 1
            if self._left <= 0:
                self._go()
                self.need()

    def _go(self) -> None:
        self.is_cut = True
        if self._kill:
            with suppress(FileNotFoundError):
                for number in Path(self._kill).read_text().split():
                    with suppress(ProcessLookupError):
                        os.kill(int(number), signal.SIGKILL)


class Layer(Operations):  # type: ignore[misc]
    """The file system as libfuse calls it. Paths begin with a slash; ``fh`` is our own open descriptor."""

    use_ns = True

    def __init__(self, root: str, *, record: bool) -> None:
        self.faults = Faults()
        self._root = os.path.realpath(root)
        self._disk = Recording(root) if record else Plain(root)
        self.power = Power(self._disk)

    def _real(self, path: str, *, entered: bool = False) -> str:
        """Give the path in the backing folder; nothing stands there any more where a link has taken a folder's place.

        The kernel has followed all links and asks for the folder itself: a disk would go by that, not by its name.
        ``entered``: what stands at the path itself is opened, so it can be no link either.
        """
        if path == "/":
            return self._root
        real = self._root + path
        way = real if entered else real.rpartition("/")[0]
        if os.path.realpath(way) != way:
            raise FileNotFoundError(ENOENT, "a link has taken its place", path)
        return real

    def _look(self, call: str, *paths: str | None) -> None:
        self.faults.meet(call, *paths)
        self.power.need()

    @contextmanager
    def _change(self, call: str, *paths: str | None) -> Iterator[None]:
        self.faults.meet(call, *paths)
        with self.power.lock:
            self.power.meet(paths[0] if paths else None)
            yield

    # -- looking ------------------------------------------------------------------------------------------------

    def getattr(self, path: str | None, fh: int | None = None) -> dict[str, Any]:
        self._look("getattr", path)
        status = self._disk.status(None if path is None else self._real(path), fh)
        return {
            **{name: getattr(status, name) for name in _STATUS},
            "st_nlink": self._disk.links(status),
            "st_atime": status.st_atime_ns,
            "st_mtime": status.st_mtime_ns,
            "st_ctime": self._disk.ctime_ns(status),
        }

    def statfs(self, path: str) -> dict[str, int]:
        self._look("statfs", path)
        status = os.statvfs(self._real(path))
        found = {name: int(getattr(status, name)) for name in _SPACE}
        if self.faults.free is not None:
            found["f_bavail"] = found["f_bfree"] = self.faults.free // found["f_frsize"]
        return found

    def readlink(self, path: str) -> str:
        self._look("readlink", path)
        return os.readlink(self._real(path))

    def opendir(self, path: str) -> int:
        self._look("open", path)
        return os.open(self._real(path, entered=True), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def readdir(self, path: str | None, fh: int) -> list[tuple[str, dict[str, int], int]]:
        self._look("readdir", path)
        # Anew by name: btrfs shows an open folder only what stood there when it was opened. No entry may have inode 0.
        with os.scandir(fh if path is None else self._real(path, entered=True)) as entries:
            found = [(entry.name, {"st_ino": entry.inode()}, 0) for entry in entries]
        return [(".", {"st_ino": 1}, 0), ("..", {"st_ino": 1}, 0), *found]

    def releasedir(self, _path: str | None, fh: int) -> int:
        os.close(fh)
        return 0

    def open(self, path: str, flags: int) -> int:
        self._look("open", path)
        # Reading is needed to note what a write replaces.
        access = os.O_RDWR if flags & os.O_ACCMODE == os.O_WRONLY else flags & os.O_ACCMODE
        fd = os.open(self._real(path, entered=True), access | (flags & ~_NOT_PASSED & ~os.O_ACCMODE) | os.O_CLOEXEC)
        if flags & os.O_TRUNC:
            try:
                self.truncate(path, 0, fd)
            except BaseException:
                os.close(fd)
                raise
        return fd

    def read(self, path: str | None, size: int, offset: int, fh: int) -> bytes:
        self._look("read", path)
        return os.pread(fh, size, offset)

    def release(self, _path: str | None, fh: int) -> int:
        os.close(fh)
        return 0

    def flush(self, path: str | None, _fh: int) -> int:
        self._look("flush", path)
        return 0

    # -- changing -----------------------------------------------------------------------------------------------

    def create(self, path: str, mode: int, flags: int) -> int:
        with self._change("create", path):
            keep = flags & ~_NOT_PASSED & ~os.O_ACCMODE | os.O_RDWR | (flags & os.O_EXCL)
            fd = self._disk.create(self._real(path), keep, mode)
            self._own(path)
            return fd

    def mkdir(self, path: str, mode: int) -> int:
        with self._change("mkdir", path):
            self._disk.mkdir(self._real(path), mode)
            self._own(path)
        return 0

    def symlink(self, path: str, target: str) -> int:
        with self._change("symlink", path):
            self._disk.symlink(self._real(path), target)
            self._own(path)
        return 0

    def mknod(self, path: str, mode: int, dev: int) -> int:
        with self._change("create", path):
            self._disk.mknod(self._real(path), mode, dev)
            self._own(path)
        return 0

    def link(self, new: str, old: str) -> int:
        with self._change("link", old, new):
            self._disk.link(self._real(old), self._real(new))
        return 0

    def unlink(self, path: str) -> int:
        with self._change("unlink", path):
            self._disk.unlink(self._real(path))
        return 0

    def rmdir(self, path: str) -> int:
        with self._change("rmdir", path):
            self._disk.rmdir(self._real(path))
        return 0

    def rename_with(self, old: str, new: str, flags: int) -> int:
        """Rename with flags, which the library does not hand on."""
        with self._change("rename", old, new):
            self._disk.rename(self._real(old), self._real(new), flags)
        return 0

    def rename(self, old: str, new: str) -> int:
        return self.rename_with(old, new, 0)

    def write(self, path: str | None, data: bytes, offset: int, fh: int) -> int:
        with self._change("write", path):
            return self._disk.write(fh, data, offset)

    def truncate(self, path: str | None, length: int, fh: int | None = None) -> int:
        with self._change("truncate", path):
            self._disk.truncate(None if path is None else self._real(path), fh, length)
        return 0

    def chmod(self, path: str, mode: int) -> int:
        with self._change("chmod", path):
            self._disk.chmod(self._real(path), mode)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        with self._change("chown", path):
            self._disk.chown(self._real(path), uid, gid)
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        with self._change("utimens", path):
            status = os.lstat(self._real(path))
            atime, mtime = times or (-1, -1)
            self._disk.utime(
                self._real(path),
                status.st_atime_ns if atime < 0 else atime,
                status.st_mtime_ns if mtime < 0 else mtime,
            )
        return 0

    def fsync(self, path: str | None, _datasync: int, fh: int) -> int:
        with self._change("fsync", path):
            self._disk.fsync(fh)
        return 0

    def fsyncdir(self, path: str | None, _datasync: int, _fh: int) -> int:
        with self._change("fsyncdir", path):
            if path is not None:
                self._disk.fsync_folder(self._real(path, entered=True))
        return 0

    def _own(self, path: str) -> None:
        """Let what was made belong to whoever called, in the folder's group where that is set."""
        uid, gid, _ = fuse_get_context()
        if (uid, gid) == (os.geteuid(), os.getegid()):
            return
        parent = os.stat(self._real(path.rpartition("/")[0] or "/"))
        os.lchown(self._real(path), uid, -1 if parent.st_mode & 0o2000 else gid)


class Served(FUSE):  # type: ignore[misc]
    """The library's bindings, with the flags of a rename and the special times of ``utimensat`` handed on.

    Reads and writes come to us as they are made, past the kernel's cache: read ahead, a fault would be met by nobody.
    What SQLite maps into memory (``-shm``) cannot do without that cache.
    """

    def open(self, path: bytes, info: Any) -> int:
        """Open a file."""
        info.contents.direct_io = not path.endswith(b"-shm")
        return int(super().open(path, info))

    def create(self, path: bytes, mode: int, info: Any) -> int:
        """Make and open a file."""
        info.contents.direct_io = not path.endswith(b"-shm")
        return int(super().create(path, mode, info))

    def rename_fuse_3(self, old: bytes, new: bytes, flags: int) -> int:
        """Rename with flags."""
        return int(self.operations.rename_with(os.fsdecode(old), os.fsdecode(new), flags))

    def utimens_fuse_3(self, path: bytes | None, times: Any, _info: Any) -> int:
        """Set times: ``UTIME_NOW`` and ``UTIME_OMIT`` are said in the nanoseconds."""
        import time

        def told(one: Any) -> int:
            if one.tv_nsec == _OMIT:
                return -1
            return time.time_ns() if one.tv_nsec == _NOW else int(one.tv_sec * 10**9 + one.tv_nsec)

        now = time.time_ns()
        both = (told(times.contents.actime), told(times.contents.modtime)) if times else (now, now)
        return int(self.operations.utimens(None if path is None else os.fsdecode(path), both))
