from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.errors import Transient
from daemon.ledger.contents import Content
from daemon.ledger.model import BatchState, State
from tests.ledger.entries import NOW, add, put

if TYPE_CHECKING:
    from daemon.ledger.ledger import Ledger

ERROR = Transient("a.b", "not now")


def test_a_job_that_has_not_begun_takes_more_photos_in(ledger: Ledger) -> None:
    one, other = add(ledger), add(ledger, "Camera/y.jpg")
    ledger.jobs.add("user", "alice", "Camera", NOW, [one])
    ledger.jobs.add("user", "alice", "Camera", NOW + 1, [one, other])
    ledger.jobs.add("album", "alice", "Camera", NOW)
    ledger.jobs.add("user", "bob", "Camera", NOW)
    jobs = ledger.jobs.pending()
    assert [(job.kind, job.user, job.gained, job.created_at) for job in jobs] == [
        ("user", "alice", 2, NOW), ("album", "alice", 0, NOW), ("user", "bob", 0, NOW),
    ]  # fmt: skip


def test_what_comes_after_a_job_has_begun_is_a_new_job(ledger: Ledger) -> None:
    photo = put(ledger, State.RELEASED)
    ledger.jobs.add("user", "alice", "Camera", NOW, [photo])
    begun = ledger.jobs.take(NOW)
    ledger.jobs.add("user", "alice", "Camera", NOW, [photo])
    assert len(ledger.jobs.pending()) == 2
    assert ledger.jobs.done(begun, NOW, "done") == [], "another scan of the folder is still to come for it"
    assert ledger.jobs.done(ledger.jobs.take(NOW), NOW, "done") == [photo]
    assert ledger.jobs.pending() == []


def test_a_job_that_waits_is_taken_when_its_time_has_come(ledger: Ledger) -> None:
    ledger.jobs.add("user", "alice", "Camera", NOW)
    [job] = ledger.jobs.take(NOW)
    assert ledger.jobs.next_due() == 0
    ledger.jobs.wait([job.id], ERROR, NOW, NOW + 5)
    ledger.jobs.wait([job.id], ERROR, NOW + 1, NOW + 7)
    assert ledger.jobs.take(NOW + 6) == []
    assert ledger.jobs.next_due() == NOW + 7
    [again] = ledger.jobs.take(NOW + 7)
    assert (again.id, again.attempts, again.since, again.code) == (job.id, 2, NOW, "a.b")


def test_only_released_photos_are_finished_by_their_last_job(ledger: Ledger) -> None:
    released, archived, free = (
        put(ledger, state, f"Camera/{number}.jpg")
        for number, state in enumerate([State.RELEASED, State.ARCHIVED, State.RELEASED])
    )
    ledger.jobs.add("user", "alice", "Camera", NOW, [released, archived])
    assert ledger.jobs.finished() == [free]
    assert ledger.jobs.done(ledger.jobs.take(NOW), NOW, "done") == [released]
    assert ledger.jobs.finished() == [released, free]


def test_the_files_of_a_job_are_their_places_in_the_archive(ledger: Ledger) -> None:
    one = put(ledger, State.RELEASED, archived_as="2026/11/b\udcff.jpg")
    two = put(ledger, State.RELEASED, "Camera/y.jpg", archived_as="2026/11/a.jpg")
    three = put(ledger, State.RELEASED, "Camera/z.jpg")
    ledger.jobs.add("album", "admin", "2026/11", NOW, [one, two, three])
    [job] = ledger.jobs.pending()
    assert ledger.jobs.files(job.id) == ["2026/11/a.jpg", "2026/11/b\udcff.jpg"]


def test_a_batch_is_unfinished_until_it_has_ended(ledger: Ledger) -> None:
    assert ledger.batches.last() is None
    one, other = (ledger.batches.open(name, NOW) for name in ("aaaaaaaaaaaaaa", "bbbbbbbbbbbbbb"))
    assert [batch.id for batch in ledger.batches.unfinished()] == [one.id, other.id]
    ledger.batches.move(one.id, BatchState.ENDED, NOW + 1)
    assert [batch.id for batch in ledger.batches.unfinished()] == [other.id]
    found = ledger.batches.get(one.id)
    assert found is not None
    assert found.ended_at == NOW + 1
    last = ledger.batches.last()
    assert last is not None
    assert last.id == other.id


def test_a_batch_that_waits_says_since_when_and_forgets_it_when_it_moves(ledger: Ledger) -> None:
    batch = ledger.batches.open("aaaaaaaaaaaaaa", NOW)
    ledger.batches.try_now(batch.id, NOW)
    ledger.batches.wait(batch.id, ERROR, NOW, NOW + 5)
    ledger.batches.wait(batch.id, ERROR, NOW + 5, NOW + 15)
    waiting = ledger.batches.get(batch.id)
    assert waiting is not None
    assert (waiting.attempts, waiting.since, waiting.next_try, waiting.code) == (2, NOW, NOW + 15, "a.b")
    ledger.batches.try_now(batch.id, NOW + 6)
    ledger.batches.count_import(batch.id)
    tried = ledger.batches.get(batch.id)
    assert tried is not None
    assert (tried.next_try, tried.imports) == (NOW + 6, 1)
    ledger.batches.move(batch.id, BatchState.PLACED, NOW + 7)
    moved = ledger.batches.get(batch.id)
    assert moved is not None
    assert (moved.attempts, moved.since, moved.next_try, moved.code, moved.ended_at) == (0, None, None, "", None)


