"""Making names durable: rename without replacing, folders, and their syncing.

The rule by which everything appears in a place that others read: written under a temporary name in the same file
system, its length checked, synced, renamed without replacing, and the folder synced.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from daemon.errors import NeedsPerson, RelayError
from daemon.files.faults import disk_fault, path_of, told
from daemon.files.opening import directory_below, look, parts_of
from daemon.files.syscalls import renameat2_noreplace
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

_NO_SUCH_RENAME = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}


def publish(dir_fd: int, temporary: str, final: str, *, to_fd: int | None = None, sync: bool = True) -> None:
    """Give a finished file or folder its name, durably and without replacing anything.

    Raises ``FileExistsError`` where the name is taken by something else, and what ``rename_noreplace`` raises. Called
    again after a crash it ends as if there had been none, if the temporary name still stands.
    """
    # Power cut here: the temporary name stands, or the final one; with the fallback for old file systems both, as two
    # names of one file. Never neither: the bytes were synced before.
    target_fd = dir_fd if to_fd is None else to_fd
    with told("renaming", path_of(dir_fd, temporary)):
        rename_noreplace(dir_fd, temporary, target_fd, final)
    if sync:
        sync_dir(target_fd)
        if to_fd is not None:
            sync_dir(dir_fd)


def rename_noreplace(from_fd: int, source: str, to_fd: int, target: str) -> None:
    """Rename a file or folder and never replace anything, by the best means that the file system has.

    Raises ``FileExistsError`` for a taken name, other ``OSError`` as they come (``EXDEV``: another file system or
    mount), ``NeedsPerson`` ``disk.no_safe_rename`` where the file system offers no way that cannot overwrite.
    """
    # Power cut here: one of the two names stands, and with link + unlink perhaps both, for one and the same file.
    try:
        renameat2_noreplace(from_fd, source, to_fd, target)
    except FileExistsError:
        if not _finish_link(from_fd, source, to_fd, target):
            raise
    except OSError as error:
        if error.errno not in _NO_SUCH_RENAME:
            raise
        _rename_otherwise(from_fd, source, to_fd, target, error)


def _rename_otherwise(from_fd: int, source: str, to_fd: int, target: str, error: OSError) -> None:
    status = os.stat(source, dir_fd=from_fd, follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        # A folder cannot be linked, but a rename replaces nothing more than an empty folder, and this one is ours:
        # whatever somebody puts into it meanwhile makes the rename fail (ENOTEMPTY).
        os.mkdir(target, dir_fd=to_fd)
        # Power cut here: an empty folder under the target's name, the source untouched.
        try:
            os.rename(source, target, src_dir_fd=from_fd, dst_dir_fd=to_fd)
        except OSError as failure:
            with suppress(OSError):
                os.rmdir(target, dir_fd=to_fd)
            if failure.errno == errno.ENOTEMPTY:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from failure
            raise
        return
    try:
        os.link(source, target, src_dir_fd=from_fd, dst_dir_fd=to_fd, follow_symlinks=False)
    except FileExistsError:
        if not _finish_link(from_fd, source, to_fd, target):
            raise
        return
    except OSError as failure:
        if failure.errno not in _NO_LINKS:
            raise
        folder = shown(path_of(to_fd))
        raise NeedsPerson(
            "disk.no_safe_rename",
            f"The file system of {folder} has no rename that cannot overwrite (renameat2: {error.strerror}; "
            f"link: {failure.strerror}).",
            hint="Use a file system that has one (ext4, XFS, btrfs, ZFS, NFS) for this folder.",
            path=path_of(to_fd, target),
        ) from failure
    # Power cut here: both names stand, for one file; the next rename finds that and takes the source's name away.
    os.unlink(source, dir_fd=from_fd)


def _finish_link(from_fd: int, source: str, to_fd: int, target: str) -> bool:
    """Tell whether both names are already the one file, as a link without its unlink leaves them, and end that."""
    one, other = look(from_fd, source), look(to_fd, target)
    if one is None or other is None or not stat.S_ISREG(one.st_mode):
        return False
    # st_nlink 1 would be one name seen twice (a folder that does not tell case apart): there nothing may be unlinked.
    if (one.st_dev, one.st_ino) != (other.st_dev, other.st_ino) or one.st_nlink < 2:
        return False
    # Power cut here: nothing is lost whichever name remains, the bytes have both.
    os.unlink(source, dir_fd=from_fd)
    return True


def sync_dir(dir_fd: int) -> None:
    """Make the names in an open directory durable.

    Some network and FUSE file systems know no syncing of folders (``EINVAL``); there the server does as it likes.
    """
    try:
        os.fsync(dir_fd)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS}:
            raise disk_fault(error, "syncing", path_of(dir_fd)) from error


def sync_way(path: str) -> None:
    """Make a folder's name durable, and those of all folders on the way to it on the same disk.

    Not only of what was made just now: a run that was killed may have made them and not come to syncing. A folder that
    may not be listed, or cannot be synced, is passed over: it is not ours, or read-only.
    """
    path = os.path.abspath(path)
    device = os.stat(path).st_dev
    while path != "/" and os.stat(path := os.path.dirname(path)).st_dev == device:
        with suppress(OSError, RelayError):
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                sync_dir(fd)
            finally:
                os.close(fd)


@contextmanager
def made_dirs(root: str | int, relpath: str, *, mode: int = 0o2775, durably: bool = True) -> Iterator[int]:
    """Open the folder ``relpath`` below ``root``, making what is missing of it durably, and close it at the end.

    New folders get ``mode`` whatever the umask is (2775: what is made in them belongs to the shared group). Links are
    not followed. Without ``durably`` the caller syncs them, once for all. Raises as ``directory_below`` does.
    """
    with directory_below(root, "") as top:
        fd = os.dup(top)
    try:
        for part in parts_of(relpath):
            # Power cut here: at most an empty folder remains, which the next run finds and uses.
            made = _make_dir(fd, part, mode)
            with directory_below(fd, part) as inner:
                if made:
                    own_like(inner, fd)
                    set_mode(inner, mode)
                    if durably:
                        sync_dir(fd)
                os.dup2(inner, fd, inheritable=False)
        yield fd
    finally:
        os.close(fd)


def make_dirs(root: str | int, relpath: str, *, mode: int = 0o2775, durably: bool = True) -> None:
    """Make the folder ``relpath`` below ``root`` with all on the way to it, durably; one that is there is welcome."""
    with made_dirs(root, relpath, mode=mode, durably=durably):
        pass


def _make_dir(dir_fd: int, name: str, mode: int) -> bool:
    try:
        with told("making the folder", path_of(dir_fd, name)):
            os.mkdir(name, mode & 0o777, dir_fd=dir_fd)
    except FileExistsError:
        return False
    return True


def own_like(fd: int, folder_fd: int) -> None:
    """Let what was made belong to whom its folder belongs to, where the program runs as root (on bare metal).

    Else Nextcloud, or PhotoPrism, could not write into a folder that was made for them.
    """
    if os.geteuid() != 0:
        return
    owner = os.fstat(folder_fd)
    try:
        os.fchown(fd, owner.st_uid, owner.st_gid)
    except OSError as error:  # file systems without owners
        if error.errno not in {errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS}:
            raise disk_fault(error, "setting the owner of", path_of(fd)) from error


def set_mode(fd: int, mode: int) -> None:
    """Set the mode, where the file system has one: vfat, exFAT and CIFS answer ``EPERM`` even to the owner."""
    try:
        os.fchmod(fd, mode)
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}:
            raise disk_fault(error, "setting the mode of", path_of(fd)) from error


def free_bytes(path: str | int) -> int:
    """Give the bytes that this user may still write on the file system of ``path`` (or of an open descriptor)."""
    with told("asking for the free space of", path if isinstance(path, str) else path_of(path)):
        status = os.statvfs(path)
    return status.f_bavail * status.f_frsize
