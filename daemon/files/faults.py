"""A disk's errors in words: which pass by themselves, which need a person, and which concern one file only."""

from __future__ import annotations

import errno
import os
import pwd
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from daemon.errors import NeedsPerson, Refused, RelayError, Transient
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

_FULL = {errno.ENOSPC, errno.EDQUOT}
_PERMISSION = {errno.EACCES, errno.EPERM}
_BUSY = {errno.EBUSY, errno.EAGAIN, errno.ETXTBSY}
# A disk that fails, a share or FUSE process that has gone.
_FAILING = {errno.EIO, errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ESTALE, errno.EREMOTEIO, errno.EUCLEAN}
_OF_A_DISK = _FULL | _PERMISSION | _FAILING | {errno.EROFS, errno.EBUSY}


def disk_fault(error: OSError, doing: str, path: str) -> RelayError:
    """Give the project's own error for what the system said while ``doing`` something to ``path``.

    ``doing`` completes the sentence "while …". Codes: ``disk.full``, ``disk.read_only``, ``disk.permission``,
    ``disk.error``, ``file.vanished``, ``file.link``, ``file.name``, ``file.busy``, ``file.too_large``.
    """
    where = shown(path)
    code = error.errno or 0
    context: dict[str, Any] = {"path": path, "errno": errno.errorcode.get(code, str(code))}
    if code in _FULL:
        return Transient(
            "disk.full",
            f"There is no space left, while {doing} {where}.",
            hint="Free some space or raise the quota; it is tried again by itself.",
            **context,
        )
    if code == errno.EROFS:
        return Transient(
            "disk.read_only",
            f"The file system is read-only, while {doing} {where}.",
            hint="Mount it read-write; a disk that has turned itself read-only wants looking after.",
            **context,
        )
    if code in _PERMISSION:
        return NeedsPerson(
            "disk.permission",
            f"{_who()} may not do this: {doing} {where}.",
            hint="Give that user or group the right to it, or run the program as the user who owns it.",
            **context,
        )
    if code in _BUSY:
        return Transient("file.busy", f"Something else holds it, while {doing} {where}.", **context)
    refusal = _REFUSALS.get(code)
    if refusal is not None:
        return Refused(refusal[0], refusal[1].format(where), **context)
    return Transient(
        "disk.error",
        f"The disk answered {errno.errorcode.get(code, code)} ({error.strerror}), while {doing} {where}.",
        hint="Look at the disk, its cable and its mount; it is tried again by itself.",
        **context,
    )


_REFUSALS = {
    errno.ENOENT: ("file.vanished", "{} is no longer there."),
    errno.ELOOP: ("file.link", "{} is a link, and links are not followed."),
    errno.ENAMETOOLONG: ("file.name", "{} has a name that is too long for the file system."),
    errno.EFBIG: ("file.too_large", "{} is larger than the file system can hold."),
}


def in_words(error: Exception, doing: str) -> RelayError | None:
    """Give the project's own error for what a disk said and no step has put into words; ``None`` for anything else.

    The last net, for loops: a call that was thought never to fail must not turn a full or dying disk into a fault of
    the program. What says nothing about a disk (a name that is not there, a wrong argument) stays a fault.
    """
    if isinstance(error, OSError) and error.errno in _OF_A_DISK:
        where = error.filename if isinstance(error.filename, str) else "a file"
        return disk_fault(error, doing, where)
    return None


@contextmanager
def told(doing: str, path: str) -> Iterator[None]:
    """Turn each ``OSError`` of the block into the project's own; a taken name stays ``FileExistsError``.

    A taken name is no fault: every caller has another name to offer, or something to compare with.
    """
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        raise disk_fault(error, doing, path) from error


def path_of(dir_fd: int, name: str = "") -> str:
    """Give the path that an open directory has just now, for words only: it may be another a moment later."""
    try:
        folder = os.readlink(f"/proc/self/fd/{dir_fd}")
    except OSError:
        folder = "…"
    return f"{folder}/{name}" if name else folder


def changed(path: str, *, why: str = "") -> Transient:
    """Give the error for a file that is not what it was: it settles anew and is looked at again."""
    return Transient(
        "file.changed",
        f"{shown(path)} changed meanwhile{f' ({why})' if why else ''}.",
        hint="It is looked at again once it is quiet.",
        path=path,
    )


def _who() -> str:
    uid = os.geteuid()
    try:
        return f"The user {pwd.getpwuid(uid).pw_name} (uid {uid}, gid {os.getegid()})"
    except KeyError:
        return f"The user with uid {uid} (gid {os.getegid()})"
