"""From what is pending to what is handed over: look again at what is due, find its mates, ask for a partner.

The settle rule knows only what it was told. Right before a group is handed over everything of it is looked at once
more on disk, together with whatever else in the directory belongs to it, so that a missed event splits no pair.
"""

from __future__ import annotations

import itertools
import logging
import os
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from daemon.files.kinds import category_of
from daemon.text import shown
from daemon.watch import media, questions, tree
from daemon.watch.model import Found, SettledGroup, below
from daemon.watch.questions import Questions
from daemon.watch.settle import Due, Settler

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.clock import Clock
    from daemon.fingerprint import Fingerprint
    from daemon.watch.model import Sink, WatchOptions
    from daemon.watch.rules import Rules

log = logging.getLogger(__name__)

_COARSE = 5  # CLOCK_REALTIME_COARSE, linux/time.h; Python does not name it
_ANSWERS, _EACH_ANSWERS = 20.0, 5.0
"""Seconds after which a disk is no longer waited for that is to say whether photos announce a partner: in all, each."""
_TURN = 0.5
"""Seconds for which the others wait while one user's photos are handed over."""
_TICK = time.clock_getres(_COARSE)
"""Seconds by which a change time may be early: file systems take it from the kernel's last tick (1 to 10 ms)."""

Key = tuple[str, str]
"""A user and a directory relative to their ``files/``."""


@dataclass(frozen=True, slots=True)
class _Looked:
    members: dict[str, Fingerprint | None]
    mates: list[tuple[str, Fingerprint]]

    @property
    def gone(self) -> list[str]:
        """Give the members that stand there no more."""
        return [name for name, found in self.members.items() if found is None]


