"""Opening a state folder's ledger, whatever became of it: a damaged one is set aside and a copy is put in its place.

Nothing is deleted on doubt. A ledger that was lost, wholly or since its last copy, does not know what was put back on
request or kept meanwhile; so the homes are listed anew, and all that stands there counts as old until a person says
otherwise. What the copy has under way goes on: each step of it looks at the very file before it does anything.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Final

from daemon.errors import Transient
from daemon.ledger.copies import back_up, copies, stamp, sync
from daemon.ledger.ledger import Ledger
from daemon.ledger.schema import MIGRATIONS
from daemon.ledger.soundness import SMALL, UNMADE, fault, is_unmade, version

log = logging.getLogger(__name__)

ASIDE: Final = "damaged"
_WHY: Final = "why.json"
_FILES: Final = ("ledger.db", "ledger.db-wal", "ledger.db-shm")
_DOUBT: Final = (
    "UPDATE homes SET baseline_at = NULL",
    "DELETE FROM photos WHERE state IN ('found', 'settled') AND batch_id IS NULL",
)


@dataclass(frozen=True, slots=True)
class Loss:
    """A ledger that was set aside: when (seconds since the epoch), where it is, why, and of when the copy is."""

    at: float
    aside: str
    why: str
    copy_of: float | None


def losses(state: str) -> list[Loss]:
    """Give the ledgers that stand aside, newest first; whoever has taken care of one takes its folder away."""
    found = []
    with suppress(FileNotFoundError):
        for name in sorted(os.listdir(f"{state}/{ASIDE}"), reverse=True):
            aside = f"{state}/{ASIDE}/{name}"
            told = {}
            with suppress(OSError, ValueError), open(f"{aside}/{_WHY}", encoding="utf-8") as file:
                told = json.load(file)
            found.append(Loss(told.get("at", 0.0), aside, told.get("why", "unknown"), told.get("copy_of")))
    return found


def open_ledger(state: str, now: float, found: str = "") -> Ledger:
    """Open the ledger of a state folder that nobody else has open. Blocking.

    One that is damaged, or gone though there are copies of it, is set aside; the newest whole copy takes its place, or
    else an empty one. ``found`` is what was found damaged while it was open before. An earlier version's is copied
    before it is made like this version's. Raises ``NeedsPerson`` ``ledger.newer`` or ``Transient``
    ``ledger.unwritable``: then nothing was touched.
    """
    try:
        os.makedirs(state, mode=0o700, exist_ok=True)
        why = found or _wrong(state)
        if why:
            _begin_anew(state, why, now)
        elif os.path.exists(f"{state}/ledger.db") and 0 < version(f"{state}/ledger.db") < len(MIGRATIONS):
            log.info("the ledger is an earlier version's: it is copied to %s first", back_up(state, now))
    except (OSError, sqlite3.OperationalError) as error:
        raise Transient(
            "ledger.unwritable",
            f"the ledger in {state} cannot be reached: {error}",
            hint="see that the disk of the state folder is there, not full, not read-only, not failing, and belongs to"
            " this user; leave the ledger where it is",
        ) from error
    return Ledger(state)


def _wrong(state: str) -> str:
    path = f"{state}/ledger.db"
    size = os.path.getsize(path) if os.path.exists(path) else 0
    if size == 0:
        wal = f"{path}-wal"
        left = os.path.exists(wal) and os.path.getsize(wal) > 0
        return "it is not there, though there was one" if left or copies(state) else ""
    why = fault(path, thorough=size <= SMALL)
    # Killed while the very first one was made: nothing was in it yet, and it is made again.
    return "" if why == UNMADE and is_unmade(path) and not copies(state) else why


def _begin_anew(state: str, why: str, now: float) -> None:
    whole = next(((made, path) for made, path in copies(state) if _usable(path)), None)
    aside = _set_aside(state, Loss(now, "", why, whole[0] if whole else None))
    if whole is None:
        log.error("the ledger was damaged (%s) and stands in %s; there is no copy, so it begins anew", why, aside)
        return
    log.error("the ledger was damaged (%s) and stands in %s; the copy %s takes its place", why, aside, whole[1])
    _put_in_place(state, whole[1])


def _usable(path: str) -> bool:
    try:
        wrong = fault(path)
        if not wrong and version(path) > len(MIGRATIONS):
            wrong = "it is a newer version's"
    except sqlite3.Error as error:
        wrong = str(error)
    if wrong:
        log.warning("the copy %s of the ledger is not used: %s", path, wrong)
    return not wrong


def _set_aside(state: str, loss: Loss) -> str:
    """Move the ledger's files into a folder of their own, and write down why."""
    name = base = stamp(loss.at)
    number = 1
    while os.path.lexists(f"{state}/{ASIDE}/{name}"):
        number += 1
        name = f"{base}-{number}"
    aside = f"{state}/{ASIDE}/{name}"
    os.makedirs(aside, mode=0o700)
    with open(f"{aside}/{_WHY}", "w", encoding="utf-8") as file:
        json.dump({"at": loss.at, "why": loss.why, "copy_of": loss.copy_of}, file)
        file.flush()
        os.fsync(file.fileno())
    # The whole way there first: a ledger that is moved into a folder whose own name does not last goes with it.
    for folder in (aside, f"{state}/{ASIDE}", state):
        sync(folder)
    for one in _FILES:
        with suppress(FileNotFoundError):
            # Power cut here: the ledger goes first. A log of it that is left behind alone is seen at the next start
            # and set aside too, before another ledger could be opened beside it and take it for its own.
            os.rename(f"{state}/{one}", f"{aside}/{one}")
    sync(aside)
    sync(state)
    return aside


def _put_in_place(state: str, copy: str) -> None:
    """Put a copy in the ledger's place, in which what stands at the users' is in doubt."""
    fresh = f"{state}/ledger.db.new"
    for name in (fresh, f"{fresh}-journal", f"{fresh}-wal", f"{fresh}-shm"):
        with suppress(FileNotFoundError):
            os.unlink(name)
    shutil.copyfile(copy, fresh)
    os.chmod(fresh, 0o600)
    with closing(sqlite3.connect(fresh, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        for statement in _DOUBT:
            connection.execute(statement)
    sync(fresh)
    # Power cut here: the ledger's name is free or has the whole copy; while it is free, the next start begins again.
    os.rename(fresh, f"{state}/ledger.db")
    sync(state)
