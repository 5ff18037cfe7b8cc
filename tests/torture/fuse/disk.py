"""The folder behind the mount: each changing call done on it, plainly or with a note for the power cut."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections import Counter
from pathlib import Path

from daemon.files.syscalls import renameat2_noreplace
from tests.torture.fuse.durable import Attrs, Disk, State, Write

AT_FDCWD = -100
NOREPLACE = 1


class Plain:
    """Does the calls and no more. Paths are real ones; ``fd`` is an open descriptor or ``None``."""

    def __init__(self, root: str) -> None:
        self.root = root

    def status(self, path: str | None, fd: int | None) -> os.stat_result:
        """Give what stands there, by the descriptor where there is one."""
        return os.fstat(fd) if fd is not None else os.lstat(_known(path))

    def ctime_ns(self, status: os.stat_result) -> int:
        """Give the ctime that is told of a file."""
        return status.st_ctime_ns

    def links(self, status: os.stat_result) -> int:
        """Give the count of names that is told of a file."""
        return status.st_nlink

    def create(self, path: str, flags: int, mode: int) -> int:
        """Make and open a file."""
        return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, mode)

    def mkdir(self, path: str, mode: int) -> None:
        """Make a folder."""
        os.mkdir(path, mode)

    def symlink(self, path: str, target: str) -> None:
        """Make a symbolic link."""
        os.symlink(target, path)

    def mknod(self, path: str, mode: int, device: int) -> None:
        """Make a socket, a pipe or a device."""
        os.mknod(path, mode, device)

    def link(self, old: str, new: str) -> None:
        """Give a file a second name."""
        os.link(old, new, follow_symlinks=False)

    def unlink(self, path: str) -> None:
        """Take a name away."""
        os.unlink(path)

    def rmdir(self, path: str) -> None:
        """Take an empty folder away."""
        os.rmdir(path)

    def rename(self, old: str, new: str, flags: int) -> None:
        """Rename; of the flags only ``RENAME_NOREPLACE`` is known."""
        if flags & ~NOREPLACE:
            raise OSError(errno.EINVAL, "unknown flag")
        if flags:
            renameat2_noreplace(AT_FDCWD, old, AT_FDCWD, new)
        else:
            os.rename(old, new)

    def write(self, fd: int, data: bytes, offset: int) -> int:
        """Write bytes."""
        return os.pwrite(fd, data, offset)

    def truncate(self, path: str | None, fd: int | None, size: int) -> None:
        """Set the size."""
        os.truncate(fd if fd is not None else _known(path), size)

    def chmod(self, path: str, mode: int) -> None:
        """Set the mode."""
        os.chmod(path, mode)

    def chown(self, path: str, uid: int, gid: int) -> None:
        """Set the owner."""
        os.lchown(path, uid, gid)

    def utime(self, path: str, atime_ns: int, mtime_ns: int) -> None:
        """Set the times."""
        os.utime(path, ns=(atime_ns, mtime_ns), follow_symlinks=False)

    def fsync(self, fd: int) -> None:
        """Sync a file."""
        os.fsync(fd)

    def fsync_folder(self, path: str) -> None:
        """Sync a folder."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


