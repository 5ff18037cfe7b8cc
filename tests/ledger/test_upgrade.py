"""Ledgers that earlier programs made, opened by this one: every row is there, and says the same.

Each file in ``earlier/`` is what a program of its time wrote into a real ledger, dumped.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from daemon.ledger.copies import copies
from daemon.ledger.model import State
from daemon.ledger.photo_list import Wanted
from daemon.ledger.recovery import losses, open_ledger
from daemon.ledger.schema import MIGRATIONS
from daemon.ledger.soundness import fault, version
from tests.ledger.entries import NOW

EARLIER = sorted((Path(__file__).parent / "earlier").glob("*.sql"))
PUBLISHED = ("39c91636", "df191fb1", "dfbf2937", "f66a0c10", "19affc74")
"""How the hash of each published script begins. Never change one: add a script, and a line here."""
SAME = (
    *("homes", "baseline", "batches", "jobs", "job_photos", "refreshed", "sweeps", "quarters", "sessions", "tokens"),
    *("marks", "outbox", "deeds", "inspections", "photos"),
)


def _made(script: Path, state: Path) -> Path:
    path = state / "ledger.db"
    state.mkdir(exist_ok=True)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(script.read_text())
    return path


def _rows(path: Path, sql: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(sql)]


def _tables(path: Path) -> set[str]:
    return {row["name"] for row in _rows(path, "SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_a_script_that_was_published_is_never_changed() -> None:
    hashes = [hashlib.sha256(script.encode()).hexdigest()[:8] for script in MIGRATIONS]
    assert tuple(hashes) == PUBLISHED, "ledgers were made by these: what is new goes into a script of its own"


@pytest.mark.parametrize("script", EARLIER, ids=lambda path: str(path.stem))
def test_every_row_of_an_earlier_ledger_survives(script: Path, tmp_path: Path) -> None:
    path = _made(script, tmp_path / "state")
    earlier = version(str(path))
    assert earlier == int(script.stem[0]) < len(MIGRATIONS)
    before = {table: _rows(path, f"SELECT * FROM {table}") for table in _tables(path)}
    ledger = open_ledger(str(path.parent), NOW + 1000)
    try:
        assert losses(ledger.state) == []
        for table in SAME:
            now = _rows(path, f"SELECT * FROM {table}")
            if table == "quarters":
                assert sum(row["done"] + row["duplicates"] for row in now) == 2
                continue
            if table not in before:
                assert now == []
                continue
            assert len(now) == len(before[table])
            for old, new in zip(before[table], now, strict=True):
                assert {key: new[key] for key in old if key != "csrf"} == {
                    key: value for key, value in old.items() if key != "csrf"
                }
        for photo in before["photos"]:
            told = ledger.photos.history(photo["id"])
            assert told[0]["state"] == "found"
            if "history" not in before:
                continue  # the way is in the photo's own row, compared above
            lines = [row for row in before["history"] if row["photo_id"] == photo["id"]]
            assert [(one["state"], one["note"]) for one in told] == [(one["state"], one["note"]) for one in lines]
            assert [one["at"] for one in told] == pytest.approx([one["at"] for one in lines], abs=0.002)
        assert {(one.blake3, os.fsencode(one.path), one.size, one.photo_id) for one in _contents(ledger, before)} == {
            (row["blake3"], row["path"], row["size"], row["photo_id"]) for row in before["contents"]
        }
        trail = [{**line, "path": os.fsencode(line["path"])} for line in reversed(ledger.audit.lines())]
        photos = {row["id"]: row for row in before["photos"]}
        # Since version 4 a line leaves to its photo's row whose photo it was, and where.
        assert trail == [
            line
            if line["user"] or not (of := photos.get(line["photo_id"]))
            else line | {k: of[k] for k in ("user", "path")}
            for line in before["audit"]
        ]
        # What the program asks all the time, along indexes that must be there.
        assert sum(ledger.photos.counts_of_users()["alice"].values()) == 8
        assert len(ledger.photo_list.page(Wanted(state=State.DONE)).photos) == 2
        assert len(ledger.photo_list.page(Wanted(user="alice", since=NOW)).photos) == 8
        assert ledger.photos.counts()["done"] == 2
    finally:
        ledger.close()
    assert fault(str(path)) == ""
    # And the earlier program's own file is kept, as it was.
    (_, copy), *more = copies(str(path.parent))
    assert not more
    assert version(copy) == earlier
    assert {table: _rows(Path(copy), f"SELECT * FROM {table}") for table in before} == before


def _contents(ledger: Any, before: dict[str, list[dict[str, Any]]]) -> list[Any]:
    return [ledger.contents.find(row["blake3"]) for row in before["contents"]]


def test_an_earlier_ledger_is_not_touched_where_no_copy_of_it_can_be_made(tmp_path: Path) -> None:
    path = _made(EARLIER[0], tmp_path / "state")
    before = path.read_bytes()
    (path.parent / "backups").write_text("a file where the folder should be")
    with pytest.raises(Exception, match="no copy"):
        open_ledger(str(path.parent), NOW)
    assert path.read_bytes() == before
