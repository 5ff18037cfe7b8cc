"""After a crash: finding out where a file stands that was being released, and what is to be done about it.

Only what is on disk counts. The ledger gives the names that were meant; each combination of what exists is decided
here so that the bytes keep at least one name, nothing stays hidden for ever, and nothing is replaced.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from enum import StrEnum

from daemon.files.faults import path_of, told
from daemon.files.names import MOST_NAMES, name_of_hidden, numbered
from daemon.files.opening import look, names_in
from daemon.files.publishing import sync_dir
from daemon.files.releasing import put_back
from daemon.fingerprint import Fingerprint


class Where(StrEnum):
    """Where the examined file was found."""

    HIDDEN = "hidden"  # it is hidden: hash it again, then go on with the release, or put it back
    NAME = "name"  # it stands under its own name: nothing has begun, or all was undone
    MOVED = "moved"  # it stands in the folder it was to be moved to: the release is done
    RETURNED = "returned"  # another file was hidden in its place, and has a visible name again
    GONE = "gone"  # it is under none of the names: the release was done, or its owner took it away


@dataclass(frozen=True, slots=True)
class Settled:
    """Where the file is, under which name, and its fingerprint there (``None`` if it is gone)."""

    where: Where
    name: str
    fingerprint: Fingerprint | None


def settle_hidden(
    dir_fd: int,
    hidden: str,
    name: str,
    expected: Fingerprint,
    *,
    moved_to: tuple[int, str] | None = None,
) -> Settled:
    """Find out where an examined file stands that may or may not have been hidden, and undo what was half done.

    ``expected`` is the fingerprint as examined; inode, size and mtime of it count, since a rename sets the ctime.
    ``moved_to`` is the open folder and the name for ``move_hidden_to``, if that was meant. For ``HIDDEN`` the caller
    hashes the file again before it deletes it: no watch was kept on it while the program was down. Can be repeated.
    """
    there = look(dir_fd, hidden)
    moved = _find(*moved_to, expected) if moved_to else None
    own = look(dir_fd, name)
    if there is not None:
        if moved and moved_to and _one_file(there, moved[1]):
            _drop_second_name(dir_fd, hidden)
            return Settled(Where.MOVED, moved[0], _fresh(moved_to[0], moved[0]))
        if own is not None and _one_file(there, own):
            _drop_second_name(dir_fd, hidden)
            return Settled(Where.NAME, name, _fresh(dir_fd, name))
        if _is(there, expected):
            return Settled(Where.HIDDEN, hidden, Fingerprint.of(there))
        final = put_back(dir_fd, hidden, name)
        return Settled(Where.RETURNED, final, _fresh(dir_fd, final))
    if moved:
        return Settled(Where.MOVED, moved[0], Fingerprint.of(moved[1]))
    if own is not None and _is(own, expected):
        return Settled(Where.NAME, name, Fingerprint.of(own))
    return Settled(Where.GONE, "", None)


def hidden_in(dir_fd: int) -> list[tuple[str, str]]:
    """List the hidden files of an open folder with the names they had, for a program that has lost its ledger."""
    return sorted((name, former) for name in names_in(dir_fd) if (former := name_of_hidden(name)) is not None)


def _find(to_fd: int, name: str, expected: Fingerprint) -> tuple[str, os.stat_result] | None:
    for number in range(1, MOST_NAMES):
        status = look(to_fd, numbered(name, number))
        if status is None:
            break
        if _is(status, expected):
            return numbered(name, number), status
    return None


def _is(status: os.stat_result, expected: Fingerprint) -> bool:
    return stat.S_ISREG(status.st_mode) and expected.renamed(Fingerprint.of(status))


def _one_file(one: os.stat_result, other: os.stat_result) -> bool:
    """Tell whether two names are links to one file, which a file system without a safe rename leaves after a crash."""
    return one.st_nlink > 1 and (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _drop_second_name(dir_fd: int, hidden: str) -> None:
    # Power cut here: the bytes have one name or two.
    with told("unlinking the second name of", path_of(dir_fd, hidden)):
        os.unlink(hidden, dir_fd=dir_fd)
    sync_dir(dir_fd)


def _fresh(dir_fd: int, name: str) -> Fingerprint | None:
    status = look(dir_fd, name)
    return None if status is None else Fingerprint.of(status)
