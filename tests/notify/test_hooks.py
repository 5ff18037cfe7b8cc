"""Hooks: real calls to a real server, real programs."""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from aiohttp import web

from daemon.errors import NeedsPerson, Transient
from daemon.ledger.model import State
from daemon.ledger.outbox import Parcel
from daemon.notify import hooks
from daemon.settings.messages import Hook
from tests.notify.conftest import House, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PARCEL = Parcel(7, "hook:x", "photo.done", "", {"name": "ä.jpg"}, 1700000000.0, 0.0, None, 1, "", "")


class Receiver:
    def __init__(self) -> None:
        self.status = 200
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        return web.Response(status=self.status)

    def events(self) -> list[Any]:
        return [json.loads(body) for _, body in self.got]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


def hook(**given: Any) -> Hook:
    return Hook.model_validate({"on": "photo.*", "timeout": "5s", **given})


@pytest.mark.parametrize(
    ("on", "event", "heard"),
    [
        ("batch.done", "batch.ended", True),
        ("batch.ended", "batch.ended", True),
        ("photo.*", "photo.done", True),
        ("photo.*", "photos.found", False),
        ("*", "user.new", True),
        ("*", "run.line", False),
        ("photo.done", "photo.held", False),
    ],
)
def test_which_events_a_hook_hears(on: str, event: str, heard: bool) -> None:
    name = hooks.event_name(event)
    assert (name is not None and hooks.hears(hook(on=on, url="http://x"), name)) is heard


async def test_a_call_is_signed(house: House) -> None:
    async with receiving() as receiver:
        await hooks.call(hook(url=receiver.url, secret="key"), PARCEL, 1700000001.5)
        [(headers, body)] = receiver.got
        told = hmac.new(b"key", b"1700000001." + body, hashlib.sha256).hexdigest()
        assert headers["X-Photon-Relay-Signature"] == f"sha256={told}"
        assert headers["X-Photon-Relay-Timestamp"] == "1700000001"
        assert json.loads(body) == {
            "event": "photo.done",
            "id": 7,
            "at": "2023-11-14T22:13:20.000Z",
            "data": {"name": "ä.jpg"},
        }
        await hooks.call(hook(url=receiver.url), PARCEL, 0.0)
        assert "X-Photon-Relay-Signature" not in receiver.got[1][0]
        for status, kind in ((500, Transient), (429, Transient), (404, NeedsPerson), (302, NeedsPerson)):
            receiver.status = status
            with pytest.raises(kind):
                await hooks.call(hook(url=receiver.url), PARCEL, 0.0)


async def test_an_address_that_is_not_there_and_its_secret() -> None:
    with pytest.raises(Transient) as raised:
        await hooks.call(hook(url="http://127.0.0.1:1/x?key=geheim"), PARCEL, 0.0)
    assert raised.value.code == "hook.unreachable"
    assert "geheim" not in str(raised.value)


async def test_events_reach_a_hook_in_order_with_what_it_wants_to_know(house: House) -> None:
    async with receiving() as receiver:
        house.set(hooks=[{"on": "photo.*", "url": receiver.url}, {"on": "batch.done", "url": receiver.url}])
        batch = house.ledger.batches.open("abcdefghijklmn", house.clock.wall())
        ids = [
            house.photo(f"{n}.jpg", state=State.DONE, batch_id=batch.id, blake3=b"\1" * 32, proved_at=1.0)
            for n in range(5)
        ]
        async with house.running():
            for one in ids:
                house.bus.tell("photo.done", id=one, user="alice", name=f"{one}.jpg", code="")
            await until(lambda: len(receiver.got) == 5)
            house.bus.tell("batch.ended", id=batch.id, name=batch.name)
            await until(lambda: len(receiver.got) == 6)
        told = receiver.events()
        assert [one["data"]["id"] for one in told[:5]] == ids
        assert told[0]["data"]["blake3"] == "01" * 32
        assert told[0]["data"]["path"] == "InstantUpload/0.jpg"
        assert (told[5]["event"], told[5]["data"]["photos"], told[5]["data"]["users"]) == (
            "batch.done",
            5,
            {"alice": 5},
        )


