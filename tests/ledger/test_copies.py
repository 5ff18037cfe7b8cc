from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import Transient
from daemon.ledger import copies as module
from daemon.ledger.copies import NEWEST, WEEKS, back_up, copies, kept
from daemon.ledger.ledger import Ledger
from daemon.ledger.soundness import fault
from daemon.ledger.store import LOG_KEPT
from tests.ledger.entries import NOW, add

DAY = 86400.0


def test_a_copy_is_whole_while_others_write(ledger: Ledger) -> None:
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            add(ledger, f"Camera/{number}.jpg")
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = [back_up(ledger.state, NOW + number) for number in range(3)]
    finally:
        stop.set()
        writer.join()
    assert [path for _, path in copies(ledger.state)] == made[::-1]
    assert [fault(path) for path in made] == ["", "", ""]
    assert all(Path(path).stat().st_mode & 0o777 == 0o600 for path in made)


def test_the_log_that_grew_under_a_long_look_is_cut_down_again(ledger: Ledger) -> None:
    log = Path(ledger.state, "ledger.db-wal")
    reader = sqlite3.connect(f"{ledger.state}/ledger.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT COUNT(*) FROM photos").fetchone()
    with ledger.write():
        for number in range(20_000):
            add(ledger, f"Camera/{number:0200}.jpg")
    assert log.stat().st_size > LOG_KEPT
    reader.execute("ROLLBACK")
    reader.close()
    for number in range(5):
        add(ledger, f"Camera/after {number}.jpg")
    assert log.stat().st_size <= LOG_KEPT


def test_a_copy_has_all_that_was_committed_and_nothing_is_left_beside_it(ledger: Ledger, tmp_path: Path) -> None:
    identity = add(ledger)
    back_up(ledger.state, NOW)
    add(ledger, "Camera/later.jpg")
    (tmp_path / "other").mkdir()
    Path(copies(ledger.state)[0][1]).rename(tmp_path / "other" / "ledger.db")
    other = Ledger(str(tmp_path / "other"))
    assert other.photos.get(identity) is not None
    assert other.photos.last_id() == identity
    other.close()
    assert list((tmp_path / "state" / "backups").iterdir()) == []


def test_few_are_kept_however_long_it_goes_on(ledger: Ledger) -> None:
    for day in range(30):
        back_up(ledger.state, NOW + day * DAY)
        found = [made for made, _ in copies(ledger.state)]
        assert len(found) <= NEWEST + WEEKS
        assert found[0] == NOW + day * DAY
        if day >= 21:
            assert found[0] - found[-1] >= 7 * DAY, "one is more than a week old"
    assert len(list(Path(ledger.state, "backups").iterdir())) <= NEWEST + WEEKS


@given(st.lists(st.integers(0, 400).map(lambda hours: NOW + hours * 3600.0), min_size=1, max_size=40))
def test_the_newest_are_among_those_that_are_kept(times: list[float]) -> None:
    keep = kept(times)
    assert set(sorted(set(times))[-NEWEST:]) <= keep <= set(times)
    assert len(keep) <= NEWEST + WEEKS


def test_a_full_disk_is_told_and_takes_no_copy_away(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_one = back_up(ledger.state, NOW)
    monkeypatch.setattr(module, "ROOM", 1 << 60)
    with pytest.raises(Transient) as caught:
        back_up(ledger.state, NOW + DAY)
    assert caught.value.code == "ledger.no_copy"
    assert [path for _, path in copies(ledger.state)] == [kept_one]
