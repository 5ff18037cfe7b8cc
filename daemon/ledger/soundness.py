"""Whether a ledger's file is whole: SQLite's own look at it, and whether each table, column and index is there.

SQLite keeps no checksums. What its look cannot see is a flipped bit inside of a value that no index holds; no original
is let go on such a value, since the archive's bytes are read and compared before.
"""

from __future__ import annotations

import functools
import sqlite3
from contextlib import closing

from daemon.ledger.schema import MIGRATIONS, migrate

SMALL = 64 << 20
"""Bytes up to which indexes are compared with their tables at each start: less than a second."""
UNMADE = "it is empty, or no ledger"
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_QUERY = (
    "SELECT m.type, m.name, COALESCE(c.name, '') FROM sqlite_master m LEFT JOIN pragma_table_info(m.name) c"
    " ON m.type = 'table' WHERE m.name NOT LIKE 'sqlite_%'"
)


def is_damage(error: Exception) -> bool:
    """Tell whether an error says that the file is not what was written, rather than that it cannot be reached now."""
    if isinstance(error, UnicodeDecodeError):  # a damaged name, repeated in SQLite's own message
        return True
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF in _DAMAGE or str(error).startswith(
        "Could not decode"
    )


def fault(path: str, *, thorough: bool = True) -> str:
    """Give what is wrong with a ledger's file, or an empty text. Blocking: seconds for a gigabyte.

    ``thorough`` compares each index with its table. Raises ``sqlite3.OperationalError`` where it cannot be read now.
    """
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as connection:
            return _fault(connection, thorough=thorough)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if is_damage(error):
            return str(error)
        raise


def version(path: str) -> int:
    """Give the version of the schema that a whole file has; 0 for an empty one."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def is_unmade(path: str) -> bool:
    """Tell whether a file is a database without any table: the first start was cut short while it made them."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as connection:
        return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None


def _fault(connection: sqlite3.Connection, *, thorough: bool) -> str:
    # What it says repeats damaged names.
    connection.text_factory = _text
    found = connection.execute(f"PRAGMA {'integrity_check' if thorough else 'quick_check'}(1)").fetchone()[0]
    if found != "ok":
        return str(found)
    there = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if there > len(MIGRATIONS):
        return ""  # it is told apart when it is opened
    if there != len(MIGRATIONS):
        # An earlier version's is made like this one when it is opened; but it must be one of ours.
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        return "" if {"photos", "homes"} <= names else UNMADE
    missing = sorted(_wanted() - set(connection.execute(_QUERY)))
    if missing:
        kind, name, column = missing[0]
        return f"the {kind} {name}{f' or its column {column}' if column else ''} is missing"
    return ""


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


@functools.cache
def _wanted() -> frozenset[tuple[str, str, str]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        migrate(fresh)
        return frozenset(fresh.execute(_QUERY))
