"""Copies of the ledger in ``state/backups/``: made while it runs, looked through before they count, a few kept."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from daemon.errors import Transient
from daemon.ledger.soundness import fault

if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDER: Final = "backups"
NEWEST: Final = 3
WEEKS: Final = 2
"""Besides the newest three, the newest of each of the two weeks before that have one."""
ROOM: Final = 64 << 20
"""Bytes that must be left on the disk beside a copy."""
_NAME: Final = re.compile(r"ledger-(\d{8}T\d{6}Z)\.db")
_FORM: Final = "%Y%m%dT%H%M%SZ"
_UNDER_WAY: Final = "new.db"


def stamp(now: float) -> str:
    """Give a moment as it stands in the names of files."""
    return datetime.fromtimestamp(now, UTC).strftime(_FORM)


def copies(state: str) -> list[tuple[float, str]]:
    """Give the copies that there are, newest first: when each was made, and its path."""
    found = []
    with suppress(FileNotFoundError):
        for name in os.listdir(f"{state}/{FOLDER}"):
            if matched := _NAME.fullmatch(name):
                made = datetime.strptime(matched[1], _FORM).replace(tzinfo=UTC).timestamp()
                found.append((made, f"{state}/{FOLDER}/{name}"))
    return sorted(found, reverse=True)


def kept(times: Iterable[float]) -> set[float]:
    """Give which of the copies made at these times are kept: the newest three, and one of each of two earlier weeks."""
    newest_first = sorted(set(times), reverse=True)
    keep = set(newest_first[:NEWEST])
    weeks: dict[int, float] = {}
    for one in newest_first:
        weeks.setdefault(int(one // (7 * 86400)), one)
    for week in sorted(weeks, reverse=True)[1 : WEEKS + 1]:
        keep.add(weeks[week])
    return keep


def back_up(state: str, now: float) -> str:
    """Copy the ledger while others use it, look through the copy, and give its path. Blocking: seconds a gigabyte.

    Raises ``Transient`` ``ledger.no_copy`` where that cannot be done now; ``sqlite3.DatabaseError`` for damage.
    """
    folder, path = f"{state}/{FOLDER}", f"{state}/ledger.db"
    fresh = f"{folder}/{_UNDER_WAY}"
    final = f"{folder}/ledger-{stamp(now)}.db"
    try:
        if not os.path.isdir(folder):
            os.makedirs(folder, mode=0o700, exist_ok=True)
            # Power cut here: no copy yet. The folder's own name must last, or the first copies go with it.
            sync(state)
        disk = os.statvfs(folder)
        size = os.path.getsize(path)
        if disk.f_bavail * disk.f_frsize < size + ROOM:
            raise Transient("ledger.no_copy", f"no room in {folder} for a copy of the ledger ({size >> 20} MiB)")
        # Power cut here: what is under way has a name that no copy has, and is made anew the next time.
        _take_away(fresh)
        with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as connection:
            connection.execute("VACUUM INTO ?", (fresh,))
        os.chmod(fresh, 0o600)
        if wrong := fault(fresh):
            raise Transient("ledger.no_copy", f"the copy of the ledger in {folder} is not whole: {wrong}")
        sync(fresh)
        # Power cut here: the copy is synced, and has one of the two names.
        os.rename(fresh, final)
        sync(folder)
        _thin_out(state)
    except OSError as error:
        raise Transient("ledger.no_copy", f"no copy of the ledger could be made in {folder}: {error}") from error
    except sqlite3.OperationalError as error:
        raise Transient("ledger.no_copy", f"no copy of the ledger could be made in {folder}: {error}") from error
    return final


def _thin_out(state: str) -> None:
    found = copies(state)
    keep = kept(made for made, _ in found)
    for made, path in found:
        if made not in keep:
            # Power cut here: an old copy more is left, and goes the next time. At least three newer ones stand.
            _take_away(path)


def _take_away(path: str) -> None:
    for name in (path, f"{path}-journal", f"{path}-wal", f"{path}-shm"):
        with suppress(FileNotFoundError):
            os.unlink(name)


def sync(path: str) -> None:
    """See a file, or a folder's names, on the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
