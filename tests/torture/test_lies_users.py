"""Users go, are renamed and left out at every step; clients upload for ever; a phone sends twenty thousand at once."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from daemon.ledger.model import Photo, State
from tests.relay.world import FOLDER, World, shot
from tests.torture.swift_occ import SwiftOcc

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.relay.conftest import MakeWorld

LONG = os.environ.get("PHOTON_RELAY_TORTURE") == "all"
OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}
PATH = f"{FOLDER}/IMG_1.jpg"
ENDS = {State.DONE, State.REFUSED}


def delete_user(world: World) -> None:
    shutil.rmtree(world.data / "alice")


def rename_user(world: World) -> None:
    (world.data / "alice").rename(world.data / "alicia")


def leave_user_out(world: World) -> None:
    world.change(**OFF, users={"include": {"bob": {}}, "exclude": ["alice"], "after": "delete"})


def delete_photo(world: World) -> None:
    world.path("alice", PATH).unlink()


def rename_photo(world: World) -> None:
    world.path("alice", PATH).rename(world.path("alice", f"{FOLDER}/holiday.jpg"))


def replace_photo(world: World) -> None:
    world.put("alice", PATH, shot(2))


DEEDS = [delete_user, rename_user, leave_user_out, delete_photo, rename_photo, replace_photo]


async def run_until_step(world: World, photo: Photo, step: str, deed: Callable[[World], None]) -> None:
    """Relay a photo, and do the deed when it is just there."""
    assert world.pp is not None
    did: list[str] = []

    def whim(method: str, path: str) -> None:
        at_import = method == "POST" and "/import/" in path
        imported = bool(world.pp and world.pp.imports) and method == "GET" and "/files/" in path and "00000" not in path
        if not did and ((step == "placed" and at_import) or (step == "imported" and imported)):
            did.append(path)
            deed(world)

    world.pp.whim = whim
    if step == "settled":
        deed(world)
    async with world.running():
        for _ in range(10):
            if step == "archived" and not did and world.photo(photo).state is State.ARCHIVED:
                did.append("archived")
                deed(world)
            await world.later(1800)
            try:
                await world.until(
                    lambda: world.ledger.photos.get(photo.id) is None or world.photo(photo).state in ENDS, 1
                )
            except AssertionError:
                continue
            break
    assert did or step == "settled"


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
@pytest.mark.parametrize("step", ["settled", "placed", "imported", "archived"])
async def test_its_owner_meddles_at_every_step(make_world: MakeWorld, step: str, deed: Callable[[World], None]) -> None:
    """Whatever people do to their own, nobody's home comes back, nobody else waits, and what is kept is kept."""
    world = await make_world("photoprism", **OFF, users={"release_after": "1h"})
    [photo] = await world.deliver("alice", {PATH: shot(1)})
    [other] = await world.deliver("bob", {PATH: shot(3)})
    await run_until_step(world, photo, step, deed)
    now = world.ledger.photos.get(photo.id)
    # Nothing of it had begun where it was only settled and its owner was left out: then it is forgotten.
    assert (now is None and deed is leave_user_out) or (now is not None and now.state in ENDS), world.said()
    assert now is None or now.state is State.DONE or (now.code and now.message)
    assert (world.data / "alice").exists() == (deed not in {delete_user, rename_user})
    standing: dict[Callable[[World], None], dict[str, bytes]] = {
        delete_user: {}, rename_user: {}, delete_photo: {},
        leave_user_out: {f"files/{PATH}": shot(1)},
        rename_photo: {f"files/{FOLDER}/holiday.jpg": shot(1)},
        # What changes before it is read settles anew, and is relayed as what it is then.
        replace_photo: {} if step == "settled" else {f"files/{PATH}": shot(2)},
    }  # fmt: skip
    assert world.standing("alice") == standing[deed]
    if deed is rename_user:
        assert world.standing("alicia") == {f"files/{PATH}": shot(1)}
    async with world.running():
        await world.until(lambda: world.photo(other).state in {State.ARCHIVED, State.DONE})
        await world.later(7200)
        await world.until(lambda: world.photo(other).state is State.DONE)
    archived = Counter(world.archived().values())
    assert archived[shot(3)] == 1
    assert archived[shot(1)] == (0 if step == "settled" else 1)
    assert archived[shot(2)] == (1 if step == "settled" and deed is replace_photo else 0)
    assert not list(world.imports.iterdir())


@pytest.mark.parametrize("archive", ["photoprism", "folder"])
async def test_a_client_that_uploads_for_ever(make_world: MakeWorld, archive: str) -> None:
    """The same photo again and again, under its name and as ``(2) (2)``: the archive has it once, each upload goes."""
    world = await make_world(archive, **OFF)
    name, rounds = "IMG_1", 200 if LONG else 12
    for number in range(rounds):
        await world.deliver("alice", {PATH: shot(1), f"{FOLDER}/{name}.jpg": shot(1)})
        await world.relay()
        name = f"IMG_1{' (2)' * (number % 20 + 1)}"
        assert world.standing() == {}, world.said()
    assert list(world.archived().values()) == [shot(1)]
    photos = world.ledger.photos.by_state(State.DONE)
    assert len(photos) >= rounds
    assert sum(photo.duplicate_of is None for photo in photos) == 1


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("archive", ["photoprism", "folder"])
async def test_a_phone_that_uploads_everything_at_once(make_world: MakeWorld, archive: str) -> None:
    """All settles at once; PhotoPrism restarts in mid-import and is busy in between, and the program is stopped."""
    world = await make_world(archive)
    world.runner.runner = SwiftOcc(world.nextcloud, world.clock)
    count = 20_000 if LONG else 100
    for first in range(0, count, 500):
        numbers = range(first, min(count, first + 500))
        await world.deliver("alice", {f"{FOLDER}/{n // 1000:02}/IMG_{n}.jpg": shot(n) for n in numbers})
    if world.pp is not None:
        world.pp.traps.set({"crash_after": count // 2, "busy_next": 3})
    for wanted in (1, count // 2, count):  # stopped twice on the way
        async with world.running():
            while world.ledger.photos.counts()["done"] < wanted:
                await world.later(5)
                await anyio.sleep(0.05)
        await world.restart()
    assert world.standing() == {}
    assert Counter(world.archived().values()) == Counter({shot(n): 1 for n in range(count)})
    assert not list(world.imports.iterdir())
