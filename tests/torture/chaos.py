"""A chaos run: PhotoPrism and Nextcloud lie at every call, people meddle at every stop, hours go by; then all is well.

Real files, a real ledger, PhotoPrism over HTTP, ``occ`` as a process; only time is made up. The program is stopped
and started anew after each round, and at each stop every content must stand complete somewhere.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
from blake3 import blake3

from daemon.ledger.model import State
from daemon.service.again import try_again
from tests.relay.world import FOLDER, World, shot
from tests.torture.swift_occ import SwiftOcc
from tests.torture.whims import Whims

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

USERS = ("alice", "bob")
PATIENCE = 30.0
"""Real seconds in which a turn must come to rest once all is well."""


class Chaos:
    """One run over one world; everything random comes from one seed."""

    def __init__(self, world: World, seed: int) -> None:
        assert world.pp is not None
        self.world, self.pp = world, world.pp
        self.chance = random.Random(seed)
        self.whims = Whims(self.chance, world)
        self.uploaded: dict[str, bytes] = {}
        """Every content that must not be lost, by its BLAKE3."""
        self.given_up: set[str] = set()
        """Contents whose last copy a person deleted."""
        self.moved: Counter[str] = Counter()
        """How often a person moved a content within originals, where PhotoPrism does not look for it: it is brought
        again when it comes again, and then stands there once more."""
        self.deeds: Counter[str] = Counter()
        self.diary: list[tuple[float, str, str]] = []
        self.began = world.clock.time
        self.photos = 0
        self.restarts = 0
        self.stops_looked_at = 0
        world.pp.whim = self.whims.photoprism
        world.runner.runner = SwiftOcc(world.nextcloud, world.clock)
        world.runner.before = self.whims.occ

    # -- what people do -----------------------------------------------------------------------------------------

    def upload(self) -> None:
        """Let one of the users put a photo there: new, one that came before, or over one that stands."""
        user, folder = self.chance.choice(USERS), self.chance.choice((FOLDER, f"{FOLDER}/2026/11"))
        self.photos += 1
        if self.uploaded and self.chance.random() < 0.25:
            content = self.uploaded[self.chance.choice(sorted(self.uploaded))]
            self.deeds["the same photo again"] += 1
        else:
            content = shot(self.photos)
        path = f"{folder}/IMG_{self.photos}.jpg"
        if self.chance.random() < 0.15 and (standing := self.standing()):
            user, path = self.chance.choice(standing)
            self.replaced(self.world.path(user, path))
            self.deeds["another photo under its name"] += 1
        self.uploaded[blake3(content).hexdigest()] = content
        self.given_up.discard(blake3(content).hexdigest())
        aside = self.world.root / "upload"
        aside.write_bytes(content)
        os.utime(aside, (1_790_000_000 + self.photos,) * 2)
        target = self.world.path(user, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.replace(target)

    def standing(self) -> list[tuple[str, str]]:
        """Give the photos that stand in watched folders under their own names."""
        return [
            (user, str(each.relative_to(self.world.data / user / "files")))
            for user in USERS
            for each in sorted(self.world.path(user, FOLDER).rglob("*.jpg"))
            if not each.name.startswith(".")
        ]

    def replaced(self, path: Path) -> None:
        """Note that a person gives up this copy; where no other is left outside of a bin, the content is given up."""
        digest = blake3(path.read_bytes()).hexdigest()
        if self.copies(bins=False)[digest] == 1:
            self.given_up.add(digest)

    def meddle(self) -> None:
        """Let somebody delete, change, archive or forget something, on either side."""
        rows = [row for row in self.pp.rows if (self.pp.originals / row.name).is_file()]
        on_rows: dict[str, Callable[[str], object]] = {
            "delete": self.pp.delete_original,
            "alter": self.pp.alter_original,
            "archive": self.pp.archive,
            "soft": self.pp.soft_delete,
            "missing": self.pp.mark_missing,
            "forget": self.pp.forget,
        }
        deed = self.chance.choice(["nothing", "own", "reset", "rename", *on_rows])
        digest = ""
        if deed == "own" and (standing := self.standing()):
            user, path = self.chance.choice(standing)
            self.replaced(self.world.path(user, path))
            self.world.path(user, path).unlink()
        elif deed == "reset":
            self.pp.reset_database()
        elif rows and deed not in {"nothing", "own"}:
            row = self.chance.choice(rows)
            there = self.pp.originals / row.name
            digest = blake3(there.read_bytes()).hexdigest()
            if deed in {"delete", "alter"}:
                self.replaced(there)
            if deed == "rename":
                self.moved[digest] += 1
                there.rename(there.with_name(f"moved_{self.photos}_{there.name}"))
            else:
                with suppress(FileNotFoundError):  # two rows for one file, and the other was moved
                    on_rows[deed](row.hash)
        self.deeds[deed] += 1
        self.diary.append((self.world.clock.time, deed, digest))

    # -- what must hold -----------------------------------------------------------------------------------------

    def copies(self, *, bins: bool = True) -> Counter[str]:
        """Count every complete copy that people have: in homes (hidden ones and the bins too) and in originals."""
        roots = [self.world.data, self.pp.originals]
        return Counter(
            blake3(each.read_bytes()).hexdigest()
            for root in roots
            for each in root.rglob("*")
            if each.is_file() and (bins or not {"files_trashbin", "Archived"} & set(each.parts))
        )

    def nothing_lost(self) -> None:
        """Hold promise 1: each content stands complete somewhere, whatever has happened."""
        self.stops_looked_at += 1
        lost = set(self.uploaded) - set(self.copies()) - self.given_up
        assert not lost, f"lost: {lost}\n{self.world.said()}"

    # -- the run ------------------------------------------------------------------------------------------------

    async def round(self, seconds: float) -> None:
        """Let the relay run for so many real seconds, in which much more time goes by; then stop it."""
        await self.world.sweep()
        with anyio.move_on_after(seconds):
            async with self.world.running():
                while True:
                    await anyio.sleep(0.01)
                    await self.world.later(self.chance.uniform(1, 60))
        await self.world.restart()
        self.restarts += 1
        self.nothing_lost()

    def ask_again(self) -> None:
        """Let a person ask for what is held, as a sweep by hand does."""
        for photo in self.world.ledger.photos.by_state(State.HELD, State.WAITING):
            try_again(self.world.ledger, photo.id, self.world.clock.time)

    async def trouble(self, hours: float, real: float = 0.4) -> None:
        """Go on for so many hours of the world's own time."""
        while self.world.clock.time - self.began < hours * 3600:
            for _ in range(self.chance.randrange(4)):
                self.upload()
            self.meddle()
            if self.chance.random() < 0.2:
                self.ask_again()
            await self.round(self.chance.uniform(0.2, 1.8) * real)

    async def end(self) -> None:
        """Let all become well, and see that nothing is lost, nothing twice, nothing stuck."""
        self.whims.well = True
        for _ in range(12):
            self.pp.become_well()
            await self.world.sweep()
            self.ask_again()
            async with self.world.running():
                with anyio.move_on_after(PATIENCE):
                    while self.moving():
                        await anyio.sleep(0.05)
                        await self.world.later(30)
            if not self.left():
                break
        self.nothing_lost()
        assert not self.left(), self.left()
        archived = Counter(blake3(each).hexdigest() for each in self.world.archived().values())
        wanted = set(self.uploaded) - self.given_up
        odd = {digest: n for digest in wanted if not 1 <= (n := archived[digest]) <= 1 + self.moved[digest]}
        assert not odd, "\n".join(line for digest in odd for line in self.story(digest, odd[digest]))
        assert list(self.world.imports.rglob("*")) == []
        assert list(self.world.root.rglob(".photon-relay*")) == []

    def story(self, digest: str, times: int) -> list[str]:
        """Tell all that is known of a content, for a failed run."""
        ledger = self.world.ledger
        lines = [f"{digest[:12]} is in the archive {times} times:"]
        lines += [f"  {name}" for name, each in self.world.archived().items() if blake3(each).hexdigest() == digest]
        for photo in ledger.photos.by_state(*State):
            if photo.blake3 and photo.blake3.hex() == digest:
                lines.append(f"  photo {photo.id} {photo.user} {photo.path} of {photo.duplicate_of}")
                lines += [
                    f"    {one['at']:.0f} {one['state']} {one['note']}" for one in ledger.photos.history(photo.id)
                ]
        return lines + [f"  {when:.0f} {what}" for when, what, about in self.diary if about in {digest, ""}]

    def moving(self) -> bool:
        """Tell whether anything goes on by itself; what is held is asked for again in another turn."""
        ledger = self.world.ledger
        held = {State.HELD, State.DONE, State.REFUSED, State.RESTORED}
        return bool(
            ledger.photos.by_state(*(set(State) - held)) or ledger.batches.unfinished() or ledger.jobs.pending()
        )

    def left(self) -> list[str]:
        """Give what has not come to its end, and what has without a reason."""
        ledger = self.world.ledger
        found = [
            f"{photo.id} {photo.user} {photo.path}: {photo.state} {photo.code} {photo.message}"
            for photo in ledger.photos.by_state(*State)
            if photo.state not in {State.DONE, State.REFUSED, State.RESTORED}
            or (photo.state is State.REFUSED and not (photo.code and photo.message))
        ]
        found += [f"stands: {user} {path}" for user, path in self.standing()]
        found += [f"batch {batch.name} {batch.state} {batch.code}" for batch in ledger.batches.unfinished()]
        return found + [f"job {job.kind} {job.path} {job.code}" for job in ledger.jobs.pending()]
