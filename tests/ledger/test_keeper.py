"""The daily look at the ledger: a copy of a whole one, a word of a damaged one, whenever it was damaged."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from daemon import ledgerkeeper
from daemon.clock import Clock
from daemon.events import Bus
from daemon.issues import Issues
from daemon.ledger.copies import copies
from daemon.ledger.soundness import fault
from daemon.ledgerkeeper import LedgerKeeper
from tests.ledger.entries import add

if TYPE_CHECKING:
    import pytest

    from daemon.ledger.ledger import Ledger


async def test_damage_between_the_look_and_the_copy_is_told_as_damage(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ledger.write():
        for number in range(500):
            add(ledger, f"Camera/{number}.jpg")
    path = Path(ledger.state, "ledger.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    told: list[str] = []
    ledger.on_damage(told.append)

    def look_and_damage(looked_at: str) -> str:
        found = fault(looked_at)
        with path.open("r+b") as file:
            for page in range(2, path.stat().st_size // 4096):
                file.seek(page * 4096)
                file.write(os.urandom(4096))
        return found

    monkeypatch.setattr(ledgerkeeper, "fault", look_and_damage)
    clock = Clock()
    await LedgerKeeper(ledger, Issues(Bus(), clock), clock).look()
    assert [one.partition(":")[0] for one in told] == ["it cannot be read to its end"]
    assert copies(ledger.state) == []