class Recording(Plain):
    """Notes in a ``durable.Disk`` what was changed and synced, and can bring the folder into what survived.

    What is removed is kept beside the folder (``<root>.kept``) under its inode number, so that it can come back as the
    very same inode. Syncing touches no real disk. After ``restore`` files tell the ctime that they would have had.
    """

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.kept = Path(root + ".kept")
        self._kept: set[int] = set()
        self.versions: Counter[int] = Counter()
        """How often each inode's bytes were changed."""
        self._held: dict[int, int] | None = None
        self._ctimes: dict[int, tuple[int, int]] = {}
        """By inode: a real ctime, and what is told in its place as long as that stands."""
        self.settle()

    def settle(self) -> None:
        """Let all that stands here count as durable."""
        shutil.rmtree(self.kept, ignore_errors=True)
        self.kept.mkdir()
        self._kept.clear()
        for fd in (self._held or {}).values():
            os.close(fd)
        self._held = None
        self.disk = Disk(os.stat(self.root).st_ino, _tree(self.root))

    def hold(self) -> None:
        """Hold all files open from now on, so that ``content`` finds them whatever their names are."""
        self._held = {}
        for folder, _, names in os.walk(self.root):
            for name in names:
                self._hold(f"{folder}/{name}")

    def _hold(self, path: str) -> None:
        if self._held is not None and stat.S_ISREG((status := os.lstat(path)).st_mode):
            self._held[status.st_ino] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def content(self, inode: int) -> bytes:
        """Give the bytes of a held file as they are now, synced or not; nothing for what is no file."""
        fd = (self._held or {}).get(inode)
        return b"" if fd is None else os.pread(fd, os.fstat(fd).st_size, 0)

    def ctime_ns(self, status: os.stat_result) -> int:
        real, told = self._ctimes.get(status.st_ino, (-1, 0))
        return told if real == status.st_ctime_ns else status.st_ctime_ns

    def links(self, status: os.stat_result) -> int:
        kept = status.st_ino in self._kept and not stat.S_ISDIR(status.st_mode)
        return status.st_nlink - 1 if kept else status.st_nlink

    def create(self, path: str, flags: int, mode: int) -> int:
        if os.path.lexists(path):
            return super().create(path, flags, mode)
        fd = super().create(path, flags, mode)
        self._added(path)
        self._hold(path)
        return fd

    def mkdir(self, path: str, mode: int) -> None:
        super().mkdir(path, mode)
        self._added(path, folder=True)

    def symlink(self, path: str, target: str) -> None:
        super().symlink(path, target)
        self._added(path)

    def mknod(self, path: str, mode: int, device: int) -> None:
        # No photo is one, and what a power cut leaves of it is nobody's concern.
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    def link(self, old: str, new: str) -> None:
        self._seen(os.lstat(old))
        super().link(old, new)
        self._added(new)

    def unlink(self, path: str) -> None:
        status = os.lstat(path)
        self._seen(status)
        self._keep(path, status)
        super().unlink(path)
        after = self._attrs(os.lstat(self.kept / str(status.st_ino)))
        self.disk.names(status.st_ino, after, removes=(_key(path),))

    def rmdir(self, path: str) -> None:
        status = os.lstat(path)
        self._put_away(path, status)
        self.disk.names(status.st_ino, self._attrs(status), removes=(_key(path),), empties=status.st_ino)

    def rename(self, old: str, new: str, flags: int) -> None:
        moved = os.lstat(old)
        self._seen(moved)
        gone = os.lstat(new) if os.path.lexists(new) and not flags else None
        if gone is not None and gone.st_ino == moved.st_ino:  # two names of one file: nothing happens
            return
        empties = None
        if gone is not None and stat.S_ISDIR(gone.st_mode) and stat.S_ISDIR(moved.st_mode):
            self._put_away(new, gone)
            empties = gone.st_ino
        elif gone is not None and not stat.S_ISDIR(gone.st_mode):
            self._keep(new, gone)
        super().rename(old, new, flags)
        after = self._attrs(os.lstat(new))
        folder, name = _key(new)
        self.disk.names(
            moved.st_ino, after, removes=(_key(old),), adds=((folder, name, moved.st_ino),), empties=empties
        )

    def write(self, fd: int, data: bytes, offset: int) -> int:
        before = os.fstat(fd)
        old = os.pread(fd, len(data), offset)
        done = super().write(fd, data, offset)
        after = self._attrs(os.fstat(fd))
        write = Write(offset, data[:done], old, before.st_size, after)
        self.disk.write(before.st_ino, write, self._attrs(before))
        self.versions[before.st_ino] += 1
        return done

    def truncate(self, path: str | None, fd: int | None, size: int) -> None:
        before = self.status(path, fd)
        old = b""
        if size < before.st_size:
            with open(fd if fd is not None else _known(path), "rb", closefd=fd is None) as file:
                old = os.pread(file.fileno(), before.st_size - size, size)
        super().truncate(path, fd, size)
        after = self._attrs(self.status(path, fd))
        self.disk.write(before.st_ino, Write(size, None, old, before.st_size, after), self._attrs(before))
        self.versions[before.st_ino] += 1

    def chmod(self, path: str, mode: int) -> None:
        before = os.lstat(path)
        super().chmod(path, mode)
        self._changed(path, before)

    def chown(self, path: str, uid: int, gid: int) -> None:
        before = os.lstat(path)
        super().chown(path, uid, gid)
        self._changed(path, before)

    def utime(self, path: str, atime_ns: int, mtime_ns: int) -> None:
        before = os.lstat(path)
        super().utime(path, atime_ns, mtime_ns)
        self._changed(path, before)

    def fsync(self, fd: int) -> None:
        status = os.fstat(fd)
        self.disk.sync(status.st_ino, self._attrs(status))

    def fsync_folder(self, path: str) -> None:
        self.disk.sync_folder(os.stat(path).st_ino)

    # -- notes --------------------------------------------------------------------------------------------------

    def _attrs(self, status: os.stat_result) -> Attrs:
        return Attrs(
            stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns, self.ctime_ns(status)
        )

    def _seen(self, status: os.stat_result) -> None:
        self.disk.base.setdefault(status.st_ino, (0, self._attrs(status)))

    def _added(self, path: str, *, folder: bool = False) -> None:
        status = os.lstat(path)
        parent, name = _key(path)
        self.disk.names(status.st_ino, self._attrs(status), adds=((parent, name, status.st_ino),), makes_folder=folder)

    def _changed(self, path: str, before: os.stat_result) -> None:
        if stat.S_ISREG(before.st_mode):
            self.disk.attributes(before.st_ino, self._attrs(before), self._attrs(os.lstat(path)), before.st_size)

    def _keep(self, path: str, status: os.stat_result) -> None:
        if status.st_ino not in self._kept:
            os.link(path, self.kept / str(status.st_ino), follow_symlinks=False)
            self._kept.add(status.st_ino)

    def _put_away(self, folder: str, status: os.stat_result) -> None:
        if not stat.S_ISDIR(status.st_mode):
            raise OSError(errno.ENOTDIR, "not a folder")
        if os.listdir(folder):
            raise OSError(errno.ENOTEMPTY, "not empty")
        os.rename(folder, self.kept / str(status.st_ino))
        self._kept.add(status.st_ino)

    # -- the power comes back -----------------------------------------------------------------------------------

    def restore(self, seed: int, how: str) -> str:
        """Bring the folder into a state that may have survived a cut now, and count it as durable; tells which kind."""
        state = self.disk.survivors(seed, how)
        told = {inode: self._attrs(status) for inode, status in self._all()}
        self._flatten(self.root)
        self._build(self.root, self.disk.root, state)
        for inode, (undo, again, size) in state.writes.items():
            if (path := self.kept / str(inode)).exists():
                path.write_bytes(rewritten(path.read_bytes(), undo, again, size))
        self._ctimes.clear()
        wanted = {inode for names in state.tree.values() for inode in names.values()}
        for inode in wanted:
            path = self.kept / str(inode)
            if path.is_symlink() or not path.exists():
                continue
            attrs = state.attrs.get(inode, told[inode])
            os.lchown(path, attrs.uid, attrs.gid)
            os.chmod(path, attrs.mode)
            os.utime(path, ns=(attrs.mtime_ns, attrs.mtime_ns))
        ctimes = {inode: state.attrs.get(inode, told[inode]).ctime_ns for inode in wanted}
        self.settle()
        for inode, status in self._all():
            if inode in ctimes and not stat.S_ISDIR(status.st_mode):
                self._ctimes[inode] = (status.st_ctime_ns, ctimes[inode])
        return state.how

    def _all(self) -> list[tuple[int, os.stat_result]]:
        found = []
        for top in (self.root, str(self.kept)):
            for folder, folders, names in os.walk(top):
                for name in (*folders, *names):
                    status = os.lstat(os.path.join(folder, name))
                    found.append((status.st_ino, status))
        return found

    def _flatten(self, folder: str) -> None:
        """Move everything below a folder to where what was removed is kept, each inode under its number."""
        with os.scandir(folder) as entries:
            found = [(entry.path, entry.stat(follow_symlinks=False)) for entry in entries]
        for path, status in found:
            if stat.S_ISDIR(status.st_mode):
                self._flatten(path)
                os.rename(path, self.kept / str(status.st_ino))
            else:
                self._keep(path, status)
                os.unlink(path)

    def _build(self, path: str, folder: int, state: State) -> None:
        for name, inode in state.tree[folder].items():
            there = f"{path}/{name}"
            if inode in state.tree:
                os.rename(self.kept / str(inode), there)
                self._build(there, inode, state)
            else:
                os.link(self.kept / str(inode), there, follow_symlinks=False)


