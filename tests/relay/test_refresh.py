"""Exactly which occ calls for which photos, and what when they fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from daemon.ledger.model import State
from daemon.relay.refresh import MOST_TRIES, finish
from tests.relay.world import FOLDER, World, shot

if TYPE_CHECKING:
    from daemon.ledger.model import Photo
    from tests.relay.conftest import MakeWorld

STEP = "2026/11"


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world("folder", users={"after": "delete"})


async def brought(world: World, user: str, files: dict[str, bytes]) -> list[Photo]:
    """Bring photos as far as their release: only the refresh is still to come."""
    photos = await world.deliver(user, files)
    while await world.pipeline._round():
        pass
    for photo in photos:
        await world.pipeline.originals.one(world.photo(photo))
    return photos


async def refresh(world: World) -> None:
    finish(world.ledger, await world.refresh.once(), world.clock.time)


def calls(world: World) -> list[str]:
    return [" ".join(argv) for argv in world.nextcloud.calls("files:scan", "memories:index") if "--help" not in argv]


async def test_just_the_folders_that_changed_once_each(world: World) -> None:
    photos = [
        *await brought(world, "alice", {f"{FOLDER}/a.jpg": shot(1), f"{FOLDER}/b.jpg": shot(2)}),
        *await brought(world, "bob", {f"{FOLDER}/2026/11/c.jpg": shot(3)}),
    ]
    await refresh(world)
    assert {world.photo(photo).state for photo in photos} == {State.DONE}
    names = sorted(world.photo(photo).archived_as.rpartition("/")[2] for photo in photos)
    metadata = [f"files:scan --path=/alice/files/Album/{STEP}/{name} --shallow --generate-metadata" for name in names]
    whole = [f"files:scan --path=/alice/files/Album/{STEP} --shallow --generate-metadata"]
    made = calls(world)
    assert sorted(made[:3]) == sorted([
        f"files:scan --path=/alice/files/Album/{STEP} --shallow",
        f"files:scan --path=/alice/files/{FOLDER} --shallow",
        f"files:scan --path=/bob/files/{FOLDER}/2026/11 --shallow",
    ])  # fmt: skip
    assert made[3:-1] in (metadata, whole)
    assert made[-1] == f"memories:index --user=alice --path=/Album/{STEP} --skip-cleanup"
    assert {f"Album/{STEP}/{name}" for name in names} <= world.nextcloud.indexed("alice")
    world.nextcloud.forget()
    await refresh(world)
    assert calls(world) == [], "nothing changed, nothing is asked"


async def test_a_duplicate_is_no_reason_to_look_at_the_album(world: World) -> None:
    await brought(world, "alice", {f"{FOLDER}/a.jpg": shot(1)})
    await refresh(world)
    world.nextcloud.forget()
    await brought(world, "bob", {f"{FOLDER}/b.jpg": shot(1)})
    await refresh(world)
    assert calls(world) == [f"files:scan --path=/bob/files/{FOLDER} --shallow"]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("keep", []),
        ("trash", []),
        ("archive", [f"/alice/files/Archived/{FOLDER}", f"/alice/files/{FOLDER}"]),
        ("delete", [f"/alice/files/{FOLDER}"]),
    ],
)
async def test_the_users_own_folders_only_where_something_left_them(
    make_world: MakeWorld, after: str, expected: list[str]
) -> None:
    world = await make_world("folder", nextcloud={"album": {"folder": ""}}, users={"after": after})
    [photo] = await brought(world, "alice", {f"{FOLDER}/a.jpg": shot(1)})
    world.nextcloud.forget()
    await refresh(world)
    assert world.photo(photo).state is State.DONE
    assert sorted(argv[1] for argv in world.nextcloud.calls("files:scan") if "--help" not in argv) == sorted(
        f"--path={path}" for path in expected
    )


async def test_what_fails_waits_and_is_done_when_it_passes(world: World) -> None:
    [photo] = await brought(world, "alice", {f"{FOLDER}/a.jpg": shot(1)})
    world.nextcloud.switch(locked=True)
    await refresh(world)
    assert world.photo(photo).state is State.RELEASED
    assert {job.code for job in world.ledger.jobs.pending()} == {"occ.locked"}
    assert [issue.code for issue in world.issues.all()] == ["occ.locked", "occ.locked"]
    made = len(world.nextcloud.log())
    await refresh(world)
    assert len(world.nextcloud.log()) == made, "not before its time"
    world.nextcloud.switch(locked=0)
    await world.later(301)
    await refresh(world)
    assert world.photo(photo).state is State.DONE
    assert world.issues.all() == []


async def test_maintenance_is_waited_for_however_long_it_takes(world: World) -> None:
    [photo] = await brought(world, "alice", {f"{FOLDER}/a.jpg": shot(1)})
    world.nextcloud.switch(maintenance=True)
    for _ in range(MOST_TRIES + 3):
        await refresh(world)
        await world.later(301)
    assert world.photo(photo).state is State.RELEASED
    world.nextcloud.switch(maintenance=0)
    await refresh(world)
    assert world.photo(photo).state is State.DONE


async def test_an_album_that_is_not_mounted_is_given_up_after_a_while_with_a_warning(
    make_world: MakeWorld, caplog: pytest.LogCaptureFixture
) -> None:
    world = await make_world("folder", nextcloud={"album": {"folder": "/Elsewhere"}})
    [photo] = await brought(world, "alice", {f"{FOLDER}/a.jpg": shot(1)})
    for attempt in range(MOST_TRIES):
        assert world.photo(photo).state is State.RELEASED, attempt
        await refresh(world)
        await world.later(301)
    await refresh(world)
    assert world.photo(photo).state is State.DONE
    assert f"given up after {MOST_TRIES} tries" in caplog.text
    assert world.ledger.jobs.pending() == []
    scans = [line for line in calls(world) if f"/alice/files/{FOLDER} " in line]
    assert len(scans) == 1, "the user's own folder was scanned at once, and once"


async def test_without_occ_nobody_is_asked_and_the_photo_is_done(make_world: MakeWorld) -> None:
    world = await make_world("folder", nextcloud={"occ": {"via": "off"}})
    [photo] = await brought(world, "alice", {f"{FOLDER}/a.jpg": shot(1)})
    world.ledger.jobs.add("user", "alice", FOLDER, world.clock.time, [photo.id])
    await refresh(world)
    assert world.photo(photo).state is State.DONE
    assert world.ledger.jobs.pending() == []
    assert world.nextcloud.log() == []


async def test_an_old_nextcloud_without_memories_and_metadata_gets_plain_scans(world: World) -> None:
    world.nextcloud.switch(old_nextcloud=True, no_memories=True)
    [photo] = await brought(world, "alice", {f"{FOLDER}/a.jpg": shot(1)})
    await refresh(world)
    assert world.photo(photo).state is State.DONE
    assert sorted(calls(world)) == [
        f"files:scan --path=/alice/files/Album/{STEP} --shallow",
        f"files:scan --path=/alice/files/{FOLDER} --shallow",
    ]


async def test_further_commands_come_after_a_batch_and_their_faults_stop_nothing(make_world: MakeWorld) -> None:
    also = [["preview:pre-generate"], ["no:such", "command"]]
    world = await make_world("folder", nextcloud={"occ": {"also": also}})
    world.nextcloud.switch(commands=["preview:pre-generate"])
    [photo] = await brought(world, "alice", {f"{FOLDER}/a.jpg": shot(1)})
    await refresh(world)
    assert world.photo(photo).state is State.DONE
    assert world.nextcloud.calls()[-2:] == also
    assert [issue.about for issue in world.issues.all()] == ["occ no:such command"]


async def test_what_is_released_while_a_scan_runs_gets_a_scan_of_its_own(world: World) -> None:
    [photo] = await brought(world, "alice", {f"{FOLDER}/a.jpg": shot(1)})
    late: list[Any] = []

    async def meanwhile(argv: Any) -> None:
        if argv[0] == "files:scan" and "--help" not in argv and not late:
            late.append(None)
            late[:] = await brought(world, "alice", {f"{FOLDER}/b.jpg": shot(2)})

    world.runner.before = meanwhile
    await refresh(world)
    assert world.photo(photo).state is State.DONE
    assert world.photo(late[0]).state is State.RELEASED
    world.nextcloud.forget()
    await refresh(world)
    assert world.photo(late[0]).state is State.DONE
    assert f"files:scan --path=/alice/files/{FOLDER} --shallow" in calls(world)


async def test_a_gallery_that_has_stopped_looking_is_noticed_and_offered_a_scan(world: World) -> None:
    await brought(world, "alice", {f"{FOLDER}/a.jpg": shot(1)})
    await refresh(world)
    await world.refresh.look_up()
    assert world.issues.all() == []
    [path] = list(world.archive_root.rglob("*.jpg"))
    path.rename(path.with_name("moved.jpg"))
    await world.occ.scan("alice", f"Album/{STEP}")  # type: ignore[union-attr]
    await world.refresh.look_up()
    assert [issue.code for issue in world.issues.all()] == ["nextcloud.album_lags"]
    assert [(job.kind, job.path) for job in world.ledger.jobs.pending()] == [("album", STEP)]
