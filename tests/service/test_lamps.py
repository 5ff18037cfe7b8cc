# ruff: noqa: ASYNC110 - what is waited for happens in another task
"""The lamps: each trouble lights the right one, says since when, and nobody is asked more often than need be."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from daemon.errors import NeedsPerson, RelayError, Transient
from daemon.events import Bus
from daemon.issues import Issues
from daemon.relay import photoprism_archive
from daemon.service import lamps
from daemon.service.probes import EVERY, Answer, Probe, Space, in_thread, space_of
from daemon.settings import Settings
from daemon.watch.limits import Shortage
from daemon.watch.watcher import WatchStatus
from tests.relay.world import FOLDER, Time, shot
from tests.service.conftest import service_over

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from daemon.issues import Issue
    from daemon.service import Service
    from daemon.service.lamps import Lamp
    from tests.relay.conftest import MakeWorld
    from tests.relay.world import World

GIB = 1 << 30
WELL = Answer(1000.0, "nextcloud-app-1")
WATCH = WatchStatus(
    mode="inotify",
    why="",
    problem="",
    verified_at=1000.0,
    swept_at=1000.0,
    directories=12,
    pending=0,
    missed=0,
    suspicions=0,
    unreadable=(),
    shortage=None,
)


def settings(**more: Any) -> Settings:
    base: dict[str, Any] = {"users": {"include": {"alice": {}}}, "photoprism": {"url": "http://pp:2342"}}
    return Settings.model_validate(base | more)


def issues(about: str = "", error: RelayError | None = None) -> dict[str, Issue]:
    made = Issues(Bus(), Time())
    if error is not None:
        made.report(about, error)
    return {issue.about: issue for issue in made.all()}


def failed(code: str) -> Answer:
    return Answer(1000.0, None, Transient(code, "it is not there", hint="mount it"))


def seen(lamp: Lamp) -> tuple[str, str]:
    return lamp.state, lamp.code


def test_nextcloud() -> None:
    on, off = settings(), settings(nextcloud={"occ": {"via": "off"}}, users={"after": "keep"})
    asked = [{"kind": "user", "user": "alice", "path": "x", "at": "…", "result": "done"}]
    job = {"code": "occ.locked", "message": "locked", "since": 5.0}
    assert seen(lamps.nextcloud(on, issues(), WELL, asked, [])) == ("ok", "")
    assert lamps.nextcloud(on, issues(), WELL, asked, []).detail["last"] == asked[0]
    assert "switched off" in lamps.nextcloud(off, issues(), WELL, [], []).message
    assert seen(lamps.nextcloud(on, issues(), Answer(), [], [])) == ("unknown", "")
    gone = failed("nextcloud.mount_missing")
    assert seen(lamps.nextcloud(on, issues(), gone, asked, [])) == ("error", "nextcloud.mount_missing")
    down = issues("nextcloud", Transient("occ.maintenance", "maintenance"))
    assert seen(lamps.nextcloud(on, down, WELL, asked, [])) == ("error", "occ.maintenance")
    scan = issues("scan alice:/x", Transient("occ.locked", "locked"))
    assert seen(lamps.nextcloud(on, scan, WELL, asked, [])) == ("warning", "occ.locked")
    waiting = lamps.nextcloud(on, issues(), WELL, asked, [job, job])
    assert (seen(waiting), waiting.since) == (("warning", "occ.locked"), 5.0)
    assert "2 folders" in waiting.message


def test_photoprism_and_docker() -> None:
    on = settings()
    folder = settings(archive={"via": "folder", "folder": {"path": "/archive"}})
    assert lamps.photoprism(folder, issues(), WELL).state == "off"
    well = lamps.photoprism(on, issues(), WELL)
    assert (well.state, well.detail["url"]) == ("ok", "http://pp:2342")
    assert lamps.photoprism(on, issues(), Answer()).state == "unknown"
    assert seen(lamps.photoprism(on, issues(), failed("photoprism.unreachable"))) == ("error", "photoprism.unreachable")
    busy = issues("archive", Transient("photoprism.busy", "busy"))
    assert seen(lamps.photoprism(on, busy, WELL)) == ("error", "photoprism.busy")
    full = issues("archive", Transient("disk.low", "full"))
    assert lamps.photoprism(on, full, failed("disk.low")).state == "ok", "that is the disk's lamp"
    assert lamps.docker(on, issues(), WELL).message == "the container nextcloud-app-1 runs"
    assert seen(lamps.docker(on, issues(), failed("docker.unreachable"))) == ("error", "docker.unreachable")
    denied = issues("nextcloud", NeedsPerson("docker.forbidden", "denied"))
    assert seen(lamps.docker(on, denied, WELL)) == ("error", "docker.forbidden")
    command = settings(nextcloud={"occ": {"via": "command", "command": ["php", "occ"]}})
    assert lamps.docker(command, denied, WELL).state == "off"


def test_watcher() -> None:
    on = settings()
    assert lamps.watcher(on, issues(), WATCH).message == "12 folders watched by events"
    assert lamps.watcher(on, issues(), WATCH).detail["verified_at"] == "1970-01-01T00:16:40.000Z"
    polled = replace(WATCH, mode="poll", why="nfs sends no events")
    assert seen(lamps.watcher(on, issues(), polled)) == ("warning", "watch.polling")
    assert lamps.watcher(settings(watch={"mode": "poll"}), issues(), replace(WATCH, mode="poll")).state == "ok"
    assert seen(lamps.watcher(on, issues(), replace(WATCH, problem="away"))) == ("error", "watch.blind")
    short = replace(WATCH, shortage=Shortage(True, 10, 5, "too few", "sysctl -w …"))
    assert seen(lamps.watcher(on, issues(), short)) == ("error", "watch.limit")
    assert lamps.watcher(on, issues(), short).hint == "sysctl -w …"
    assert seen(lamps.watcher(on, issues(), replace(WATCH, unreadable=("x: denied",)))) == (
        "warning",
        "watch.unreadable",
    )
    assert lamps.watcher(settings(users={}), issues(), replace(WATCH, mode="off")).state == "off"
    crashed = issues("watch", NeedsPerson("task.crashed", "crashed"))
    assert seen(lamps.watcher(on, crashed, WATCH)) == ("error", "task.crashed")


def test_ntfy() -> None:
    assert lamps.ntfy(settings(), issues(), None).state == "off"
    on = settings(notify={"ntfy": {"url": "https://ntfy.example.org", "topic": "photos"}})
    assert lamps.ntfy(on, issues(), None).state == "ok"
    assert seen(lamps.ntfy(on, issues(), Transient("ntfy.unreachable", "gone"))) == ("warning", "ntfy.unreachable")
    told = issues("messages", Transient("ntfy.refused", "no"))
    assert seen(lamps.ntfy(on, told, None)) == ("warning", "ntfy.refused")


@pytest.mark.parametrize(
    ("free", "expected"), [(1, ("error", "disk.low")), (3, ("warning", "disk.nearly_low")), (9, ("ok", ""))]
)
def test_disks(free: int, expected: tuple[str, str]) -> None:
    answer = Answer(1000.0, Space("/archive", free * GIB, 100 * GIB))
    lamp = lamps.disk(answer, 2 * GIB, "nothing is placed", None)
    assert seen(lamp) == expected
    assert (lamp.detail["free"], lamp.detail["total"], lamp.detail["min_free"]) == (free * GIB, 100 * GIB, 2 * GIB)


def test_a_disk_that_is_not_there() -> None:
    assert seen(lamps.disk(failed("disk.no_root"), 0, "", None)) == ("error", "disk.no_root")
    assert lamps.disk(Answer(), 0, "", None).state == "unknown"


def test_the_fuller_of_two_disks_counts(tmp_path: Path) -> None:
    found = space_of(str(tmp_path), "/proc")
    assert found.path == "/proc"
    with pytest.raises(Transient) as raised:
        space_of(str(tmp_path / "nowhere"))
    assert raised.value.code == "disk.no_root"


class Asked:
    """Something to look at; counts how often it was."""

    def __init__(self) -> None:
        self.times = 0
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.times += 1
        if self.error is not None:
            raise self.error
        return self.times


async def test_a_probe_looks_seldom() -> None:
    clock, asked = Time(), Asked()
    probe = Probe("it", asked, clock)
    assert (probe.due, probe.answer().at) == (True, None)
    await probe.look()
    assert (probe.due, probe.answer().value) == (False, 1)
    clock.time += EVERY - 1
    assert not probe.due
    clock.time += 1
    assert probe.due
    asked.error = Transient("x.y", "away")
    await probe.look()
    assert probe.answer().error is asked.error
    asked.error = ZeroDivisionError()
    await probe.look()
    error = probe.answer().error
    assert error is not None
    assert error.code == "probe.failed"


async def test_what_hangs_is_told_of_and_not_asked_again() -> None:
    clock, release = Time(), threading.Event()
    looks = 0

    def hang() -> None:
        nonlocal looks
        looks += 1
        release.wait(20)

    async def look() -> None:
        await in_thread(hang)

    probe = Probe("the mount", look, clock)
    async with anyio.create_task_group() as group:
        group.start_soon(probe.look)
        await until(lambda: looks == 1)
        assert probe.answer().error is None
        clock.time += 100
        error = probe.answer().error
        assert error is not None
        assert (error.code, probe.due) == ("probe.silent", False)
        await probe.look()  # returns at once
        group.cancel_scope.cancel()  # nor does an end wait for it
    release.set()
    assert looks == 1


async def until(condition: Callable[[], Any]) -> None:
    with anyio.fail_after(5):
        while not condition():
            await anyio.sleep(0.002)


async def lamp(service: Service, name: str) -> dict[str, Any]:
    [found] = [one for one in (await service.now.snapshot())["lamps"] if one["id"] == name]
    return dict(found)


async def looked(world: World, service: Service) -> None:
    """Have everything looked at anew."""
    world.clock.time += EVERY
    await service.now.snapshot()
    await until(lambda: not any(probe.due or probe._began for probe in service.now.lamps._probes.values()))


async def test_over_a_world_that_is_well_and_then_is_not(folder_world: World, service: Service) -> None:
    world = folder_world
    await looked(world, service)
    assert (await lamp(service, "nextcloud"))["state"] == "ok"
    disk = await lamp(service, "disk_archive")
    assert (disk["state"], disk["detail"]["free"] > 0) == ("ok", True)
    first = disk["since"]
    (world.data / ".ncdata").unlink()
    await looked(world, service)
    gone = await lamp(service, "nextcloud")
    assert (gone["state"], gone["code"]) == ("error", "nextcloud.mount_missing")
    assert gone["hint"]
    since = gone["since"]
    assert since > first
    await looked(world, service)
    assert (await lamp(service, "nextcloud"))["since"] == since
    assert (await lamp(service, "disk_archive"))["since"] == first, "what is well since then stays so"
    (world.data / ".ncdata").touch()
    await looked(world, service)
    assert (await lamp(service, "nextcloud"))["state"] == "ok"


async def test_photoprism_is_asked_once_however_many_look(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photoprism_archive, "WELL", 0.0)  # not even a moment
    world = await make_world()
    async with service_over(world) as service:
        client = service.now.lamps._archive._client  # type: ignore[attr-defined]
        asked, lookup = 0, client.lookup

        async def count(sha1: str) -> Any:
            nonlocal asked
            asked += 1
            return await lookup(sha1)

        client.lookup = count
        for _ in range(20):
            await service.now.snapshot()
            await anyio.sleep(0.001)
        await until(lambda: asked == 1)
        await looked(world, service)
        assert asked == 2
        assert (await lamp(service, "photoprism"))["state"] == "ok"
        assert world.pp is not None
        world.pp.traps.outage = "reset"
        await looked(world, service)
        down = await lamp(service, "photoprism")
        assert (down["state"], down["code"]) == ("error", "photoprism.unreachable")


async def test_a_batch_that_waits_lights_the_lamp_with_its_since(folder_world: World, service: Service) -> None:
    world = folder_world
    await world.deliver("alice", {f"{FOLDER}/1.jpg": shot(1)})
    error = Transient("disk.low", "no room")
    service._issues.report("archive", error)
    world.clock.time += 500
    found = await lamp(service, "disk_archive")
    assert (found["state"], found["code"]) == ("error", "disk.low")
    assert found["since"] == service._issues.all()[0].as_dict()["since"]
