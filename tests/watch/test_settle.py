"""The settle rule against the simplest thing that could be right: the whole history, gone through again each time."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.fingerprint import Fingerprint
from daemon.watch import media
from daemon.watch.settle import Settler

SETTLE, MAX_WAIT, PARTNER = 10.0, 40.0, 30.0


def settler() -> Settler[str]:
    return Settler(SETTLE, MAX_WAIT, PARTNER, key=media.group_key, is_main=lambda name: media.role(name) == "main")


def state(number: int) -> Fingerprint:
    return Fingerprint(1, number, 0, number)


def keys(one: Settler[str], now: float) -> list[str]:
    return [due.key for due in one.due(now)]


def test_a_file_is_due_after_its_quiet_time_and_not_before() -> None:
    one = settler()
    one.seen("d", "a.jpg", state(1), 100)
    assert one.next_due(100) == 110
    assert keys(one, 109.9) == []
    assert keys(one, 110) == ["a"]
    one.seen("d", "a.jpg", state(1), 111)
    assert keys(one, 111) == ["a"]
    one.seen("d", "a.jpg", state(2), 112)
    assert keys(one, 121) == []
    assert one.next_due(121) == 122


def test_a_group_waits_for_its_slowest_member_and_its_directory() -> None:
    one = settler()
    one.seen("d", "a.heic", state(1), 0)
    one.seen("d", "a.mov", state(1), 8)
    one.seen("e", "x.jpg", state(1), 0)
    assert keys(one, 10) == ["x"]
    assert keys(one, 18) == ["a", "x"]
    one.activity("d", 15)
    assert keys(one, 18) == ["x"]
    assert keys(one, 25) == ["a", "x"]


def test_a_busy_directory_delays_no_longer_than_max_wait() -> None:
    one = settler()
    one.seen("d", "a.jpg", state(1), 0)
    for now in range(1, 60):
        one.activity("d", now)
        assert keys(one, now) == (["a"] if now >= MAX_WAIT else [])


def test_a_file_that_never_rests_is_never_due() -> None:
    one = settler()
    for now in range(0, 200, 5):
        one.seen("d", "a.jpg", state(now), now)
        assert keys(one, now + 4) == []


def test_an_announced_partner_is_waited_for_until_it_comes_or_its_time_is_over() -> None:
    one = settler()
    one.seen("d", "a.heic", state(1), 0)
    [due] = one.due(10)
    assert (due.lone, due.announced) == (True, None)
    one.announce("d", "a", True)
    assert keys(one, 39) == []
    assert keys(one, 40) == ["a"]
    one.seen("d", "a.mov", state(1), 20)
    assert keys(one, 29) == []
    assert keys(one, 30) == ["a"]
    one.gone("d", "a.mov")
    one.announce("d", "a", False)
    assert keys(one, 30) == ["a"]


def test_what_changed_since_is_not_taken() -> None:
    one = settler()
    one.seen("d", "a.jpg", state(1), 0)
    [due] = one.due(10)
    one.seen("d", "a.jpg", state(2), 11)
    assert not one.take(due)
    [due] = one.due(21)
    one.seen("d", "a.mov", state(1), 21)
    assert not one.take(due)
    [due] = one.due(31)
    assert one.take(due)
    assert not one.take(due)
    assert (len(one), one.next_due(99), one.due(99)) == (0, None, [])


def test_forgetting_and_new_times() -> None:
    one = settler()
    one.seen("d", "a.jpg", state(1), 0)
    one.seen("e", "b.jpg", state(1), 0)
    one.forget(lambda directory: directory == "d")
    assert (len(one), one.has("d", "a.jpg"), one.has("e", "b.jpg")) == (1, False, True)
    one.configure(2, 40, 30)
    assert one.next_due(0) == 2


TOLD = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 1.0, 5.0, 9.0, 10.0, 30.0]),
        st.sampled_from(["seen", "seen", "seen", "gone", "activity", "announce", "deny"]),
        st.sampled_from(["d", "e"]),
        st.sampled_from(["a.heic", "a.mov", "a.xmp", "b.jpg", "IMG_1.jpg", "IMG_E1.jpg"]),
        st.integers(0, 2),
    ),
    max_size=40,
)


class Oracle:
    """Goes by the rule as it is written, with no thought for speed."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, str], tuple[int, float, float]] = {}
        self.active: dict[str, float] = {}
        self.announced: dict[tuple[str, str], bool] = {}

    def groups(self) -> dict[tuple[str, str], list[str]]:
        result: dict[tuple[str, str], list[str]] = {}
        for directory, name in self.files:
            result.setdefault((directory, media.group_key(name)), []).append(name)
        return result

    def tell(self, now: float, what: str, directory: str, name: str, number: int) -> None:
        key = (directory, media.group_key(name))
        before = self.files.get((directory, name))
        if what == "seen" and (before is None or before[0] != number):
            self.files[directory, name] = (number, now, before[2] if before else now)
            self.active[directory] = now
        elif what == "gone":
            self.files.pop((directory, name), None)
        elif what == "activity" and any(other == directory for other, _ in self.files):
            self.active[directory] = now
        elif what in {"announce", "deny"} and key in self.groups():
            self.announced[key] = what == "announce"
        self.announced = {group: value for group, value in self.announced.items() if group in self.groups()}

    def settled_at(self, directory: str, key: str, names: list[str]) -> float:
        members = [self.files[directory, name] for name in names]
        changed = max(changed for _, changed, _ in members)
        rest = min(self.active[directory] + SETTLE, min(since for _, _, since in members) + MAX_WAIT)
        at = max(changed + SETTLE, rest)
        if self.announced.get((directory, key)) and sum(media.role(name) == "main" for name in names) == 1:
            at = max(at, changed + SETTLE + PARTNER)
        return at


@settings(max_examples=200)
@given(TOLD)
def test_it_agrees_with_the_oracle(steps: list[tuple[float, str, str, str, int]]) -> None:
    one, oracle, now = settler(), Oracle(), 0.0
    for pause, what, directory, name, number in steps:
        now += pause
        oracle.tell(now, what, directory, name, number)
        if what == "seen":
            one.seen(directory, name, state(number), now)
        elif what == "gone":
            one.gone(directory, name)
        elif what == "activity":
            one.activity(directory, now)
        else:
            one.announce(directory, media.group_key(name), what == "announce")
        assert len(one) == len(oracle.files)
        expected = {key: (oracle.settled_at(*key, names), set(names)) for key, names in oracle.groups().items()}
        due = {(due.directory, due.key): {name for name, _ in due.members} for due in one.due(now)}
        assert due == {key: names for key, (at, names) in expected.items() if at <= now}
        first = min((at for at, _ in expected.values()), default=None)
        assert one.next_due(now) == (None if first is None else max(first, now))
