"""Throttles and passwords, as they are by themselves."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import NeedsPerson, Transient
from tests.ui.doors.world import HASH, PASSWORD
from ui.passwords import MOST_BYTES, QUEUE, Line, hash_password, is_usable, matches, weakness
from ui.throttle import FREE, FREE_OVERALL, LONGEST, LONGEST_OVERALL, MOST, Rate, Throttle, key_of
from ui.tokens import MalformedToken, bearer


def test_pauses_grow_and_end() -> None:
    throttle, now, pauses = Throttle(), 0.0, []
    for _ in range(20):
        wait = throttle.enter("a", now, known=True)
        pauses.append(wait)
        now += wait
        assert throttle.enter("a", now, known=True) == 0.0 if wait else True
    found = [pause for pause in pauses if pause]
    assert pauses[:FREE] == [0.0] * FREE
    assert found == sorted(found)
    assert max(found) == LONGEST


def test_tries_at_the_same_time_count_at_once() -> None:
    throttle = Throttle()
    assert sum(throttle.enter("a", 0.0) == 0.0 for _ in range(100)) == FREE


def test_who_succeeds_begins_anew() -> None:
    throttle = Throttle()
    for _ in range(FREE):
        throttle.enter("a", 0.0)
    assert throttle.enter("a", 0.0) > 0
    throttle.succeeded("a")
    assert throttle.enter("a", 0.0) == 0.0


def test_many_addresses_are_slowed_down_together_but_not_who_is_known() -> None:
    throttle = Throttle()
    entered = sum(throttle.enter(f"stranger {number}", 0.0) == 0.0 for number in range(1000))
    assert entered == FREE_OVERALL
    assert 0 < throttle.enter("another", 0.0) <= LONGEST_OVERALL
    assert throttle.enter("the owner", 0.0, known=True) == 0.0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 600), st.booleans()), max_size=60))
def test_nobody_waits_longer_than_promised(tries: list[tuple[str, float, bool]]) -> None:
    throttle, now = Throttle(), 0.0
    for key, later, known in tries:
        now += later
        assert 0 <= throttle.enter(key, now, known=known) <= LONGEST


def test_memory_is_bounded() -> None:
    throttle, rate = Throttle(), Rate(5, 1)
    for number in range(MOST + 500):
        throttle.enter(str(number), float(number * 60))
        rate.take(str(number), 0.0)
    assert len(throttle._tries) == len(rate._buckets) == MOST


def test_a_bucket_fills_again() -> None:
    rate = Rate(burst=3, per_second=2)
    assert [rate.take("a", 0.0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert rate.take("b", 0.0) == 0
    assert rate.take("a", 0.5) == 0
    assert rate.take("a", 0.5) > 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.168.1.7", "192.168.1.8", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
    ],
)
def test_an_ipv6_household_is_one_caller(one: str, other: str, same: bool) -> None:
    assert (key_of(ip_address(one)) == key_of(ip_address(other))) is same


def test_a_hash_fits_its_password_alone() -> None:
    phc = hash_password("pässwörd for the relay")
    assert is_usable(phc)
    assert phc.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert matches("pässwörd for the relay", phc)
    for wrong in ("", "pässwörd for the rela", "pässwörd for the relay ", "x" * 100_000, "\ud800"):
        assert not matches(wrong, phc)
    assert hash_password("pässwörd for the relay") != phc
    longest = "abcd" * (MOST_BYTES // 4)
    phc = hash_password(longest)
    assert matches(longest, phc)
    assert not matches(longest + "x", phc), "what is too long is not cut to fit"


@pytest.mark.parametrize(
    "phc",
    [
        "",
        "$2b$12$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        HASH.replace("m=19456", "m=9999999"),
        HASH.replace("t=2", "t=99"),
        HASH.replace("argon2id", "argon2i"),
        HASH[:-5] + "$$$$$",
        HASH.replace("p=1", "p=0"),
        "$argon2id$v=19$m=19456,t=2,p=1$!$!",
    ],
)
def test_no_hash_that_is_none_lets_anybody_in(phc: str) -> None:
    assert not is_usable(phc)
    assert not matches(PASSWORD, phc)
    assert not matches("", phc)


def test_a_wrong_password_takes_as_long_with_and_without_one_set() -> None:
    from time import perf_counter

    def took(phc: str) -> float:
        found = []
        for _ in range(5):
            began = perf_counter()
            matches("wrong password", phc)
            found.append(perf_counter() - began)
        return min(found)

    assert 0.3 < took(HASH) / took("") < 3


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("seven77", "password.too_short"),
        ("x" * 1025, "password.too_long"),
        ("abcabcabcabc", "password.too_simple"),
        ("Password123", "password.too_simple"),
        ("eight888", None),
        ("correct horse battery staple", None),
    ],
)
def test_what_makes_a_password_weak(password: str, code: str | None) -> None:
    found = weakness(password)
    assert (found.code if found else None) == code
    if code:
        with pytest.raises(NeedsPerson):
            hash_password(password)


async def test_one_password_at_a_time_and_few_in_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    running, most, go = 0, 0, threading.Event()

    def slow(*_: Any) -> bool:
        nonlocal running, most
        running += 1
        most = max(most, running)
        go.wait(5)
        running -= 1
        return False

    monkeypatch.setattr("ui.passwords.matches", slow)
    line, refused, codes = Line(), 0, set[str]()

    async def one() -> None:
        nonlocal refused
        try:
            await line.matches("a", "b")
        except Transient as error:
            codes.add(error.code)
            refused += 1

    async with anyio.create_task_group() as group:
        for _ in range(40):
            group.start_soon(one)
        await anyio.sleep(0.1)
        go.set()
    assert most == 1
    assert refused == 40 - QUEUE
    assert codes == {"login.busy"}
    await one()
    assert refused == 40 - QUEUE


GOOD = "prt_" + "a" * 43


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], None),
        (["Basic dTpw"], None),
        ([f"Bearer {GOOD}"], GOOD),
        ([f"bearer  {GOOD}"], GOOD),
        (["Basic dTpw", f"Bearer {GOOD}"], GOOD),
    ],
)
def test_tokens_in_requests(lines: list[str], expected: str | None) -> None:
    assert bearer(lines) == expected


@pytest.mark.parametrize(
    "lines",
    [
        ["Bearer"],
        ["Bearer "],
        ["Bearer x"],
        [f"Bearer {GOOD}x"],
        [f"Bearer {GOOD}", f"Bearer {GOOD}"],
        ["Bearer prt_ä"],
    ],
)
def test_a_malformed_token_is_no_missing_one(lines: list[str]) -> None:
    with pytest.raises(MalformedToken):
        bearer(lines)
