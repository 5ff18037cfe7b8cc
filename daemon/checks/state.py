"""The state folder: can the ledger be written there, and does its file system keep SQLite's promises. Blocks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from daemon.checks.check import Check, Level, failed, of_error, ok, warning
from daemon.checks.doing import take_away
from daemon.files.opening import directory_below
from daemon.ledger.recovery import losses
from daemon.ledgerkeeper import told
from daemon.text import shown
from daemon.watch.filesystems import silent_kind

if TYPE_CHECKING:
    from daemon.settings import Settings

STATE = "state folder"
_HINT = "Put `state` on a disk of this machine; in a container a named volume is best."


def state_folder(settings: Settings) -> list[Check]:
    """Make and remove a file in the state folder, or where it will be made. Raises what the disk said."""
    path = settings.state
    there = nearest(path)
    if not os.path.isdir(there):
        return [failed(STATE, f"{shown(there)} is no folder", "Give `state` a folder's name.", "state.no_folder")]
    with directory_below(there, "") as folder:
        take_away(folder)
    kind = silent_kind(there)
    if found := losses(path):
        return [of_error(STATE, told(found[0]), Level.WARNING)]
    if kind is None:
        return [ok(STATE, f"{shown(path)} can be written" if there == path else f"{shown(path)} will be made")]
    # SQLite's write-ahead log needs memory that all its processes share, which no network file system gives
    # (sqlite.org/wal.html); what runs through FUSE may or may not.
    if kind.startswith("fuse"):
        message = f"{shown(path)} lies on {kind}, where a database is safe only if that keeps locks and shared memory"
        return [warning(STATE, message, _HINT, "state.fuse")]
    message = f"{shown(path)} lies on {kind}, a network file system, where the ledger can be damaged"
    return [failed(STATE, message, _HINT, "state.network")]


def nearest(path: str) -> str:
    """Give the path itself, or the nearest folder above it that exists: the daemon makes the rest at its start."""
    while not os.path.lexists(path) and path not in {"", "/"}:
        path = os.path.dirname(path)
    return path or "."
