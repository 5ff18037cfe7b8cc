"""The safety net: look through folders and give every candidate file that stands there."""

from __future__ import annotations

import errno
import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from daemon.fingerprint import Fingerprint
from daemon.text import shown
from daemon.watch import tree
from daemon.watch.model import Found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from daemon.watch.rules import Rules

_MOST_RACY = 10_000


@dataclass(slots=True)
class Swept:
    """What a sweep came across. ``unreadable`` has each directory with why, ``racy`` those to be listed again."""

    directories: int = 0
    files: int = 0
    wanted: int = 0
    missed: int = 0
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    racy: list[tuple[str, str]] = field(default_factory=list)


def sweep(
    base: str,
    targets: Iterable[tuple[str, str]],
    rules: Rules,
    swept: Swept,
    *,
    wall: Callable[[], float],
    racy: float = 2.0,
    chunk: int = 500,
) -> Iterator[list[Found]]:
    """Walk each ``(user, folder)`` and give the candidates in chunks, following no link. Blocking.

    A directory changed within ``racy`` seconds of its listing (``wall`` gives the time) is noted, to be listed once
    more: times of file systems tick coarsely. A folder that is not there gives nothing. Memory: one chunk and one
    directory's listing at a time.
    """
    batch: list[Found] = []
    for user, folder in targets:
        top = f"{user}/files/{folder}" if folder else f"{user}/files"
        for found in tree.walk(base, top, skip=rules.passes_over, wanted=rules.is_candidate):
            batch.extend(_take(user, found, swept, wall() - racy))
            while len(batch) >= chunk:
                yield batch[:chunk]
                batch = batch[chunk:]
    if batch:
        yield batch


def again(base: str, user: str, path: str, rules: Rules) -> list[Found]:
    """List one directory (relative to the data root) once more."""
    found = tree.listing(base, path, skip=rules.passes_over, wanted=rules.is_candidate)
    return _take(user, found, Swept(), math.inf)


def _take(user: str, found: tree.Listing, swept: Swept, racy_since: float) -> list[Found]:
    if found.error is not None or found.status is None:
        error = found.error
        if error is not None and error.errno not in (errno.ENOENT, errno.ENOTDIR):
            swept.unreadable.append((found.path, shown(os.strerror(error.errno or 0))))
        return []
    swept.directories += 1
    swept.files += len(found.files)
    if found.status.st_mtime > racy_since and len(swept.racy) < _MOST_RACY:
        swept.racy.append((user, found.path))
    directory = found.path[len(user) + len("/files/") :]
    prefix = f"{directory}/" if directory else ""
    return [Found(user, prefix + name, Fingerprint.of(status)) for name, status in found.files]
