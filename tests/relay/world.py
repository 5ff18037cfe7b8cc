# ruff: noqa: ASYNC110 - what is waited for is on the disk or in another thread
"""The relay with everything real around it: files, a ledger on disk, PhotoPrism over HTTP, occ as a process.

Only time is made up: `Time.sleep` takes no time and moves the clock. The watch is played by `World.deliver`, which
writes files and hands them to the intake as the watch would.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from daemon.clock import Clock
from daemon.current import Current
from daemon.demo.samples import jpeg
from daemon.events import Bus
from daemon.fingerprint import Fingerprint
from daemon.issues import Issues
from daemon.ledger.ledger import Ledger
from daemon.ledger.model import Photo, State
from daemon.nextcloud.occ import Occ
from daemon.nextcloud.runner import Answer, CommandRunner, Runner
from daemon.photoprism.client import PhotoPrism
from daemon.photoprism.progress import Progress
from daemon.relay.confirm import Confirm
from daemon.relay.examine import Examine
from daemon.relay.folder_archive import FolderArchive
from daemon.relay.half_copies import HalfCopies
from daemon.relay.intake import Intake
from daemon.relay.photoprism_archive import PhotoPrismArchive
from daemon.relay.pipeline import Pipeline, is_quiet
from daemon.relay.refresh import Refresh
from daemon.relay.release import Release
from daemon.relay.restore import Restore
from daemon.relay.slow import Slow
from daemon.settings import Settings
from daemon.wake import Wake
from daemon.watch import media
from daemon.watch.model import Found, SettledGroup, below
from tests.standins.occ import StandInOcc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    import pytest

    from daemon.relay.archive import Archive
    from tests.standins.photoprism import PhotoPrismStandIn

TAKEN = datetime(2026, 11, 5, 10, 0, 0, tzinfo=UTC)
MTIME = 1_790_000_000
FOLDER = "InstantUpload"


class Time(Clock):
    """Wall and monotonic time that stand still until somebody sleeps or a test jumps."""

    def __init__(self) -> None:
        self.time = 1_795_000_000.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time, UTC)

    def wall(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds
        await anyio.lowlevel.checkpoint()


class Between:
    """A runner that lets a test do something just before or after a command."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.before: Callable[[Sequence[str]], Awaitable[None] | None] = lambda _argv: None
        self.after: Callable[[Sequence[str]], Awaitable[None] | None] = lambda _argv: None

    async def run(self, argv: Sequence[str], *, timeout: float) -> Answer:  # noqa: ASYNC109 - a runner's form
        before = self.before(argv)
        if before is not None:
            await before
        answer = await self.runner.run(argv, timeout=timeout)
        after = self.after(argv)
        if after is not None:
            await after
        return answer


