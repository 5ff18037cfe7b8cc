"""What a watch tells, taken in: which of it is a photo of whom, what of it is wanted, and what there is no room for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from daemon.watch import media
from daemon.watch.model import Found, Suspicion
from daemon.watch.questions import SOON

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from daemon.watch.heard import Heard
    from daemon.watch.inotify import Item
    from daemon.watch.model import Sink
    from daemon.watch.questions import Questions
    from daemon.watch.ripen import Ripener
    from daemon.watch.rules import Place


_PARTS = 2
"""So many chunks of one user are taken in with one batch; the rest is listed again."""


class TakingIn:
    """Hands what is found to ``sink`` and lets what that wants settle in ``ripener``.

    ``doubt`` is called with each suspicion, and with one about what was left on the disk for want of room. ``there()``
    tells whether the data directory is in its place, without which nothing is called gone.
    """

    def __init__(
        self,
        base: str,
        ripener: Ripener,
        sink: Sink,
        heard: Heard,
        *,
        doubt: Callable[[Suspicion], None],
        there: Callable[[], Awaitable[bool]],
        questions: Questions,
    ) -> None:
        self._base = base
        self._ripener = ripener
        self._sink = sink
        self._heard = heard
        self._doubt = doubt
        self._there = there
        self._questions = questions

    async def receive(self, items: list[Item]) -> None:
        """Take in a batch from a watch. It never waits for room: who brings little comes after who brings a million."""
        rules = self._ripener.rules
        present: list[tuple[Place, Found]] = []
        gone: list[Place] = []
        for item in items:
            if isinstance(item, Suspicion):
                self._doubt(item)
                continue
            place = rules.locate(item.path)
            if place is None or item.directory:
                continue
            if media.is_temporary(place.name):
                if item.fingerprint is not None and not place.name.startswith(".photon-relay-"):
                    self._ripener.active(place.user, place.directory, item.fingerprint)
            elif rules.is_candidate(place.name):
                if item.fingerprint is None:
                    gone.append(place)
                else:
                    present.append((place, Found(place.user, place.path, item.fingerprint)))
        if present:
            await self._take_in(present)
        if gone and await self._there():
            for place in gone:
                self._ripener.gone(place.user, place.directory, place.name)
            await self._sink.gone([(place.user, place.path) for place in gone])

    async def _take_in(self, present: list[tuple[Place, Found]]) -> None:
        closed = await self._closed(place for place, _ in present)
        fresh: list[Found] = []
        # In the order in which they came: who comes last is told from those who were there before.
        for place, found in sorted(present, key=lambda one: one[1].fingerprint.ctime_ns):
            if (place.user, place.directory) in closed:
                continue
            # Only what is wanted keeps its folder from being at rest: the relay itself touches what it takes away.
            if self._ripener.has(found.user, found.path):
                self._ripener.seen(found)
            else:
                fresh.append(found)
        chunk, left = self._ripener.options.chunk, set[str]()
        of_user: dict[str, list[Found]] = {}
        for found in fresh:
            of_user.setdefault(found.user, []).append(found)
        if all(len(its) <= chunk and self._ripener.has_room(user) for user, its in of_user.items()):
            for start in range(0, len(fresh), chunk):
                await self.offer(fresh[start : start + chunk], self._ripener)
            return
        # Who brings little comes first, and of who brings much a part at a time: each costs a turn at the ledger, and
        # meanwhile the others' next photos wait.
        for user, its in sorted(of_user.items(), key=lambda one: len(one[1])):
            fitting = its[: _PARTS * chunk] if self._ripener.has_room(user) else []
            for start in range(0, len(fitting), chunk):
                await self.offer(fitting[start : start + chunk], self._ripener)
            left.update(map(_folder_of, its[len(fitting) :]))
        if left:
            # It is listed again when there is room. Whoever waits here instead keeps the others' photos in the queue.
            self._doubt(Suspicion("these folders have more than there is room for", tuple(left), expected=True))

    async def _closed(self, places: Iterable[Place]) -> set[tuple[str, str]]:
        """Give the directories that are never entered, and those of which no disk says whether they are."""
        closed = set[tuple[str, str]]()
        for key, place in {(place.user, place.directory): place for place in places}.items():
            is_closed = partial(self._ripener.rules.is_closed, self._base, place)
            try:
                # Only what bears that name is asked about on the disk.
                asks = self._ripener.rules.archived in place.directory.split("/")
                if await self._questions.answer(place.user, is_closed, SOON) if asks else is_closed():
                    closed.add(key)
            except TimeoutError:
                closed.add(key)
                path = f"{place.user}/files/{place.directory}".rstrip("/")
                self._doubt(Suspicion("a disk does not answer", (path,), expected=True))
        return closed

    async def offer(self, chunk: list[Found], ripener: Ripener) -> list[Found]:
        """Ask which of these are wanted and let those settle."""
        wanted = await self._sink.found(chunk)
        taken = [found for found in chunk if (found.user, found.path) in wanted]
        for found in taken:
            ripener.seen(found)
            self._heard.told(found)
        return taken


def _folder_of(found: Found) -> str:
    return f"{found.user}/files/{found.path}".rpartition("/")[0]
