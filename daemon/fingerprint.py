"""What tells a file's content from a later one without reading it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A file as it stood at one moment: inode, size in bytes, and its times in nanoseconds.

    The mtime alone says nothing, since Nextcloud sets it to the capture time; the ctime cannot be set by anybody. The
    device's number is left out: it changes when a disk is mounted again (btrfs, device mapper, network), and the
    ledger outlives that.
    """

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Fingerprint:
        """Give the fingerprint of what ``stat`` said."""
        return cls(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def renamed(self, other: Fingerprint) -> bool:
        """Tell whether ``other`` can be this file after a rename or a link, both of which set the ctime."""
        return (self.inode, self.size, self.mtime_ns) == (other.inode, other.size, other.mtime_ns)
