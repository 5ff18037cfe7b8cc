"""From the paths that the kernel named to what stands there: links left out, new directories listed.

The watching library follows links, in and out of the tree, and reports a file under the link's path; a directory
that can be reached by two ways is reported under one of them only. So each path is opened step by step without
following, and one that leads through a link is turned into its real path, or dropped if that lies elsewhere.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from daemon.fingerprint import Fingerprint
from daemon.watch import tree
from daemon.watch.model import Change, below
from daemon.watch.questions import SOON

if TYPE_CHECKING:
    from daemon.watch.questions import Questions

MOST_LISTED = 5_000
"""Files and folders in new directories that are listed at once. A folder of a million, moved in, took gigabytes so."""


@dataclass(slots=True)
class Digest:
    """What a batch of raw paths amounts to. ``large``: directories that hold too much to be listed here."""

    changes: dict[str, Change] = field(default_factory=dict)
    large: list[str] = field(default_factory=list)
    listed: int = 0
    unreadable: list[tuple[str, OSError]] = field(default_factory=list)
    directories: set[str] = field(default_factory=set)


def digest(base: str, roots: tuple[str, ...], paths: set[str], *, added: set[str], list_added: bool = True) -> Digest:
    """Look at each of ``paths`` (relative to ``base``); those in ``added`` that are directories are listed, too.

    Of those, no more than `MOST_LISTED` files and folders in all. Nothing outside ``roots`` is ever in the result.
    Blocking; to be run in a thread.
    """
    result = Digest()
    grouped: dict[str, list[str]] = {}
    for path in paths:
        directory, _, name = path.rpartition("/")
        grouped.setdefault(directory, []).append(name)
    for directory, names in grouped.items():
        real, fd = _open(base, roots, directory)
        if real is None:
            continue
        if fd is None:
            for name in names:
                path = f"{real}/{name}" if real else name
                result.changes[path] = Change(path, None)
            continue
        try:
            for name in names:
                original = f"{directory}/{name}" if directory else name
                path = f"{real}/{name}" if real else name
                _look(base, roots, fd, path, result, enter=list_added and original in added)
        finally:
            os.close(fd)
    return result


async def digest_each(
    questions: Questions, base: str, roots: tuple[str, ...], paths: set[str], *, added: set[str], list_added: bool
) -> Digest:
    """Look as ``digest`` does, home by home; where a disk does not answer, the roots there are among the ``large``."""
    result = Digest()
    of_home: dict[str, set[str]] = {}
    for path in paths:
        of_home.setdefault(path.partition("/")[0], set()).add(path)
    for home, its in sorted(of_home.items()):
        try:
            look = partial(digest, base, roots, its, added=added, list_added=list_added)
            found = await questions.answer(home, look, SOON)
        except TimeoutError:
            result.large += [root for root in roots if root.partition("/")[0] == home]
            continue
        result.changes |= found.changes
        result.large += found.large
        result.unreadable += found.unreadable
        result.directories |= found.directories
    return result


def _open(base: str, roots: tuple[str, ...], directory: str) -> tuple[str | None, int | None]:
    """Give the real path of a directory and it opened; ``(None, None)``: not ours; ``(path, None)``: not there."""
    try:
        return directory, tree.open_directory(base, directory)
    except FileNotFoundError:
        return directory, None
    except OSError as error:
        if error.errno != errno.ENOTDIR:
            return (directory, None) if error.errno == errno.ENOENT else (None, None)
    # A link (or a file) stands where a directory was named.
    top = os.path.realpath(base)
    real = os.path.realpath(os.path.join(top, directory))
    if real != top and not real.startswith(top + "/"):
        return None, None
    inside = real[len(top) + 1 :]
    if below(inside, roots) is None:
        return None, None
    try:
        return inside, tree.open_directory(base, inside)
    except OSError:
        return None, None


def _look(base: str, roots: tuple[str, ...], fd: int, path: str, result: Digest, *, enter: bool) -> None:
    if below(path, roots) is None and not any(root.startswith(path + "/") for root in roots if path):
        return
    try:
        status = tree.look(fd, path.rpartition("/")[2])
    except OSError as error:
        result.unreadable.append((path, error))
        return
    if status is None:
        result.changes[path] = Change(path, None)
    elif stat.S_ISREG(status.st_mode):
        result.changes[path] = Change(path, Fingerprint.of(status))
    elif stat.S_ISDIR(status.st_mode):
        result.directories.add(path)
        if enter:
            _list(base, roots, path, result)


def _list(base: str, roots: tuple[str, ...], directory: str, result: Digest) -> None:
    if below(directory, roots) is None:
        return
    for found in tree.walk(base, directory, most=MOST_LISTED + 1):
        if found.error is not None:
            if found.error.errno not in (errno.ENOENT, errno.ENOTDIR):
                result.unreadable.append((found.path, found.error))
            continue
        result.directories.add(found.path)
        result.listed += len(found.files) + len(found.directories)
        if result.listed > MOST_LISTED:
            result.large.append(directory)
            return
        for name, fingerprint in found.files:
            path = f"{found.path}/{name}"
            result.changes[path] = Change(path, fingerprint)
