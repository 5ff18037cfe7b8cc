"""What reaches the phone: real events, a real ledger, real HTTP."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

import anyio

from daemon.errors import NeedsPerson
from daemon.ledger.model import State
from daemon.notify import messages, teller
from daemon.text import shown
from tests.notify.conftest import House, until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.standins.ntfy import NtfyStandIn


async def test_a_trouble_is_told_with_the_photos_that_wait(house: House, server: NtfyStandIn) -> None:
    for number in range(14):
        house.photo(f"{number}.jpg")
    async with house.running():
        house.trouble()
        await until(lambda: bool(server.messages))
        await until(lambda: house.ledger.outbox.count("ntfy") == 0)
    [message] = server.messages
    assert message["title"] == "14 photos of alice wait"
    assert message["message"].startswith("PhotoPrism does not answer (since ")
    assert "Is it running?" in message["message"] or "is it running?" in message["message"]
    assert message["priority"] == 4
    assert message["tags"] == ["rotating_light"]
    assert message["click"] == "https://relay.example/#/errors"
    assert [one["label"] for one in message["actions"]] == ["Try again now", "Open"]
    assert "content_type" not in message, "names that users give would be read as Markdown"


async def test_what_passes_by_itself_is_not_told(house: House, server: NtfyStandIn) -> None:
    async with house.running():
        house.trouble()
        await anyio.sleep(0.05)
        house.issues.clear("archive")
        await anyio.sleep(0.5)
    assert server.messages == []
    assert house.ledger.outbox.count("ntfy") == 0


async def test_all_well_again_replaces_the_trouble_on_the_phone(house: House, server: NtfyStandIn) -> None:
    async with house.running():
        house.trouble()
        await until(lambda: len(server.messages) == 1)
        house.issues.clear("archive")
        await until(lambda: len(server.messages) == 2)
    assert server.messages[1]["title"] == "All well again"
    assert "PhotoPrism does not answer" in server.messages[1]["message"]
    assert server.messages[1]["priority"] == 3, "good news rings no louder than usual"
    assert [one["title"] for one in server.shown] == ["All well again"]
    # What is over is not told once more.
    house.trouble()
    house.issues.clear("archive")


async def test_older_servers_get_two_messages(house: House, server: NtfyStandIn) -> None:
    server.updates = False
    async with house.running():
        house.trouble()
        await until(lambda: len(server.messages) == 1)
        house.issues.clear("archive")
        await until(lambda: len(server.messages) == 2)
    assert len(server.shown) == 2


async def test_like_troubles_are_one_message(house: House, server: NtfyStandIn) -> None:
    house.set(quiet="1h")
    async with house.running():
        for number in range(3):
            house.trouble(f"scan alice/{number}", "occ.locked", message=f"{number} is locked")
        await until(lambda: bool(server.messages))
        house.trouble("scan alice/9", "occ.locked", message="9 is locked")
        await anyio.sleep(0.4)
        assert len(server.messages) == 1, "further ones are gathered for an hour"
        house.trouble("archive", "photoprism.storage_full")
        await until(lambda: len(server.messages) == 2)
    assert "And 2 other things of the same kind." in server.messages[0]["message"]
    assert server.messages[0]["priority"] == 3, "a warning"
    waiting = house.ledger.outbox.waiting("ntfy", "issue occ.locked")
    assert waiting is not None
    assert list(waiting.body["items"]) == ["scan alice/9"]


async def test_after_a_restart_nothing_is_told_twice_and_the_end_is_told(
    house: House, server: NtfyStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.running():
        house.trouble()
        await until(lambda: len(server.messages) == 1 and not house.ledger.outbox.count("ntfy"))
    async with house.running(house.anew()):
        await anyio.sleep(0.5)
        assert len(server.messages) == 1
    house.issues._open.clear()  # a new process knows of nothing
    monkeypatch.setattr(messages, "PATIENCE", 0.1)
    async with house.running(house.anew()):
        await until(lambda: len(server.messages) == 2)
    assert server.messages[1]["title"] == "All well again"


async def test_what_was_wrong_before_anybody_listened_is_told(house: House, server: NtfyStandIn) -> None:
    house.trouble()
    async with house.running():
        await until(lambda: len(server.messages) == 1)


async def test_a_new_user_has_buttons(house: House, server: NtfyStandIn) -> None:
    async with house.running():
        house.trouble("user o'neil", "user.new", message="o'neil has a home")
        await until(lambda: bool(server.messages))
    [message] = server.messages
    assert message["title"] == "New user: o'neil"
    assert [one["label"] for one in message["actions"]] == ["Include", "Exclude", "Open"]
    include = message["actions"][0]
    assert (include["method"], include["action"]) == ("POST", "http")
    assert include["url"].startswith("https://relay.example/api/v1/act/")
    stored = "".join(str(tuple(row)) for row in house.ledger._store.rows("SELECT * FROM deeds"))
    assert include["url"].rpartition("/")[2] not in stored


async def test_many_new_users_are_one_message_without_buttons(house: House, server: NtfyStandIn) -> None:
    async with house.running():
        for user in ("alice", "bob", "carol"):
            house.trouble(f"user {user}", "user.new")
        house.issues.clear("user carol")
        await until(lambda: bool(server.messages))
    [message] = server.messages
    assert message["title"] == "2 new users wait for your decision"
    assert "alice, bob" in message["message"]
    assert [one["label"] for one in message["actions"]] == ["Open"]


async def test_without_a_page_there_are_no_links(house: House, server: NtfyStandIn) -> None:
    house.set(ui={})
    async with house.running():
        house.trouble("user bob", "user.new")
        await until(lambda: bool(server.messages))
    assert not {"click", "actions", "icon"} & server.messages[0].keys()


async def test_a_batch_is_one_message(house: House, server: NtfyStandIn) -> None:
    batch = house.ledger.batches.open("abcdefghijklmn", house.clock.wall())
    now = house.clock.wall()
    for number in range(3):
        house.photo(f"{number}.jpg", state=State.ARCHIVED, batch_id=batch.id, proved_at=now)
    house.photo("twin.jpg", "bob", state=State.ARCHIVED, batch_id=batch.id, proved_at=now, duplicate_of=1)
    async with house.running():
        house.bus.tell("batch.ended", id=batch.id, name=batch.name)
        await anyio.sleep(0.4)
        assert server.messages == [], "success is off unless it is wanted"
        house.set(events={"batch.ended": "low"})
        house.bus.tell("batch.ended", id=batch.id, name=batch.name)
        await until(lambda: bool(server.messages))
    [message] = server.messages
    assert message["title"] == "4 photos of alice and bob are in the archive"
    assert message["message"] == "3 new photos, 3.9 KiB; 1 duplicate, which the archive had already."
    assert message["priority"] == 2


async def test_held_photos_are_gathered_by_user_and_reason(house: House, server: NtfyStandIn) -> None:
    async with house.running():
        for number in range(8):
            one = house.photo(f"{number}.jpg", state=State.HELD)
            house.bus.tell("photo.held", id=one, user="alice", name=f"{number}.jpg", code="archive.hidden")
        other = house.photo("b.jpg", "bob", state=State.HELD)
        house.bus.tell("photo.held", id=other, user="bob", name="b.jpg", code="archive.hidden")
        kept = house.photo("k.jpg", "bob", state=State.REFUSED)
        house.bus.tell("photo.refused", id=kept, user="bob", name="k.jpg", code="photo.kept")
        await until(lambda: len(server.messages) == 2)
        await anyio.sleep(0.3)
    assert [one["title"] for one in server.messages] == ["8 photos of alice are held", "1 photo of bob is held"]
    assert "0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg and 3 more" in server.messages[0]["message"]
    assert server.messages[1]["click"] == f"https://relay.example/#/photo/{other}"


async def test_failed_log_ins_are_told_from_the_third_on(house: House, server: NtfyStandIn) -> None:
    house.set(quiet="10m")
    async with house.running():
        for number in range(4):
            if number == 2:
                await anyio.sleep(0.3)
                assert server.messages == []
            house.bus.tell("login.failed", address="192.168.1.7" if number else "10.0.0.1")
        await until(lambda: bool(server.messages))
    assert server.messages[0]["title"] == "4 failed log-in attempts"
    assert "192.168.1.7 (3)" in server.messages[0]["message"]


async def test_settings_wrong_and_right_again(house: House, server: NtfyStandIn) -> None:
    async with house.running():
        house.trouble("configuration", "config.invalid", message="relay.yaml:12: watch.settle: is wrong")
        await until(lambda: len(server.messages) == 1)
        house.issues.clear("configuration")
        await until(lambda: len(server.messages) == 2)
    assert [one["title"] for one in server.messages] == [
        "The settings file is wrong",
        "The settings file is right again",
    ]
    assert "relay.yaml:12" in server.messages[0]["message"]


async def test_what_the_watcher_missed(house: House, server: NtfyStandIn) -> None:
    async with house.running():
        house.bus.tell("sweep.ended", reason="start", files=9, wanted=3, missed=3)
        house.bus.tell("sweep.ended", reason="schedule", files=9, wanted=1, missed=1)
        await until(lambda: bool(server.messages))
    assert server.messages[0]["title"] == "The watcher missed 1 photo"


async def test_names_cannot_write_a_second_line_or_turn_the_text(house: House, server: NtfyStandIn) -> None:
    name = "a\n# [click](http://evil)\u202egpj.\udcff"
    one = house.photo("x.jpg", state=State.HELD, message="a\n# [x](http://evil)\u202e is hidden")
    async with house.running():
        house.bus.tell("photo.held", id=one, user="al\nice", name=name, code="archive.hidden")
        await until(lambda: bool(server.messages))
    [message] = server.messages
    assert "\n" not in message["title"]
    assert "\u202e" not in message["message"]
    assert not any(line.startswith("#") for line in message["message"].splitlines())


async def test_switched_off_nothing_is_kept(house: House, server: NtfyStandIn) -> None:
    house.set(levels={"error": "off"})
    async with house.running():
        house.trouble()
        await anyio.sleep(0.4)
        assert house.ledger.outbox.count("ntfy") == 0
        house.set(url="", topic="")
        house.trouble("release", "release.broken")
        await anyio.sleep(0.2)
    assert (await house.messages.status())["state"] == "off"
    assert server.messages == []


async def test_the_relay_is_never_slowed(house: House, server: NtfyStandIn) -> None:
    """Thousands of events at once are heard without waiting; too many are owned up to and caught up with."""
    house.set(hooks=[{"on": "photo.done", "url": "http://127.0.0.1:1"}])
    async with house.running():
        began = time.thread_time()  # the machine may be busy with other things
        for number in range(20_000):
            house.bus.tell("photo.done", id=number, user="alice", name="x.jpg", code="")
        house.trouble()
        assert time.thread_time() - began < 1
        await until(lambda: bool(server.messages), 20)


async def test_a_digest_comes_once_a_day(house: House, server: NtfyStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "LATE", 86400.0)
    for number in range(2):
        one = house.photo(f"{number}.jpg", state=State.DONE)
        house.ledger.photos.put(one, ended_at=house.clock.wall() - 60)
    house.photo("w.jpg", "bob")
    house.trouble()
    minute_ago = f"{datetime.fromtimestamp(house.clock.wall() - 50, house.messages.zone):%H:%M}"
    house.set(digest=minute_ago, levels={"error": "off"})
    async with house.running():
        await until(lambda: bool(server.messages))
        await anyio.sleep(1.3)
    [message] = server.messages
    assert message["title"] == "Today's photos"
    assert message["priority"] == 2
    assert "waiting" in message["message"]
    assert not house.messages.digest()


async def test_gathering_restarts_with_the_ledger(
    tmp_path: Path, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits when the daemon is killed goes out afterwards."""
    monkeypatch.setattr(teller, "SOON", 60.0)
    async with house.running():
        house.trouble()
        await until(lambda: house.ledger.outbox.count("ntfy") == 1)
    house.messages = house.anew()
    [row] = house.ledger._store.rows("SELECT * FROM outbox")
    assert row["attempts"] == 0


async def test_who_has_gone_is_told_of_and_who_is_back(house: House, server: NtfyStandIn) -> None:
    async with house.running():
        for user in ("alice", "bob"):
            house.issues.report(f"user {user}", NeedsPerson("user.gone", f"{user} has no home"), subject=user)
        await until(lambda: len(server.messages) == 1)
        (message,) = server.messages
        assert message["title"] == "2 users have no home any more"
        assert message["priority"] == 3
        assert message["click"].endswith("/#/users")
        await until(lambda: not house.ledger.outbox.count("ntfy"))
        house.issues.clear("user alice")
        await until(lambda: len(server.messages) == 2)
        assert server.messages[1]["title"] == "All well again"
        assert "alice has no home" in server.messages[1]["message"]


async def test_buttons_are_for_the_user_as_they_are(house: House, server: NtfyStandIn) -> None:
    user = "x" * 250
    async with house.running():
        house.issues.report(f"user {shown(user)}", NeedsPerson("user.new", "there"), subject=user)
        await until(lambda: len(server.messages) == 1)
    token = next(one["url"] for one in server.messages[0]["actions"] if one["label"] == "Include").rpartition("/")[2]
    assert house.messages.buttons.redeem(token, house.clock.wall()).subject == user
