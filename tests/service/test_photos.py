from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from daemon.errors import NeedsPerson, Transient
from daemon.ledger.model import State
from daemon.relay.restore import _RESTORABLE
from daemon.service.again import RESTORABLE
from daemon.service.filters import Filters
from tests.relay.world import FOLDER, shot
from tests.service.conftest import service_over

if TYPE_CHECKING:
    from daemon.service import Service
    from tests.relay.conftest import MakeWorld
    from tests.relay.world import World

WHO = "page 192.168.1.7"


async def relayed(world: World, user: str = "alice", name: str = "IMG_1.jpg", seed: int = 1) -> int:
    [photo] = await world.deliver(user, {f"{FOLDER}/{name}": shot(seed)})
    await world.relay()
    return photo.id


async def test_a_photo_that_was_relayed_is_told_with_its_whole_way(service: Service, folder_world: World) -> None:
    identity = await relayed(folder_world)
    told = await service.photos.get(identity)
    assert (told["id"], told["user"], told["name"], told["state"]) == (identity, "alice", "IMG_1.jpg", "done")
    assert told["path"] == f"{FOLDER}/IMG_1.jpg"
    assert told["history"][0]["state"] == "found"
    assert told["history"][-1]["state"] == "done"
    assert told["found_at"].endswith("Z")
    [archived] = folder_world.archived()
    assert told["places"]["original"] == {"path": f"{FOLDER}/IMG_1.jpg", "exists": False}
    assert told["places"]["archive"] == {"path": archived, "exists": True}
    assert told["places"]["nextcloud_album"] == f"/Album/{archived}"
    assert [line["deed"] for line in told["audit"]] == ["removed"]
    assert told["can"] == {"retry": False, "restore": True}
    assert len(told["blake3"]) == 64
    assert told["sha1"] is None, "only PhotoPrism asks for that one"


async def test_it_is_seen_where_files_stand(service: Service, folder_world: World) -> None:
    identity = await relayed(folder_world)
    [archived] = folder_world.archived()
    (folder_world.archive_root / archived).unlink()
    folder_world.put("alice", f"{FOLDER}/IMG_1.jpg", b"another file under its name")
    told = await service.photos.get(identity)
    assert told["places"]["original"]["exists"] is False, "what stands there is another file"
    assert told["places"]["archive"]["exists"] is False
    [waiting] = await folder_world.deliver("bob", {f"{FOLDER}/IMG_2.jpg": shot(2)})
    assert (await service.photos.get(waiting.id))["places"]["original"]["exists"] is True
    with folder_world.path("bob", f"{FOLDER}/IMG_2.jpg").open("ab") as file:
        file.write(b"more")
    assert (await service.photos.get(waiting.id))["places"]["original"]["exists"] is False, "it was written to"
    folder_world.data.rename(folder_world.root / "unmounted")
    assert (await service.photos.get(waiting.id))["places"]["original"]["exists"] is None


async def test_a_photo_that_nobody_knows(service: Service) -> None:
    for identity in (77, -1, 0, 1 << 70, -(1 << 70)):
        for ask in (service.photos.get, service.photos.thumbnail):
            with pytest.raises(NeedsPerson) as error:
                await ask(identity)
            assert error.value.code == "photo.unknown"
        for do in (service.photos.retry, service.photos.restore):
            with pytest.raises(NeedsPerson) as error:
                await do(identity, WHO)
            assert error.value.code == "photo.unknown"


async def test_members_of_a_group_name_one_another(service: Service, folder_world: World) -> None:
    photos = await folder_world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1), f"{FOLDER}/IMG_1.xmp": b"<x/>"})
    main, side = photos
    [member] = (await service.photos.get(main.id))["members"]
    assert member == {"id": side.id, "name": "IMG_1.xmp", "role": "side", "state": "settled"}


async def test_names_of_any_bytes_can_be_shown(service: Service, folder_world: World) -> None:
    name = os.fsdecode(b"a\xff\n\x1b[2J.jpg")
    [photo] = await folder_world.deliver("alice", {f"{FOLDER}/{name}": shot(1)})
    await folder_world.relay()
    told = await service.photos.get(photo.id)
    assert told["name"] == r"a\xff\u000a\u001b[2J.jpg"
    repr(told).encode()
    for q in (r"a\xff", "[2j"):
        assert [row["id"] for row in (await service.photos.list(q=q))["photos"]] == [photo.id]


async def test_a_held_photo_is_tried_again_and_it_is_written_down_who_asked(
    service: Service, folder_world: World
) -> None:
    [photo] = await folder_world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    folder_world.ledger.photos.hold([photo.id], NeedsPerson("archive.hidden", "it is hidden"), 1.0)
    assert (await service.photos.get(photo.id))["can"] == {"retry": True, "restore": False}
    row = await service.photos.retry(photo.id, WHO)
    assert row["state"] == "settled"
    [line] = (await service.photos.get(photo.id))["audit"]
    assert (line["deed"], line["who"], line["note"]) == ("tried again", WHO, "archive.hidden")
    await folder_world.relay()
    assert folder_world.photo(photo).state is State.DONE


