"""The connection: one SQLite file in WAL mode, one writer at a time, every commit on the disk before it counts."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from daemon.errors import NeedsPerson, Transient
from daemon.ledger.schema import migrate
from daemon.ledger.soundness import is_damage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

T = TypeVar("T")


# The low byte is the kind; what stands above it says more closely what failed (SQLITE_IOERR_SHMSIZE).
_DISK = {
    *(sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR),
    *(sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL),
}


LOG_KEPT = 8 << 20
"""Bytes of write-ahead log that stay on the disk when it is not needed."""


DAMAGED = sqlite3.DatabaseError
"""What is raised where the file is damaged, for those who close it all the same."""


class Store:
    """SQLite with the two things that the ledger needs of it: transactions that last, and calls from any thread.

    ``synchronous=FULL``: a step counts as taken when its line survives a power cut, not when the kernel has heard
    of it. All methods block; call them in a thread.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._depth = 0
        self.on_damage: Callable[[str], None] = lambda _what: None
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise
        except sqlite3.DatabaseError as error:
            if _of_the_disk(error):
                # Nobody may throw a ledger away because its disk is full.
                raise self._unwritable(error) from error
            raise NeedsPerson(
                "ledger.damaged",
                f"the ledger {path} cannot be read: {error}",
                hint="start the daemon: it sets the ledger aside and puts its newest copy in its place; see"
                " docs/backup.md",
            ) from error

    def _unwritable(self, error: sqlite3.Error) -> Transient:
        return Transient(
            "ledger.unwritable",
            f"the ledger {self.path} cannot be written: {error}",
            hint="see that the disk of the state folder is not full, not read-only, not failing and not a network"
            " share; leave the ledger where it is",
        )

    def _prepare(self) -> None:
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        # The log grows for as long as a copy of the ledger is being made, and is cut down to this afterwards.
        self._connection.execute(f"PRAGMA journal_size_limit = {LOG_KEPT}")
        # What stays anyway may be filled before it is copied into the file: each time costs two syncs.
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_KEPT // 4096}")
        self._connection.execute("PRAGMA foreign_keys = ON")
        os.chmod(self.path, 0o600)  # noqa: PTH101  the ledger tells everybody's file names
        migrate(self._connection)

    def close(self) -> None:
        """Close the file; a last checkpoint leaves no WAL behind."""
        with self._lock:
            self._connection.close()

    @property
    def changes(self) -> int:
        """Give how many rows were changed over this connection, which is the only one that writes."""
        return self._connection.total_changes

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run a block as one transaction: all of it or nothing. Nested blocks join the outer one."""
        with self._lock:
            if self._depth:
                yield self._connection
                return
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                self._depth += 1
                try:
                    yield self._connection
                except BaseException:
                    if self._connection.in_transaction:  # else SQLite has undone it by itself: the disk is full
                        self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
            except sqlite3.DatabaseError as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                self._see(error)
                if not isinstance(error, sqlite3.OperationalError):
                    raise
                raise self._unwritable(error) from error
            finally:
                self._depth = 0

    def _see(self, error: Exception) -> None:
        """Where SQLite says that the file is damaged, tell whoever puts a copy in its place, and raise that."""
        if is_damage(error):
            self.on_damage(str(error))
            raise NeedsPerson(
                "ledger.damaged",
                f"the ledger {self.path} is damaged: {error}",
                hint="it is set aside, and its newest copy put in its place, by itself; see docs/backup.md",
            ) from error

    def rows(self, sql: str, arguments: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Give all rows of a query; inside :meth:`write` it sees that transaction."""
        with self._lock, self._reading():
            return self._connection.execute(sql, arguments).fetchall()

    def row(self, sql: str, arguments: Sequence[Any] = ()) -> sqlite3.Row | None:
        """Give the first row of a query, or ``None``."""
        with self._lock, self._reading():
            found: sqlite3.Row | None = self._connection.execute(sql, arguments).fetchone()
            return found

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:
            self._see(error)
            raise
        except sqlite3.DatabaseError as error:
            self._see(error)
            if self._depth or not _of_the_disk(error):  # inside a transaction its end says so
                raise
            raise self._unwritable(error) from error


def _of_the_disk(error: sqlite3.Error) -> bool:
    """Tell whether it is the disk that is full, read-only, busy or failing, and not the file that is damaged."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF in _DISK


def parts(values: Iterable[T], size: int = 500) -> Iterator[list[T]]:
    """Cut a list into pieces for which SQLite has enough question marks, in every version."""
    wanted = list(values)
    for start in range(0, len(wanted), size):
        yield wanted[start : start + size]


def marks(values: Sequence[object]) -> str:
    """Give a question mark for each of the values."""
    return ", ".join("?" * len(values))
