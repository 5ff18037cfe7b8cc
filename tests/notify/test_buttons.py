"""What a button of a message does: one deed, once, for a while."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from daemon.errors import NeedsPerson, Transient
from daemon.ledger.ledger import Ledger
from daemon.ledger.model import State
from daemon.notify.buttons import LIFETIME, Buttons, Deed
from daemon.service.again import try_again_all
from daemon.service.notify import NotifyRoom
from daemon.service.users import UserDesk
from tests.notify.conftest import House, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.standins.ntfy import NtfyStandIn

NOW = 1_700_000_000.0


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    found = Ledger(str(tmp_path / "one"))
    yield found
    found.close()


def test_once_and_no_more(ledger: Ledger) -> None:
    buttons = Buttons(ledger)
    token = buttons.offer(1, Deed("include", "bob"), NOW)
    assert Buttons(ledger).redeem(token, NOW + 5) == Deed("include", "bob"), "also after a restart"
    with pytest.raises(NeedsPerson) as raised:
        buttons.redeem(token, NOW + 6)
    assert raised.value.code == "act.used"


def test_until_it_expires(ledger: Ledger) -> None:
    buttons = Buttons(ledger)
    token = buttons.offer(1, Deed("include", "bob"), NOW)
    with pytest.raises(NeedsPerson) as raised:
        buttons.redeem(token, NOW + LIFETIME + 1)
    assert raised.value.code == "act.expired"


def test_one_answer_ends_the_question(ledger: Ledger) -> None:
    buttons = Buttons(ledger)
    include, exclude = (buttons.offer(1, Deed(one, "bob"), NOW) for one in ("include", "exclude"))
    other = buttons.offer(2, Deed("include", "alice"), NOW)
    buttons.done(buttons.redeem(include, NOW), NOW)
    with pytest.raises(NeedsPerson):
        buttons.redeem(exclude, NOW)
    assert buttons.redeem(other, NOW) == Deed("include", "alice")


def test_a_copy_of_the_table_makes_no_button(ledger: Ledger, tmp_path: Path) -> None:
    buttons = Buttons(ledger)
    token = buttons.offer(1, Deed("exclude", "bob"), NOW)
    with ledger.write() as db:
        db.execute("UPDATE deeds SET deed = 'include'")
    with pytest.raises(NeedsPerson) as raised:
        buttons.redeem(token, NOW)
    assert raised.value.code == "act.unknown"
    other = Ledger(str(tmp_path / "two"))
    with pytest.raises(NeedsPerson):
        Buttons(other).redeem(token, NOW)
    other.close()


@pytest.mark.parametrize("token", ["", "x", "A" * 48, "ä" * 48, "A" * 10_000, "../" * 16, "\udcff" * 48])
def test_nonsense_is_unknown(ledger: Ledger, token: str) -> None:
    with pytest.raises(NeedsPerson) as raised:
        Buttons(ledger).redeem(token, NOW)
    assert raised.value.code == "act.unknown"


def test_every_changed_letter_is_noticed(ledger: Ledger) -> None:
    token = Buttons(ledger).offer(1, Deed("include", "bob"), NOW)
    assert len(base64.urlsafe_b64decode(token)) == 36
    for place in range(0, len(token), 5):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        with pytest.raises(NeedsPerson):
            Buttons(ledger).redeem(changed, NOW)


# -- what they do ---------------------------------------------------------------------------------------------------


class Config:
    def __init__(self) -> None:
        self.patched: list[tuple[dict[str, Any], str | None, str]] = []
        self.error: Exception | None = None

    def state(self) -> dict[str, Any]:
        return {"etag": "what was read"}

    async def patch(self, changes: dict[str, Any], if_match: str | None, who: str) -> dict[str, Any]:
        if self.error:
            raise self.error
        self.patched.append((changes, if_match, who))
        return {}


class Front:
    """As much of the service as buttons use: the users' desk, and trying again."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.config: Any = Config()
        self.users = UserDesk(house.ledger, house.current, lambda: self.config, house.clock)

    async def retry_code(self, code: str, who: str) -> int:
        return try_again_all(self.house.ledger, code, who, self.house.clock.wall())


