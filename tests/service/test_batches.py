from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from daemon.errors import NeedsPerson
from daemon.ledger.model import BatchState, State
from tests.relay.world import FOLDER, shot

if TYPE_CHECKING:
    from daemon.service import Service
    from tests.relay.world import World

WHO = "page 192.168.1.7"


async def ended(service: Service, run: dict[str, Any]) -> dict[str, Any]:
    with anyio.fail_after(10):
        while run["state"] == "running":
            await anyio.sleep(0.01)
            run = await service.runs.get(run["id"])
    return run


async def a_batch(world: World) -> int:
    """Relay four photos of two users as one batch; give its id."""
    await world.deliver("alice", {f"{FOLDER}/a.jpg": shot(1), f"{FOLDER}/b.jpg": shot(2)})
    await world.deliver("bob", {f"{FOLDER}/c.jpg": shot(3), f"{FOLDER}/twin.jpg": shot(1)})
    await world.relay()
    last = world.ledger.batches.last()
    assert last is not None
    return last.id


async def test_a_batch_is_told_with_its_sums_and_its_photos(service: Service, folder_world: World) -> None:
    identity = await a_batch(folder_world)
    [row] = (await service.batches.list())["batches"]
    assert row["id"] == identity
    assert (row["state"], row["photos"], row["duplicates"], row["users"]) == ("ended", 4, 1, ["alice", "bob"])
    assert row["bytes"] == sum(len(shot(seed)) for seed in (1, 2, 3, 1))
    assert (row["restored"], row["held"], row["code"]) == (0, 0, None)
    assert row["created_at"].endswith("Z")
    told = await service.batches.get(identity)
    assert [photo["name"] for photo in told["rows"]] == ["a.jpg", "b.jpg", "c.jpg", "twin.jpg"]
    assert {key: told[key] for key in row} == row


async def test_batches_come_newest_first_by_cursor(service: Service, folder_world: World) -> None:
    ids = [folder_world.ledger.batches.open(f"batch{'abcde'[number]}", 1.0).id for number in range(5)]
    first = await service.batches.list(limit=2)
    assert [row["id"] for row in first["batches"]] == [ids[4], ids[3]]
    second = await service.batches.list(limit=3, before=first["next"])
    assert [row["id"] for row in second["batches"]] == [ids[2], ids[1], ids[0]]
    assert second["next"] is None


async def test_a_batch_that_waits_says_why(service: Service, folder_world: World) -> None:
    batch = folder_world.ledger.batches.open("waiting", 1.0)
    folder_world.ledger.batches.wait(batch.id, NeedsPerson("photoprism.full", "no space left"), 100.0, 200.0)
    [row] = (await service.batches.list())["batches"]
    assert (row["code"], row["message"]) == ("photoprism.full", "no space left")
    assert (row["waits_since"], row["next_try"]) == ("1970-01-01T00:01:40.000Z", "1970-01-01T00:03:20.000Z")


async def test_a_whole_batch_is_put_back(service: Service, folder_world: World) -> None:
    identity = await a_batch(folder_world)
    (folder_world.archive_root / next(iter(folder_world.archived()))).rename(folder_world.root / "lost.jpg")
    with service.bus.listen() as events:
        run = await ended(service, (await service.batches.restore(identity, WHO))["run"])
        told = [event.data["id"] for event in events._queue if event.type == "photo.restored"]
    assert (run["kind"], run["who"]) == ("restore", WHO)
    assert run["state"] == "done"
    assert run["result"]["batch"] == identity
    assert run["result"]["restored"] + run["result"]["failed"] == 4
    assert run["result"]["failed"] in {1, 2}, "the lost one, and its twin if it was that"
    assert run["line_count"] == 4
    back = [photo for photo in folder_world.ledger.photos.of_batch(identity) if photo.state is State.RESTORED]
    assert told == [photo.id for photo in back]
    assert all(folder_world.path(photo.user, photo.path).exists() for photo in back)
    assert (await service.batches.list())["batches"][0]["restored"] == len(back)
    assert {line["who"] for line in (await service.log.audit())["lines"] if line["deed"] == "restored"} == {WHO}


async def test_what_cannot_be_put_back(service: Service, folder_world: World) -> None:
    empty = folder_world.ledger.batches.open("empty", 1.0)
    folder_world.ledger.batches.move(empty.id, BatchState.ENDED, 1.0)
    for identity, code in ((empty.id, "batch.empty"), (77, "batch.unknown"), (1 << 70, "batch.unknown")):
        with pytest.raises(NeedsPerson) as error:
            await service.batches.restore(identity, WHO)
        assert error.value.code == code
    with pytest.raises(NeedsPerson) as error:
        await service.batches.get(-3)
    assert error.value.code == "batch.unknown"
