"""Bringing a file's bytes to another folder: reflink, else ``copy_file_range``, else read and write.

Never a hard link where PhotoPrism will own the copy: two names of one inode would share mode, owner and every later
write. Which way works cannot be foretold (two bind mounts of one disk have the same ``st_dev``, share extents, and
answer ``EXDEV`` to a link), so each is tried.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from daemon.files.faults import changed, disk_fault, path_of, told
from daemon.files.opening import look
from daemon.files.pace import PACE
from daemon.files.publishing import set_mode
from daemon.files.syncing import is_written
from daemon.files.syscalls import clone
from daemon.fingerprint import Fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable

    EachBlock = Callable[[int], None]

Method = Literal["reflink", "copy_file_range", "copy", "link"]

_ACL = "posix_acl"
_F_SETSIG = 10  # linux/fcntl.h; Python does not name it
_CHUNK = 64 << 20
_BLOCK = 1 << 20
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# What the kernel answers where a way is not open: other mounts, other file systems, old kernels, seccomp.
_NOT_THIS_WAY = {
    errno.EXDEV,
    errno.EOPNOTSUPP,
    errno.EINVAL,
    errno.ENOTTY,
    errno.ENOSYS,
    errno.EPERM,
    errno.EACCES,
    errno.ETXTBSY,
    errno.EBADF,
}
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOENT}


@dataclass(frozen=True, slots=True)
class Placed:
    """How a file came to its new place, and its fingerprint there; ``times_kept`` is false where the disk refused."""

    method: Method
    fingerprint: Fingerprint
    times_kept: bool = True


def copy_into(
    source_fd: int,
    dir_fd: int,
    name: str,
    *,
    size: int,
    mtime_ns: int,
    mode: int = 0o664,
    expected: Fingerprint | None = None,
    each_block: EachBlock | None = None,
    sync: bool = True,
) -> Placed:
    """Make the new file ``name`` with exactly the ``size`` bytes of the open source, its times kept, durably.

    The name is the caller's choice, hidden or final, and is never replaced: ``FileExistsError``. ``mode`` holds
    whatever the umask is; the group comes from the folder (setgid). ``expected`` is what the source must still be
    when the copy is done. ``each_block`` is called with the bytes done and may raise to stop. With ``sync`` the file
    is synced, its folder is not: that is done once for many. Whatever goes wrong, the half-made file is taken away.
    Raises ``Transient`` ``file.changed``, ``disk.full`` and so on.
    """
    where = path_of(dir_fd, name)
    with told("making", where):
        target = os.open(name, _CREATE, 0o600, dir_fd=dir_fd)
    # Power cut here, or later: a file of ours under a name that nobody reads yet, which a new run sweeps away; the
    # source is only ever read.
    try:
        with told("copying to", where):
            method = _copy(source_fd, target, size, each_block)
        if os.fstat(target).st_size != size:
            raise changed(path_of(source_fd), why=f"it has not the {size} bytes that it had")
        if expected is not None and Fingerprint.of(os.fstat(source_fd)) != expected:
            raise changed(path_of(source_fd), why="while it was copied")
        with told("finishing", where):
            set_mode(target, mode)
            kept = _set_times(target, mtime_ns)
            if sync:
                os.fsync(target)
            return Placed(method, Fingerprint.of(os.fstat(target)), kept)
    except BaseException:
        _take_back(dir_fd, name, target)
        raise
    finally:
        os.close(target)


def link_into(source_fd: int, dir_fd: int, name: str, *, mode: int, expected: Fingerprint, sync: bool) -> Placed | None:
    """Give the very file that is open a second name in another folder; ``None`` where only a copy will do.

    For the folder archive on one file system, and only where the original goes at once: as long as both names stand,
    a write through one changes the other. So it is made only of a file that has one name, that nobody has open for
    writing, whose owner, group and rights are those that a copy would get, and that the disk has taken: where it could
    not write the file, the bytes may be whole in memory only, and a copy saves them from there. Its mode is set to
    ``mode``. Both the link and the mode set the ctime: the fingerprint given back is the original's new one too.
    ``expected`` is what the file must be until then. ``FileExistsError``: the name is never replaced.
    """
    status = os.fstat(source_fd)
    if Fingerprint.of(status) != expected:
        raise changed(path_of(source_fd), why="since it was examined")
    if not _fits(status, source_fd, dir_fd) or not nobody_writes(source_fd) or not is_written(source_fd, sync=sync):
        return None
    # Power cut here: the original stands under its name, and perhaps under the new one as well.
    try:
        # Through the descriptor, not through the name, which may be another file's by now.
        os.link(f"/proc/self/fd/{source_fd}", name, dst_dir_fd=dir_fd, follow_symlinks=True)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno in _NO_LINK:
            return None
        raise disk_fault(error, "linking to", path_of(dir_fd, name)) from error
    try:
        if status.st_mode & 0o7777 != mode:
            with told("setting the mode of", path_of(dir_fd, name)):
                set_mode(source_fd, mode)
        now = os.fstat(source_fd)
        if not expected.renamed(Fingerprint.of(now)) or now.st_nlink != 2:
            raise changed(path_of(source_fd), why="while it was linked")
    except BaseException:
        _take_back(dir_fd, name, source_fd)
        raise
    return Placed("link", Fingerprint.of(now))


def nobody_writes(fd: int) -> bool:
    """Tell whether nobody at all has an open file of ours open for writing; ``False`` also where that cannot be told.

    The kernel grants a read lease only then (fs/locks.c, check_conflicting_open). It is given back at once; who opens
    the file for writing meanwhile waits for those microseconds, and the signal that tells of it is one that is ignored.
    """
    try:
        fcntl.fcntl(fd, _F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError:
        return False
    return True


def _fits(status: os.stat_result, source_fd: int, dir_fd: int) -> bool:
    """Tell whether a file's owner, group and rights are those that a copy of it in that folder would get."""
    folder = os.fstat(dir_fd)
    group = folder.st_gid if folder.st_mode & stat.S_ISGID else os.getegid()
    if status.st_nlink != 1 or status.st_uid != os.geteuid() or status.st_gid != group:
        return False
    try:
        return not any(_ACL in name for fd in (source_fd, dir_fd) for name in os.listxattr(fd))
    except OSError:
        return True  # no extended attributes, so no access lists either


