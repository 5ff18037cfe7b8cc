"""What tells a file's content from a later one without reading it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import os


_MOST = (1 << 63) - 1


def inode_of(status: os.stat_result) -> int:
    """Give an inode's number as the ledger can hold it: signed, in 64 bits.

    Joined file systems (mergerfs, overlay) give numbers that use the last bit too; each stays another number.
    """
    return status.st_ino - (1 << 64) if status.st_ino > _MOST else status.st_ino


def _held(nanoseconds: int) -> int:
    """Give a time as the ledger can hold it: what lies beyond the years 1677 and 2262 counts as those."""
    return nanoseconds if -_MOST <= nanoseconds <= _MOST else _MOST if nanoseconds > 0 else -_MOST


class Fingerprint(NamedTuple):
    """A file as it stood at one moment: inode, size in bytes, and its times in nanoseconds.

    The mtime alone says nothing, since Nextcloud sets it to the capture time; the ctime cannot be set by anybody. The
    device's number is left out: it changes when a disk is mounted again (btrfs, device mapper, network), and the
    ledger outlives that. All are numbers that fit into SQLite's 64 bits: any client may name a time in the year 3000,
    and some file systems keep it.
    """

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Fingerprint:
        """Give the fingerprint of what ``stat`` said."""
        inode, mtime, ctime = status.st_ino, status.st_mtime_ns, status.st_ctime_ns
        if not (inode <= _MOST and -_MOST <= mtime <= _MOST and -_MOST <= ctime <= _MOST):
            inode, mtime, ctime = inode_of(status), _held(mtime), _held(ctime)
        # As the class makes itself, at less than half the cost: each photo on its way is looked at some twenty times.
        return tuple.__new__(cls, (inode, status.st_size, mtime, ctime))

    def renamed(self, other: Fingerprint) -> bool:
        """Tell whether ``other`` can be this file after a rename or a link, both of which set the ctime."""
        return self[:3] == other[:3]
