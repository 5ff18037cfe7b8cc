"""What may have been missed, and the sweeps that look for it: each user's by themselves, so nobody waits for others.

A user who brings a million files is doubted again and again while they come: what there is no room for stays on the
disk, and is found by listing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from daemon.watch.users import outermost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from anyio.abc import TaskGroup

    from daemon.watch.model import Suspicion
    from daemon.watch.remembered import Target


_AGAIN = 10.0
"""Seconds after which a disk that did not answer is asked again."""


class Doubts:
    """Collects suspicions, tells of them and has swept what they are about.

    ``folders`` gives the watched folders of each user as they are now, ``whose`` the user and watched folder in which
    a path (relative to the data root) lies. ``tell`` is awaited with each reason that is not expected, ``sweep`` with
    what of one user is to be looked through, for all of them at once, in their order, and tells whether the disk
    answered. ``all_swept`` is called when a doubt about everything is settled.
    """

    def __init__(
        self,
        folders: Callable[[], Mapping[str, Sequence[str]]],
        whose: Callable[[str], Target | None],
        *,
        tell: Callable[[str], Awaitable[None]],
        sweep: Callable[[list[Target]], Awaitable[bool]],
        all_swept: Callable[[], Awaitable[None]],
    ) -> None:
        self._folders = folders
        self._whose = whose
        self._tell = tell
        self._sweep = sweep
        self._all_swept = all_swept
        self._suspect = anyio.Event()
        self._roots: set[str] = set()
        self._everything = False
        self._reasons: dict[str, None] = {}
        self._owed: dict[str, set[str]] = {}
        self._at_work: set[str] = set()
        self._everything_owed = False

    def add(self, suspicion: Suspicion) -> None:
        """Have looked through what a suspicion is about, soon."""
        if suspicion.roots is None:
            self._everything = True
        else:
            self._roots.update(suspicion.roots)
        if not suspicion.expected:
            self._reasons[suspicion.reason] = None
        self._suspect.set()

    async def run(self) -> None:
        """Tell and sweep, until cancelled."""
        async with anyio.create_task_group() as group:
            while True:
                await self._suspect.wait()
                self._suspect = anyio.Event()
                everything, self._everything = self._everything, False
                roots, self._roots = self._roots, set()
                reasons, self._reasons = self._reasons, {}
                for reason in reasons:
                    await self._tell(reason)
                if everything:
                    self._everything_owed = True
                    self._owe((user, folder) for user, its in self._folders().items() for folder in its)
                else:
                    self._owe(target for root in roots if (target := self._whose(root)) is not None)
                self._begin(group)

    def _owe(self, targets: Iterable[Target]) -> None:
        for user, folder in targets:
            self._owed.setdefault(user, set()).add(folder)

    def _begin(self, group: TaskGroup) -> None:
        for user in sorted(self._owed):
            if user not in self._at_work:
                self._at_work.add(user)
                group.start_soon(self._look_through, user)

    async def _look_through(self, user: str) -> None:
        try:
            while folders := self._owed.pop(user, None):
                known = self._folders().get(user, ())
                targets = [(user, folder) for folder in outermost([one for one in known if one in folders])]
                if not await self._sweep(targets):
                    self._owed.setdefault(user, set()).update(folders)
                    await anyio.sleep(_AGAIN)
        finally:
            self._at_work.discard(user)
        if self._everything_owed and not self._owed and not self._at_work:
            self._everything_owed = False
            await self._all_swept()