async def test_a_waiting_photo_is_due_at_once(service: Service, folder_world: World) -> None:
    [photo] = await folder_world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    now = folder_world.clock.wall()
    folder_world.ledger.photos.wait([photo.id], State.SETTLED, Transient("disk.full", "full"), now, now + 300)
    assert (await service.photos.get(photo.id))["next_try"] is not None
    await service.photos.retry(photo.id, WHO)
    assert folder_world.photo(photo).next_try == now


async def test_what_is_done_is_not_begun_anew(service: Service, folder_world: World) -> None:
    identity = await relayed(folder_world)
    with pytest.raises(NeedsPerson) as error:
        await service.photos.retry(identity, WHO)
    assert error.value.code == "photo.not_retriable"
    assert (await service.photos.get(identity))["audit"][0]["deed"] == "removed"


async def test_a_photo_is_put_back_and_it_is_written_down_who_asked(service: Service, folder_world: World) -> None:
    identity = await relayed(folder_world)
    back = await service.photos.restore(identity, WHO)
    assert back["path"] == f"{FOLDER}/IMG_1.jpg"
    assert back["photo"]["state"] == "restored"
    assert folder_world.path("alice", back["path"]).read_bytes() == shot(1)
    told = await service.photos.get(identity)
    assert (told["audit"][0]["deed"], told["audit"][0]["who"]) == ("restored", WHO)
    assert told["places"]["original"]["exists"] is True
    assert [line["who"] for line in (await service.log.audit())["lines"]] == [WHO, "relay"]


async def test_what_was_not_relayed_cannot_be_put_back(service: Service, folder_world: World) -> None:
    [photo] = await folder_world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    with pytest.raises(NeedsPerson) as error:
        await service.photos.restore(photo.id, WHO)
    assert error.value.code == "restore.not_relayed"


def test_what_can_be_restored_is_what_a_restore_takes() -> None:
    assert RESTORABLE == _RESTORABLE


async def test_the_list_is_newest_first_by_cursor(service: Service, folder_world: World) -> None:
    for number in range(7):
        await folder_world.deliver("alice" if number % 2 else "bob", {f"{FOLDER}/IMG_{number}.jpg": shot(number)})
    first = await service.photos.list(limit=3)
    assert [row["name"] for row in first["photos"]] == ["IMG_6.jpg", "IMG_5.jpg", "IMG_4.jpg"]
    second = await service.photos.list(limit=3, before=first["next"])
    third = await service.photos.list(limit=3, before=second["next"])
    assert [row["name"] for row in second["photos"] + third["photos"]] == [f"IMG_{n}.jpg" for n in (3, 2, 1, 0)]
    assert (third["next"], third["searched_back_to"]) == (None, None)
    assert [row["name"] for row in (await service.photos.list(user="bob", q="img_4"))["photos"]] == ["IMG_4.jpg"]
    assert (await service.photos.list(user="carol"))["photos"] == []
    assert len((await service.photos.list(limit=-5))["photos"]) == 1


@pytest.mark.parametrize(
    "asked",
    [
        {"state": "lost"},
        {"since": "yesterday"},
        {"until": "9999-12-31"},
        {"q": "x" * 301},
    ],
)
async def test_a_question_that_cannot_be_understood(service: Service, asked: dict[str, str]) -> None:
    with pytest.raises(NeedsPerson) as error:
        await service.photos.list(**asked)  # type: ignore[arg-type]
    assert error.value.code == "request.invalid"
    with pytest.raises(NeedsPerson):
        service.photos.export("csv", Filters(**asked))  # type: ignore[arg-type]


async def test_dates_are_days_where_the_page_is(make_world: MakeWorld) -> None:
    world = await make_world("folder", ui={"timezone": "Europe/Berlin"})
    async with service_over(world) as service:
        world.clock.time = 1_795_388_400.0 - 1  # 2026-11-22 23:59:59 in Berlin
        await world.deliver("alice", {f"{FOLDER}/late.jpg": shot(1)})
        world.clock.time += 1
        await world.deliver("alice", {f"{FOLDER}/early.jpg": shot(2)})

        async def names(**asked: str) -> list[str]:
            return [row["name"] for row in (await service.photos.list(**asked))["photos"]]  # type: ignore[arg-type]

        assert await names(since="2026-11-23") == ["early.jpg"]
        assert await names(until="2026-11-22") == ["late.jpg"]
        assert await names(since="2026-11-22", until="2026-11-22") == ["late.jpg"]
        assert await names(until="2026-11-22T23:00:00Z") == ["late.jpg"]
        assert await names(since="2026-11-23T00:00:00 01:00") == ["early.jpg"], "a plus sign in a URL is a space"
        assert await names(since="2026-11-24") == []


async def test_a_restore_is_told_to_whoever_looks_on(service: Service, folder_world: World) -> None:
    identity = await relayed(folder_world)
    with service.bus.listen() as events:
        await service.photos.restore(identity, WHO)
        async for event in events:
            if event.type == "photo.restored":
                assert event.data["id"] == identity
                break
