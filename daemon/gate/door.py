"""The gate's own socket: who may open it, and what is done with one that a dead gate left behind."""

from __future__ import annotations

import os
import socket
import stat
from typing import TYPE_CHECKING

import anyio

from daemon.errors import NeedsPerson
from daemon.text import shown

if TYPE_CHECKING:
    from pathlib import Path

    from anyio.abc import SocketListener

BACKLOG = 64
_UMASK = 0o117
"""Which makes the socket 0660. By umask, not by chmod afterwards: the daemon may be able to write the folder, and
could put a link to another file in the socket's place meanwhile."""


async def open_door(path: Path, *, gid: int | None) -> SocketListener:
    """Listen at ``path`` as 0660, for the group ``gid`` (``None``: the process's own).

    Raises:
        NeedsPerson: ``gate.listen``, the socket cannot be made, something else is there, or another gate listens.

    """
    try:
        _clear(path)
        before = os.umask(_UMASK)
        try:
            listener = await anyio.create_unix_listener(path, backlog=BACKLOG)
        finally:
            os.umask(before)
        if gid is not None:
            os.chown(path, -1, gid, follow_symlinks=False)
    except OSError as error:
        raise NeedsPerson(
            "gate.listen",
            f"The gate cannot listen at {shown(str(path))}: {error.strerror or shown(str(error))}.",
            hint="The folder must exist and belong to the gate's user, who must be in the group "
            "PHOTON_RELAY_GATE_GROUP or root.",
        ) from error
    return listener


def _clear(path: Path) -> None:
    """Take away what a gate that was killed left behind."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise FileExistsError(0, "something is there that is no socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        if probe.connect_ex(str(path)) == 0:
            raise FileExistsError(0, "another gate listens there")
    path.unlink()
