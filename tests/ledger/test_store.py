from __future__ import annotations

import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from daemon.errors import NeedsPerson, Transient
from daemon.ledger import schema
from daemon.ledger.ledger import Ledger
from daemon.ledger.schema import MIGRATIONS
from tests.ledger.entries import NOW, add


def test_a_new_ledger_is_the_owners_alone_in_wal_mode_and_synced_at_each_commit(tmp_path: Path) -> None:
    Ledger(str(tmp_path / "deep" / "state")).close()
    path = tmp_path / "deep" / "state" / "ledger.db"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    ledger = Ledger(str(path.parent))
    with ledger.write() as db:
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert db.execute("PRAGMA synchronous").fetchone()[0] == 2
        assert db.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    ledger.close()
    assert not path.with_name("ledger.db-wal").exists()


def test_what_was_written_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path))
    identity = add(ledger)
    ledger.close()
    ledger = Ledger(str(tmp_path))
    assert ledger.photos.get(identity) is not None
    ledger.close()


def test_a_ledger_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    Ledger(str(tmp_path)).close()
    connection = sqlite3.connect(tmp_path / "ledger.db")
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    before = (tmp_path / "ledger.db").read_bytes()
    with pytest.raises(NeedsPerson) as caught:
        Ledger(str(tmp_path))
    assert caught.value.code == "ledger.newer"
    assert "newer version" in caught.value.message
    assert (tmp_path / "ledger.db").read_bytes() == before


@pytest.mark.parametrize("damage", ["no database", "cut", "scrambled"])
def test_a_damaged_ledger_is_told_in_words(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "ledger.db"
    if damage == "no database":
        path.write_bytes(b"this is no database " * 500)
    else:
        Ledger(str(tmp_path)).close()
        whole = path.read_bytes()
        path.write_bytes(whole[:4096] if damage == "cut" else b"SQLite format 3\0" + b"\xff" * (len(whole) - 16))
    with pytest.raises(NeedsPerson) as caught:
        Ledger(str(tmp_path))
    assert caught.value.code == "ledger.damaged"
    assert str(path) in caught.value.message
    assert caught.value.hint
    held = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert not [one for one in held if one.startswith(str(tmp_path))], "a ledger that was refused stays open"


def test_a_migration_that_fails_half_way_leaves_the_earlier_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Ledger(str(tmp_path)).close()
    more = "CREATE TABLE added (x); CREATE TABLE photos (x)"  # the second one exists
    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, more))
    with pytest.raises(NeedsPerson):
        Ledger(str(tmp_path))
    connection = sqlite3.connect(tmp_path / "ledger.db")
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
    assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'added'").fetchall()
    connection.close()


def test_a_migration_that_is_new_is_applied_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(str(tmp_path))
    identity = add(ledger)
    ledger.close()
    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE added (x)"))
    for _ in range(2):
        ledger = Ledger(str(tmp_path))
        assert ledger.photos.get(identity) is not None
        ledger.close()


def test_a_transaction_is_all_or_nothing_with_all_that_is_called_inside(ledger: Ledger) -> None:
    def half() -> None:
        with ledger.write():
            add(ledger, "Camera/a.jpg")
            ledger.jobs.add("user", "alice", "Camera", NOW)
            ledger.audit.note(NOW, "removed")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        half()
    assert ledger.photos.last_id() == 0
    assert ledger.jobs.pending() == []
    assert ledger.audit.lines() == []
    with ledger.write():
        add(ledger, "Camera/b.jpg")
        with ledger.write():
            add(ledger, "Camera/c.jpg")
    assert sum(ledger.photos.counts().values()) == 2


def test_after_a_rollback_the_next_transaction_counts_again(ledger: Ledger) -> None:
    def interrupted() -> None:
        with ledger.write():
            add(ledger)
            raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            interrupted()
    identity = add(ledger)
    assert ledger.photos.get(identity) is not None


def test_a_ledger_that_cannot_be_written_passes_by_itself(ledger: Ledger, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "state" / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    ledger._store._connection.execute("PRAGMA busy_timeout = 50")
    with pytest.raises(Transient) as caught:
        add(ledger)
    assert caught.value.code == "ledger.unwritable"
    other.execute("ROLLBACK")
    other.close()
    assert add(ledger)


def test_a_full_disk_rolls_back_and_passes(ledger: Ledger) -> None:
    with ledger.write() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
    ledger._store._connection.execute(f"PRAGMA max_page_count = {pages}")

    def fill() -> None:
        with ledger.write():
            for number in range(2000):
                add(ledger, f"Camera/{number}.jpg" + "x" * 200)

    with pytest.raises(Transient) as caught:
        fill()
    assert caught.value.code == "ledger.unwritable"
    assert ledger.photos.last_id() == 0
    ledger._store._connection.execute("PRAGMA max_page_count = 1000000")
    assert add(ledger)


def test_many_threads_write_and_read_side_by_side(ledger: Ledger) -> None:
    faults: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(20):
                with ledger.write():
                    add(ledger, f"Camera/{number}-{turn}.jpg")
                    ledger.jobs.add("user", "alice", f"f{number}", NOW)
                assert ledger.photos.latest("alice", f"Camera/{number}-{turn}.jpg") is not None
        except BaseException as fault:  # noqa: BLE001 - a thread hands it on
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert ledger.photos.counts()["found"] == 80
    assert len(ledger.jobs.pending()) == 4
