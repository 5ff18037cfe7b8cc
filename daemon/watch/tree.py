"""Looking below a directory without ever following a link: every step is opened from the one above it.

A path that is checked and then used can be swapped in between. Here each component is opened relative to the open
directory above it with ``O_NOFOLLOW``, so that whatever is looked at does lie below the base.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import NamedTuple

from daemon.fingerprint import Fingerprint

DEEPEST = 100
"""Directories nested deeper than this are reported and not entered; each level of a walk holds a descriptor."""

_PATH = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Skip = Callable[[str, int], bool]


def open_directory(base: str, path: str, *, listing: bool = False) -> int:
    """Open the directory ``path`` below ``base`` without following a link, for looking up names or for listing.

    Raises ``OSError``: ``ENOENT`` where a component is missing, ``ENOTDIR`` where one is a link or a file.
    """
    parts = [part for part in path.split("/") if part]
    if ".." in parts:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
    # The base itself is the administrator's word, and may be a link.
    fd = os.open(base, (_LIST if listing and not parts else _PATH) & ~os.O_NOFOLLOW)
    for position, part in enumerate(parts):
        flags = _LIST if listing and position == len(parts) - 1 else _PATH
        try:
            below = os.open(part, flags, dir_fd=fd)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path) from error
            raise
        finally:
            os.close(fd)
        fd = below
    return fd


def look(fd: int, name: str) -> os.stat_result | None:
    """Stat ``name`` in an open directory without following a link; ``None`` where nothing of that name stands."""
    try:
        return os.stat(name, dir_fd=fd, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None


def fingerprints(base: str, directory: str, names: list[str]) -> dict[str, Fingerprint | None]:
    """Give the fingerprints of the regular files ``names`` in ``directory``; ``None`` for what is none."""
    try:
        fd = open_directory(base, directory)
    except (FileNotFoundError, NotADirectoryError):
        return dict.fromkeys(names)
    try:
        result: dict[str, Fingerprint | None] = {}
        for name in names:
            status = look(fd, name)
            regular = status is not None and stat.S_ISREG(status.st_mode)
            result[name] = Fingerprint.of(status) if status is not None and regular else None
        return result
    finally:
        os.close(fd)


def names_in(base: str, directory: str, wanted: Callable[[str], bool]) -> list[str]:
    """Give those names in ``directory`` that are wanted and no directory's; none where there is no such directory.

    The others, of which there may be a million, are never held.
    """
    try:
        fd = open_directory(base, directory, listing=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    try:
        with os.scandir(fd) as entries:
            return [entry.name for entry in entries if wanted(entry.name) and not entry.is_dir(follow_symlinks=False)]
    finally:
        os.close(fd)


def stat_directory(base: str, path: str) -> os.stat_result | None:
    """Stat the directory ``path`` below ``base``; ``None`` where none can be opened and looked at there."""
    try:
        fd = open_directory(base, path)
    except OSError:
        return None
    try:
        return os.fstat(fd)
    except OSError:  # a disk that has failed since
        return None
    finally:
        os.close(fd)


def identity(base: str, path: str) -> tuple[int, int] | None:
    """Give device and inode of the directory ``path`` below ``base``; ``None`` where none can be opened there."""
    status = stat_directory(base, path)
    return None if status is None else (status.st_dev, status.st_ino)


class Listing(NamedTuple):
    """One directory's regular files and subdirectories, or why it could not be read; maybe only a part of them."""

    path: str
    status: os.stat_result | None
    files: list[tuple[str, Fingerprint]]
    directories: list[str]
    error: OSError | None = None


def parts(
    fd: int, path: str, most: int, *, skip: Skip | None = None, wanted: Callable[[str], bool] | None = None
) -> Generator[Listing]:
    """List an open directory by parts of at most so many files and directories; there is one part at least.

    Only one part is held at a time: a folder may have a million files. What is wrong stands in the last one's
    ``error``, and the status is that from before the listing.
    """
    files: list[tuple[str, Fingerprint]] = []
    directories: list[str] = []
    status = None
    try:
        status = os.fstat(fd)
        with os.scandir(fd) as entries:
            for entry in entries:
                try:
                    if entry.is_dir(follow_symlinks=False):
                        name = entry.name
                        if skip is None or not skip(f"{path}/{name}" if path else name, fd):
                            directories.append(name)
                    elif (wanted is None or wanted(entry.name)) and entry.is_file(follow_symlinks=False):
                        files.append((entry.name, Fingerprint.of(entry.stat(follow_symlinks=False))))
                except FileNotFoundError:  # gone between the listing and the look
                    continue
                if len(files) + len(directories) >= most:
                    yield Listing(path, status, files, directories)
                    files, directories = [], []
    except OSError as error:
        yield Listing(path, None, [], [], error)
    else:
        yield Listing(path, status, files, directories)