@pytest.fixture
def front(house: House) -> Front:
    return Front(house)


@pytest.fixture
def room(house: House, front: Front) -> NotifyRoom:
    made: Any = NotifyRoom
    found: NotifyRoom = made(front, house.ledger, house.current, house.issues, house.bus, house.clock)
    house.messages = found._messages
    return found


async def token_of(house: House, server: NtfyStandIn, label: str) -> str:
    async with house.running():
        await until(lambda: bool(server.messages) and not house.ledger.outbox.count("ntfy"))
    url = next(one["url"] for one in server.messages[-1]["actions"] if one["label"] == label)
    return str(url).rpartition("/")[2]


async def test_include(house: House, server: NtfyStandIn, room: NotifyRoom, front: Front) -> None:
    house.ledger.homes.seen("bob", 1.0)
    house.trouble("user bob", "user.new")
    token = await token_of(house, server, "Include")
    assert await room.act(token, "192.168.1.7") == "bob is included: new photos are relayed from now on."
    assert front.config.patched == [({"users": {"include": {"bob": {}}}}, None, "ntfy button 192.168.1.7")]
    with pytest.raises(NeedsPerson) as raised:
        await room.act(token, "192.168.1.7")
    assert raised.value.code == "act.used"


async def test_exclude_keeps_the_others_that_are(
    house: House, server: NtfyStandIn, room: NotifyRoom, front: Front
) -> None:
    house.ledger.homes.seen("bob", 1.0)
    house.trouble("user bob", "user.new")
    token = await token_of(house, server, "Exclude")
    settings = house.current.settings
    house.current.settings = settings.model_copy(
        update={"users": settings.users.model_copy(update={"exclude": ("admin",)})}
    )
    await room.act(token, "::1")
    changes, if_match, _ = front.config.patched[0]
    assert changes == {"users": {"exclude": ["admin", "bob"]}}
    assert if_match == "what was read", "the whole list is written: nobody may have changed it meanwhile"


async def test_what_could_not_be_done_may_be_pressed_again(
    house: House, server: NtfyStandIn, room: NotifyRoom, front: Front
) -> None:
    house.ledger.homes.seen("bob", 1.0)
    house.trouble("user bob", "user.new")
    token = await token_of(house, server, "Include")
    front.config.error = Transient("config.busy", "busy")
    with pytest.raises(Transient):
        await room.act(token, "::1")
    front.config.error = None
    assert "included" in await room.act(token, "::1")


async def test_nobody_is_included_who_has_no_home(
    house: House, server: NtfyStandIn, room: NotifyRoom, front: Front
) -> None:
    house.trouble("user ghost", "user.new")
    with pytest.raises(NeedsPerson) as raised:
        await room.act(await token_of(house, server, "Include"), "::1")
    assert raised.value.code == "user.unknown"
    assert front.config.patched == []


async def test_try_again(house: House, server: NtfyStandIn, room: NotifyRoom) -> None:
    later = house.clock.wall() + 1000
    mine = [house.photo(f"{number}.jpg") for number in range(3)]
    other = house.photo("x.jpg", code="disk.low")
    for one in (*mine, other):
        house.ledger.photos.put(one, next_try=later)
    held = house.photo("held.jpg", state=State.HELD, code="photoprism.unreachable")
    house.trouble()
    said = await room.act(await token_of(house, server, "Try again now"), "::1")
    assert said == "4 photos are tried again now."
    photos = {one: house.ledger.photos.get(one) for one in (*mine, other, held)}
    assert all((photos[one].next_try or 0) < later for one in mine)  # type: ignore[union-attr]
    assert photos[other].next_try == later  # type: ignore[union-attr]
    assert photos[held].state is State.SETTLED  # type: ignore[union-attr]


async def test_the_rooms_test_message_says_what_the_server_said(
    house: House, server: NtfyStandIn, room: NotifyRoom
) -> None:
    answer = await room.test("page")
    assert answer["sent"] is True
    assert server.messages[0]["id"] in answer["message"]
    server.anonymous = False
    refused = await room.test("page")
    assert refused["sent"] is False
    assert refused["code"] == "ntfy.forbidden"
    assert "forbidden (ntfy code 40301, status 403)" in refused["message"]