class Ripener:
    """Holds what is pending and hands over to the sink what has come to rest.

    ``announces(fd, name)`` tells whether the metadata of a photo, by its name in an open folder, names a partner;
    ``there()`` whether the data directory is in its place, without which nothing is called gone.
    """

    def __init__(
        self,
        base: str,
        options: WatchOptions,
        rules: Rules,
        sink: Sink,
        *,
        clock: Clock,
        announces: Callable[[int, str], bool],
        there: Callable[[], Awaitable[bool]],
    ) -> None:
        self.base = base
        self.rules = rules
        self.options = options
        self.settler = self._new(options)
        self._room = anyio.Event()
        self._sink = sink
        self._clock = clock
        self._announces = announces
        self._there = there
        self._questions = Questions()
        self._poke = anyio.Event()
        self._unreadable: set[Key] = set()
        self._unanswered: set[str] = set()
        """Users whose disk hangs at the question whether a photo announces a partner."""
        self._draining = False
        self._in_hand: set[str] = set()
        """Users whose groups are being handed over: that takes long where their disk does, and others do not wait."""

    def _new(self, options: WatchOptions) -> Settler[Key]:
        return Settler(
            options.settle,
            options.max_wait,
            options.partner,
            key=media.group_key,
            is_main=lambda name: self.rules.is_main(name),
            owner=lambda directory: directory[0],
        )

    def configure(self, options: WatchOptions, rules: Rules) -> None:
        """Change times and rules; what no longer lies in a watched folder is forgotten."""
        self.options, self.rules = options, rules
        self.settler.configure(options.settle, options.max_wait, options.partner)
        self.settler.forget(lambda key: below(key[1], rules.folders.get(key[0], ())) is None)
        self._room.set()
        self.poke()

    def poke(self) -> None:
        """Have the times worked out again: something was seen."""
        self._poke.set()

    def seen(self, file: Found) -> None:
        """Note a wanted file; it is quiet since it changed, not since we came to hear of it."""
        directory, _, name = file.path.rpartition("/")
        self.settler.seen((file.user, directory), name, file.fingerprint, self._since(file.fingerprint))
        self._poke.set()

    def active(self, user: str, directory: str, fingerprint: Fingerprint) -> None:
        """Note that something is being uploaded into a directory, as this file there shows."""
        self.settler.activity((user, directory), self._since(fingerprint))

    def _since(self, fingerprint: Fingerprint) -> float:
        """Give the monotonic time of a change that was heard of just now.

        The file's change time says it to the tick, but by the wall clock, which may jump: it is believed no further
        back than word of a change may take. So a wrong clock costs at most that much of the quiet time.
        """
        late = self._clock.wall() - fingerprint.ctime_ns / 1e9 - _TICK
        return self._clock.monotonic() - min(max(late, 0.0), 2 * self.options.step)

    def has(self, user: str, path: str) -> bool:
        """Tell whether a file is pending."""
        directory, _, name = path.rpartition("/")
        return self.settler.has((user, directory), name)

    def gone(self, user: str, directory: str, name: str) -> None:
        """Forget a file that is not there any more, or that somebody else holds."""
        if self.settler.gone((user, directory), name):
            self._room.set()

    def has_room(self, user: str) -> bool:
        """Tell whether more of a user's files may be pending: fewer are than there is room left for everybody's.

        So one who brings a million gets a half, two of them a third each, and there always is some for the next.
        """
        return self.settler.count_of(user) < self.options.pending - len(self.settler)

    async def wait_for_room(self, user: str) -> None:
        """Wait while too much of a user's is pending: whoever finds more is slowed down by whoever takes it."""
        while not self.has_room(user):
            if self._room.is_set():  # else others wait for it already, who would wait for one that nobody sets
                self._room = anyio.Event()
            await self._room.wait()

    async def run(self) -> None:
        """Hand over what comes to rest, until cancelled: user by user, and beside one whose disk is slow the others'.

        Who comes first is so the same in every run: it decides who gets which number where names in the archive clash.
        """
        async with anyio.create_task_group() as group:
            while True:
                self._poke = anyio.Event()
                await self._wait()
                for user, due in itertools.groupby(self._due(), key=lambda one: one.directory[0]):
                    self._in_hand.add(user)
                    over = anyio.Event()
                    group.start_soon(self._hand_over_of, user, list(due), over)
                    with anyio.move_on_after(_TURN):
                        await over.wait()

    async def _hand_over_of(self, user: str, due: list[Due[Key]], over: anyio.Event) -> None:
        try:
            await self._hand_over_each(due)
        finally:
            self._in_hand.discard(user)
            self._poke.set()
            over.set()

    async def drain(self) -> None:
        """Hand over until nothing is pending any more, or the data directory is not in its place."""
        self._draining = True
        while len(self.settler) and await self._there():
            self._poke = anyio.Event()
            await self._wait()
            await self.hand_over()

    async def _wait(self) -> None:
        now = self._clock.monotonic()
        at = self.settler.next_due(now, lambda directory: directory[0] in self._in_hand)
        if at is None:
            await self._poke.wait()
        elif at > now:
            async with anyio.create_task_group() as group:
                group.start_soon(self._poked, group.cancel_scope)
                await self._clock.sleep(at - now)
                group.cancel_scope.cancel()

    async def _poked(self, scope: anyio.CancelScope) -> None:
        await self._poke.wait()
        scope.cancel()

    async def hand_over(self) -> int:
        """Hand over what is due now, and tell how many groups that were."""
        return await self._hand_over_each(self._due())

    def _due(self) -> list[Due[Key]]:
        """Give what is due now, of whom nothing is being handed over, by directory."""
        # Of whom something is being handed over is not even looked through: a backlog has twenty thousand groups.
        due = self.settler.due(self._clock.monotonic(), lambda directory: directory[0] in self._in_hand)
        return sorted(due, key=lambda one: (one.directory, one.key))

    async def _hand_over_each(self, due: list[Due[Key]]) -> int:
        handed = 0
        for directory, groups in itertools.groupby(due, key=lambda one: one.directory):
            handed += await self._hand_over(directory, list(groups))
        return handed

    async def _hand_over(self, directory: Key, due: list[Due[Key]]) -> int:
        try:
            looked = await self._questions.answer(directory[0], partial(self._look, directory, due), questions.HUNG)
        except OSError as error:
            await self._put_off(directory, due, error)
            return 0
        self._unreadable.discard(directory)
        ready = [one for one in due if await self._is_unchanged(one, looked[one.key])]
        await self._have_gone(directory, [name for found in looked.values() for name in found.gone])
        asked = await self._ask(directory, ready)
        ready = [one for one in ready if not asked.get(one.key)]
        handed = 0
        for start in range(0, len(ready), self.options.chunk):
            groups = self._taken(directory, ready[start : start + self.options.chunk])
            handed += len(groups)
            if groups:
                await self._sink.settled(groups)
            self._room.set()
        return handed

    def _taken(self, directory: Key, ready: list[Due[Key]]) -> list[SettledGroup]:
        """Take those that are still as they were when they were looked at; others stay pending."""
        user, folder = directory[0], below(directory[1], self.rules.folders.get(directory[0], ()))
        prefix = f"{directory[1]}/" if directory[1] else ""
        groups = []
        for one in ready:
            if not self.settler.take(one) or folder is None:
                continue
            members = tuple(Found(user, prefix + name, fingerprint) for name, fingerprint in one.members)
            sides_only = not any(self.rules.is_main(name) for name, _ in one.members)
            groups.append(SettledGroup(user, folder, directory[1], members, sides_only))
        return groups

    async def _put_off(self, directory: Key, due: list[Due[Key]], error: OSError) -> None:
        """Look again later at a folder that cannot be read now, which keeps no other one waiting."""
        if directory not in self._unreadable:
            self._unreadable.add(directory)
            where = shown(f"{directory[0]}/files/{directory[1]}")
            log.warning("%s cannot be looked at (%s); what waits there is looked at again", where, error.strerror)
        if self._draining:  # whoever waits for the end is not kept waiting; what stands there is found again
            for name in [name for one in due for name, _ in one.members]:
                self.gone(*directory, name)
        else:
            self.settler.activity(directory, self._clock.monotonic())
            await self._clock.sleep(1.0)

    def _look(self, directory: Key, due: list[Due[Key]]) -> dict[str, _Looked]:
        path = f"{directory[0]}/files/{directory[1]}".rstrip("/")
        mates: dict[str, list[str]] = {one.key: [] for one in due}
        known = {name for one in due for name, _ in one.members}
        for name in tree.names_in(self.base, path, media.may_belong(mates)):
            if name not in known and self.rules.is_candidate(name):
                key = media.group_key(name)
                if key in mates:
                    mates[key].append(name)
        names = [*known, *itertools.chain.from_iterable(mates.values())]
        stand = tree.fingerprints(self.base, path, names)
        return {
            one.key: _Looked(
                {name: stand[name] for name, _ in one.members},
                [(name, found) for name in mates[one.key] if (found := stand[name]) is not None],
            )
            for one in due
        }

    async def _is_unchanged(self, due: Due[Key], looked: _Looked) -> bool:
        """Tell whether a group stands as it was last seen; what differs is noted and waits again."""
        (user, directory), same = due.directory, True
        prefix = f"{directory}/" if directory else ""
        for name, before in due.members:
            found = looked.members[name]
            if found is None:
                same = False
            elif found != before:
                same = False
                self.settler.seen(due.directory, name, found, self._clock.monotonic())
        mates = [Found(user, prefix + name, fingerprint) for name, fingerprint in looked.mates]
        if mates:
            wanted = await self._sink.found(mates)
            for mate in mates:
                if (user, mate.path) in wanted and not self.has(user, mate.path):
                    same = False
                    self.seen(mate)
        return same

    async def _have_gone(self, directory: Key, names: list[str]) -> None:
        """Forget what stands there no more; a mount that has gone away takes no photo with it."""
        if not names:
            return
        if not await self._there():
            await self._clock.sleep(1.0)
            return
        user, prefix = directory[0], f"{directory[1]}/" if directory[1] else ""
        for name in names:
            self.gone(*directory, name)
        await self._sink.gone([(user, prefix + name) for name in names])

    async def _ask(self, directory: Key, due: list[Due[Key]]) -> dict[str, bool]:
        """Ask lone photos and films whose partner nobody has asked about; gives the groups that must wait for one."""
        if self.options.partner <= 0:
            return {}
        lone = {one.key: next(n for n, _ in one.members if self.rules.is_main(n)) for one in due if one.lone}
        unasked = {
            one.key: lone[one.key]
            for one in due
            if one.lone and one.announced is None and category_of(lone[one.key]) in {"image", "video"}
        }
        if not unasked:
            return {}
        answers = dict.fromkeys(unasked, False)
        if directory[0] not in self._unanswered:
            with anyio.move_on_after(_ANSWERS + _EACH_ANSWERS * len(unasked)) as asking:
                answers = await to_thread.run_sync(self._announced, directory, unasked, abandon_on_cancel=True)
            if asking.cancelled_caught:
                # Nobody is asked any more until that thread comes back. Who reads the photo next says what is wrong.
                self._unanswered.add(directory[0])
        for key, answer in answers.items():
            self.settler.announce(directory, key, answer)
        return answers

    def _announced(self, directory: Key, names: dict[str, str]) -> dict[str, bool]:
        try:
            return self._announced_in(directory, names)
        finally:
            self._unanswered.discard(directory[0])

    def _announced_in(self, directory: Key, names: dict[str, str]) -> dict[str, bool]:
        try:
            fd = tree.open_directory(self.base, f"{directory[0]}/files/{directory[1]}".rstrip("/"))
        except OSError:  # it changed or went; the next look tells
            return dict.fromkeys(names, False)
        answers = {}
        try:
            for key, name in names.items():
                try:
                    answers[key] = self._announces(fd, name)
                except OSError:
                    answers[key] = False
        finally:
            os.close(fd)
        return answers
