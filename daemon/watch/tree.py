"""Looking below a directory without ever following a link: every step is opened from the one above it.

A path that is checked and then used can be swapped in between. Here each component is opened relative to the open
directory above it with ``O_NOFOLLOW``, so that whatever is looked at does lie below the base.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
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


def names_in(base: str, directory: str) -> list[str]:
    """Give the names of what is not a directory in ``directory``; empty where there is no such directory."""
    try:
        fd = open_directory(base, directory, listing=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    try:
        with os.scandir(fd) as entries:
            return [entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)]
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
    """One directory's regular files and subdirectories, or why it could not be read."""

    path: str
    status: os.stat_result | None
    files: list[tuple[str, Fingerprint]]
    directories: list[str]
    error: OSError | None = None


def _read(fd: int, path: str, skip: Skip | None, wanted: Callable[[str], bool] | None) -> Listing:
    files: list[tuple[str, Fingerprint]] = []
    directories: list[str] = []
    status = os.fstat(fd)
    with os.scandir(fd) as entries:
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    directories.append(entry.name)
                elif (wanted is None or wanted(entry.name)) and entry.is_file(follow_symlinks=False):
                    files.append((entry.name, Fingerprint.of(entry.stat(follow_symlinks=False))))
            except FileNotFoundError:  # gone between the listing and the look
                continue
    if skip is not None:
        directories = [name for name in directories if not skip(f"{path}/{name}" if path else name, fd)]
    return Listing(path, status, files, directories)


def listing(base: str, path: str, *, skip: Skip | None = None, wanted: Callable[[str], bool] | None = None) -> Listing:
    """List one directory; what is wrong with it stands in the result's ``error``."""
    try:
        fd = open_directory(base, path, listing=True)
    except OSError as error:
        return Listing(path, None, [], [], error)
    try:
        return _read(fd, path, skip, wanted)
    except OSError as error:
        return Listing(path, None, [], [], error)
    finally:
        os.close(fd)


def walk(
    base: str, path: str, *, skip: Skip | None = None, wanted: Callable[[str], bool] | None = None
) -> Iterator[Listing]:
    """List ``path`` below ``base`` and every directory in it, each before those inside it; links are not followed.

    ``skip(path, fd)`` keeps a directory from being entered (``fd`` is the open directory that holds it);
    ``wanted(name)`` says which files are worth a stat. A directory that cannot be read comes with its error. At any
    moment one listing and one descriptor a level are held, however large the tree is.
    """
    open_fds: list[int] = []
    waiting: list[list[str]] = []  # for each open directory, the paths in it still to enter
    try:
        # What is open is noted before anything is given out: whoever has seen enough may ask for no more.
        first, fd = _enter_first(base, path, skip, wanted)
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
            found, fd = enter(open_fds[-1], child, skip, wanted)
            if fd is not None:
                open_fds.append(fd)
            yield found
            if fd is not None:
                waiting.append([f"{child}/{name}" for name in sorted(found.directories, reverse=True)])
    finally:
        for fd in open_fds:
            os.close(fd)


def enter(
    parent: int, path: str, skip: Skip | None, wanted: Callable[[str], bool] | None
) -> tuple[Listing, int | None]:
    """List the directory ``path``, of which the open directory ``parent`` holds the last component; give it open, too.

    Where it cannot be listed there is no descriptor, and the listing says why.
    """
    fd = None
    try:
        fd = os.open(path.rpartition("/")[2], _LIST, dir_fd=parent)
        return _read(fd, path, skip, wanted), fd
    except OSError as error:
        if fd is not None:
            os.close(fd)
        return Listing(path, None, [], [], error), None


def _enter_first(
    base: str, path: str, skip: Skip | None, wanted: Callable[[str], bool] | None
) -> tuple[Listing, int | None]:
    fd = None
    try:
        fd = open_directory(base, path, listing=True)
        return _read(fd, path, skip, wanted), fd
    except OSError as error:
        if fd is not None:
            os.close(fd)
        return Listing(path, None, [], [], error), None