class World:
    """One relay over one tree."""

    def __init__(self, root: Path, *, prism: PhotoPrismStandIn | None, settings: dict[str, Any]) -> None:
        self.root = root
        self.data, self.archive_root = root / "data", root / "archive"
        self.imports = root / "import"
        for folder in (self.data, self.archive_root, self.imports):
            folder.mkdir(exist_ok=True)
        (self.data / ".ncdata").touch()
        for user in ("alice", "bob"):
            (self.data / user / "files" / FOLDER).mkdir(parents=True, exist_ok=True)
        self.pp = prism
        self.clock = Time()
        self.patience = 5.0
        self.nextcloud = StandInOcc(self.data, root / "occ.json", {self.archive_root: "/Album"})
        self.current = Current(Settings.model_validate(self._settings(settings)))
        self.bus, self.wake = Bus(), Wake()
        self.issues = Issues(self.bus, self.clock)
        self.runner = Between(CommandRunner(self.nextcloud.command))
        self.occ = Occ(self.runner, timeout=30, clock=self.clock) if self.settings.nextcloud.occ.via != "off" else None
        self.looked_again: list[tuple[str, str]] = []
        self.build()

    def build(self) -> None:
        """Make the parts over a ledger that is opened (anew), as a start of the program does."""
        self.ledger = ledger = Ledger(str(self.root / "state"))
        self.archive: Archive
        slow = Slow()
        if self.pp is None:
            self.archive = FolderArchive(self.current, ledger, slow=slow)
        else:
            self.client = PhotoPrism(self.pp.url, self.pp.token, clock=self.clock, timeout=self.patience)
            progress = Progress(self.pp.url, self.pp.token, clock=Clock())
            self.archive = PhotoPrismArchive(self.client, progress, self.current, ledger, slow=slow)
            self.progress = progress
        self.examine = Examine(ledger, self.current, self.archive, self.clock, slow=slow)
        self.confirm = Confirm(ledger, self.archive, HalfCopies(ledger, self.archive, self.issues), self.clock)
        self.release = Release(ledger, self.current, self.archive, self.occ, self.clock)
        self.refresh = Refresh(ledger, self.current, self.archive, self.occ, self.issues, self.clock)
        self.restore = Restore(ledger, self.current, self.archive, self.clock)
        self.intake = Intake(ledger, self.current, self.bus, self.wake, self.clock)
        self.pipeline = Pipeline(
            ledger=ledger,
            current=self.current,
            archive=self.archive,
            examine=self.examine,
            confirm=self.confirm,
            release=self.release,
            refresh=self.refresh,
            restore=self.restore,
            issues=self.issues,
            bus=self.bus,
            clock=self.clock,
            wake=self.wake,
            look_again=self.look_again,
        )

    async def close(self) -> None:
        self.ledger.close()
        if self.pp is not None:
            await self.client.close()

    async def restart(self) -> None:
        """Forget everything but what is on the disk, and start as after a crash."""
        await self.close()
        self.build()
        await anyio.to_thread.run_sync(self.pipeline.recovery.run)

    # -- settings -------------------------------------------------------------------------------------------------

    def _settings(self, more: dict[str, Any]) -> dict[str, Any]:
        base: dict[str, Any] = {
            "nextcloud": {
                "data": str(self.data),
                "occ": {"via": "command", "command": self.nextcloud.command},
                "album": {"folder": "/Album", "seen_by": "alice"},
            },
            "users": {"include": {"alice": {}, "bob": {}}, "after": "delete"},
            "archive": {"via": "folder" if self.pp is None else "photoprism"},
            "relay": {"min_free": 0},
            "state": str(self.root / "state"),
        }
        base["archive"]["folder"] = {"path": str(self.archive_root)}
        if self.pp is not None:
            base["photoprism"] = {
                "url": self.pp.url,
                "token": self.pp.token,
                "import": str(self.imports),
                "originals": str(self.archive_root),
            }
        return merged(base, more)

    @property
    def settings(self) -> Settings:
        return self.current.settings

    def change(self, **more: Any) -> None:
        """Change settings while it runs."""
        self.current.settings = Settings.model_validate(merged(self._settings({}), more))

    def one_by_one(self, patch: pytest.MonkeyPatch) -> None:
        """Let originals go each by itself, as those do of which anything is unusual."""
        patch.setattr(self.pipeline.originals._removals, "remove", lambda *_: set())

    # -- the users' side ------------------------------------------------------------------------------------------

    def path(self, user: str, path: str) -> Path:
        return Path(f"{self.data}/{user}/files/{path}")

    def put(self, user: str, path: str, content: bytes) -> Found:
        """Put a file into a user's home, as an upload does."""
        target = self.path(user, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        os.utime(target, (MTIME, MTIME))
        return self.found(user, path)

    def found(self, user: str, path: str) -> Found:
        return Found(user, path, Fingerprint.of(os.lstat(self.path(user, path))))

    async def deliver(self, user: str, files: dict[str, bytes]) -> list[Photo]:
        """Upload files and let the watch find them settled."""
        for path, content in files.items():
            self.put(user, path, content)
        await self.settle(user, list(files))
        photos = [self.ledger.photos.latest(user, path) for path in files]
        return [photo for photo in photos if photo is not None]

    async def settle(self, user: str, paths: Sequence[str]) -> set[tuple[str, str]]:
        """Tell the intake of files that stand there, all at rest; gives which of them it wanted."""
        wanted = await self.intake.found([self.found(user, path) for path in paths])
        by_folder: dict[str, list[str]] = {}
        for path in paths:
            if (user, path) in wanted:
                by_folder.setdefault(path.rpartition("/")[0], []).append(path.rpartition("/")[2])
        folders = self.settings.users.rules_for(user).folders
        for directory, names in by_folder.items():
            for group in media.group(names):
                members = tuple(self.found(user, f"{directory}/{name}") for name in group.names)
                folder = below(directory, folders)
                assert folder is not None
                await self.intake.settled([SettledGroup(user, folder, directory, members, group.sides_only)])
        return wanted

    async def look_again(self, user: str, path: str) -> None:
        self.looked_again.append((user, path))
        if os.path.lexists(self.path(user, path)):
            await self.settle(user, [path])
        else:
            await self.intake.gone([(user, path)])

    async def sweep(self) -> set[tuple[str, str]]:
        """Find what stands in the watched folders now, as a sweep does."""
        wanted = set()
        for user in ("alice", "bob"):
            for folder in self.settings.users.rules_for(user).folders:
                paths = [
                    str(each.relative_to(self.data / user / "files"))
                    for each in sorted(self.path(user, folder).rglob("*"))
                    if each.is_file()
                    and not each.is_symlink()
                    and media.is_candidate(each.name)
                    and self.settings.users.archived not in each.parts
                ]
                wanted |= await self.settle(user, paths)
        return wanted

    def standing(self, user: str = "alice") -> dict[str, bytes]:
        """Give all files of a user, the hidden ones and the bin's included."""
        home = self.data / user
        return {str(each.relative_to(home)): each.read_bytes() for each in sorted(home.rglob("*")) if each.is_file()}

    def archived(self) -> dict[str, bytes]:
        """Give all files in the archive."""
        root = self.archive_root
        return {str(each.relative_to(root)): each.read_bytes() for each in sorted(root.rglob("*")) if each.is_file()}

    # -- running --------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let the three loops run."""
        async with anyio.create_task_group() as group:
            if isinstance(self.archive, PhotoPrismArchive):
                group.start_soon(self.archive.listen)
                with anyio.move_on_after(2.0):
                    while not self.progress.connected and self.pp is not None and self.pp.traps.websocket == "on":
                        await anyio.sleep(0.005)
            group.start_soon(self.pipeline.batches)
            group.start_soon(self.pipeline.originals.run)
            group.start_soon(self.pipeline.galleries.run)
            yield
            group.cancel_scope.cancel()

    async def until(self, condition: Callable[[], bool], seconds: float = 15.0) -> None:
        """Wait for a condition on the disk or in the ledger."""
        try:
            with anyio.fail_after(seconds):
                while not condition():
                    await anyio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"never came true; {self.said()}") from None

    def quiet(self) -> bool:
        """Tell whether nothing moves by itself any more (side files that wait for their photo aside)."""
        with self.ledger.write():  # all of one moment: photos go on in threads while one asks
            counts, due = self.ledger.photos.counts(), self.ledger.photos.next_due()
            counts["found"] = sum(photo.role == "main" for photo in self.ledger.photos.by_state(State.FOUND))
            jobs = [job for job in self.ledger.jobs.pending() if not job.code]
        return not (due is not None and due <= self.clock.time) and is_quiet(counts) and not jobs

    async def relay(self, seconds: float = 20.0) -> None:
        """Run the loops until all is quiet."""
        async with self.running():
            await self.until(self.quiet, seconds)
            # A release that has just ended leaves its batch a moment to end, too.
            await self.until(
                lambda: all(batch.next_try is not None for batch in self.ledger.batches.unfinished()), seconds
            )

    async def later(self, seconds: float) -> None:
        """Let time pass, and wake whoever waits for it."""
        self.clock.time += seconds
        self.wake.set()
        await anyio.lowlevel.checkpoint()

    def photo(self, photo: Photo | int) -> Photo:
        """Give a photo as it is now."""
        found = self.ledger.photos.get(photo if isinstance(photo, int) else photo.id)
        assert found is not None
        return found

    def said(self) -> str:
        """Give the ledger in a few words, for a failed test."""
        photos = self.ledger.photos.by_state(*State)
        return "; ".join(f"{p.id} {p.path} {p.state} [{p.code}] {p.message}" for p in photos)


def merged(base: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Put one tree of settings over another."""
    result = dict(base)
    for key, value in more.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def shot(seed: int, size: int | None = None) -> bytes:
    """Give a real JPEG; another seed gives other bytes."""
    return jpeg(TAKEN, seed, size)


def never_linked(patch: pytest.MonkeyPatch) -> None:
    """Have the folder archive copy, as it does between two file systems."""
    patch.setattr("daemon.relay.folder_place.link_into", lambda *_, **__: None)
