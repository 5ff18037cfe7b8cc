"""A harmless event, to prove that a watch hears: no file of ours in a person's folder, it would reach their devices."""

from __future__ import annotations

import ctypes
import os

from daemon.watch import tree

_NOW = (1 << 30) - 1  # UTIME_NOW, utimensat(2)
_OMIT = (1 << 30) - 2  # UTIME_OMIT
_AT_SYMLINK_NOFOLLOW = 0x100
_LIBC = ctypes.CDLL(None, use_errno=True)


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


def touch_access_time(base: str, path: str) -> None:
    """Set the access time of the directory ``path`` below ``base`` to now, and nothing else.

    Whoever watches it gets an event (``IN_ATTRIB``), nobody else sees a thing. ``os.utime`` cannot leave the
    modification time alone, and writing back the old one could undo a new one, by which others find new names. Raises
    ``OSError``: ``EPERM`` or ``EACCES`` where the directory is not ours, ``EROFS`` where nothing can be written.
    """
    directory, _, name = path.rpartition("/")
    times = (_Timespec * 2)(_Timespec(0, _NOW), _Timespec(0, _OMIT))
    fd = tree.open_directory(base, directory)
    try:
        done = _LIBC.utimensat(fd, os.fsencode(name or "."), ctypes.byref(times), _AT_SYMLINK_NOFOLLOW)
        if done != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(fd)
