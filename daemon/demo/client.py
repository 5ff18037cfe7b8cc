"""A phone that uploads: what a plain PUT leaves on Nextcloud's disk, step by step."""

from __future__ import annotations

import hashlib
import os
import secrets
from datetime import datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

When = float | datetime | None
PartName = Literal["md5", "name"]
_BLOCK = 8192


def touch(path: Path, when: When) -> None:
    """Set the times as PHP's ``touch`` does for ``X-OC-MTime``: both of them, in whole seconds."""
    seconds = when.timestamp() if isinstance(when, datetime) else when
    if seconds is not None:
        os.utime(path, (int(seconds), int(seconds)))


def make_folders(path: Path) -> None:
    """Make the missing folders one by one from the top, as a client's MKCOL requests do."""
    for folder in [*reversed(path.parents), path]:
        if not folder.is_dir():
            folder.mkdir(mode=0o755, exist_ok=True)


def write(path: Path, data: bytes, *, writes: int = 4) -> None:
    """Write in several pieces without syncing; a request's body arrives piecemeal."""
    step = max(_BLOCK, -(-len(data) // max(writes, 1)))
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    with os.fdopen(fd, "wb", buffering=0) as file:
        for at in range(0, len(data), step):
            file.write(data[at : at + step])


def part_name(name: str, part: PartName = "md5") -> str:
    """Give a temporary upload name: newer Nextclouds hash the file's name (it may be too long), older append to it."""
    stem = hashlib.md5(os.fsencode(name), usedforsecurity=False).hexdigest() if part == "md5" else name
    return f"{stem}.ocTransferId{secrets.randbelow(2**31)}.part"


def put(home: Path, relpath: str, data: bytes, mtime: When = None, *, part: PartName = "md5", writes: int = 4) -> Path:
    """Upload by a plain PUT: part file in the target folder, rename, time set back where the client sent one.

    ``relpath`` is below the home's ``files/``. See Nextcloud's ``apps/dav/lib/Connector/Sabre/File.php``.
    """
    target = home / "files" / relpath
    make_folders(target.parent)
    temporary = target.with_name(part_name(target.name, part))
    write(temporary, data, writes=writes)
    temporary.rename(target)
    touch(target, mtime)
    return target
