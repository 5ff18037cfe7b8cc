"""Which file systems tell the kernel of their changes, and which do not.

A network file system changes on another machine, and no event comes of it; watching one by inotify looks well and
stays silent for ever.
"""

from __future__ import annotations

import os
from typing import NamedTuple

_SILENT_KINDS = (
    "nfs nfs4 cifs smb2 smb3 smbfs 9p virtiofs vboxsf prl_fs fakeowner drvfs ceph afs lustre gpfs beegfs ocfs2 gfs2 "
    "davfs ncpfs coda pvfs2 orangefs"
)
_SILENT = frozenset(_SILENT_KINDS.split())
# Local ones that move a directory's times whenever a name in it comes or goes, in ticks of a second at most.
_TIMED = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "bcachefs", "tmpfs", "overlay"})

# Local ones in whose directories each directory inside counts as one link more; others say 1 or 2 of every directory.
_COUNTING = frozenset({"ext2", "ext3", "ext4", "xfs", "tmpfs"})


class Mount(NamedTuple):
    """One line of the mount table: where, and of which type."""

    point: str
    kind: str


def parse_mounts(text: str) -> list[Mount]:
    r"""Read ``/proc/self/mountinfo`` (proc(5)): fields, a dash, the type; blanks in paths stand as ``\040``."""
    mounts = []
    for line in text.splitlines():
        before, dash, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        if dash and len(fields) >= 5 and rest[0]:
            mounts.append(Mount(_unescape(fields[4]), rest[0]))
    return mounts


def _unescape(field: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, char)
    return field


def kind_at(path: str, mounts: list[Mount]) -> str:
    """Give the file system type at an absolute path; of mounts at one place the last counts. Empty: not known."""
    best = Mount("", "")
    for mount in mounts:
        holds = mount.point == "/" or path == mount.point or path.startswith(mount.point + "/")
        if holds and len(mount.point) >= len(best.point):
            best = mount
    return best.kind


def is_silent(kind: str) -> bool:
    """Tell whether changes there may come without an event: network file systems and what runs through FUSE.

    ``fuseblk`` (NTFS, exFAT on a disk of this machine) is not among them: its changes come through this kernel.
    """
    return kind in _SILENT or kind == "fuse" or kind.startswith("fuse.")


def keeps_times(path: str) -> bool:
    """Tell whether a directory at an absolute path whose times have not moved has no new names in it, for certain."""
    return _kind_of(path) in _TIMED


def counts_directories(device: int) -> bool:
    """Tell whether a directory with two links has, for certain, no directory in it, on the file system of a device.

    ``device`` is the ``st_dev`` of anything there.
    """
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in _table().splitlines():
        before, _, after = line.partition(" - ")
        if before.split(" ")[2:3] == [number]:
            return after.split(" ")[0] in _COUNTING
    return False


def silent_kind(path: str) -> str | None:
    """Give the type of the file system at ``path`` if it sends no events, else ``None``."""
    kind = _kind_of(path)
    return kind if is_silent(kind) else None


def _kind_of(path: str) -> str:
    return kind_at(os.path.realpath(path), parse_mounts(_table()))


def _table() -> str:
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
            return table.read()
    except OSError:
        return ""
