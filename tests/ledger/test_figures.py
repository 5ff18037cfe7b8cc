"""The figures are at every moment what a recount of the photos gives, whatever was done in whatever order."""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.errors import Refused, Transient
from daemon.ledger.figures import Sums
from daemon.ledger.ledger import Ledger
from daemon.ledger.model import State
from daemon.ledger.schema import MIGRATIONS
from tests.ledger.entries import FINGERPRINT, NOW, add, put

DEEDS = st.lists(
    st.tuples(
        st.sampled_from(
            ["add", "done", "duplicate", "refuse", "restore", "settle", "wait", "size", "leave", "fail", "look"]
        ),
        st.integers(0, 5),
        st.integers(0, 40_000),
    ),
    max_size=60,
)


def recount(ledger: Ledger) -> dict[int, Sums]:
    """Count the photos themselves."""
    found: dict[int, Sums] = {}
    for photo in ledger.photos.by_state(State.DONE, State.REFUSED, State.RESTORED):
        assert photo.ended_at is not None
        sums = found.get(int(photo.ended_at / 900), Sums())
        size = photo.fingerprint.size
        if photo.state is State.REFUSED:
            sums = sums._replace(refused=sums.refused + 1)
        elif photo.state is State.RESTORED:
            sums = sums._replace(restored=sums.restored + 1)
        elif photo.duplicate_of is None:
            sums = sums._replace(done=sums.done + 1, bytes=sums.bytes + size)
        else:
            sums = sums._replace(duplicates=sums.duplicates + 1, duplicate_bytes=sums.duplicate_bytes + size)
        found[int(photo.ended_at / 900)] = sums
    return found


def counted(ledger: Ledger) -> dict[int, Sums]:
    """Give what the figures say, quarter by quarter."""
    first = int(NOW / 900) - 2
    each = {quarter: ledger.figures.between(quarter, quarter + 1) for quarter in range(first, first + 60)}
    return {quarter: sums for quarter, sums in each.items() if any(sums)}


def done_and_taken_back(ledger: Ledger, one: int, now: float) -> None:
    with ledger.write():
        ledger.photos.advance([one], State.DONE, now)
        raise ZeroDivisionError


def do(ledger: Ledger, deed: str, ids: list[int], which: int, later: int) -> None:
    now = NOW + later
    if deed == "add" or not ids:
        ids.append(add(ledger, f"Camera/{len(ids)}.jpg", at=now))
        return
    one = ids[which % len(ids)]
    match deed:
        case "done":
            ledger.photos.advance([one], State.DONE, now)
        case "duplicate":
            ledger.photos.put(one, duplicate_of=0)
        case "refuse":
            ledger.photos.refuse([one], Refused("file.empty", "it is empty"), now)
        case "restore":
            ledger.photos.advance([one], State.RESTORED, now, fingerprint=FINGERPRINT._replace(size=later))
        case "settle":
            ledger.photos.advance([one], State.SETTLED, now)
        case "wait":
            ledger.photos.wait([one], State.SETTLED, Transient("x.y", "later"), now, now + 5)
        case "size":
            ledger.photos.put(one, fingerprint=FINGERPRINT._replace(size=later))
        case "leave":
            ledger.photos.leave_batch([one])
        case "look":
            ledger.figures.activity(NOW + 40_000, "UTC")
            ledger.figures.total()
        case "fail":
            with pytest.raises(ZeroDivisionError):
                done_and_taken_back(ledger, one, now)


