"""Killing a program at a point, starting it again, and comparing the end with that of an undisturbed run."""

from __future__ import annotations

import os
import random
import shutil
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from tests.kill.killer import Plan, Point
from tests.kill.world import World, differences
from tests.standins.photoprism import PhotoPrismStandIn
from tests.torture.counts import COUNTS, LOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from pathlib import Path

    from tests.kill.world import Configuration
    from tests.kill.zygote import OccServer, Program, Ran

ALL = os.environ.get("PHOTON_RELAY_KILL", "") == "all"
SEED = int(os.environ.get("PHOTON_RELAY_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
AT_ONCE = 3
"""Worlds at a time: a run waits as long as it works."""
_LAST_SAID = 20
"""Lines of what the program said that are told of a run that failed."""


@dataclass
class Tally:
    """What was tried, and what was found."""

    tried: int = 0
    not_met: int = 0
    faults: dict[str, list[str]] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def __str__(self) -> str:
        return (
            f"{self.tried} points tried, {self.not_met} of them not met again, {len(self.faults)} faults,"
            f" {time.monotonic() - self.began:.0f} s, seed {SEED}"
        )

    def said(self) -> str:
        """Give all faults in words."""
        return f"{self}\n" + "\n".join(
            f"{plan}\n" + "".join(f"    {fault}\n" for fault in found) for plan, found in self.faults.items()
        )


class Trials:
    """Worlds of one configuration, and programs to let loose in them."""

    def __init__(
        self,
        folder: Path,
        configuration: Configuration,
        programs: Sequence[Program],
        occ: OccServer,
        shelf: Path | None = None,
    ) -> None:
        self.folder = folder
        self._shelf = shelf
        self.configuration = configuration
        self._occ = occ
        self._idle = list(programs)
        self._limiter = anyio.CapacityLimiter(len(programs))
        self._count = 0
        self.tally = Tally()
        self.took = 0.0
        """Seconds that the undisturbed run took."""

    @asynccontextmanager
    async def world(self, **traps: Any) -> AsyncIterator[World]:
        """Give a fresh world; it is kept where something is wrong with it."""
        self._count += 1
        name = f"{self.configuration}-{self._count}"
        shelf = self._shelf / name if self._shelf else None
        world = World(self.folder / name, self.configuration, self._occ, shelf=shelf)  # type: ignore[arg-type]
        if self.configuration.via == "folder":
            await anyio.to_thread.run_sync(world.make)
            yield world
        else:
            async with PhotoPrismStandIn(world.imports, world.archive) as prism:
                prism.traps.set(traps)
                world.url = prism.url
                await anyio.to_thread.run_sync(world.make)
                yield world
                shas = [row.hash for row in prism.rows]
                assert len(shas) == len(set(shas)), "PhotoPrism has a content twice"
        for folder in {world.root, world.shelf}:
            await anyio.to_thread.run_sync(shutil.rmtree, folder)

    async def run(self, world: World, *argv: str, plan: Plan | None = None) -> Ran:
        """Run the program once, when one is free."""
        async with self._limiter:
            program = self._idle.pop()
            try:
                return await anyio.to_thread.run_sync(
                    partial(program.run, world.desk, *argv, plan=plan, roots=[world.root, world.shelf])
                )
            finally:
                self._idle.append(program)

    async def undisturbed(
        self, *commands: tuple[str, ...], traps: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], list[Point]]:
        """Give how it ends when nobody disturbs, and the points that the last command met."""
        async with self.world(**(traps or {})) as world:
            for argv in commands or (("sweep",),):
                ran = await self.run(world, *argv)
                assert faults_of(ran) == [], ran.said
            assert world.missing_now() == set()
            self.took = ran.took
            return world.end(), ran.points

    async def kill(
        self,
        plans: Iterable[Plan],
        expected: dict[str, Any],
        *,
        before: Sequence[tuple[str, ...]] = (),
        command: tuple[str, ...] = ("sweep",),
        after: Sequence[tuple[str, ...]] = (("sweep",),),
        again: Callable[[Ran], Plan | None] = lambda _: None,
        look: Callable[[World], None] = lambda _: None,
        traps: dict[str, Any] | None = None,
    ) -> None:
        """Try all plans, some at a time; what is wrong afterwards goes into the tally.

        ``look`` sees each world right after the kill.
        """
        send, receive = anyio.create_memory_object_stream[Plan](10_000)
        for plan in plans:
            send.send_nowait(plan)
        send.close()

        async def one_after_another() -> None:
            async with receive.clone() as mine:
                async for plan in mine:
                    found = await self._one(plan, expected, before, command, after, again, look, traps or {})
                    if found:
                        self.tally.faults[str(plan)] = found

        with receive:
            async with anyio.create_task_group() as group:
                for _ in range(len(self._idle)):
                    group.start_soon(one_after_another)

    async def _one(
        self,
        plan: Plan,
        expected: dict[str, Any],
        before: Sequence[tuple[str, ...]],
        command: tuple[str, ...],
        after: Sequence[tuple[str, ...]],
        again: Callable[[Ran], Plan | None],
        look: Callable[[World], None],
        traps: dict[str, Any],
    ) -> list[str]:
        found: list[str] = []
        try:
            async with self.world(**traps) as world:
                for argv in before:
                    await self.run(world, *argv)
                ran = await self.run(world, *command, plan=plan)
                self.tally.tried += 1
                COUNTS.kills += 1
                found += await self._at_once(world, "right after the kill")
                await anyio.to_thread.run_sync(look, world)
                if not ran.killed:
                    self.tally.not_met += 1
                    found += faults_of(ran)
                elif (second := again(ran)) is not None:
                    ran = await self.run(world, *command, plan=second)
                    found += await self._at_once(world, f"right after the second kill, {second}")
                for argv in after:
                    ran = await self.run(world, *argv)
                    found += faults_of(ran)
                found += await self._at_once(world, "at the end")
                found += differences(expected, await anyio.to_thread.run_sync(world.end))
                if found:
                    raise _Kept
        except _Kept:
            COUNTS.found(found)
            found.append(f"kept in {world.root}")
        return found

    async def _at_once(self, world: World, when: str) -> list[str]:
        if self.configuration.occ:
            await anyio.to_thread.run_sync(self._occ.wait_idle)
        missing = await anyio.to_thread.run_sync(world.missing_now)
        return [f"{when} these contents {LOST}: {sorted(missing)}"] if missing else []


class _Kept(Exception):
    """Raised to leave a world without its being taken away."""


def faults_of(ran: Ran) -> list[str]:
    """Say what an undisturbed run complained of."""
    said = []
    if ran.code:
        said.append(f"the program ended with {ran.code}, and said last:")
        said += [f"  {line}" for line in ran.said.splitlines()[-_LAST_SAID:]]
    said += [line for line in ran.said.splitlines() if any(word in line for word in ("Traceback", "crashed", "ERROR"))]
    return said


def chosen(points: Sequence[Point], others: int, *, most: int = 10_000) -> list[Plan]:
    """Choose points of a run: all at step boundaries (``most`` at most), and some of the others; all where wanted."""
    if ALL:
        return [Plan(point, when) for point in points for when in ("before", "after")]
    dice = random.Random(f"{SEED} {len(points)}")
    boundary = [point for point in points if point.boundary]
    rest = [point for point in points if not point.boundary]
    # Of what happens for every file the first and the last, and a sample between them.
    first = {point.shape: point for point in reversed(boundary)}
    last = {point.shape: point for point in boundary}
    sure = [point for point in boundary if point is first[point.shape] or point is last[point.shape]]
    between = [point for point in boundary if point not in set(sure)]
    picked = [*sure, *dice.sample(between, max(0, min(len(between), most - len(sure))))]
    picked += dice.sample(rest, min(others, len(rest)))
    return [Plan(point, dice.choice(("before", "after"))) for point in picked]
