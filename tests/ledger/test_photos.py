from __future__ import annotations

import os
import re
import tempfile
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.errors import NeedsPerson, Refused, Transient
from daemon.fingerprint import Fingerprint
from daemon.ledger import photos
from daemon.ledger.ledger import Ledger
from daemon.ledger.model import State
from tests.ledger.entries import FINGERPRINT, NOW, add, get, put

if TYPE_CHECKING:
    from daemon.ledger.photos import Photos

names = st.binary(min_size=1, max_size=255).filter(lambda raw: b"\0" not in raw and b"/" not in raw).map(os.fsdecode)


@settings(max_examples=60, deadline=None)
@given(st.lists(names, min_size=1, max_size=5, unique=True))
def test_a_name_of_any_bytes_comes_back_as_it_was(found: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(folder)
        try:
            for name in found:
                identity = ledger.photos.add("alice", f"C {name}", f"C {name}/{name}", "main", FINGERPRINT, NOW)
                ledger.photos.put(identity, place=name, archived_as=name, hidden=name)
                photo = get(ledger, identity)
                assert (photo.folder, photo.path) == (f"C {name}", f"C {name}/{name}")
                assert (photo.place, photo.archived_as, photo.hidden) == (name, name, name)
                assert (photo.directory, photo.name) == (f"C {name}", name)
                assert ledger.photos.latest("alice", photo.path) == photo
                ledger.homes.list_add("alice", [(name, 1, 2)])
                assert ledger.homes.in_baseline("alice", name, 1, 2)
                ledger.jobs.add("user", "alice", name, NOW, [identity])
                ledger.audit.note(NOW, "removed", path=name)
                assert ledger.audit.lines(limit=1)[0]["path"] == name
            assert {job.path for job in ledger.jobs.pending()} == set(found)
        finally:
            ledger.close()


def test_places_of_a_user_are_given_by_parts(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "_AT_A_TIME", 3)
    held = {f"Camera/{number}.jpg" for number in range(8)}
    ids = [put(ledger, State.HELD, path) for path in held]
    waiting = put(ledger, State.WAITING, "Camera/w.jpg")
    put(ledger, State.DONE, "Camera/d.jpg")
    ledger.photos.add("bob", "Camera", "Camera/b.jpg", "main", FINGERPRINT, NOW)
    given_ = ledger.photos.places("alice", State.HELD, State.WAITING)
    assert next(given_)[0] == "alice"
    # What changes meanwhile is as it is when it is reached.
    ledger.photos.advance([waiting, ids[-1]], State.DONE, NOW)
    assert len({path for _, path in given_} & held) == 6
    assert list(ledger.photos.places("bob", State.FOUND, State.HELD)) == [("bob", "Camera/b.jpg")]
    assert list(ledger.photos.places("carol", State.FOUND)) == []


def test_two_steps_at_once_are_two_lines_and_the_note_is_the_first_ones(ledger: Ledger) -> None:
    ids = [put(ledger, State.ARCHIVED, f"Camera/{number}.jpg", place="2026/x.jpg") for number in range(2)]
    rows: dict[int, dict[str, Any]] = {identity: {"hidden": "", "after": "delete"} for identity in ids}
    ledger.photos.advance_each(rows, State.DONE, NOW + 9, {ids[0]: "removed"}, through=State.RELEASED)
    for identity, note in zip(ids, ("removed", ""), strict=True):
        told = [(line["state"], line["note"], line["at"]) for line in ledger.photos.history(identity)][-2:]
        assert told == [("released", note, NOW + 9), ("done", "", NOW + 9)]
        photo = get(ledger, identity)
        assert (photo.state, photo.ended_at, photo.place) == (State.DONE, NOW + 9, "")
    assert ledger.photos.counts()["done"] == 2


def test_each_step_is_a_line_of_the_history(ledger: Ledger) -> None:
    identity = add(ledger)
    ledger.photos.advance([identity], State.SETTLED, NOW + 1)
    ledger.photos.wait([identity], State.SETTLED, Transient("a.b", "not now"), NOW + 2, NOW + 9)
    ledger.photos.advance([identity], State.DONE, NOW + 3, "all well")
    lines = ledger.photos.history(identity)
    assert [(line["at"] - NOW, line["state"]) for line in lines] == [
        (0, "found"), (1, "settled"), (2, "waiting"), (3, "done"),
    ]  # fmt: skip
    assert lines[2]["note"] == "not now [a.b]"
    assert lines[3]["note"] == "all well"
    assert get(ledger, identity).ended_at == NOW + 3


def test_a_photo_that_waits_for_the_same_keeps_its_since_and_adds_no_line(ledger: Ledger) -> None:
    identity = put(ledger, State.SETTLED)
    for turn in range(5):
        error = Transient("a.b", f"not now {turn}", hint="wait")
        ledger.photos.wait([identity], State.SETTLED, error, NOW + 10 * turn, NOW + 10 * turn + 5)
    photo = get(ledger, identity)
    assert (photo.since, photo.attempts, photo.next_try) == (NOW, 5, NOW + 45)
    assert (photo.code, photo.message, photo.hint) == ("a.b", "not now 4", "wait")
    assert [line["state"] for line in ledger.photos.history(identity)].count("waiting") == 1
    ledger.photos.wait([identity], State.SETTLED, Transient("c.d", "other"), NOW + 100, NOW + 101)
    assert get(ledger, identity).since == NOW + 100


def test_a_new_start_forgets_the_trouble(ledger: Ledger) -> None:
    identity = put(ledger, State.SETTLED)
    ledger.photos.wait([identity], State.PLACED, Transient("a.b", "x", hint="y"), NOW, NOW + 5)
    ledger.photos.advance([identity], State.ARCHIVED, NOW)
    photo = get(ledger, identity)
    assert (photo.code, photo.message, photo.hint, photo.since, photo.attempts) == ("", "", "", None, 0)
    assert (photo.resume, photo.next_try) == (None, None)


def test_held_and_refused_say_why(ledger: Ledger) -> None:
    held, refused = put(ledger, State.SETTLED), put(ledger, State.SETTLED, "Camera/y.jpg")
    ledger.photos.hold([held], NeedsPerson("a.b", "why", hint="do this"), NOW)
    ledger.photos.refuse([refused], Refused("c.d", "never"), NOW + 1)
    one, other = get(ledger, held), get(ledger, refused)
    assert (one.state, one.code, one.hint, one.ended_at) == (State.HELD, "a.b", "do this", None)
    assert (other.state, other.code, other.ended_at) == (State.REFUSED, "c.d", NOW + 1)


def test_only_known_columns_can_be_set(ledger: Ledger) -> None:
    identity = add(ledger)
    with pytest.raises(ValueError, match="no such column"):
        ledger.photos.put(identity, **{"user = 'x' --": "bob"})
    with pytest.raises(ValueError, match="no such column"):
        ledger.photos.put(identity, path="elsewhere")


def test_fingerprints_come_back(ledger: Ledger) -> None:
    identity = add(ledger)
    other = Fingerprint(2**62, 1, -5, 7)
    ledger.photos.put(identity, fingerprint=other, archive_fingerprint=FINGERPRINT)
    assert get(ledger, identity).fingerprint == other
    assert get(ledger, identity).archive_fingerprint == FINGERPRINT
    ledger.photos.put(identity, archive_fingerprint=None)
    assert get(ledger, identity).archive_fingerprint is None


def test_the_latest_row_of_a_place_counts(ledger: Ledger) -> None:
    first, second = add(ledger), add(ledger)
    add(ledger, user="bob")
    latest = ledger.photos.latest("alice", "Camera/x.jpg")
    assert latest is not None
    assert first < second == latest.id
    assert ledger.photos.latest("alice", "Camera/X.jpg") is None
    other = add(ledger, path="Camera/y.jpg")
    asked = [(user, f"Camera/{name}.jpg") for user in ("alice", "bob", "carol") for name in ("x", "y", "X")]
    each = ledger.photos.latest_each(asked)
    assert {place: photo for place in asked if (photo := ledger.photos.latest(*place))} == each
    assert [each["alice", f"Camera/{name}.jpg"].id for name in ("x", "y")] == [second, other]


def test_what_had_not_begun_can_be_forgotten_and_nothing_else(ledger: Ledger) -> None:
    found, done = add(ledger), put(ledger, State.DONE)
    ledger.photos.forget(found)
    assert ledger.photos.get(found) is None
    ledger.photos.forget(done)
    assert get(ledger, done).state is State.DONE
    assert ledger.photos.history(done), "the way of what has begun can always be told"


def test_leaving_a_batch_forgets_where_it_was_put(ledger: Ledger) -> None:
    batch = ledger.batches.open("abcdefghijklmn", NOW)
    identity = put(
        ledger, State.PLACED, batch_id=batch.id, place="ab/x.jpg", duplicate_of=3, archived_as="2026/x.jpg",
        archive_fingerprint=FINGERPRINT, blake3=b"b",
    )  # fmt: skip
    ledger.photos.leave_batch([identity])
    photo = get(ledger, identity)
    assert (photo.batch_id, photo.place, photo.duplicate_of, photo.archived_as) == (None, "", None, "")
    assert photo.archive_fingerprint is None
    assert photo.blake3 == b"b"


@pytest.mark.parametrize("state", [State.EXAMINED, State.PLACED, State.IMPORTED])
def test_a_twin_is_the_one_that_brings_the_same_bytes_just_now(ledger: Ledger, state: State) -> None:
    put(ledger, State.REFUSED, "Camera/0.jpg", blake3=b"same")
    mine = put(ledger, State.EXAMINED, "Camera/c.jpg", blake3=b"same")
    # Entered later, but looked at before: a group's members are not entered one after another.
    bringer = put(ledger, state, "Camera/a.jpg", blake3=b"same", user="bob")
    put(ledger, state, "Camera/b.jpg", blake3=b"same", duplicate_of=bringer)
    other = put(ledger, State.EXAMINED, "Camera/d.jpg", blake3=b"other")
    assert ledger.photos.bringing([b"same", b"none"]) == {b"same": [mine, bringer]}
    ledger.photos.put(mine, duplicate_of=bringer)
    assert ledger.photos.bringing([b"same", b"other"]) == {b"same": [bringer], b"other": [other]}


def test_a_twin_that_waits_with_its_batch_counts_and_one_that_waits_alone_does_not(ledger: Ledger) -> None:
    batch = ledger.batches.open("abcdefghijklmn", NOW)
    first = put(ledger, State.PLACED, "Camera/a.jpg", blake3=b"same", batch_id=batch.id)
    ledger.photos.wait([first], State.PLACED, Transient("a.b", "x"), NOW, NOW)
    mine = put(ledger, State.EXAMINED, "Camera/c.jpg", blake3=b"same")
    assert ledger.photos.bringing([b"same"]) == {b"same": [first, mine]}
    ledger.photos.leave_batch([first])
    assert ledger.photos.bringing([b"same"]) == {b"same": [mine]}


def test_put_back_is_for_that_user_that_place_and_those_bytes(ledger: Ledger) -> None:
    put(ledger, State.RESTORED, blake3=b"same")
    put(ledger, State.DONE, "Camera/y.jpg", blake3=b"same")
    assert ledger.photos.put_back([b"same", b"other"]) == {("alice", "Camera/x.jpg", b"same")}
    assert ledger.photos.put_back([b"other"]) == set()


def test_due_are_those_whose_time_has_come_but_for_those_that_wait_with_their_batch(ledger: Ledger) -> None:
    batch = ledger.batches.open("abcdefghijklmn", NOW)
    error = Transient("a.b", "x")
    alone, later, with_batch, releasing = (put(ledger, State.SETTLED, f"Camera/{one}.jpg") for one in "abcd")
    ledger.photos.put(with_batch, batch_id=batch.id)
    ledger.photos.put(releasing, batch_id=batch.id)
    ledger.photos.wait([alone], State.SETTLED, error, NOW, NOW + 5)
    ledger.photos.wait([later], State.SETTLED, error, NOW, NOW + 6)
    ledger.photos.wait([with_batch], State.PLACED, error, NOW, NOW + 5)
    ledger.photos.wait([releasing], State.ARCHIVED, error, NOW, NOW + 5)
    assert [photo.id for photo in ledger.photos.due(NOW + 5)] == [alone, releasing]
    assert ledger.photos.next_due() == NOW + 5


def test_releasable_are_the_proved_whose_time_has_come(ledger: Ledger) -> None:
    now, later = (put(ledger, State.ARCHIVED, f"Camera/{one}.jpg", next_try=NOW + one) for one in (1, 2))
    put(ledger, State.IMPORTED, "Camera/z.jpg", next_try=NOW)
    assert [photo.id for photo in ledger.photos.releasable(NOW + 1, 10)] == [now]
    assert [photo.id for photo in ledger.photos.releasable(NOW + 2, 10)] == [now, later]
    assert [photo.id for photo in ledger.photos.releasable(NOW + 2, 1)] == [now]


def test_archived_beside_gives_what_begins_alike_in_that_folder_of_that_user(ledger: Ledger) -> None:
    mine = put(ledger, State.DONE, "Camera/IMG_1.jpg", archived_as="2026/a.jpg")
    put(ledger, State.DONE, "Camera/IMG_2.jpg", archived_as="2026/b.jpg")
    put(ledger, State.DONE, "Camera/IMG_1.jpg", archived_as="2026/c.jpg", user="bob")
    put(ledger, State.PLACED, "Camera/IMG_1.png", archived_as="2026/d.jpg")
    put(ledger, State.DONE, "Camera/IMG_1.heic")
    assert [photo.id for photo in ledger.photos.archived_beside("alice", "Camera", "IMG_1")] == [mine]
    assert ledger.photos.archived_beside("alice", "", "IMG_1") == []
    places = [("alice", "", "IMG_1"), ("alice", "Camera", "IMG_1"), ("bob", "Camera", "IMG_2")]
    assert ledger.photos.any_archived_beside([*places, *[("alice", "Camera", "x")] * 300, places[1]]) == [1, 303]


def test_counts_name_every_state(ledger: Ledger) -> None:
    put(ledger, State.DONE)
    put(ledger, State.DONE, "Camera/y.jpg")
    add(ledger, "Camera/z.jpg")
    counts = ledger.photos.counts()
    assert set(counts) == {state.value for state in State}
    assert (counts["done"], counts["found"], sum(counts.values())) == (2, 1, 3)


def test_what_ended_in_a_span_is_counted(ledger: Ledger) -> None:
    put(ledger, State.DONE)
    put(ledger, State.DONE, "Camera/y.jpg", duplicate_of=1)
    ledger.photos.refuse([add(ledger, "Camera/z.jpg")], Refused("a.b", "x"), NOW)
    assert ledger.photos.ended_between(NOW - 1, NOW + 1) == {
        "relayed": 1, "duplicates": 1, "refused": 1, "bytes": 2 * FINGERPRINT.size,
    }  # fmt: skip
    assert not any(ledger.photos.ended_between(NOW + 1, NOW + 2).values())


def test_troubles_come_once_each_with_how_many_and_since_when(ledger: Ledger) -> None:
    for number in range(3):
        identity = put(ledger, State.SETTLED, f"Camera/{number}.jpg")
        ledger.photos.wait([identity], State.SETTLED, Transient("a.b", "m"), NOW + number, NOW + 100)
    ledger.photos.hold([put(ledger, State.SETTLED, "Camera/h.jpg")], NeedsPerson("c.d", "n"), NOW - 5)
    assert [(one["state"], one["code"], one["photos"], one["since"]) for one in ledger.photos.troubles()] == [
        ("held", "c.d", 1, NOW - 5),
        ("waiting", "a.b", 3, NOW),
    ]


# How a query finds its rows matters at a million photos.
QUERIES: dict[str, Any] = {
    "bringing": lambda photos, _: photos.bringing([b"same"]),
    "latest": lambda photos, _: photos.latest("alice", "Camera/x.jpg"),
    "latest_each": lambda photos, _: photos.latest_each([("alice", "Camera/x.jpg"), ("bob", "Camera/x.jpg")]),
    "put_back": lambda photos, _: photos.put_back([b"same"]),
    "stayed": lambda photos, _: photos.stayed([b"same"]),
    "get_each": lambda photos, _: photos.get_each([1, 2]),
    "states": lambda photos, _: photos.states([1, 2]),
    "releasable": lambda photos, _: photos.releasable(NOW, 10),
    "due": lambda photos, _: photos.due(NOW),
    "next_due": lambda photos, _: photos.next_due(),
    "settled_first": lambda photos, _: photos.settled_first(10),
    "settled_last": lambda photos, _: photos.settled_last(10),
    "settled_of": lambda photos, _: photos.settled_of([1, 2]),
    "archived_beside": lambda photos, _: photos.archived_beside("alice", "Camera", "x"),
    "any_archived_beside": lambda photos, _: photos.any_archived_beside([("alice", "Camera", "x"), ("bob", "", "y")]),
    "of_batch": lambda photos, _: photos.of_batch(1),
    "of_group": lambda photos, _: photos.of_group(1),
    "hidden": lambda photos, _: photos.hidden(),
    "history": lambda photos, _: photos.history(1),
}


def plans(ledger: Ledger, asked: list[str]) -> list[str]:
    found = []
    for sql in asked:
        arguments = [1] * sql.count("?")
        rows = ledger._store.rows(f"EXPLAIN QUERY PLAN {sql}", arguments)
        found += [row["detail"] for row in rows]
    return found


@pytest.fixture
def asked(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that the ledger reads with, as they are asked."""
    heard: list[str] = []
    rows, row = ledger._store.rows, ledger._store.row

    def hear_rows(sql: str, arguments: Any = ()) -> Any:
        heard.append(sql)
        return rows(sql, arguments)

    def hear_row(sql: str, arguments: Any = ()) -> Any:
        heard.append(sql)
        return row(sql, arguments)

    monkeypatch.setattr(ledger._store, "rows", hear_rows)
    monkeypatch.setattr(ledger._store, "row", hear_row)
    return heard


@pytest.mark.parametrize("query", QUERIES)
def test_no_query_of_the_relay_reads_the_whole_table(ledger: Ledger, asked: list[str], query: str) -> None:
    photo = get(ledger, put(ledger, State.EXAMINED, blake3=b"same"))
    asked.clear()
    photos: Photos = ledger.photos
    QUERIES[query](photos, photo)
    statements = list(asked)
    assert statements
    for detail in plans(ledger, statements):
        assert not re.match(r"SCAN photos(?! USING INDEX photos_hidden)", detail), f"{query}: {detail}"
        assert not detail.startswith("SCAN history"), f"{query}: {detail}"


def test_the_baseline_and_finished_jobs_are_found_by_index(ledger: Ledger, asked: list[str]) -> None:
    ledger.homes.in_baseline("alice", "x", 1, 2)
    ledger.jobs.finished()
    ledger.contents.find(b"x")
    for detail in plans(ledger, list(asked)):
        assert not re.match(r"SCAN (photos|baseline|contents|job_photos)", detail), detail
