"""The snapshot, what of it has changed, and the summary, over a relay that really runs."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import anyio

from daemon.errors import NeedsPerson
from daemon.ledger.model import State
from tests.ledger.entries import NOW, put
from tests.relay.world import FOLDER, shot
from tests.service.conftest import service_over

if TYPE_CHECKING:
    from daemon.ledger.ledger import Ledger
    from daemon.service import Service
    from tests.relay.conftest import MakeWorld
    from tests.relay.world import World

KEYS = {
    *("now", "version", "running_since", "paused", "dry_run", "photos", "today", "total", "activity", "lamps"),
    *("issues", "troubles", "batch", "last_batch", "recent", "refreshed", "nextcloud_jobs", "watch", "sweep"),
    *("last_sweep", "users", "config", "page"),
}


async def test_a_snapshot_has_everything_and_is_json(service: Service) -> None:
    found = await service.now.snapshot()
    assert found.keys() == KEYS
    json.dumps(found, allow_nan=False)
    assert found["batch"] is None
    assert found["recent"] == []
    assert set(found["photos"]) == {state.value for state in State}
    old = await service.status()
    assert old.keys() <= found.keys(), "what `status --json` says is all there"


async def test_what_was_relayed_is_told(folder_world: World, service: Service) -> None:
    world = folder_world
    await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1), f"{FOLDER}/IMG_2.jpg": shot(2)})
    await world.deliver("bob", {f"{FOLDER}/again.jpg": shot(1)})
    await world.relay()
    found = await service.now.snapshot()
    sizes = len(shot(1)) + len(shot(2))
    figures = {"done": 2, "bytes": sizes, "duplicates": 1, "duplicate_bytes": len(shot(1)), "refused": 0, "restored": 0}
    assert found["today"] == figures
    assert found["total"] == figures
    [day] = found["activity"]
    assert (day["done"], day["bytes"], day["duplicates"]) == (2, sizes, 1)
    assert {row["name"] for row in found["recent"]} == {"IMG_1.jpg", "IMG_2.jpg", "again.jpg"}
    assert {(row["kind"], row["user"]) for row in found["refreshed"]} >= {("user", "alice"), ("user", "bob")}
    assert found["last_batch"]["photos"] == 3
    summary = await service.now.summary()
    assert (summary["done_today"], summary["bytes_saved"], summary["photos_under_way"]) == (2, len(shot(1)), 0)
    assert all(isinstance(value, str | int | float | None) for value in summary.values()), "flat"


async def test_only_what_changed_is_given(folder_world: World, service: Service) -> None:
    world = folder_world
    previous = await service.now.snapshot()
    await anyio.sleep(0.05)  # the lamps have been looked at
    previous = await service.now.snapshot()
    assert await service.now.changes(previous) == {}
    await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    changed = await service.now.changes(previous)
    assert changed.keys() == {"now", "photos"}
    assert changed["photos"]["settled"] == 1
    await service.pause("page 192.168.1.7")
    assert (await service.now.changes(previous | changed)).keys() == {"now", "paused"}


async def test_while_nothing_changes_the_ledger_is_not_asked(folder_world: World, service: Service) -> None:
    world = folder_world
    await service.now.snapshot()
    # The lamps look at the archive, which asks whether the ledger knows anything to be in it, and lists it.
    await world.until(lambda: world.ledger.stock.listed() != "")
    await anyio.sleep(0.1)
    await service.now.snapshot()
    asked: list[str] = []
    world.ledger._store._connection.set_trace_callback(asked.append)
    for _ in range(5):
        await service.now.snapshot()
    assert asked == []
    put(world.ledger, State.DONE)
    asked.clear()
    await service.now.snapshot()
    assert asked


async def test_figures_of_a_new_day_need_no_photo(folder_world: World, service: Service) -> None:
    put(folder_world.ledger, State.DONE, ended_at=folder_world.clock.time)
    assert (await service.now.snapshot())["today"]["done"] == 1
    folder_world.clock.time += 86_400
    found = await service.now.snapshot()
    assert (found["today"]["done"], found["total"]["done"]) == (0, 1)


async def test_issues_come_with_what_a_button_can_do(folder_world: World, service: Service) -> None:
    world = folder_world
    put(world.ledger, State.HELD, code="archive.hidden")
    world.ledger.homes.seen("carol", NOW)
    service._issues.report("user carol", NeedsPerson("user.new", "carol has a home"))
    service._issues.report("archive", NeedsPerson("archive.hidden", "hidden"))
    service._issues.report("nextcloud", NeedsPerson("occ.locked", "locked"))
    issues = {issue["code"]: issue["actions"] for issue in (await service.now.snapshot())["issues"]}
    assert [(one["do"], one["subject"]) for one in issues["user.new"]] == [("include", "carol"), ("exclude", "carol")]
    assert issues["archive.hidden"][0] == {"do": "retry_code", "label": "Try again now", "subject": "archive.hidden"}
    assert [one["do"] for one in issues["occ.locked"]] == ["run_checks"]


async def test_the_batch_under_way_is_told_step_by_step(make_world: MakeWorld) -> None:
    world = await make_world()
    seen: list[dict[str, Any]] = []
    async with service_over(world) as service:
        service.now._under_way = world.pipeline.under_way
        begin, done = world.pipeline.under_way.begin, world.pipeline.under_way.done

        def after(call: Any) -> Any:
            def both(*arguments: Any) -> None:
                call(*arguments)
                read = service.now._read
                unfinished = world.ledger.batches.unfinished()
                if read is not None and unfinished:
                    sizes = {batch.id: (0, 0) for batch in unfinished}
                    fresh = type(read)(read.key, read.found, read.jobs, unfinished, sizes, read.homes)
                    seen.append(service.now._batch(fresh) or {})

            return both

        await service.now.snapshot()
        world.pipeline.under_way.begin = after(begin)  # type: ignore[method-assign]
        world.pipeline.under_way.done = after(done)  # type: ignore[method-assign]
        await world.deliver("alice", {f"{FOLDER}/IMG_{n}.jpg": shot(n) for n in range(3)})
        await world.relay()
        steps = list(dict.fromkeys(one["step"] for one in seen))
        assert steps == ["examine", "place", "import", "confirm"]
        for step in ("examine", "confirm"):
            # Files go side by side, so how often it is told is chance; that it begins and ends is not.
            told = [one["done"] for one in seen if one["step"] == step]
            assert (told[0], told[-1], told) == (0, 3, sorted(told))
        whole = sum(len(shot(n)) for n in range(3))
        assert {one["bytes"] for one in seen} == {whole}
        assert [one["bytes_done"] for one in seen if one["step"] == "confirm"][-1] == whole
        assert (await service.now.snapshot())["batch"] is None


async def test_a_batch_that_waits_says_since_when_and_why(make_world: MakeWorld) -> None:
    world = await make_world()
    async with service_over(world) as service:
        assert world.pp is not None
        await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
        world.pp.traps.outage = "503"
        async with world.running():
            await world.until(lambda: any(batch.code for batch in world.ledger.batches.unfinished()))
            world.pipeline.paused = True
        batch = (await service.now.snapshot())["batch"]
        assert batch["code"].startswith("photoprism.")
        assert batch["waits_since"]
        assert batch["photos"] == 1
        assert batch["step"] == "examine"


async def test_a_pause_outlives_a_restart_and_is_in_the_audit(folder_world: World, service: Service) -> None:
    world = folder_world
    await service.pause("page 192.168.1.7")
    async with service_over(world) as after:
        assert not (await after.now.snapshot())["paused"]
        await after.stay_paused()
        assert (await after.now.snapshot())["paused"]
        await after.resume("page 192.168.1.7")
        async with service_over(world) as later:
            await later.stay_paused()
            assert not (await later.now.snapshot())["paused"]
    deeds = [(line["deed"], line["who"]) for line in world.ledger.audit.lines()]
    assert deeds == [("resumed", "page 192.168.1.7"), ("paused", "page 192.168.1.7")]


def many(ledger: Ledger, count: int) -> None:
    """Enter photos that came to their end, a year's worth."""
    with ledger.write() as db:
        for number in range(count):
            state = ("done", "done", "done", "refused", "restored")[number % 5]
            db.execute(
                "INSERT INTO photos (user, folder, path, role, state, inode, size, mtime_ns, ctime_ns, found_at,"
                " ended_at, batch_id, archived_as) VALUES (?, x'', ?, 'main', ?, 1, 4000000, 1, 1, ?, ?, NULL, x'61')",
                (
                    f"user{number % 7}",
                    f"InstantUpload/IMG_{number}.jpg".encode(),
                    state,
                    NOW - number * 300,
                    NOW - number * 300 + 60,
                ),
            )
        db.execute(
            "INSERT OR REPLACE INTO quarters (quarter, done, bytes) SELECT CAST(ended_at / 900 AS INTEGER) quarter,"
            " COUNT(*), SUM(size) FROM photos WHERE state = 'done' GROUP BY quarter"
        )


async def test_a_hundred_thousand_photos_make_it_no_slower(folder_world: World, service: Service) -> None:
    await anyio.to_thread.run_sync(many, folder_world.ledger, 100_000)
    await service.now.snapshot()
    took = []
    for number in range(5):
        put(folder_world.ledger, State.DONE, f"new{number}.jpg", ended_at=NOW)
        began = time.perf_counter()
        await service.now.snapshot()
        took.append(time.perf_counter() - began)
    assert min(took) < 0.05, took
