"""The one door to the ledger."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from daemon.ledger.audit import Audit
from daemon.ledger.batch_list import BatchList
from daemon.ledger.batches import Batches
from daemon.ledger.contents import Contents
from daemon.ledger.doors import DoorTables
from daemon.ledger.figures import Figures
from daemon.ledger.homes import Homes
from daemon.ledger.inspections import Inspections
from daemon.ledger.jobs import Jobs
from daemon.ledger.marks import Marks
from daemon.ledger.outbox import Deeds, Outbox
from daemon.ledger.photo_list import PhotoList
from daemon.ledger.photos import Photos
from daemon.ledger.stock import Stock
from daemon.ledger.store import Store

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from contextlib import AbstractContextManager


class Ledger:
    """All tables of one state folder, over one connection.

    Steps that belong together are one transaction: ``with ledger.write(): …`` joins every call made inside it.
    """

    def __init__(self, state: str) -> None:
        os.makedirs(state, mode=0o700, exist_ok=True)  # noqa: PTH103
        store = Store(f"{state}/ledger.db")
        self._store = store
        self.state = state
        self.figures = Figures(store)
        self.photos = Photos(store, self.figures)
        self.photo_list = PhotoList(store)
        self.batches = Batches(store)
        self.batch_list = BatchList(store)
        self.contents = Contents(store)
        self.stock = Stock(store)
        self.homes = Homes(store)
        self.jobs = Jobs(store)
        self.audit = Audit(store)
        self.doors = DoorTables(store)
        self.outbox = Outbox(store)
        self.deeds = Deeds(store)
        self.marks = Marks(store)
        self.inspections = Inspections(store)

    def on_damage(self, tell: Callable[[str], None]) -> None:
        """Have ``tell`` called, from whichever thread, when the file is found damaged while it is in use."""
        self._store.on_damage = tell

    def found_damaged(self, what: str) -> None:
        """Have it told that the file is damaged."""
        self._store.on_damage(what)

    def write(self) -> AbstractContextManager[sqlite3.Connection]:
        """Open a transaction that all calls inside the block join."""
        return self._store.write()

    @property
    def changes(self) -> int:
        """Give how many rows were changed since it was opened: while that stands still, so does all that was read."""
        return self._store.changes

    def close(self) -> None:
        """Close the file."""
        self._store.close()
