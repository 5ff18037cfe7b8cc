"""A fingerprint is made of numbers that the ledger can hold, whatever a file system says."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from daemon.fingerprint import Fingerprint, inode_of

if TYPE_CHECKING:
    from pathlib import Path


def status(inode: int, mtime_ns: int) -> os.stat_result:
    """Give what ``stat`` says of such a file: the ten old fields, the times as floats, then in nanoseconds."""
    plain = (0o100644, inode, 1, 1, 0, 0, 100, 0, mtime_ns // 10**9, 0)
    return os.stat_result((*plain, 0.0, mtime_ns / 1e9, 0.0, 0, mtime_ns, 0))


@pytest.mark.parametrize("inode", [1, 2**63 - 1, 2**63, 2**64 - 1])
@pytest.mark.parametrize("mtime_ns", [0, -(10**20), 32503680000 * 10**9, 2**62 * 10**9])
def test_the_ledger_can_hold_every_fingerprint(inode: int, mtime_ns: int) -> None:
    found = Fingerprint.of(status(inode, mtime_ns))
    with closing(sqlite3.connect(":memory:")) as db:
        (kept,) = db.execute("SELECT ?, ?, ?, ?", found)
    assert Fingerprint(*kept) == found
    assert found.renamed(found)


def test_large_inode_numbers_stay_apart() -> None:
    numbers = [0, 1, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1]
    assert len({inode_of(status(number, 0)) for number in numbers}) == len(numbers)


def test_what_fits_is_as_the_system_says_it(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    found = (tmp_path / "x").stat()
    assert Fingerprint.of(found) == Fingerprint(found.st_ino, 1, found.st_mtime_ns, found.st_ctime_ns)
