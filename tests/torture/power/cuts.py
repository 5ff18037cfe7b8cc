"""Cutting the power under a running program, giving it back, and starting the program again on what survived."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from tests.kill.trials import SEED, faults_of
from tests.kill.world import World, differences
from tests.standins.photoprism import PhotoPrismStandIn
from tests.torture.counts import COUNTS, LOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from pathlib import Path

    from tests.kill.world import Configuration
    from tests.kill.zygote import OccServer, Program, Ran
    from tests.torture.fuse.mount import Mount

SWEEP = ("sweep",)


@dataclass(frozen=True, slots=True)
class Cut:
    """The power goes instead of the ``at``-th changing or syncing call; ``seed`` tells what survives."""

    at: int
    seed: int
    how: str = ""
    """What kind of state survives; by default the seed chooses."""
    path: str = "*"
    """Only calls on paths like this one are counted."""

    def __str__(self) -> str:
        return f"cut at call {self.at} on {self.path}, seed {self.seed} {self.how}"


TAKEN_IN = "*/import/[a-z]*/*"
"""What PhotoPrism takes away: hidden names, which nobody but the program touches, do not begin so."""
LIVE_PHOTO = "*/import/[a-z]*/IMG_0002.*"
AT_THE_END = Cut(1 << 30, 1, "nothing")
"""After the run: whatever it has told as done must last."""


@dataclass
class Tally:
    """What was tried, and what was found."""

    points: int = 0
    tried: int = 0
    not_met: int = 0
    torn: int = 0
    """Cuts in the middle of an import."""
    survived: dict[str, int] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.survived.items()))
        return (
            f"{self.tried} power cuts at {self.points} calls ({self.not_met} after the end,"
            f" {self.torn} while PhotoPrism imported; survived: {kinds}),"
            f" {len(self.faults)} faults, seed {SEED}"
        )

    def said(self) -> str:
        """Give all faults in words."""
        return f"{self}\n" + "\n".join(
            f"{cut}\n" + "".join(f"    {fault}\n" for fault in found) for cut, found in self.faults.items()
        )


@dataclass(frozen=True)
class Bench:
    """One program with a disk of its own."""

    program: Program
    mount: Mount


def half_copies(expected: dict[str, Any], found: dict[str, Any], said: str) -> list[str]:
    """Give what is wrong after a cut while PhotoPrism copied between two disks, which leaves half copies there.

    They are PhotoPrism's, under final names, and nobody here takes them away: what comes later gets another name, and
    where PhotoPrism's row outlived the bytes it takes no second copy. Then the original stands. Of each the program
    must have ``said`` which file it is.
    """
    wrong = [f"{key}: {found[key]}" for key in ("import", "private names", "jobs") if found[key] != expected[key]]
    for photo in found["photos"]:
        user, path, state, code = photo[0], photo[1], photo[2], photo[-1]
        stands = any(place.startswith(f"{user}/files/{path} = ") for place in found["places"])
        if state != "done" and not (state == "held" and code == "archive.half_copy" and stands):
            wrong.append(f"photos: {photo}")
    archived = [place.removeprefix("archive/") for place in found["places"] if place.startswith("archive/")]
    contents = [place.rpartition(" = ")[2] for place in archived]
    wanted = [place.rpartition(" = ")[2] for place in expected["places"] if place.startswith("archive/")]
    wrong += [f"twice in the archive: {one}" for one in set(wanted) if contents.count(one) > 1]
    halves = [name for name, _, content in (place.rpartition(" = ") for place in archived) if content not in wanted]
    return wrong + [f"not told: {name} of {archived}" for name in halves if f"{name} is a half copy" not in said]


class PowerTrials:
    """Worlds of one configuration on disks that forget. ``ledger_too``: the ledger lies on the same disk."""

    def __init__(
        self,
        folder: Path,
        configuration: Configuration,
        benches: Sequence[Bench],
        occ: OccServer,
        *,
        ledger_too: bool = True,
        traps: dict[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        self.configuration = configuration
        self.tally = Tally()
        self._idle = list(benches)
        self._limiter = anyio.CapacityLimiter(len(benches))
        self._occ = occ
        self._ledger_too = ledger_too
        self._traps = traps or {}
        self._count = 0

    @asynccontextmanager
    async def _world(self) -> AsyncIterator[tuple[World, Bench]]:
        async with self._limiter:
            bench = self._idle.pop()
            try:
                self._count += 1
                desk = self.folder / f"{self.configuration}-{self._count}"
                world = World(
                    bench.mount.path / "world",
                    self.configuration,
                    self._occ,
                    desk=desk,
                    state=bench.mount.path / "world/state" if self._ledger_too else desk / "state",
                )
                if self.configuration.via == "folder":
                    await anyio.to_thread.run_sync(world.make)
                    bench.mount.settle()
                    yield world, bench
                else:
                    async with PhotoPrismStandIn(world.imports, world.archive) as prism:
                        prism.traps.set(self._traps)
                        world.url, world.prism = prism.url, prism
                        await anyio.to_thread.run_sync(world.make)
                        bench.mount.settle()
                        yield world, bench
            finally:
                self._idle.append(bench)

    async def _run(self, world: World, bench: Bench, *argv: str) -> Ran:
        return await anyio.to_thread.run_sync(partial(bench.program.run, world.desk, *argv))

    async def undisturbed(self, *commands: tuple[str, ...]) -> tuple[dict[str, Any], int]:
        """Give how it ends when nobody disturbs, and how many calls of the last command change or sync something."""
        async with self._world() as (world, bench):
            before = 0
            for argv in commands or (SWEEP,):
                before = bench.mount.points()
                ran = await self._run(world, bench, *argv)
                assert faults_of(ran) == [], ran.said
            assert world.missing_now() == set()
            self.tally.points = bench.mount.points() - before
            return world.end(), self.tally.points

    async def audited(self, each: int) -> tuple[int, list[str]]:
        """Let a run go undisturbed and look at every call what a cut there could leave: states, and what is lost."""
        async with self._world() as (world, bench):
            bench.mount.audit(world.all, each, SEED)
            ran = await self._run(world, bench, *SWEEP)
            assert faults_of(ran) == [], ran.said
            self.tally.points = bench.mount.points()
            states, lost = bench.mount.audited()
            COUNTS.states += states
            COUNTS.lost += len(lost)
            return states, lost

    def chosen(self, points: int, count: int) -> list[Cut]:
        """Choose cuts, spread over a whole run; all of them (and more) where ``count`` is as large."""
        dice = random.Random(f"{SEED} {points} {self.configuration} {self._ledger_too}")
        step = points / count
        return [
            Cut(min(points, 1 + int(index * step + dice.random() * step)), dice.randrange(1 << 30))
            for index in range(count)
        ]

    def in_imports(self, count: int) -> list[Cut]:
        """Choose cuts in the middle of PhotoPrism's import, every second one of them in the middle of a Live Photo."""
        dice = random.Random(f"{SEED} {self.configuration} {self._ledger_too} import")
        found = []
        for number in range(count):
            path, most = (LIVE_PHOTO, 3) if number % 2 else (TAKEN_IN, 12)
            found.append(Cut(dice.randint(1, most), dice.randrange(1 << 30), path=path))
        return found

    async def cut(
        self,
        cuts: Iterable[Cut],
        expected: dict[str, Any],
        *,
        before: Sequence[tuple[str, ...]] = (),
        command: tuple[str, ...] = SWEEP,
        after: Sequence[tuple[str, ...]] = (SWEEP,),
        again: int = 0,
    ) -> None:
        """Try all cuts, some at a time; ``again`` so many calls after the start that follows it is cut once more."""
        send, receive = anyio.create_memory_object_stream[Cut](100_000)
        for one in cuts:
            send.send_nowait(one)
        send.close()

        async def one_after_another() -> None:
            async with receive.clone() as mine:
                async for one in mine:
                    found = await self._one(one, expected, before, command, after, again)
                    if found:
                        self.tally.faults[str(one)] = found

        with receive:
            async with anyio.create_task_group() as group:
                for _ in range(len(self._idle)):
                    group.start_soon(one_after_another)

    async def _one(
        self,
        cut: Cut,
        expected: dict[str, Any],
        before: Sequence[tuple[str, ...]],
        command: tuple[str, ...],
        after: Sequence[tuple[str, ...]],
        again: int,
    ) -> list[str]:
        async with self._world() as (world, bench):
            for argv in before:
                await self._run(world, bench, *argv)
            found = await self._cut_one(world, bench, cut, command)
            torn = world.prism is not None and any(call["report"] is None for call in world.prism.imports)
            self.tally.torn += torn
            half = torn and bool(self._traps.get("exdev"))
            if again:
                dice = random.Random(cut.seed)
                found += await self._cut_one(world, bench, Cut(dice.randrange(1, again), cut.seed + 1), command)
            said = ""
            # Whether PhotoPrism only was not ready yet is seen at a second import.
            for argv in (*after, SWEEP) if half else after:
                ran = await self._run(world, bench, *argv)
                said += ran.said
                found += faults_of(replace(ran, code=0) if half and ran.code == 1 else ran)
            found += await self._lost(world, "at the end")
            end = await anyio.to_thread.run_sync(world.end)
            found += half_copies(expected, end, said) if half else differences(expected, end)
            COUNTS.found(found)
            return found

    async def _cut_one(self, world: World, bench: Bench, cut: Cut, command: tuple[str, ...]) -> list[str]:
        bench.mount.cut(at=cut.at, kill=world.desk / "pid", path=cut.path)
        ran = await self._run(world, bench, *command)
        self.tally.tried += 1
        COUNTS.cuts += 1
        if not ran.killed:
            self.tally.not_met += 1
            bench.mount.cut()
        if self.configuration.occ:
            await anyio.to_thread.run_sync(self._occ.wait_idle)
        how = await anyio.to_thread.run_sync(bench.mount.power_on, cut.seed, cut.how)
        self.tally.survived[how] = self.tally.survived.get(how, 0) + 1
        return await self._lost(world, f"right after the cut ({how} survived)")

    async def _lost(self, world: World, when: str) -> list[str]:
        missing = await anyio.to_thread.run_sync(world.missing_now)
        return [f"{when} these contents {LOST}: {sorted(missing)}"] if missing else []