def test_a_content_is_known_where_it_was_last_proved(ledger: Ledger) -> None:
    assert ledger.contents.find(b"b3") is None
    ledger.contents.proved([Content(b"b3", 5, "2026/a.jpg", 1)])
    ledger.contents.proved([Content(b"b3", 5, "2026/b.jpg", 2)])
    found = ledger.contents.find(b"b3")
    assert found == Content(b"b3", 5, "2026/b.jpg", 1), "it belongs to whoever brought it first"


def test_a_home_that_went_and_came_back_keeps_its_first_day(ledger: Ledger) -> None:
    ledger.homes.seen("alice", NOW)
    ledger.homes.list_begin("alice")
    ledger.homes.list_add("alice", [("a.jpg", 1, 2), ("b.jpg", 3, 4)])
    ledger.homes.list_end("alice", NOW + 1)
    ledger.homes.gone("alice", NOW + 2)
    ledger.homes.gone("alice", NOW + 3)
    assert ledger.homes.all()["alice"].gone_since == NOW + 2
    ledger.homes.seen("alice", NOW + 4)
    home = ledger.homes.all()["alice"]
    assert (home.first_seen, home.baseline_at, home.gone_since) == (NOW, NOW + 1, None)
    assert ledger.homes.baseline_size("alice") == 2


def test_a_listing_that_was_cut_short_is_begun_anew(ledger: Ledger) -> None:
    ledger.homes.seen("alice", NOW)
    ledger.homes.list_add("alice", [("a.jpg", 1, 2)])
    ledger.homes.list_begin("alice")
    assert ledger.homes.baseline_size("alice") == 0
    assert ledger.homes.all()["alice"].baseline_at is None


def test_the_baseline_knows_a_file_by_place_inode_and_size(ledger: Ledger) -> None:
    ledger.homes.list_add("alice", [("a.jpg", 1, 2)])
    assert ledger.homes.in_baseline("alice", "a.jpg", 1, 2)
    assert not ledger.homes.in_baseline("alice", "a.jpg", 9, 2)
    assert not ledger.homes.in_baseline("alice", "a.jpg", 1, 9)
    assert not ledger.homes.in_baseline("alice", "b.jpg", 1, 2)
    assert not ledger.homes.in_baseline("bob", "a.jpg", 1, 2)
    ledger.homes.left_baseline([("alice", "a.jpg")])
    assert not ledger.homes.in_baseline("alice", "a.jpg", 1, 2)
    assert ledger.homes.baseline_size("alice") == 0


def test_the_baseline_knows_a_file_that_its_owner_has_moved(ledger: Ledger) -> None:
    ledger.homes.list_add("alice", [("InstantUpload/a.jpg", 1, 2), ("InstantUpload/b.jpg", 3, 4)])
    assert ledger.homes.in_baseline("alice", "SofortUpload/2026/a.jpg", 1, 2)
    ledger.homes.left_baseline([("alice", "InstantUpload/a.jpg")])
    assert ledger.homes.in_baseline("alice", "SofortUpload/a.jpg", 1, 2)
    # A new upload that was given the number of a file that is gone, or its name, or its size.
    assert not ledger.homes.in_baseline("alice", "InstantUpload/a.jpg", 1, 2)
    assert not ledger.homes.in_baseline("alice", "SofortUpload/c.jpg", 1, 2)
    assert not ledger.homes.in_baseline("alice", "SofortUpload/a.jpg", 1, 5)
    assert not ledger.homes.in_baseline("alice", "SofortUpload/a.jpg", 9, 2)


def test_the_audit_trail_is_read_page_by_page_newest_first(ledger: Ledger) -> None:
    for number in range(5):
        ledger.audit.note(NOW + number, "removed", photo_id=number, user="alice", path=f"{number}.jpg")
    first = ledger.audit.lines(limit=2)
    assert [line["photo_id"] for line in first] == [4, 3]
    assert [line["photo_id"] for line in ledger.audit.lines(before=first[-1]["id"], limit=9)] == [2, 1, 0]
    assert first[0]["who"] == "relay"


def test_the_last_sweep_is_the_last_that_ended(ledger: Ledger) -> None:
    assert ledger.audit.last_sweep() is None
    ledger.audit.swept(NOW, NOW + 1, "start", 10, 2)
    last = ledger.audit.last_sweep()
    assert last is not None
    assert (last["reason"], last["seen"], last["missed"]) == ("start", 10, 2)
    written = ledger.audit._store.row("SELECT * FROM sweeps")
    ledger.audit.looked(NOW + 2, NOW + 3, "schedule", 11, 0)
    last = ledger.audit.last_sweep()
    assert last is not None
    assert (last["reason"], last["ended_at"], last["seen"]) == ("schedule", NOW + 3, 11)
    assert ledger.audit._store.row("SELECT * FROM sweeps") == written


def test_the_diary_of_sweeps_does_not_grow_for_ever(ledger: Ledger) -> None:
    with ledger.write() as db:
        for number in range(1100):
            ledger.audit.swept(NOW + number, NOW + number, "start", 1, 0)
        assert db.execute("SELECT COUNT(*) FROM sweeps").fetchone()[0] <= 1000


def test_a_file_is_looked_up_in_a_listing_without_reading_all_of_it(ledger: Ledger) -> None:
    """SQLite reads all of a user's files for each one that a sweep meets, unless it is told by which index."""
    ledger.homes.list_begin("alice")
    ledger.homes.list_add("alice", [(f"{number}.jpg", number, 2) for number in range(3000)])
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    ledger._store._connection.set_progress_handler(step, 10)
    assert all(ledger.homes.in_baseline("alice", f"{number}.jpg", number, 2) for number in range(50))
    ledger._store._connection.set_progress_handler(None, 0)
    assert steps < 50 * 30
