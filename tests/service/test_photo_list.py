"""Pages of the ledger hold what a plain filter over all rows would give, whatever is asked for."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.ledger import photo_list
from daemon.ledger.ledger import Ledger
from daemon.ledger.model import State
from daemon.ledger.photo_list import Page, Wanted, nearest, scan
from tests.ledger.entries import FINGERPRINT, NOW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from daemon.ledger.model import Photo


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(str(tmp_path / "state"))
    yield ledger
    ledger.close()


def enter(ledger: Ledger, number: int, user: str, state: State, path: str, *, at: float | None = None) -> int:
    found_at = NOW + number if at is None else at
    identity = ledger.photos.add(user, "Camera", f"Camera/{path}", "main", FINGERPRINT, found_at)
    digest = bytes([number % 7]) * 32
    ledger.photos.advance([identity], state, NOW, blake3=digest, sha1=digest[:20])
    return identity


def walk(ledger: Ledger, wanted: Wanted, limit: int) -> tuple[list[Photo], int]:
    """Give all photos page by page, and the number of pages; each goes on below where the last one stopped."""
    page = ledger.photo_list.page(wanted, None, limit)
    photos, pages = list(page.photos), 1
    while page.next is not None:
        before = page.next
        page = ledger.photo_list.page(wanted, before, limit)
        assert page.next is None or page.next < before
        assert len(page.photos) <= limit
        photos += page.photos
        pages += 1
    return photos, pages


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """300 photos of three users, with a moment in the middle at which the clock was wrong."""
    ledger = Ledger(str(tmp_path_factory.mktemp("state")))
    states = [State.DONE] * 6 + [State.HELD, State.WAITING, State.REFUSED]
    with ledger.write():
        batch = ledger.batches.open("abcdefghijkl", NOW).id
        for number in range(300):
            wrong = 140 <= number < 150
            identity = enter(
                ledger,
                number,
                ("alice", "bob", "bob", "carol")[number % 4],
                states[number % len(states)],
                f"{('IMG', 'Über', 'scan')[number % 3]}_{number}.jpg",
                at=5000.0 + number if wrong else None,
            )
            if number % 5 == 0:
                ledger.photos.put(identity, batch_id=batch)
    yield ledger
    ledger.close()


asked = st.fixed_dictionaries(
    {},
    optional={
        "state": st.sampled_from([State.DONE, State.HELD, State.RESTORED]),
        "user": st.sampled_from(["alice", "bob", "nobody"]),
        "batch": st.sampled_from([1, 2]),
        "name": st.sampled_from(["img_", "U\u0308BER", "_1", "no such", "camera/"]),
        "hashes": st.sampled_from([(), (bytes([3]) * 32,), (bytes([3]) * 20, bytes([5]) * 32)]),
        "since": st.sampled_from([0.0, 5145.0, NOW + 100, NOW + 145, NOW + 1000]),
        "until": st.sampled_from([0.0, 5145.0, NOW + 100, NOW + 145, NOW + 1000]),
    },
)


@settings(max_examples=60, deadline=None)
@given(asked=asked, limit=st.sampled_from([1, 7, 50, 200]), looked_at=st.sampled_from([10, 90, 5000]))
def test_pages_hold_what_a_filter_over_all_rows_gives(
    many: Ledger, asked: dict[str, object], limit: int, looked_at: int
) -> None:
    wanted = Wanted(**asked)  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photo_list, "LOOKED_AT", looked_at)
        patch.setattr(photo_list, "SCATTERED", looked_at // 2)
        photos, _ = walk(many, wanted, limit)
    everything = sorted(many.photos.by_state(*State), key=lambda photo: -photo.id)
    expected = [photo.id for photo in everything if plain(photo, wanted)]
    assert [photo.id for photo in photos] == expected


def plain(photo: Photo, wanted: Wanted) -> bool:
    name = wanted.name.lower().replace("u\u0308", "ü")
    return (
        (wanted.state is None or photo.state is wanted.state)
        and (wanted.user is None or photo.user == wanted.user)
        and (wanted.batch is None or photo.batch_id == wanted.batch)
        and (name in photo.path.lower())
        and (wanted.hashes is None or photo.blake3 in wanted.hashes or photo.sha1 in wanted.hashes)
        and (wanted.since is None or photo.found_at >= wanted.since)
        and (wanted.until is None or photo.found_at < wanted.until)
    )


def test_a_page_looks_at_a_bounded_number_of_rows_and_says_how_far_it_came(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photo_list, "LOOKED_AT", 100)
    monkeypatch.setattr(photo_list, "AT_ONCE", 30)
    with ledger.write():
        for number in range(300):
            enter(ledger, number, "alice", State.DONE, "needle.jpg" if number == 10 else "x.jpg")
    page = ledger.photo_list.page(Wanted(name="needle"), None, 50)
    assert page.photos == []
    assert page.next is not None
    assert 170 < page.next < 220
    assert page.back_to == NOW + page.next - 1, "the photo with that id was found then"
    monkeypatch.setattr(photo_list, "SCATTERED", 50)
    page = ledger.photo_list.page(Wanted(name="needle", user="alice"), None, 50)
    assert page.next is not None
    assert page.next > 220, "along an index it looks at fewer"
    photos, pages = walk(ledger, Wanted(name="needle"), 50)
    assert ([photo.id for photo in photos], pages) == ([11], 3)


def test_what_is_entered_meanwhile_moves_no_page(ledger: Ledger) -> None:
    for number in range(6):
        enter(ledger, number, "alice", State.DONE, f"{number}.jpg")
    first = ledger.photo_list.page(Wanted(), None, 3)
    enter(ledger, 7, "alice", State.DONE, "new.jpg")
    second = ledger.photo_list.page(Wanted(), first.next, 3)
    assert [photo.id for photo in first.photos + second.photos] == [6, 5, 4, 3, 2, 1]


def test_an_empty_ledger_has_one_empty_page(ledger: Ledger) -> None:
    assert ledger.photo_list.page(Wanted(), None, 50) == Page()
    assert ledger.photo_list.page(Wanted(since=1.0, until=2.0), None, 50) == Page()
    assert ledger.photo_list.hashes("0" * 8) == ()


def test_hashes_by_their_first_digits_each_once(ledger: Ledger) -> None:
    for number in range(20):
        enter(ledger, number, "alice", State.DONE, f"{number}.jpg")
    assert ledger.photo_list.hashes("03030303") == (b"\3" * 32, b"\3" * 20)
    assert ledger.photo_list.hashes("030303030") == (b"\3" * 32, b"\3" * 20)
    assert ledger.photo_list.hashes("03030304") == ()
    assert ledger.photo_list.hashes("03" * 32) == (b"\3" * 32,)
    assert ledger.photo_list.hashes(("03" * 32)[:-1] + "4") == ()


@given(st.binary(min_size=1, max_size=40).filter(lambda raw: b"/" not in raw and b"\0" not in raw))
def test_a_name_of_any_bytes_is_found_by_itself(raw: bytes) -> None:
    name = os.fsdecode(raw)
    matches = photo_list._name_matcher(name)
    assert matches is not None
    assert matches(b"Camera/" + raw)


PLANS = [
    (Wanted(), "INTEGER PRIMARY KEY"),
    (Wanted(state=State.HELD), "INDEX photos_in_state"),
    (Wanted(state=State.HELD, user="a"), "INDEX photos_in_state"),
    (Wanted(state=State.DONE, user="a"), "INDEX photos_of_user"),
    (Wanted(user="a", name="x", since=1.0), "INDEX photos_of_user"),
    (Wanted(batch=1, user="a"), "INDEX photos_batch"),
]


@pytest.mark.parametrize(("wanted", "index"), PLANS)
def test_a_page_is_read_along_an_index_and_nothing_is_sorted(many: Ledger, wanted: Wanted, index: str) -> None:
    [line] = planned(many, *scan(wanted, 0, 1000, 50))
    assert line.startswith(f"SEARCH photos USING {index} ")
    assert "id>?" in line
    assert "id<?" in line


def test_a_hash_is_found_by_its_index(many: Ledger) -> None:
    plan = planned(many, *scan(Wanted(hashes=(b"1" * 32,)), 0, 1000, 50))
    assert "SEARCH photos USING COVERING INDEX photos_blake3 (blake3=?)" in plan
    assert "SEARCH photos USING COVERING INDEX photos_sha1 (sha1=?)" in plan
    assert not [line for line in plan if line.startswith("SCAN photos")]


def test_a_date_is_found_by_its_index(many: Ledger) -> None:
    for question in (nearest("MIN", ">=", "ASC", 1.0), nearest("MAX", "<", "DESC", 1.0)):
        plan = planned(many, *question)
        assert any("USING COVERING INDEX photos_found (found_at" in line for line in plan), plan
        assert not [line for line in plan if "TEMP B-TREE" in line]


def planned(ledger: Ledger, sql: str, arguments: list[object]) -> list[str]:
    with closing(sqlite3.connect(ledger._store.path)) as db, db:
        found = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", arguments)]
    db.close()
    return found
