"""Opening what lies below a trusted folder, while hostile users swap folders for links.

A path is walked component by component, each opened below the descriptor of the one before and never through a link
(``O_NOFOLLOW``), with ``..`` refused. A check of a path followed by its opening would leave a gap between the two; a
descriptor has none. So no file outside of the root can be opened, whatever is renamed meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from daemon.errors import Refused, Transient
from daemon.files.faults import disk_fault, path_of
from daemon.fingerprint import Fingerprint
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

# Directories on the way need no right to be listed, only to be passed.
_PASS = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK the opening of a FIFO waits for a writer for ever.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NO_NAMES = frozenset({"", ".", ".."})


class OpenFile:
    """A regular file, open for reading, with the descriptor of the folder in which it was found under ``name``.

    Closed at the end of its ``with`` block.
    """

    __slots__ = ("dir_fd", "fd", "name", "status")

    def __init__(self, fd: int, dir_fd: int, name: str, status: os.stat_result) -> None:
        self.fd = fd
        self.dir_fd = dir_fd
        self.name = name
        self.status = status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        os.close(self.fd)
        # Where a file system is asked by names (FUSE), an open file may be gone before its end.
        if isinstance(error, FileNotFoundError) and error.filename is None:
            raise disk_fault(error, "reading", path_of(self.dir_fd, self.name)) from error

    @property
    def fingerprint(self) -> Fingerprint:
        """Give the fingerprint as it was when the file was opened."""
        return Fingerprint.of(self.status)

    @property
    def foreign(self) -> bool:
        """Tell whether it is a second name of a file that belongs to somebody else than its folder does.

        Whoever may write into a folder can put a name of any file of its disk there. Copying such a file for them would
        show what only this program may read.
        """
        return self.status.st_nlink > 1 and self.status.st_uid != os.fstat(self.dir_fd).st_uid


def parts_of(relpath: str) -> list[str]:
    """Give a relative path's components; refuses whatever could lead elsewhere (``..``, a leading ``/``, NUL).

    The empty path is the root itself. Raises ``Refused`` ``file.outside``.
    """
    if not relpath:
        return []
    parts = relpath.split("/")
    if any(part in _NO_NAMES or "\0" in part for part in parts):
        raise Refused("file.outside", f"{shown(relpath)} is not a plain path below its folder.", path=relpath)
    return parts


@contextmanager
def directory_below(root: str | int, relpath: str) -> Iterator[int]:
    """Open the folder ``relpath`` below ``root`` without following a link, and close it at the end.

    ``root`` is trusted: a path from the settings (in which links are followed) or an open directory. Raises
    ``Transient`` ``disk.no_root`` where the root itself is missing, which is a mount that is not there and not a file
    that has vanished; else ``Refused`` ``file.vanished``, ``file.link``, ``file.not_directory`` or ``file.outside``.
    """
    fd = _open_directory(root, parts_of(relpath), relpath)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def file_below(root: str | int, relpath: str) -> Iterator[OpenFile]:
    """Open the regular file ``relpath`` below ``root`` for reading without following a link, and close it at the end.

    Raises as ``directory_below`` does, and ``Refused`` ``file.link`` or ``file.not_regular``. A file with several hard
    links is read like any other.
    """
    parts = parts_of(relpath)
    if not parts:
        raise Refused("file.outside", "A file needs a name.", path=relpath)
    with directory_below(root, "/".join(parts[:-1])) as dir_fd, open_regular(dir_fd, parts[-1]) as opened:
        yield opened


def open_regular(dir_fd: int, name: str) -> OpenFile:
    """Open the regular file ``name`` of an open directory for reading; for use by ``with``.

    Raises ``Refused`` ``file.vanished``, ``file.link``, ``file.not_regular``, or what the disk said.
    """
    if name in _NO_NAMES or "/" in name or "\0" in name:
        raise Refused("file.outside", f"{shown(name)} is not a plain name.", path=name)
    try:
        fd = os.open(name, _FILE, dir_fd=dir_fd)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _link(path_of(dir_fd, name)) from error
        if error.errno in {errno.ENXIO, errno.ENODEV}:  # a socket, or a device without a driver
            raise _not_regular(path_of(dir_fd, name)) from error
        raise disk_fault(error, "opening", path_of(dir_fd, name)) from error
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise _not_regular(path_of(dir_fd, name))
    except OSError as error:
        os.close(fd)
        raise disk_fault(error, "looking at", path_of(dir_fd, name)) from error
    except BaseException:
        os.close(fd)
        raise
    return OpenFile(fd, dir_fd, name, status)


def look(dir_fd: int, name: str) -> os.stat_result | None:
    """Give the status of what stands under ``name`` itself (a link's own, not its target's), ``None`` for nothing."""
    try:
        return os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise disk_fault(error, "looking at", path_of(dir_fd, name)) from error


def names_in(dir_fd: int) -> list[str]:
    """Give the names in an open folder as they are now.

    By a descriptor opened anew: btrfs tells one that is open already only what stood there when it was opened
    (fs/btrfs/inode.c, btrfs_opendir: last_index).
    """
    try:
        fresh = os.open(".", _FOLDER, dir_fd=dir_fd)
        try:
            return os.listdir(fresh)
        finally:
            os.close(fresh)
    except OSError as error:
        raise disk_fault(error, "listing", path_of(dir_fd)) from error


def _open_directory(root: str | int, parts: list[str], relpath: str) -> int:
    fd = _open_root(root, last=not parts)
    for index, part in enumerate(parts):
        try:
            inner = os.open(part, _FOLDER if index == len(parts) - 1 else _PASS, dir_fd=fd)
        except OSError as error:
            if error.errno in {errno.ENOTDIR, errno.ELOOP}:
                # The system says ENOTDIR of a link too; looking again is for the words only, nothing is opened by it.
                found = look(fd, part)
                path = path_of(fd, part)
                if found is not None and stat.S_ISLNK(found.st_mode):
                    raise _link(path) from error
                raise Refused("file.not_directory", f"{shown(path)} is not a folder.", path=path) from error
            raise disk_fault(error, "opening", path_of(fd, part)) from error
        finally:
            os.close(fd)
        fd = inner
    return fd


def _open_root(root: str | int, *, last: bool) -> int:
    if isinstance(root, int):
        return os.open(".", _FOLDER if last else _PASS, dir_fd=root)
    try:
        return os.open(root, (_FOLDER if last else _PASS) & ~os.O_NOFOLLOW)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENOTDIR}:
            raise Transient(
                "disk.no_root",
                f"The folder {shown(root)} is not there.",
                hint="Is it mounted? Nothing is touched until it is back.",
                path=root,
            ) from error
        raise disk_fault(error, "opening", root) from error


def _link(path: str) -> Refused:
    return Refused("file.link", f"{shown(path)} is a link, and links are not followed.", path=path)


def _not_regular(path: str) -> Refused:
    return Refused("file.not_regular", f"{shown(path)} is not a regular file (a folder, pipe or device).", path=path)
