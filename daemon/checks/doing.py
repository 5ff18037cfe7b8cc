"""Rights proved by doing: files and folders of ours are made, renamed without replacing, and removed. All block.

Mode bits do not tell what one may do: ACLs, read-only mounts, user id mapping and network servers have their say.
Each call makes names that nobody can guess and removes those alone, so whatever else stands there stays.
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.errors import NeedsPerson, RelayError
from daemon.files.faults import path_of, told
from daemon.files.names import HIDDEN_PREFIX, word
from daemon.files.opening import directory_below, file_below, look
from daemon.files.placing import copy_into
from daemon.files.publishing import made_dirs, rename_noreplace
from daemon.nextcloud.homes import MARKERS
from daemon.text import shown

if TYPE_CHECKING:
    from daemon.files.placing import Method

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def private_name() -> str:
    """Give a hidden name that ends with ``.part``: Nextcloud's scanner passes over it, and so do its clients.

    A dot stands where the hidden name of an original has a dash: what a killed check leaves is never taken for one.
    """
    return f"{HIDDEN_PREFIX}check.{word(16)}.part"


def take_away(dir_fd: int) -> None:
    """Prove that files in an open folder can be hidden and removed, with an empty file of ours that is gone at once.

    Raises what the disk said as the project's own errors.
    """
    made, hidden = private_name(), private_name()
    with told("making a file in", path_of(dir_fd)):
        fd = os.open(made, _CREATE, 0o600, dir_fd=dir_fd)
    try:
        with told("renaming a file in", path_of(dir_fd)):
            rename_noreplace(dir_fd, made, dir_fd, hidden)
        with told("removing a file in", path_of(dir_fd)):
            os.unlink(hidden, dir_fd=dir_fd)
    finally:
        os.close(fd)
        for name in (made, hidden):
            with suppress(OSError):
                os.unlink(name, dir_fd=dir_fd)


def others_may_go(dir_fd: int) -> None:
    """Make sure that in an open folder not only files of ours can be removed.

    Raises ``NeedsPerson`` ``disk.permission`` for a folder whose sticky bit leaves that to each file's owner.
    """
    status = os.fstat(dir_fd)
    if status.st_mode & stat.S_ISVTX and os.geteuid() not in {0, status.st_uid}:
        raise NeedsPerson(
            "disk.permission",
            f"{shown(path_of(dir_fd))} has the sticky bit: only the owner of a file may take it away.",
            hint=f"Take it off (chmod -t), or run the program as user id {status.st_uid}.",
        )


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a folder and a file that were made somewhere: who would own photos there, and how they came."""

    top: os.stat_result
    folder: os.stat_result
    file: os.stat_result
    method: Method | None
    """How the file's bytes came from the data directory; ``None`` where that was not there to be copied from."""
    same_device: bool
    same_mount: bool
    """Whether data directory and target are one mount, over which a name can be linked or renamed."""


def make_and_remove(root: str, data: str) -> Made:
    """Do in the folder ``root`` what placing does, hidden: a folder, a file copied into it, a rename; then remove all.

    What is copied is the marker of Nextcloud's data directory, a line of text or nothing, and no person's file.
    Raises what the disk said as the project's own errors; ``Transient`` ``disk.no_root`` where ``root`` is missing.
    """
    folder, renamed, file = (f"{HIDDEN_PREFIX}check-{word(16)}" for _ in range(3))
    with directory_below(root, "") as top:
        try:
            with made_dirs(top, folder) as inner:
                method, same_device, same_mount = _fill(inner, file, data)
                made_file = look(inner, file)
                made_folder = os.fstat(inner)
            with told("renaming a folder in", root):
                rename_noreplace(top, folder, top, renamed)
            _remove(top, renamed, file)
        finally:
            for name in (folder, renamed):
                with suppress(OSError, RelayError):
                    _remove(top, name, file)
        assert made_file is not None  # noqa: S101 - it was made, and its folder's name is known to us alone
        return Made(os.fstat(top), made_folder, made_file, method, same_device, same_mount)


def _fill(inner: int, name: str, data: str) -> tuple[Method | None, bool, bool]:
    with ExitStack() as opened:
        for marker in MARKERS:
            try:
                source = opened.enter_context(file_below(data, marker))
            except RelayError:
                continue  # told where the data directory is looked at
            placed = copy_into(source.fd, inner, name, size=source.status.st_size, mtime_ns=source.status.st_mtime_ns)
            same_device = source.status.st_dev == os.fstat(inner).st_dev
            return placed.method, same_device, _mount(source.fd) == _mount(inner) != ""
    with told("making a file in", path_of(inner)):
        fd = os.open(name, _CREATE, 0o600, dir_fd=inner)
        try:
            os.fchmod(fd, 0o664)
        finally:
            os.close(fd)
    return None, False, False


def _remove(top: int, folder: str, file: str) -> None:
    if look(top, folder) is None:
        return
    with directory_below(top, folder) as inner, told("removing a file in", path_of(inner)), suppress(FileNotFoundError):
        os.unlink(file, dir_fd=inner)
    with told("removing a folder in", path_of(top)):
        os.rmdir(folder, dir_fd=top)


def mount_at(path: str) -> str:
    """Give the number of the mount at a folder, empty where the kernel does not tell."""
    with directory_below(path, "") as fd:
        return _mount(fd)


def _mount(fd: int) -> str:
    """Give the number of the mount that an open file lies on: ``st_dev`` is the same for two mounts of one disk."""
    try:
        with open(f"/proc/self/fdinfo/{fd}", encoding="ascii", errors="replace") as info:
            return next((line.split()[1] for line in info if line.startswith("mnt_id:")), "")
    except OSError:
        return ""
