# ruff: noqa: PTH122
"""What the PhotoPrism stand-in knows of its files: two SQLite tables, in memory or in a file that outlives it."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import uuid
from dataclasses import asdict, dataclass, field
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS photos (uid TEXT PRIMARY KEY, archived INTEGER, quality INTEGER, albums TEXT);
CREATE TABLE IF NOT EXISTS files (
    uid TEXT PRIMARY KEY, photo_uid TEXT, name TEXT, root TEXT, hash TEXT, size INTEGER, is_primary INTEGER,
    original_name TEXT, missing INTEGER, error TEXT, sidecar INTEGER, mod_time INTEGER, deleted_at REAL
);
CREATE INDEX IF NOT EXISTS by_hash ON files (hash);
CREATE INDEX IF NOT EXISTS by_name ON files (root, name);
"""


@dataclass
class FileRow:
    """One row of PhotoPrism's ``files`` table."""

    name: str
    hash: str
    size: int
    root: str = "/"
    uid: str = ""
    photo_uid: str = ""
    is_primary: bool = False
    original_name: str = ""
    missing: bool = False
    error: str = ""
    sidecar: bool = False
    mod_time: int = 0
    deleted_at: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Give the row as ``GET /files/<hash>`` does: fields that are zero are left out."""
        extension = os.path.splitext(self.name)[1][1:]
        said = {
            "UID": self.uid,
            "PhotoUID": self.photo_uid,
            "Name": self.name,
            "Root": self.root,
            "Hash": self.hash,
            "Size": self.size,
            "Primary": self.is_primary,
            "OriginalName": self.original_name,
            "FileType": extension,
            "MediaType": "video" if extension in {"mov", "mp4", "m4v"} else "image",
            "Missing": self.missing,
            "Error": self.error,
            "Sidecar": self.sidecar,
            "ModTime": self.mod_time,
        }
        return {key: value for key, value in said.items() if value}


@dataclass
class PhotoRow:
    """One row of PhotoPrism's ``photos`` table."""

    uid: str
    archived: bool = False
    quality: int = 3
    albums: list[str] = field(default_factory=list)


def _told(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "replace")


class Rows:
    """The database; every call is safe from any thread."""

    def __init__(self, path: str = ":memory:") -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        if path != ":memory:":
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()

    def _select(self, where: str, *values: Any) -> list[FileRow]:
        with self._lock:
            found = self._db.execute(f"SELECT * FROM files WHERE {where} ORDER BY rowid", values).fetchall()
        rows = []
        for each in found:
            row = FileRow(**dict(each))
            row.is_primary, row.missing, row.sidecar = bool(row.is_primary), bool(row.missing), bool(row.sidecar)
            rows.append(row)
        return rows

    def all(self) -> list[FileRow]:
        """Give every row, soft-deleted ones included."""
        return self._select("1")

    def first_by_hash(self, sha1: str) -> FileRow | None:
        """Give the row that the duplicate test finds: any root, soft-deleted ones included."""
        return next(iter(self._select("hash = ?", sha1)), None)

    def by_hash(self, sha1: str) -> FileRow | None:
        """Give the row that ``GET /files/<hash>`` finds: soft-deleted ones are not seen."""
        return next(iter(self._select("hash = ? AND deleted_at IS NULL", sha1)), None)

    def by_name(self, name: str) -> FileRow | None:
        """Give the row of a file below originals, soft-deleted ones included."""
        return next(iter(self._select("root = '/' AND name = ?", _told(name))), None)

    def below(self, folder: str) -> list[FileRow]:
        """Give the rows of files below a folder of originals ("" = all)."""
        return [row for row in self._select("root = '/'") if not folder or row.name.startswith(folder + "/")]

    def photo(self, uid: str) -> PhotoRow | None:
        """Give a photo."""
        with self._lock:
            found = self._db.execute("SELECT * FROM photos WHERE uid = ?", (uid,)).fetchone()
        if found is None:
            return None
        albums = [each for each in found["albums"].split("\n") if each]
        return PhotoRow(uid, bool(found["archived"]), found["quality"], albums)

    def add_to_albums(self, photo_uid: str, albums: list[str]) -> None:
        """Put a photo into albums, by title."""
        photo = self.photo(photo_uid)
        if photo is not None and albums:
            together = "\n".join(dict.fromkeys([*photo.albums, *albums]))
            with self._lock:
                self._db.execute("UPDATE photos SET albums = ? WHERE uid = ?", (together, photo_uid))

    def put(self, row: FileRow, *, quality: int = 3) -> FileRow:
        """Add a file, or renew the row that stands for the same name; makes its photo where there is none."""
        row.name, row.original_name = _told(row.name), _told(row.original_name)
        with self._lock:
            old = self.by_name(row.name) if row.root == "/" else None
            row.uid = old.uid if old else "fs" + uuid.uuid4().hex[:14]
            row.photo_uid = row.photo_uid or (old.photo_uid if old else "ps" + uuid.uuid4().hex[:14])
            row.original_name = row.original_name or (old.original_name if old else "")
            row.mod_time = row.mod_time or int(time.time())
            self._db.execute(
                "INSERT OR IGNORE INTO photos (uid, archived, quality, albums) VALUES (?, 0, ?, '')",
                (row.photo_uid, quality),
            )
            values = asdict(row)
            marks = ", ".join("?" * len(values))
            self._db.execute(
                f"INSERT OR REPLACE INTO files ({', '.join(values)}) VALUES ({marks})", tuple(values.values())
            )
        return row

    def change(self, sha1: str, **values: Any) -> int:
        """Change fields of the rows with this hash; gives how many there were."""
        with self._lock:
            names = ", ".join(f"{name} = ?" for name in values)
            return self._db.execute(f"UPDATE files SET {names} WHERE hash = ?", (*values.values(), sha1)).rowcount

    def change_photo(self, sha1: str, **values: Any) -> int:
        """Change fields of the photo that the file with this hash belongs to."""
        with self._lock:
            names = ", ".join(f"{name} = ?" for name in values)
            return self._db.execute(
                f"UPDATE photos SET {names} WHERE uid IN (SELECT photo_uid FROM files WHERE hash = ?)",
                (*values.values(), sha1),
            ).rowcount

    def forget(self, sha1: str) -> int:
        """Remove the rows with this hash altogether."""
        with self._lock:
            return self._db.execute("DELETE FROM files WHERE hash = ?", (sha1,)).rowcount

    def reset(self) -> None:
        """Empty the database."""
        with self._lock:
            self._db.executescript("DELETE FROM files; DELETE FROM photos;")
