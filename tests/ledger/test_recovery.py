"""Ledgers damaged in every way that a disk, a person or a crash does it: never deleted, and never in the way."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon.errors import NeedsPerson, Transient
from daemon.ledger.copies import back_up, copies
from daemon.ledger.ledger import Ledger
from daemon.ledger.model import State
from daemon.ledger.recovery import losses, open_ledger
from daemon.ledger.schema import MIGRATIONS
from daemon.ledger.soundness import fault
from tests.ledger.entries import NOW, add, put

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Give a state folder with forty photos, a copy with all but the last of them, and a home."""
    state = tmp_path / "state"
    ledger = Ledger(str(state))
    ledger.homes.seen("alice", NOW)
    ledger.homes.list_begin("alice")
    ledger.homes.list_end("alice", NOW)
    for number in range(39):
        put(ledger, State.DONE, f"Camera/{number}.jpg", blake3=os.urandom(32), sha1=os.urandom(20))
    add(ledger, "Camera/under way.jpg")
    ledger.close()
    back_up(str(state), NOW)
    ledger = Ledger(str(state))
    put(ledger, State.DONE, "Camera/after the copy.jpg", blake3=os.urandom(32))
    ledger.close()
    return state


def _not_one(path: Path) -> None:
    path.write_bytes(b"this is no database " * 500)


def _scrambled(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:16] + b"\xff" * (len(whole) - 16))


def _cut(path: Path) -> None:
    os.truncate(path, 3 * 4096)


def _cut_in_a_page(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 5000)