def _tree(root: str) -> dict[int, dict[str, int]]:
    tree: dict[int, dict[str, int]] = {}
    for folder, folders, names in os.walk(root):
        tree[os.stat(folder).st_ino] = {
            name: os.lstat(os.path.join(folder, name)).st_ino for name in (*folders, *names)
        }
    return tree


def rewritten(now: bytes, undo: list[Write], again: list[Write | tuple[int, bytes]], size: int) -> bytearray:
    """Give a file's bytes as they survive, from those that it has now (see ``durable.State``)."""
    content = bytearray(now)
    for write in undo:
        if write.new is None:
            content[write.offset :] = write.old
        else:
            content[write.offset : write.offset + len(write.old)] = write.old
        _resize(content, write.size_before)
    for piece in again:
        offset, new = (piece.offset, piece.new) if isinstance(piece, Write) else piece
        if new is None:
            _resize(content, offset)
        elif new:
            _resize(content, max(len(content), offset + len(new)))
            content[offset : offset + len(new)] = new
    _resize(content, size)
    return content


def _resize(content: bytearray, size: int) -> None:
    if len(content) > size:
        del content[size:]
    else:
        content.extend(bytes(size - len(content)))


def _key(path: str) -> tuple[int, str]:
    folder, _, name = path.rpartition("/")
    return os.stat(folder or "/").st_ino, name


def _known(path: str | None) -> str:
    if path is None:
        raise OSError(errno.ENOENT, "its name was removed, and this call goes by name")
    return path