def _copy(source: int, target: int, size: int, each_block: EachBlock | None) -> Method:
    try:
        clone(source, target)
    except OSError as error:
        if error.errno not in _NOT_THIS_WAY:
            raise
    else:
        if each_block is not None:
            each_block(size)
        return "reflink"
    done = _copy_in_kernel(source, target, size, each_block)
    if done == size:
        return "copy_file_range" if size else "copy"
    _copy_by_hand(source, target, done, size, each_block)
    return "copy"


def _copy_in_kernel(source: int, target: int, size: int, each_block: EachBlock | None) -> int:
    """Copy without the bytes passing through this process; gives how far that went."""
    done = 0
    while done < size:
        try:
            count = os.copy_file_range(source, target, min(_CHUNK, size - done), done, done)
        except OSError as error:
            if error.errno in _NOT_THIS_WAY:
                return done
            raise
        if not count:  # the end of the source, or one of the file systems that say so of files they cannot serve
            return done
        done += count
        PACE.took(2 * count)
        if each_block is not None:
            each_block(done)
    return done


def _copy_by_hand(source: int, target: int, done: int, size: int, each_block: EachBlock | None) -> None:
    view = memoryview(bytearray(_BLOCK))
    while done < size:
        count = os.preadv(source, [view[: min(_BLOCK, size - done)]], done)
        if not count:
            return
        written = 0
        while written < count:
            written += os.pwrite(target, view[written:count], done + written)
        done += count
        PACE.took(2 * count)
        if each_block is not None:
            each_block(done)


def _set_times(fd: int, mtime_ns: int) -> bool:
    try:
        os.utime(fd, ns=(mtime_ns, mtime_ns))
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}:
            raise
        return False
    return True


def _take_back(dir_fd: int, name: str, target: int) -> None:
    # Power cut here: the half-made file remains, as described where it is made.
    with suppress(OSError):
        ours, there = os.fstat(target), look(dir_fd, name)
        if there is not None and (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino):
            os.unlink(name, dir_fd=dir_fd)
