"""A harmless event, to prove that a watch hears: no file of ours in a person's folder, it would reach their devices."""

from __future__ import annotations

import os

from daemon.watch import tree


def sing(base: str, path: str) -> None:
    """Give the directory ``path`` below ``base`` to the owner it has: an ``IN_ATTRIB`` event, and no change.

    Only its change time moves, by which nobody goes. Setting the access time alone is reported as ``IN_ACCESS``, for
    which the library does not listen; setting both times (``fsnotify_change`` in the kernel) could put an older
    modification time over a newer, by which others find new names. An owner may always do this. Raises ``OSError``:
    ``EPERM`` where the directory is not ours, ``EROFS`` where nothing can be written.
    """
    directory, _, name = path.rpartition("/")
    fd = tree.open_directory(base, directory)
    try:
        status = os.stat(name or ".", dir_fd=fd, follow_symlinks=False)
        os.chown(name or ".", status.st_uid, -1, dir_fd=fd, follow_symlinks=False)
    finally:
        os.close(fd)
