"""A sink that remembers what it was told, and quick times for the tests."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from daemon.watch.model import WatchOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from daemon.watch.model import Found, SettledGroup
    from daemon.watch.watcher import Watch

QUICK = WatchOptions(
    settle=0.25,
    max_wait=5,
    partner=0.5,
    step=0.03,
    look=0.2,
    prove_every=30,
    poll_every=0.1,
    grace=0.3,
    racy=0.1,
)


class Memory:
    """Wants everything that ``wants`` says yes to and that was not handed over before, as a ledger would."""

    def __init__(self, wants: Callable[[Found], bool] = lambda _found: True) -> None:
        self.wants = wants
        self.offered: list[Found] = []
        self.groups: list[SettledGroup] = []
        self.vanished: list[tuple[str, str]] = []
        self.reasons: list[str] = []
        self.taken: set[Found] = set()

    async def found(self, files: list[Found]) -> set[tuple[str, str]]:
        self.offered.extend(files)
        return {(one.user, one.path) for one in files if one not in self.taken and self.wants(one)}

    async def settled(self, groups: Sequence[SettledGroup]) -> None:
        for group in groups:
            self.groups.append(group)
            if not group.sides_only:
                self.taken.update(group.members)

    async def gone(self, places: Sequence[tuple[str, str]]) -> None:
        self.vanished += places

    async def suspicion(self, reason: str) -> None:
        self.reasons.append(reason)

    @property
    def paths(self) -> list[str]:
        """All paths handed over, with their user, sorted."""
        return sorted(f"{one.user}/{one.path}" for group in self.groups for one in group.members)


async def until(holds: Callable[[], bool], within: float = 10.0) -> None:
    """Wait until something holds; fails loudly where it does not in time."""
    end = time.monotonic() + within
    while not holds():
        if time.monotonic() > end:
            raise AssertionError("it did not come to pass in time")
        await anyio.sleep(0.01)


@asynccontextmanager
async def running(watch: Watch) -> AsyncIterator[None]:
    """Run a watch, from the moment its folders are watched to the end of the block."""
    async with anyio.create_task_group() as group:
        group.start_soon(watch.run)
        with anyio.fail_after(10):
            await watch.ready()
        yield
        group.cancel_scope.cancel()
