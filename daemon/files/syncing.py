"""Making many files durable at once: one call for a whole disk where that is known to do it, else file by file.

``fsync`` of a clean file still empties the disk's own cache; for two hundred small photos that takes longer than all
the rest. ``syncfs`` does it once for all of them.
"""

from __future__ import annotations

import os
import platform
import re
from typing import TYPE_CHECKING

from daemon.files.faults import disk_fault, path_of
from daemon.files.syscalls import kind_of_file_system, syncfs

if TYPE_CHECKING:
    from collections.abc import Iterable

MANY = 4
"""From so many files on one call for the disk is less work than one for each, though it writes what others changed."""

_EXT4, _XFS, _BTRFS, _F2FS, _TMPFS = 0xEF53, 0x58465342, 0x9123683E, 0xF2F52010, 0x01021994
# Of these syncfs makes data and names durable. FUSE (all but virtiofs) is not even told of it, and what a network
# does with it is the server's secret.
_BY_DISK = frozenset({_EXT4, _XFS, _BTRFS, _F2FS, _TMPFS})


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
