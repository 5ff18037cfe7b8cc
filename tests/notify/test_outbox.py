"""The outbox: refusals, limits, hours without a network, restarts, order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.errors import NeedsPerson, Transient
from daemon.ledger.ledger import Ledger
from daemon.notify import courier, ntfy, teller
from daemon.settings import Settings
from tests.notify.conftest import House, until
from tests.standins.ntfy import MESSAGE_SIZE, NtfyStandIn

if TYPE_CHECKING:
    from pathlib import Path


def section(url: str, **more: Any) -> Any:
    return Settings.model_validate({"notify": {"ntfy": {"url": url, "topic": "photos", **more}}}).notify.ntfy


# -- the client -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{"token": "tk_right"}, {"user": "relay", "password": "geheim"}])
async def test_token_and_password(server: NtfyStandIn, more: dict[str, str]) -> None:
    server.token, server.user, server.password, server.anonymous = "tk_right", "relay", "geheim", False
    answer = await ntfy.publish(section(server.url, **more), {"title": "ä", "message": "ü"})
    assert answer["id"] == server.messages[0]["id"]
    assert server.messages[0]["title"] == "ä"


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ({"token": "tk_wrong"}, "ntfy.unauthorized", "unauthorized (ntfy code 40101, status 401)"),
        ({}, "ntfy.forbidden", "forbidden (ntfy code 40301, status 403)"),
    ],
)
async def test_refusals_are_in_the_servers_own_words(
    server: NtfyStandIn, more: dict[str, str], code: str, words: str
) -> None:
    server.token, server.anonymous = "tk_right", False
    with pytest.raises(NeedsPerson, match="does not") as raised:
        await ntfy.publish(section(server.url, **more), {"message": "x"})
    assert raised.value.code == code
    assert words in raised.value.message
    assert "tk_wrong" not in f"{raised.value} {raised.value.hint}"


async def test_limits(server: NtfyStandIn) -> None:
    server.burst = 1
    async with NtfyStandIn(burst=1, retry_after="17") as small:
        await ntfy.publish(section(small.url), {"message": "1"})
        with pytest.raises(Transient) as raised:
            await ntfy.publish(section(small.url), {"message": "2"})
    assert (raised.value.code, raised.value.retry_after) == ("ntfy.limited", 17.0)
    async with NtfyStandIn(daily=0) as spent:
        with pytest.raises(Transient) as raised:
            await ntfy.publish(section(spent.url), {"message": "1"})
    assert (raised.value.code, raised.value.retry_after) == ("ntfy.quota", 1800.0)


async def test_a_proxy_that_has_lost_its_server(server: NtfyStandIn) -> None:
    server.broken = 502
    with pytest.raises(Transient) as raised:
        await ntfy.publish(section(server.url), {"message": "1"})
    assert raised.value.code == "ntfy.busy"
    assert "Bad Gateway" in raised.value.message
    server.broken = 200
    with pytest.raises(NeedsPerson) as odd:
        await ntfy.publish(section(server.url), {"message": "1"})
    assert odd.value.code == "ntfy.odd_answer"


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=6000), st.text(max_size=400), st.booleans())
def test_a_message_always_fits(text: str, title: str, doubled: bool) -> None:
    message = ntfy.fitting({"title": title, "message": text * (3 if doubled else 1), "priority": 3})
    assert len(message["message"].encode()) <= MESSAGE_SIZE
    assert len(json.dumps({"topic": "t" * 64, **message}, ensure_ascii=False).encode()) <= 2 * MESSAGE_SIZE


async def test_a_long_message_is_no_attachment(server: NtfyStandIn) -> None:
    server.attachments = False
    for text in ("x" * 9000, '\\"' * 4000, "€" * 5000):
        await ntfy.publish(section(server.url), {"message": text})
    assert all("attachment" not in one and one["message"].endswith("…") for one in server.messages)


# -- the outbox -----------------------------------------------------------------------------------------------------


async def test_hours_without_a_network_then_all_in_order(house: House, server: NtfyStandIn) -> None:
    server.broken = 503
    async with house.running():
        house.trouble("one", "a.one", message="First")
        await until(lambda: any(issue.about == "ntfy" for issue in house.issues.all()))
        for name in ("two", "three"):
            house.trouble(name, f"a.{name}", message=name.title())
            await anyio.sleep(0.3)
        assert (await house.messages.status())["state"] == "warning"
    # A restart in between.
    server.broken = 0
    async with house.running(house.anew()):
        await until(lambda: len(server.messages) == 3)
        await until(lambda: not house.ledger.outbox.count("ntfy"))
    assert [one["message"].partition(" ")[0] for one in server.messages] == ["First", "Two", "Three"]


async def test_a_trouble_that_came_and_went_meanwhile_is_told_as_over(
    house: House, server: NtfyStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teller, "BRIEF", 0.0)
    server.broken = 503
    async with house.running():
        house.trouble()
        await until(lambda: house.ledger.outbox.count("ntfy") == 1)
        await until(lambda: any(issue.about == "ntfy" for issue in house.issues.all()))
        house.issues.clear("archive")
        await anyio.sleep(0.2)
        server.broken = 0
        await until(lambda: len(server.messages) == 1)
        await anyio.sleep(0.4)
    assert len(server.messages) == 1, "it was never told, so its end is no news"
    assert "All well again since" in server.messages[0]["message"]


async def test_retry_after_is_honoured(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async with NtfyStandIn(burst=1, refill=1000, retry_after="2") as small:
        house.url = small.url
        house.set()
        async with house.running():
            house.trouble("one", "a.one")
            house.trouble("two", "a.two")
            await until(lambda: len(small.messages) == 1)
            await until(lambda: any(issue.about == "ntfy" for issue in house.issues.all()))
            small._tokens = 10.0
            await anyio.sleep(0.8)
            assert len(small.messages) == 1, "not before the time that the server named"
            await until(lambda: len(small.messages) == 2)


async def test_a_clock_that_is_set_back_keeps_no_message_waiting(house: House, server: NtfyStandIn) -> None:
    server.broken = 503
    async with house.running():
        house.trouble()
        await until(lambda: any(issue.about == "ntfy" for issue in house.issues.all()))
    [parcel] = [one] if (one := house.ledger.outbox.first("ntfy", house.clock.wall())) else []
    house.ledger.outbox.failed(parcel.id, house.clock.wall() + 3 * 24 * 3600, "ntfy.unreachable", "as the clock was")
    server.broken = 0
    async with house.running(house.anew()):
        await until(lambda: len(server.messages) == 1)


async def test_a_lost_answer_is_one_notification(house: House, server: NtfyStandIn) -> None:
    server.lose = 1
    async with house.running():
        house.trouble("user bob", "user.new")
        await until(lambda: len(server.messages) == 2)
    assert len(server.shown) == 1
    first, second = (one["actions"][0]["url"] for one in server.messages)
    assert first == second, "the button of either works, and once"


async def test_a_new_token_ends_the_pause(house: House, server: NtfyStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "pause", lambda attempts, wanted=None: 300.0)
    server.token, server.anonymous = "tk_right", False
    async with house.running():
        house.trouble()
        await until(lambda: any(issue.code == "ntfy.forbidden" for issue in house.issues.all()))
        status = await house.messages.status()
        assert (status["state"], status["code"], status["detail"]["waiting"]) == ("error", "ntfy.forbidden", 1)
        house.set(token="tk_right")
        await until(lambda: len(server.messages) == 1, 10)
        await until(lambda: not any(issue.about == "ntfy" for issue in house.issues.all()))


async def test_what_is_refused_for_good_is_dropped_and_said(house: House, server: NtfyStandIn) -> None:
    house.set(topic="ok")
    now = house.clock.wall()
    house.ledger.outbox.put("ntfy", "sweep.missed", {"count": 1}, now - 10, stale_at=now - 1)
    async with house.running():
        house.trouble()
        await until(lambda: bool(server.messages))
        await until(lambda: house.ledger.outbox.dropped("ntfy") == 0)
    assert "(1 earlier message could not be told and was dropped.)" in server.messages[0]["message"]


def test_a_channel_holds_so_many_and_counts_what_it_drops(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path))
    for number in range(15):
        ledger.outbox.put("ntfy", "x", {"n": number}, float(number), limit=10)
    first = ledger.outbox.first("ntfy", 100.0)
    assert first is not None
    assert first.body == {"n": 5}
    assert (ledger.outbox.count("ntfy"), ledger.outbox.dropped("ntfy")) == (10, 5)
    ledger.outbox.told_dropped("ntfy", 3)
    assert ledger.outbox.dropped("ntfy") == 2
    ledger.close()


async def test_what_cannot_be_put_into_words_holds_up_nothing(house: House, server: NtfyStandIn) -> None:
    house.ledger.outbox.put("ntfy", "issue.error", {"of another": "version"}, house.clock.wall())
    house.ledger.outbox.put("ntfy", "sweep.missed", {"count": 2}, house.clock.wall())
    async with house.running():
        await until(lambda: len(server.messages) == 1)
    assert server.messages[0]["title"] == "The watcher missed 2 photos"


# -- the test message -----------------------------------------------------------------------------------------------


async def test_a_test_message_goes_at_once(house: House, server: NtfyStandIn) -> None:
    answer = await house.messages.test()
    assert answer["id"] == server.messages[0]["id"]
    assert (await house.messages.status())["state"] == "ok"
    server.anonymous = False
    with pytest.raises(NeedsPerson, match="forbidden"):
        await house.messages.test()
    house.set(url="", topic="")
    with pytest.raises(NeedsPerson) as raised:
        await house.messages.test()
    assert raised.value.code == "ntfy.off"