@given(DEEDS)
@settings(max_examples=30, deadline=None)
def test_the_figures_equal_a_recount(deeds: list[tuple[str, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(folder)
        try:
            ids: list[int] = []
            for deed, which, later in deeds:
                do(ledger, deed, ids, which, later)
            assert counted(ledger) == recount(ledger)
            days = ledger.figures.activity(NOW + 40_000, "UTC")
            assert sum(sums.done for _, sums in days) == sum(sums.done for sums in recount(ledger).values())
            total, counts = ledger.figures.total(), ledger.photos.counts()
            assert total.done + total.duplicates == counts["done"]
            assert (total.refused, total.restored) == (counts["refused"], counts["restored"])
        finally:
            ledger.close()


def test_a_day_gone_by_that_changes_is_read_anew(ledger: Ledger) -> None:
    old, new = put(ledger, State.DONE, "a.jpg", ended_at=NOW - 100_000), put(ledger, State.DONE, "b.jpg", ended_at=NOW)
    for _ in range(2):
        assert [sums.done for _, sums in ledger.figures.activity(NOW, "UTC")] == [1, 1]
    ledger.photos.advance([old], State.RESTORED, NOW)
    assert ledger.figures.total() == Sums(done=1, bytes=2000, restored=1)
    assert [tuple(sums) for _, sums in ledger.figures.activity(NOW, "UTC")] == [(1, 2000, 0, 0, 0, 1)]
    ledger.photos.advance([new], State.RESTORED, NOW)
    assert ledger.figures.total() == Sums(restored=2)


def test_an_end_that_is_told_twice_counts_once(ledger: Ledger) -> None:
    one = put(ledger, State.DONE)
    ledger.photos.advance([one], State.DONE, NOW + 5000)
    assert ledger.figures.total() == Sums(done=1, bytes=2000)


def test_a_change_of_other_columns_is_no_change_of_figures(ledger: Ledger) -> None:
    one = put(ledger, State.DONE)
    version = ledger.figures.version
    ledger.photos.put(one, after="keep")
    assert ledger.figures.version == version


def at(zone: str, *when: int) -> float:
    return datetime(*when, tzinfo=ZoneInfo(zone)).timestamp()  # type: ignore[arg-type, misc]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Pacific/Kiritimati"])
def test_days_are_those_of_the_time_zone(ledger: Ledger, zone: str) -> None:
    put(ledger, State.DONE, "a.jpg", ended_at=at(zone, 2026, 11, 21, 23, 59, 59))
    put(ledger, State.DONE, "b.jpg", ended_at=at(zone, 2026, 11, 22, 0, 0, 0))
    put(ledger, State.DONE, "c.jpg", ended_at=at(zone, 2026, 11, 22, 23, 59, 59), duplicate_of=1)
    now = at(zone, 2026, 11, 22, 23, 59, 59)
    assert ledger.figures.today(now, zone) == Sums(done=1, bytes=2000, duplicates=1, duplicate_bytes=2000)
    assert ledger.figures.activity(now, zone) == [
        (date(2026, 11, 21), Sums(done=1, bytes=2000)),
        (date(2026, 11, 22), Sums(done=1, bytes=2000, duplicates=1, duplicate_bytes=2000)),
    ]


def test_days_on_which_the_clocks_change_keep_their_own(ledger: Ledger) -> None:
    zone = "Europe/Berlin"
    moments = [
        at(zone, 2026, 3, 28, 23, 59),
        at(zone, 2026, 3, 29, 0, 1),
        at(zone, 2026, 3, 29, 23, 59),
        at(zone, 2026, 3, 30, 0, 1),
        at(zone, 2026, 10, 25, 0, 1),
        at(zone, 2026, 10, 25, 23, 59),
        at(zone, 2026, 10, 26, 0, 1),
    ]
    for number, moment in enumerate(moments):
        put(ledger, State.DONE, f"{number}.jpg", ended_at=moment)
    found = ledger.figures.activity(at(zone, 2026, 11, 22, 12), zone)
    assert {str(day): sums.done for day, sums in found} == {
        "2026-03-28": 1,
        "2026-03-29": 2,
        "2026-03-30": 1,
        "2026-10-25": 2,
        "2026-10-26": 1,
    }


@given(st.lists(st.integers(0, 370 * 86_400), max_size=20), st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]))
@settings(max_examples=40, deadline=None)
def test_a_year_of_activity_equals_a_count_by_local_dates(ages: list[int], zone: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(folder)
        try:
            days: dict[date, int] = {}
            today = datetime.fromtimestamp(NOW, ZoneInfo(zone)).date()
            for number, age in enumerate(ages):
                put(ledger, State.DONE, f"{number}.jpg", ended_at=NOW - age)
                day = datetime.fromtimestamp(NOW - age, UTC).astimezone(ZoneInfo(zone)).date()
                if (today - day).days < 365:
                    days[day] = days.get(day, 0) + 1
            assert {day: sums.done for day, sums in ledger.figures.activity(NOW, zone)} == days
        finally:
            ledger.close()


def test_a_ledger_of_before_is_counted_when_it_is_opened(ledger: Ledger) -> None:
    put(ledger, State.DONE, "a.jpg")
    put(ledger, State.DONE, "b.jpg", duplicate_of=0)
    put(ledger, State.RESTORED, "c.jpg")
    before = ledger.figures.total()
    with ledger.write() as db:
        db.execute("DELETE FROM quarters")
    assert ledger.figures.total() == Sums()
    recount_ = next(part for part in MIGRATIONS[1].split(";") if "INSERT INTO quarters" in part)
    with ledger.write() as db:
        db.execute(recount_)
    assert ledger.figures.total() == before == Sums(1, 2000, 1, 2000, 0, 1)