async def test_a_hook_that_is_away_hears_it_later_and_one_that_refuses_never(house: House) -> None:
    async with receiving() as receiver:
        receiver.status = 500
        house.set(hooks=[{"on": "user.new", "url": receiver.url}])
        async with house.running():
            house.bus.tell("user.new", user="bob")
            await until(lambda: len(receiver.got) >= 2)
            assert [issue.code for issue in house.issues.all()] == ["hook.failed"]
            receiver.status = 200
            await until(lambda: house.issues.all() == [])
            receiver.status = 410
            house.bus.tell("user.new", user="carol")
            house.bus.tell("user.new", user="dora")
            await until(lambda: not house.ledger.outbox.channels() and len(receiver.events()) >= 4)
        assert [one["data"]["user"] for one in receiver.events()][-2:] == ["carol", "dora"]


async def test_a_hook_that_always_fails_is_not_tried_for_ever(house: House) -> None:
    async with receiving() as receiver:
        receiver.status = 500
        house.set(hooks=[{"on": "user.new", "url": receiver.url}])
        async with house.running():
            house.bus.tell("user.new", user="bob")
            await until(lambda: bool(receiver.got) and not house.ledger.outbox.channels())
        assert len(receiver.got) == hooks.MOST_TRIES


async def test_a_removed_hook_gets_nothing_more(house: House) -> None:
    async with receiving() as receiver:
        receiver.status = 500
        house.set(hooks=[{"on": "*", "url": receiver.url}], url="", topic="")
        async with house.running():
            house.bus.tell("user.new", user="bob")
            await until(lambda: bool(receiver.got))
            house.set(hooks=[])
            await until(lambda: not house.ledger.outbox.channels())
            await until(lambda: house.issues.all() == [])


# -- programs -------------------------------------------------------------------------------------------------------


def python(script: str, *more: str) -> list[str]:
    return [sys.executable, "-c", script, *more]


async def test_a_command_gets_the_event_and_little_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTON_RELAY__PHOTOPRISM__TOKEN", "geheim")
    out = tmp_path / "out"
    script = "import sys, os; open(sys.argv[1], 'w').write(sys.stdin.read() + '\\n' + repr(dict(os.environ)))"
    await hooks.call(hook(run=python(script, str(out))), PARCEL, 0.0)
    event, environment = out.read_text().split("\n")
    assert json.loads(event)["data"] == {"name": "ä.jpg"}
    assert "PATH" in environment
    assert "geheim" not in environment


async def test_a_command_is_no_shell_line(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    await hooks.call(hook(run=["/bin/echo", f"; touch {mark}", f"$(touch {mark})"]), PARCEL, 0.0)
    assert not mark.exists()


async def test_a_command_that_fails_or_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Transient, match="exit code 3: no such tag") as raised:
        await hooks.call(
            hook(run=python("import sys; print('no such tag', file=sys.stderr); sys.exit(3)")), PARCEL, 0.0
        )
    assert raised.value.code == "hook.failed"
    with pytest.raises(NeedsPerson) as missing:
        await hooks.call(hook(run=[str(tmp_path / "none")]), PARCEL, 0.0)
    assert missing.value.code == "hook.cannot_start"


async def test_a_command_that_reads_nothing_and_says_much() -> None:
    big = Parcel(7, "hook:x", "photo.done", "", {"name": "x" * 3_000_000}, 0.0, 0.0, None, 1, "", "")
    await hooks.call(hook(run=python("import sys; sys.stderr.write('x' * 3_000_000)")), big, 0.0)


@pytest.mark.parametrize("leader_ends", [True, False])
async def test_nothing_of_a_command_outlives_its_call(tmp_path: Path, leader_ends: bool) -> None:
    child = tmp_path / "child"
    script = (
        "import subprocess, sys, time\n"
        "one = subprocess.Popen(['sleep', '60'])\n"
        "open(sys.argv[1], 'w').write(str(one.pid))\n"
        f"time.sleep({0 if leader_ends else 60})"
    )
    called = hook(run=python(script, str(child)), timeout="5s" if leader_ends else "1s")
    with anyio.fail_after(8):
        if leader_ends:
            await hooks.call(called, PARCEL, 0.0)
        else:
            with pytest.raises(Transient, match="killed"):
                await hooks.call(called, PARCEL, 0.0)
    pid = int(child.read_text())

    def gone() -> bool:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except FileNotFoundError:
            return True
        state = stat.rpartition(")")[2].split()[0]
        return state == "Z"

    await until(gone)
