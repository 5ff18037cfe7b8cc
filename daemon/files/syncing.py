"""Making files durable: each by itself, or many at once by one call for a whole disk where that is known to do it.

``fsync`` of a clean file still empties the disk's own cache; for two hundred small photos that takes longer than all
the rest. ``syncfs`` does it once for all of them.

A sync that failed fails once only: the kernel tells of it, calls the pages clean that it could not write, and the next
sync succeeds, while everybody reads from memory what the disk does not have (ext4, XFS and btrfs alike). So a try
again proves nothing by itself.
"""

from __future__ import annotations

import os
import platform
import re
from typing import TYPE_CHECKING

from daemon.files.faults import disk_fault, path_of
from daemon.files.syscalls import kind_of_file_system, syncfs, written_back

if TYPE_CHECKING:
    from collections.abc import Iterable

MANY = 4
"""From so many files on one call for the disk is less work than one for each, though it writes what others changed."""

_EXT4, _XFS, _BTRFS, _F2FS, _TMPFS = 0xEF53, 0x58465342, 0x9123683E, 0xF2F52010, 0x01021994
# Of these syncfs makes data and names durable. FUSE (all but virtiofs) is not even told of it, and what a network
# does with it is the server's secret.
_BY_DISK = frozenset({_EXT4, _XFS, _BTRFS, _F2FS, _TMPFS})


def sync_copy(fd: int) -> None:
    """Make the bytes of an open file durable, of which another copy stands elsewhere.

    Raises ``OSError`` as it comes. Then what the kernel holds of the file in memory is dropped, so that whoever reads
    it again reads what the disk has. Not where the file has several names: the other copy may be this very file, and
    its memory the last place where the bytes are whole.
    """
    try:
        os.fsync(fd)
    except OSError:
        if os.fstat(fd).st_nlink == 1:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        raise


def is_written(fd: int, *, sync: bool) -> bool:
    """Tell whether an open file is on the disk, as far as it was written back by now, or, with ``sync``, all of it.

    ``False`` where the kernel has failed to write any of it since somebody was last told so.
    """
    try:
        written_back(fd)
        if sync:
            os.fsync(fd)
    except OSError:
        return False
    return True


def whole_disks(folders: Iterable[int], files: int) -> bool:
    """Tell whether ``files`` files in these open folders are best synced by ``sync_disks``.

    ``False`` where it would not be certain: other kinds of file systems, and kernels before 5.8, of which syncfs does
    not tell that something could not be written.
    """
    found = re.match(r"(\d+)\.(\d+)", platform.release())
    if files < MANY or not found or (int(found[1]), int(found[2])) < (5, 8):
        return False
    try:
        return all(kind_of_file_system(folder) in _BY_DISK for folder in folders)
    except OSError:
        return False


def sync_disks(folders: Iterable[int]) -> None:
    """Make durable all that is written on the file systems of these open folders, names included.

    Raises what the disk said, also of what was written since the folders were opened and failed then.
    """
    seen: set[int] = set()
    for folder in folders:
        device = os.fstat(folder).st_dev
        if device not in seen:
            seen.add(device)
            try:
                syncfs(folder)
            except OSError as error:
                raise disk_fault(error, "syncing", path_of(folder)) from error
