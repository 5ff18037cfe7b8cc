"""Which files are to be relayed, and which are none of our business."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from daemon.demo.samples import live_pair
from daemon.errors import NeedsPerson, Transient
from daemon.homekeeper import Homekeeper
from daemon.ledger.model import State
from daemon.relay import photoprism_archive
from daemon.relay.intake import Intake
from daemon.settings import Users
from daemon.wake import Wake
from tests.relay.world import FOLDER, TAKEN, World, shot

if TYPE_CHECKING:
    from daemon.files.opening import OpenFile
    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}
PATH = f"{FOLDER}/IMG_1.jpg"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">a recipe</x:xmpmeta>'


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world("folder", **OFF)


async def take_note(world: World) -> None:
    keeper = Homekeeper(world.ledger, world.current, world.issues, world.bus, world.clock)
    await keeper.seen(frozenset({"alice", "bob"}))


async def test_what_stood_there_when_its_home_was_first_seen_is_left_alone(world: World) -> None:
    world.put("alice", PATH, shot(1))
    await take_note(world)
    assert await world.sweep() == set()
    world.put("alice", f"{FOLDER}/new.jpg", shot(2))
    assert await world.sweep() == {("alice", f"{FOLDER}/new.jpg")}


async def test_existing_photos_are_relayed_where_that_is_wished(world: World) -> None:
    world.put("alice", PATH, shot(1))
    world.put("bob", PATH, shot(2))
    await take_note(world)
    world.change(**OFF, users={"include": {"alice": {"existing": True}, "bob": {}}, "after": "delete"})
    assert await world.sweep() == {("alice", PATH)}


async def test_a_new_upload_under_a_name_of_the_baseline_is_new(world: World) -> None:
    world.put("alice", PATH, shot(1))
    await take_note(world)
    part = world.path("alice", PATH).with_name("x.part")
    part.write_bytes(shot(2))
    part.replace(world.path("alice", PATH))
    assert await world.sweep() == {("alice", PATH)}


async def test_after_one_of_the_baseline_is_gone_even_its_inode_may_come_again(world: World) -> None:
    found = world.put("alice", PATH, shot(1))
    await take_note(world)
    await world.intake.gone([("alice", PATH)])
    assert await world.intake.found([found]) == {("alice", PATH)}


@pytest.mark.parametrize(
    ("user", "path", "wanted"),
    [
        ("alice", PATH, True),
        ("alice", f"{FOLDER}/2026/11/x.HEIC", True),
        ("alice", "Documents/x.jpg", False),
        ("alice", f"{FOLDER}2/x.jpg", False),
        ("alice", f"{FOLDER}/x.pdf", False),
        ("alice", f"{FOLDER}/x.jpg.part", False),
        ("alice", f"{FOLDER}/x", False),
        ("carol", PATH, False),
    ],
)
async def test_only_media_in_the_watched_folders_of_included_users(
    world: World, user: str, path: str, wanted: bool
) -> None:
    found = world.put(user, path, shot(1))
    assert (await world.intake.found([found]) == {(user, path)}) is wanted


async def test_an_excluded_users_photos_are_not_taken(world: World) -> None:
    world.change(**OFF, users={"include": {"alice": {}}, "exclude": ["alice"]})
    assert await world.intake.found([world.put("alice", PATH, shot(1))]) == set()


async def test_nextclouds_sample_photos_are_never_taken(world: World) -> None:
    found = world.put("alice", "Photos/Birdie.jpg", bytes(593508))
    assert await world.intake.found([found]) == set()
    mine = world.put("alice", "Photos/Birdie.jpg", bytes(593509))
    assert await world.intake.found([mine]) == {("alice", "Photos/Birdie.jpg")}


async def test_only_the_configured_extensions(world: World) -> None:
    world.change(**OFF, watch={"extensions": ["png"]})
    assert await world.intake.found([world.put("alice", PATH, shot(1))]) == set()
    png = f"{FOLDER}/x.PNG"
    assert await world.intake.found([world.put("alice", png, shot(1))]) == {("alice", png)}


async def test_the_same_file_is_entered_once_however_often_it_is_found(world: World) -> None:
    found = world.put("alice", PATH, shot(1))
    for _ in range(3):
        assert await world.intake.found([found]) == {("alice", PATH)}
    assert world.ledger.photos.counts()["found"] == 1
    await world.settle("alice", [PATH])
    await world.relay()
    assert world.ledger.photos.last_id() == 1


async def test_what_waits_for_its_batch_settles_anew_only_where_it_has_changed(world: World) -> None:
    found = world.put("alice", PATH, shot(1))
    await world.settle("alice", [PATH])
    assert await world.intake.found([found]) == set(), "a sweep that meets it leaves it alone"
    assert world.photo(1).state is State.SETTLED
    assert await world.intake.found([world.put("alice", PATH, shot(2, 60_000))]) == {("alice", PATH)}
    assert world.photo(1).state is State.FOUND
    assert world.ledger.photos.last_id() == 1


@pytest.mark.parametrize("after", ["keep"])
async def test_kept_originals_are_known_after_another_rule_is_chosen(make_world: MakeWorld, after: str) -> None:
    world = await make_world("folder", **OFF, users={"after": after})
    [photo] = await world.deliver("alice", {PATH: shot(1)})
    await world.relay()
    world.change(**OFF, users={"after": "delete"})
    assert await world.sweep() == set()
    os.utime(world.path("alice", PATH), (5, 5))
    await world.sweep()
    await world.relay()
    touched = world.photo(photo.id + 1)
    assert (touched.state, touched.code) == (State.REFUSED, "photo.kept"), "read once more: its bytes are the same"
    assert await world.sweep() == set()
    assert world.photo(photo).state is State.DONE
    assert world.standing() == {f"files/{PATH}": shot(1)}
    world.put("alice", PATH, shot(2, 70_000))
    assert await world.sweep() == {("alice", PATH)}


async def test_what_was_let_go_and_comes_again_is_a_new_upload(world: World) -> None:
    await world.deliver("alice", {PATH: shot(1)})
    await world.relay()
    [again] = await world.deliver("alice", {PATH: shot(1)})
    await world.relay()
    assert again.id == 2
    assert world.photo(again).duplicate_of == 1
    assert world.standing() == {}
    assert len(world.archived()) == 1


async def test_what_was_put_back_is_not_taken_again_and_another_file_is(world: World) -> None:
    [photo] = await world.deliver("alice", {PATH: shot(1)})
    await world.relay()
    await world.restore.photo(photo.id)
    assert await world.sweep() == set()
    # The very bytes, as another file: seen only when it is read.
    world.path("alice", PATH).unlink()
    [again] = await world.deliver("alice", {PATH: shot(1)})
    if again.id != photo.id:
        await world.relay()
        assert world.photo(again).code == "photo.put_back"
    assert world.standing() == {f"files/{PATH}": shot(1)}
    world.path("alice", PATH).unlink()
    [other] = await world.deliver("alice", {PATH: shot(2, 70_000)})
    await world.relay()
    assert world.photo(other).state is State.DONE


async def test_a_new_upload_under_the_name_of_one_in_flight_is_a_row_of_its_own(world: World) -> None:
    [photo] = await world.deliver("alice", {PATH: shot(1)})
    while await world.pipeline._round():
        pass
    assert world.photo(photo).state is State.ARCHIVED
    assert await world.sweep() == set(), "the one in flight is known"
    part = world.path("alice", PATH).with_name("x.part")
    part.write_bytes(shot(2))
    part.replace(world.path("alice", PATH))
    assert await world.sweep() == {("alice", PATH)}
    await world.relay()
    assert world.ledger.photos.last_id() == 2
    assert sorted(world.archived().values()) == sorted([shot(1), shot(2)])
    assert world.standing() == {}


async def test_what_vanishes_before_it_settled_is_forgotten(world: World) -> None:
    await world.intake.found([world.put("alice", PATH, shot(1))])
    await world.intake.gone([("alice", PATH)])
    assert world.ledger.photos.latest("alice", PATH) is None


async def test_a_lone_side_file_waits_for_its_photo_and_then_goes_along(world: World) -> None:
    [side] = await world.deliver("alice", {f"{FOLDER}/IMG_1.xmp": XMP})
    await world.relay()
    assert world.photo(side).state is State.FOUND
    await world.deliver("alice", {PATH: shot(1), f"{FOLDER}/IMG_1.xmp": XMP})
    await world.relay()
    assert world.photo(side).state is State.DONE
    assert world.standing() == {}


async def test_a_late_film_of_a_live_photo_joins_it_in_photoprism(make_world: MakeWorld) -> None:
    world = await make_world("photoprism", **OFF)
    assert world.pp is not None
    still, film = live_pair(TAKEN, 3)
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.HEIC": still})
    await world.relay()
    await world.later(3 * 24 * 3600)
    [late] = await world.deliver("alice", {f"{FOLDER}/IMG_1.MOV": film})
    await world.relay()
    assert world.photo(late).state is State.DONE, world.said()
    one, other = world.photo(photo), world.photo(late)
    assert one.archived_as.rpartition(".")[0] == other.archived_as.rpartition(".")[0]
    assert sorted(world.archived().values()) == sorted([still, film])


@pytest.mark.parametrize("mounted", [True, False])
async def test_a_late_partner_goes_alone_where_its_photo_is_gone_from_the_archive(
    make_world: MakeWorld, mounted: bool
) -> None:
    world = await make_world("photoprism", **OFF, photoprism={} if mounted else {"originals": ""})
    assert world.pp is not None
    still, film = live_pair(TAKEN, 3)
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.HEIC": still})
    async with world.running():
        await world.until(lambda: world.photo(photo).state in {State.ARCHIVED, State.DONE})
        await world.later(100)
        await world.until(lambda: world.photo(photo).state is State.DONE)
    world.pp.delete_original((world.photo(photo).sha1 or b"").hex())
    [late] = await world.deliver("alice", {f"{FOLDER}/IMG_1.MOV": film})
    [stranger] = await world.deliver("bob", {f"{FOLDER}/x.jpg": shot(5)})
    async with world.running():
        await world.until(lambda: world.photo(stranger).state in {State.ARCHIVED, State.DONE})
        await world.until(lambda: world.photo(late).state in {State.ARCHIVED, State.DONE})


@pytest.mark.parametrize("code", ["disk.permission", "disk.error"])
async def test_a_late_partner_whose_photo_cannot_be_read_in_the_archive_waits_and_keeps_nobody_waiting(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    world = await make_world("photoprism", **OFF)
    still, film = live_pair(TAKEN, 3)
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.HEIC": still})
    await world.relay()

    def unreadable(_root: str, path: str) -> OpenFile:
        raise (NeedsPerson if code == "disk.permission" else Transient)(code, f"{path} cannot be read")

    with monkeypatch.context() as patch:
        patch.setattr(photoprism_archive, "file_below", unreadable)
        [late] = await world.deliver("alice", {f"{FOLDER}/IMG_1.MOV": film})
        [stranger] = await world.deliver("bob", {f"{FOLDER}/x.jpg": shot(5)})
        await world.relay()
        assert world.photo(stranger).state is State.DONE, world.said()
        assert (world.photo(late).state, world.photo(late).code) == (State.WAITING, code)
        assert list(world.imports.iterdir()) == []
    await world.later(301)
    await world.relay()
    one, other = world.photo(photo), world.photo(late)
    assert other.state is State.DONE, world.said()
    assert one.archived_as.rpartition(".")[0] == other.archived_as.rpartition(".")[0]


async def test_strangers_with_a_name_used_again_are_not_joined(make_world: MakeWorld) -> None:
    world = await make_world("photoprism", **OFF)
    still, _ = live_pair(TAKEN, 3)
    _, film = live_pair(TAKEN, 4)
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.HEIC": still})
    await world.relay()
    [late] = await world.deliver("alice", {f"{FOLDER}/IMG_1.MOV": film})
    await world.relay()
    one, other = world.photo(photo), world.photo(late)
    assert other.state is State.DONE
    assert world.pp is not None
    rows = {row.name: row.photo_uid for row in world.pp.rows}
    assert rows[one.archived_as] != rows[other.archived_as]


async def test_a_side_file_alone_says_what_it_waits_for(world: World) -> None:
    await world.deliver("alice", {f"{FOLDER}/x.xmp": b"recipe"})
    alone = world.ledger.photos.latest("alice", f"{FOLDER}/x.xmp")
    assert alone is not None
    assert (alone.state, alone.message[:19]) == (State.FOUND, "waits for the photo")
    world.put("alice", f"{FOLDER}/x.jpg", shot(1))
    await world.settle("alice", [f"{FOLDER}/x.xmp", f"{FOLDER}/x.jpg"])
    joined = world.ledger.photos.get(alone.id)
    assert joined is not None
    assert (joined.state, joined.message) == (State.SETTLED, "")


async def test_what_was_put_back_after_the_copy_of_a_lost_ledger_is_not_taken_again(world: World) -> None:
    (photo,) = await world.deliver("alice", {f"{FOLDER}/a.jpg": shot(1)})
    await world.relay()
    ended = world.photo(photo)
    await world.restore.photo(photo.id)
    # The copy is of before that: in it the photo is done. The home is listed anew.
    world.ledger.photos.advance([photo.id], State.DONE, world.clock.wall(), ended_at=ended.ended_at)
    world.ledger.photos.put(photo.id, fingerprint=ended.fingerprint)
    found = world.found("alice", f"{FOLDER}/a.jpg")
    world.ledger.homes.seen("alice", world.clock.wall())
    world.ledger.homes.list_begin("alice")
    world.ledger.homes.list_add("alice", [(found.path, found.fingerprint.inode, found.fingerprint.size)])
    await world.later(60)
    world.ledger.homes.list_end("alice", world.clock.wall())
    assert await world.settle("alice", [f"{FOLDER}/a.jpg"]) == set()
    # Another file of that name, from now on, is new.
    world.put("alice", f"{FOLDER}/b.jpg", shot(2))
    world.path("alice", f"{FOLDER}/b.jpg").replace(world.path("alice", f"{FOLDER}/a.jpg"))
    assert await world.settle("alice", [f"{FOLDER}/a.jpg"]) == {("alice", f"{FOLDER}/a.jpg")}


async def test_what_settles_wakes_the_loop_of_batches_alone_and_a_doubt_wakes_all(world: World) -> None:
    arrivals = Wake()
    wake = Wake(arrivals)
    world.intake = Intake(world.ledger, world.current, world.bus, wake, world.clock, arrivals)
    world.put("alice", PATH, shot(1))
    assert await world.sweep() == {("alice", PATH)}
    assert (wake.count, arrivals.count) == (0, 1)
    await world.intake.suspicion("the wall clock moved")
    assert (wake.count, arrivals.count) == (1, 2)


async def test_what_was_only_found_is_forgotten_where_it_is_not_to_be_relayed_any_more(make_world: MakeWorld) -> None:
    """It would count as under way for ever."""
    world = await make_world("folder", **OFF)
    for user, path in (("alice", f"{FOLDER}/a.jpg"), ("bob", f"{FOLDER}/b.jpg"), ("bob", f"{FOLDER}/deep/c.jpg")):
        world.put(user, path, shot(1))
        await world.intake.found([world.found(user, path)])
    before = world.settings
    users = Users.model_validate({"include": {"bob": {"folders": [f"{FOLDER}/deep"]}}, "exclude": ["alice"]})
    world.current.settings = before.model_copy(update={"users": users})
    world.intake.left_out()
    assert [photo.path for photo in world.ledger.photos.by_state(State.FOUND)] == [f"{FOLDER}/deep/c.jpg"]
    world.current.settings = before
    assert {path for _, path in await world.sweep()} == {
        f"{FOLDER}/{name}" for name in ("a.jpg", "b.jpg", "deep/c.jpg")
    }