def _zeros(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    with closing(sqlite3.connect(path)) as db:
        page = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'photos'").fetchone()[0]
    whole[(page - 1) * 4096 : page * 4096] = bytes(4096)
    path.write_bytes(whole)


def _no_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE audit")


def _no_index(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP INDEX photos_found")


def _no_column(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("ALTER TABLE homes DROP COLUMN anchor")


def _schema(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET sql = 'CREATE TABEL photos' WHERE name = 'photos'")
        db.commit()


def _index_of_other_rows(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    at = whole.rindex(b"Camera/7.jpg")
    whole[at : at + 12] = b"Camera/9.jpg"
    path.write_bytes(whole)


def _gone(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGE: dict[str, Callable[[Path], None]] = {
    function.__name__.strip("_"): function
    for function in (
        *(_not_one, _scrambled, _cut, _cut_in_a_page, _zeros, _no_table, _no_index, _no_column, _schema),
        *(_index_of_other_rows, _gone, _empty),
    )
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_ledger_stands_aside_and_its_copy_takes_its_place(state: Path, damage: str) -> None:
    path = state / "ledger.db"
    DAMAGE[damage](path)
    bytes_then = path.read_bytes() if path.exists() else None
    ledger = open_ledger(str(state), NOW + 100)
    try:
        assert ledger.photos.latest("alice", "Camera/38.jpg") is not None
        assert ledger.photos.latest("alice", "Camera/after the copy.jpg") is None
        # Nothing is taken on doubt: what stands there is listed anew, what had not begun is part of that.
        assert ledger.photos.latest("alice", "Camera/under way.jpg") is None
        assert ledger.homes.all()["alice"].baseline_at is None
        (loss,) = losses(str(state))
        assert loss.copy_of == NOW
        assert loss.why
        aside = Path(loss.aside, "ledger.db")
        assert (aside.read_bytes() if aside.exists() else None) == bytes_then
    finally:
        ledger.close()
    assert fault(str(path)) == ""
    # Once more: nothing happens again.
    open_ledger(str(state), NOW + 200).close()
    assert len(losses(str(state))) == 1


@pytest.mark.parametrize("damage", ["not_one", "cut", "zeros"])
def test_without_a_copy_it_begins_anew_and_nothing_is_deleted(state: Path, damage: str) -> None:
    shutil.rmtree(state / "backups")
    DAMAGE[damage](state / "ledger.db")
    damaged = (state / "ledger.db").read_bytes()
    ledger = open_ledger(str(state), NOW + 100)
    assert ledger.photos.last_id() == 0
    assert ledger.homes.all() == {}
    ledger.close()
    (loss,) = losses(str(state))
    assert loss.copy_of is None
    assert Path(loss.aside, "ledger.db").read_bytes() == damaged


def test_a_damaged_copy_is_passed_over(state: Path) -> None:
    ledger = Ledger(str(state))
    back_up(str(state), NOW + 50)
    ledger.close()
    newest = Path(copies(str(state))[0][1])
    _zeros(newest)
    _zeros(state / "ledger.db")
    ledger = open_ledger(str(state), NOW + 100)
    assert ledger.photos.latest("alice", "Camera/38.jpg") is not None
    ledger.close()
    assert losses(str(state))[0].copy_of == NOW
    assert newest.exists(), "a damaged copy is nobody's to delete"


def test_what_is_left_in_the_log_of_a_lost_ledger_is_not_taken_for_the_next_ones(state: Path) -> None:
    ledger = Ledger(str(state))
    add(ledger, "Camera/in the log.jpg")
    log = (state / "ledger.db-wal").read_bytes()
    ledger.close()
    (state / "ledger.db").unlink()
    (state / "ledger.db-wal").write_bytes(log)
    shutil.rmtree(state / "backups")
    ledger = open_ledger(str(state), NOW + 100)
    assert ledger.photos.last_id() == 0
    ledger.close()
    assert Path(losses(str(state))[0].aside, "ledger.db-wal").read_bytes() == log


def test_a_lost_log_leaves_an_older_ledger_that_is_whole(state: Path) -> None:
    ledger = Ledger(str(state))
    for number in range(200):
        add(ledger, f"Camera/new {number}.jpg")
    older = (state / "ledger.db").read_bytes()
    ledger.close()
    (state / "ledger.db").write_bytes(older)  # as it was, without what the log had
    ledger = open_ledger(str(state), NOW + 100)
    assert ledger.photos.latest("alice", "Camera/after the copy.jpg") is not None
    ledger.close()


def test_a_newer_programs_ledger_is_refused_and_left_alone(state: Path) -> None:
    with closing(sqlite3.connect(state / "ledger.db")) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
        db.execute("CREATE TABLE of_tomorrow (x)")
    before = (state / "ledger.db").read_bytes()
    with pytest.raises(NeedsPerson) as caught:
        open_ledger(str(state), NOW + 100)
    assert caught.value.code == "ledger.newer"
    assert (state / "ledger.db").read_bytes() == before
    assert losses(str(state)) == []


def test_a_disk_that_is_away_is_no_damage(state: Path) -> None:
    before = (state / "ledger.db").read_bytes()
    (state / "ledger.db").rename(state / "kept")
    (state / "ledger.db").mkdir()  # SQLite: unable to open database file
    with pytest.raises(Transient) as caught:
        open_ledger(str(state), NOW + 100)
    assert caught.value.code == "ledger.unwritable"
    assert losses(str(state)) == []
    assert (state / "kept").read_bytes() == before


def test_flipped_bits_anywhere_never_stop_it(state: Path) -> None:
    whole = (state / "ledger.db").read_bytes()
    chance = random.Random(7)
    seen = 0
    for turn in range(60):
        torn = bytearray(whole)
        for _ in range(3):
            at = chance.randrange(len(torn))
            torn[at] ^= 1 << chance.randrange(8)
        (state / "ledger.db").write_bytes(torn)
        ledger = open_ledger(str(state), NOW + 1000 * turn)
        # Either it is seen and stands aside, or what it says can be read.
        ledger.photos.counts()
        ledger.photos.by_state(*State)
        assert sum(ledger.photos.counts().values()) >= 39
        ledger.close()
        if found := losses(str(state)):
            seen += 1
            assert Path(found[0].aside, "ledger.db").read_bytes() == bytes(torn)
            shutil.rmtree(state / "damaged")
    assert 0 < seen <= 60


KILLED = """
import os, shutil, signal, sys
from daemon.ledger import copies, recovery
left = int(sys.argv[2])
def counted(function):
    def call(*arguments, **more):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **more)
    return call
os.rename, os.makedirs, os.fsync = counted(os.rename), counted(os.makedirs), counted(os.fsync)
os.chmod, os.unlink = counted(os.chmod), counted(os.unlink)
shutil.copyfile = counted(shutil.copyfile)
recovery.open_ledger(sys.argv[1], 1_795_001_000.0).close()
"""


@pytest.mark.parametrize("damage", ["zeros", "gone"])
def test_killed_at_any_call_it_ends_as_if_it_had_not_been(state: Path, damage: str, tmp_path: Path) -> None:
    DAMAGE[damage](state / "ledger.db")
    point, step = 0, 1 if os.environ.get("PHOTON_RELAY_TORTURE") else 4
    while True:
        point += step
        again = tmp_path / f"killed-{point}"
        shutil.copytree(state, again)
        damaged = (again / "ledger.db").read_bytes() if damage != "gone" else None
        done = subprocess.run([sys.executable, "-c", KILLED, str(again), str(point)], cwd=ROOT, check=False, timeout=60)
        ledger = open_ledger(str(again), NOW + 5000)
        assert ledger.photos.latest("alice", "Camera/38.jpg") is not None
        assert ledger.photos.latest("alice", "Camera/after the copy.jpg") is None
        assert ledger.homes.all()["alice"].baseline_at is None
        ledger.close()
        aside = [path.read_bytes() for path in again.glob("damaged/*/ledger.db")]
        assert aside == ([damaged] if damaged else []), f"killed at {point}"
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
    assert point > 8, "there is something to be killed at"


KILLED_AT_FIRST = """
import os, signal, sqlite3, sys
from daemon.ledger import recovery
left = int(sys.argv[2])
def counted(_statement):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
connect = sqlite3.connect
def watched(path, **more):
    connection = connect(path, **more)
    if path != ":memory:":
        connection.set_trace_callback(counted)
    return connection
sqlite3.connect = watched
recovery.open_ledger(sys.argv[1], 1_795_001_000.0).close()
"""


def test_a_first_start_that_was_killed_is_no_earlier_programs_ledger(tmp_path: Path) -> None:
    """It would be copied first, for which there may be no room: then the program would not start at all."""
    point, step = 0, 1 if os.environ.get("PHOTON_RELAY_TORTURE") else 29
    killed = True
    while killed:
        point += step
        state = tmp_path / f"killed-{point}"
        argv = [sys.executable, "-c", KILLED_AT_FIRST, str(state), str(point)]
        killed = subprocess.run(argv, cwd=ROOT, check=False, timeout=60).returncode == -signal.SIGKILL
        open_ledger(str(state), NOW).close()
        assert (copies(str(state)), losses(str(state))) == ([], []), f"killed at statement {point}"
    assert point > 60, "there is something to be killed at"
