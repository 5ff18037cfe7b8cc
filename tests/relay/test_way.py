"""The way of a photo from settled to done, with both archives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from daemon.ledger.model import State
from tests.relay.world import FOLDER, shot

if TYPE_CHECKING:
    from tests.relay.conftest import MakeWorld


@pytest.mark.parametrize("archive", ["photoprism", "folder"])
async def test_a_photo_reaches_the_archive_and_leaves_its_folder(make_world: MakeWorld, archive: str) -> None:
    world = await make_world(archive)
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    with world.bus.listen() as heard:
        async with world.running():
            await world.until(lambda: any(event.type == "photo.done" for event in heard._queue))
            await world.until(lambda: world.ledger.batches.unfinished() == [])
    done = world.photo(photo)
    assert done.state is State.DONE, world.said()
    assert list(world.archived().values()) == [shot(1)]
    assert world.standing() == {}
    assert done.archived_as in world.archived()
    assert [line["state"] for line in world.ledger.photos.history(photo.id)] == [
        "found", "settled", "examined", "placed", "imported", "archived", "released", "done",
    ]  # fmt: skip
    assert list(world.imports.iterdir()) == []
    told = {event.type: event.data for event in heard._queue}
    assert told["batch.opened"].keys() >= {"id", "name", "photos"}
    assert told["batch.opened"]["photos"] == 1
    assert told["photo.done"] == {"id": photo.id, "user": "alice", "name": "IMG_1.jpg", "code": ""}
