"""What is under way is written down truly, and writing it down can neither fail nor wait."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from daemon.fingerprint import Fingerprint
from daemon.relay.under_way import UnderWay
from daemon.service.progress import batch_as_dict
from daemon.sweeper import _as_photo
from daemon.watch.model import Found
from tests.relay.world import Time

if TYPE_CHECKING:
    from daemon.ledger.model import Photo

SIZE = 1000


def photo(number: int, size: int = SIZE) -> Photo:
    found = Found("alice", f"InstantUpload/{number}.jpg", Fingerprint(number, size, 1, 1))
    return _as_photo(found)._replace(id=number, place=f"abcdefgh/{number}.jpg")


PHOTOS = [photo(number) for number in range(1, 6)]


def test_nothing_is_under_way_before_and_after() -> None:
    way = UnderWay(Time())
    assert way.look() is None
    way.begin(7, "examine", PHOTOS)
    way.over(6)
    assert way.look() is not None, "that was another batch"
    way.over(7)
    assert way.look() is None


def test_photos_bytes_and_the_one_in_hand() -> None:
    way = UnderWay(Time())
    way.begin(7, "place", PHOTOS)
    so_far = way.bytes_of(PHOTOS[0])
    so_far(400)
    so_far(700)
    found = way.look()
    assert found is not None
    assert (found.step, found.photos, found.done, found.bytes, found.bytes_done) == ("place", 5, 0, 5 * SIZE, 700)
    assert found.in_hand is PHOTOS[0]
    way.done(PHOTOS[0])
    way.done(PHOTOS[0])
    so_far(900)  # told late
    found = way.look()
    assert found is not None
    assert (found.done, found.bytes_done, found.in_hand) == (1, SIZE, None)


def test_a_new_step_begins_anew() -> None:
    way = UnderWay(Time())
    way.begin(7, "examine", PHOTOS)
    way.done(*PHOTOS)
    way.begin(7, "place", PHOTOS[:2])
    found = way.look()
    assert found is not None
    assert (found.step, found.photos, found.done, found.bytes_done) == ("place", 2, 0, 0)


def test_what_the_archive_takes_up_is_known_by_its_place() -> None:
    way = UnderWay(Time())
    way.begin(7, "import", PHOTOS)
    way.started("abcdefgh/2.jpg")
    way.started("4.jpg")
    found = way.look()
    assert found is not None
    assert (found.done, found.in_hand) == (1, PHOTOS[3])
    way.started("nobody/knows.jpg")
    found = way.look()
    assert found is not None
    assert (found.done, found.in_hand) == (2, None)


def test_speed_is_that_of_the_last_seconds() -> None:
    clock = Time()
    way = UnderWay(clock)
    large = photo(1, 100_000)
    way.begin(7, "examine", [large])
    so_far = way.bytes_of(large)
    found = way.look()
    assert found is not None
    assert found.bytes_per_second is None
    for second in range(1, 41):
        clock.time += 1
        so_far(second * (100 if second <= 20 else 1000))
    found = way.look()
    assert found is not None
    assert found.bytes_per_second is not None
    assert 900 < found.bytes_per_second < 2500
    clock.time += 60
    found = way.look()
    assert found is not None
    assert found.bytes_per_second is not None
    assert found.bytes_per_second < 500, "what stands still gets slower"


def test_many_threads_at_once() -> None:
    way = UnderWay()
    many = [photo(number) for number in range(1, 201)]
    way.begin(7, "place", many)

    def work(mine: list[Photo]) -> None:
        for one in mine:
            so_far = way.bytes_of(one)
            for count in range(0, SIZE + 1, 100):
                so_far(count)
            way.done(one)
            way.look()

    threads = [threading.Thread(target=work, args=(many[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = way.look()
    assert found is not None
    assert (found.done, found.bytes_done, found.in_hand) == (200, 200 * SIZE, None)


CALLS = st.lists(
    st.tuples(
        st.sampled_from(["begin", "take", "bytes", "done", "started", "over"]), st.integers(0, 9), st.integers(0, 5000)
    ),
    max_size=40,
)


@given(CALLS)
def test_no_order_of_calls_fails(calls: list[tuple[str, int, int]]) -> None:
    clock = Time()
    way = UnderWay(clock)
    for call, number, amount in calls:
        clock.time += amount / 1000
        one = photo(number)
        match call:
            case "begin":
                way.begin(number, "examine", PHOTOS[: amount % 6])
            case "take":
                way.take(one)
            case "bytes":
                way.bytes_of(one)(amount)
            case "done":
                way.done(one)
            case "started":
                way.started(one.place)
            case "over":
                way.over(number)
        found = way.look()
        if found is not None:
            assert 0 <= found.done <= found.photos
            assert found.in_hand is None or found.in_hand.id in {known.id for known in PHOTOS}


def test_seconds_left_are_those_of_the_step() -> None:
    from daemon.ledger.model import Batch, BatchState

    batch = Batch(7, "abcdefghijklmn", BatchState.OPEN, 1.0, None, 0, 0, None, None, "", "")
    clock = Time()
    way = UnderWay(clock)
    large = photo(1, 10_000)
    way.begin(7, "examine", [large])
    clock.time += 2
    way.bytes_of(large)(2000)
    told = batch_as_dict(batch, way.look(), 0, 0)
    assert (told["bytes_per_second"], told["seconds_left"]) == (1000, 8)
    assert told["in_hand"] == {"id": 1, "user": "alice", "name": "1.jpg"}
    waits = batch_as_dict(batch, None, 3, 3000)
    assert (waits["step"], waits["photos"], waits["bytes"], waits["seconds_left"]) == ("examine", 3, 3000, None)
