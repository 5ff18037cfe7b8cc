"""What is gathered between two frames: each photo's end once, nothing without bound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.events import Event
from ui.pending import MAX_EVENTS, MAX_PHOTOS, Pending

ENDS = ("done", "refused", "restored", "held", "waiting")


@given(st.lists(st.sampled_from([*(f"photo.{end}" for end in ENDS), "photo.retried", "batch.ended", "photos.found"])))
def test_each_end_is_kept_in_its_order(types: list[str]) -> None:
    pending = Pending()
    for number, kind in enumerate(types):
        pending.add(Event(kind, {"id": number, "user": "alice", "name": "a.jpg", "code": ""}))
    taken = pending.take()
    ends = [(number, kind) for number, kind in enumerate(types) if kind.removeprefix("photo.") in ENDS]
    assert [(one["id"], f"photo.{one['state']}") for one in taken.get("photos", [])] == ends
    told = [kind for kind in types if kind in {"photo.retried", "batch.ended"}]
    assert [one["type"] for one in taken.get("events", [])] == told
    assert [] not in taken.values()
    assert pending.take() == {}


def test_too_much_becomes_one_word_and_then_it_begins_anew() -> None:
    for kind, most in (("photo.done", MAX_PHOTOS), ("batch.ended", MAX_EVENTS)):
        pending = Pending()
        for number in range(most):
            pending.add(Event(kind, {"id": number}))
        assert not pending.lost
        for number in range(most):
            pending.add(Event(kind, {"id": number}))
        assert pending.lost
        assert pending.take() == {}
        pending.add(Event(kind, {"id": 1}))
        assert not pending.lost
        assert pending.take()


def test_a_bus_that_lost_something_says_so() -> None:
    pending = Pending()
    pending.add(Event("lost"))
    assert pending.lost