def _read(fd: int, path: str, skip: Skip | None, wanted: Callable[[str], bool] | None, most: int) -> Listing:
    with closing(parts(fd, path, most, skip=skip, wanted=wanted)) as found_by_parts:
        found = next(found_by_parts)
    if found.error is not None:
        raise found.error
    return found


def listing(base: str, path: str, *, skip: Skip | None = None, wanted: Callable[[str], bool] | None = None) -> Listing:
    """List one directory; what is wrong with it stands in the result's ``error``."""
    [found] = listed(base, path, sys.maxsize, skip=skip, wanted=wanted)
    return found


def listed(
    base: str, path: str, most: int, *, skip: Skip | None = None, wanted: Callable[[str], bool] | None = None
) -> Iterator[Listing]:
    """List one directory by `parts`; what is wrong with it stands in the last one's ``error``."""
    try:
        fd = open_directory(base, path, listing=True)
    except OSError as error:
        yield Listing(path, None, [], [], error)
        return
    try:
        yield from parts(fd, path, most, skip=skip, wanted=wanted)
    finally:
        os.close(fd)


def walk(
    base: str,
    path: str,
    *,
    skip: Skip | None = None,
    wanted: Callable[[str], bool] | None = None,
    most: int = sys.maxsize,
) -> Iterator[Listing]:
    """List ``path`` below ``base`` and every directory in it, each before those inside it; links are not followed.

    ``skip(path, fd)`` keeps a directory from being entered (``fd`` is the open directory that holds it);
    ``wanted(name)`` says which files are worth a stat. A directory that cannot be read comes with its error. At any
    moment one listing and one descriptor a level are held, however large the tree is. Of a directory with ``most``
    files and directories or more, no more than so many are given.
    """
    open_fds: list[int] = []
    waiting: list[list[str]] = []  # for each open directory, the paths in it still to enter
    try:
        # What is open is noted before anything is given out: whoever has seen enough may ask for no more.
        first, fd = _enter_first(base, path, skip, wanted, most)
        if fd is None:
            yield first
            return
        open_fds.append(fd)
        yield first
        waiting.append([f"{path}/{name}" if path else name for name in sorted(first.directories, reverse=True)])
        while open_fds:
            if not waiting[-1]:
                waiting.pop()
                os.close(open_fds.pop())
                continue
            child = waiting[-1].pop()
            if len(open_fds) >= DEEPEST:
                yield Listing(child, None, [], [], OSError(errno.ENAMETOOLONG, "nested too deeply", child))
                continue
            found, fd = _enter(open_fds[-1], child, skip, wanted, most)
            if fd is not None:
                open_fds.append(fd)
            yield found
            if fd is not None:
                waiting.append([f"{child}/{name}" for name in sorted(found.directories, reverse=True)])
    finally:
        for fd in open_fds:
            os.close(fd)


def enter(parent: int, name: str | bytes) -> int:
    """Open a directory in another open one, to be listed. Raises ``OSError``, also where it is a link."""
    return os.open(name, _LIST, dir_fd=parent)


def _enter(
    parent: int, path: str, skip: Skip | None, wanted: Callable[[str], bool] | None, most: int
) -> tuple[Listing, int | None]:
    """List the directory ``path``, of which the open directory ``parent`` holds the last component; give it open, too.

    Where it cannot be listed there is no descriptor, and the listing says why.
    """
    fd = None
    try:
        fd = enter(parent, path.rpartition("/")[2])
        return _read(fd, path, skip, wanted, most), fd
    except OSError as error:
        if fd is not None:
            os.close(fd)
        return Listing(path, None, [], [], error), None


def _enter_first(
    base: str, path: str, skip: Skip | None, wanted: Callable[[str], bool] | None, most: int
) -> tuple[Listing, int | None]:
    fd = None
    try:
        fd = open_directory(base, path, listing=True)
        return _read(fd, path, skip, wanted, most), fd
    except OSError as error:
        if fd is not None:
            os.close(fd)
        return Listing(path, None, [], [], error), None
