"""Putting photos into the plain folder: each under a hidden name of ours first, synced, then renamed.

On one file system an original that goes right after is linked: no byte is written, and the copy proves itself by
being the same file. Else its extents are shared, or it is copied.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import anyio.to_thread

from daemon.errors import NeedsPerson, Refused, RelayError
from daemon.files.faults import in_words
from daemon.files.folders import Folders
from daemon.files.names import numbered, split_name
from daemon.files.opening import look, open_regular
from daemon.files.placing import copy_into, link_into
from daemon.files.publishing import rename_noreplace, sync_dir
from daemon.files.syncing import sync_disks, whole_disks
from daemon.files.template import fill
from daemon.fingerprint import Fingerprint
from daemon.relay import originals
from daemon.relay.abreast import abreast, stay, threads, unless_halted
from daemon.relay.batch import home_of, main_of, size_of
from daemon.relay.presence import really
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from daemon.current import Current
    from daemon.files.opening import OpenFile
    from daemon.files.placing import Placed
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Batch, Photo
    from daemon.relay.slow import Slow
    from daemon.relay.under_way import UnderWay

_WHOLE = frozenset({"disk.full", "disk.read_only", "disk.no_root", "disk.permission", "nextcloud.mount_missing"})
_MOST_NUMBERS = 10_000
_MODE = 0o664


@dataclass(slots=True)
class _Chunk:
    """Groups that are placed together: the folders they come from and go to, and what each photo is to be called."""

    batch: Batch
    sources: Folders
    targets: Folders
    paths: dict[int, str]
    patient: bool
    """Whether slow disks are waited for: nobody else is."""
    at_once: bool = False
    """Whether one call syncs them all; else each file is synced by itself."""
    leaving: dict[str, bool] = field(default_factory=dict)
    """Of each user, whether originals are deleted as soon as they are proved."""


class FolderPlace:
    """The step that fills the folder archive."""

    def __init__(self, current: Current, ledger: Ledger, under_way: UnderWay, slow: Slow) -> None:
        self._current = current
        self._ledger = ledger
        self._under_way = under_way
        self._slow = slow

    async def chunk(
        self, batch: Batch, groups: Sequence[Sequence[Photo]], companions: dict[int, list[Photo]], top: int
    ) -> dict[int, RelayError | Fingerprint]:
        """Put the groups into the archive, durably; ``top`` is its folder, open.

        Gives what went wrong with single photos (no member of their group goes), and the new fingerprint of each
        original that was linked.
        """
        settings = self._current.settings
        paths: dict[int, str] = {}
        for group in groups:
            paths |= self._wanted(group, companions.get(group[0].group_id or group[0].id, []))
        photos = [photo for group in groups for photo in group]
        sources = Folders(settings.nextcloud.data)
        with Folders(top) as targets:
            chunk = _Chunk(batch, sources, targets, paths, batch.id in self._slow.aside)
            await anyio.to_thread.run_sync(self._prepare, chunk)
            try:
                outcomes = await abreast(
                    lambda photo: self._bring(chunk, photo),
                    photos,
                    threads(settings, settings.nextcloud.data, settings.archive.folder.path),
                    size=size_of(photos),
                    of_all=_concerns_all,
                    leave=partial(self._slow.not_opened, patient=chunk.patient),
                    back=self._slow.back,
                    # A thread that was left may come back: until then its folder's number is no other folder's.
                    at_end=sources.close,
                )
                found = dict(zip(paths, outcomes, strict=True))
                return await anyio.to_thread.run_sync(self._finish, chunk, groups, found)
            except RelayError:
                # The disk is full, or away: what was made so far is not left lying until that is over.
                await anyio.to_thread.run_sync(self._drop, chunk, photos)
                raise

    def _wanted(self, group: Sequence[Photo], beside: list[Photo]) -> dict[int, str]:
        """Give each member's path below the archive: the main file's date for all, so that they stay together."""
        if beside:
            folder, _, name = beside[-1].archived_as.rpartition("/")
            stem = split_name(name)[0]
            return {photo.id: f"{folder}/{stem}{split_name(photo.name)[1].lower()}".lstrip("/") for photo in group}
        main = main_of(group) or group[0]
        taken = datetime.fromisoformat(main.taken)
        template = self._current.settings.archive.folder.template
        return {photo.id: fill(template, taken=taken, name=photo.name, user=photo.user) for photo in group}

    def _prepare(self, chunk: _Chunk) -> None:
        self._intend(chunk.paths)
        for folder in dict.fromkeys(_folder(path) for path in chunk.paths.values()):
            # One that cannot be made is the fault of those photos alone; they are told when their turn comes.
            with suppress(RelayError):
                chunk.targets.made(folder)
        chunk.at_once = whole_disks(chunk.targets.devices().values(), len(chunk.paths))

    def _intend(self, paths: dict[int, str]) -> None:
        self._ledger.photos.put_each(
            {identity: {"archived_as": path, "place": path} for identity, path in paths.items()}
        )

    # -- bytes --------------------------------------------------------------------------------------------------

    def _bring(self, chunk: _Chunk, photo: Photo) -> Placed:
        """Let a photo's bytes stand in the archive under a hidden name."""
        temporary = temporary_name(chunk.batch, photo)
        with really(self._current.settings.nextcloud.data), self._opened(chunk, photo) as source:
            target = chunk.targets.made(_folder(chunk.paths[photo.id]))
            # Power cut here: a hidden file of ours in the archive, swept when the batch is taken up again.
            try:
                return self._make(chunk, photo, source.fd, target, temporary)
            except FileExistsError:  # what a killed run has left under this name, which only we use
                os.unlink(temporary, dir_fd=target)
                return self._make(chunk, photo, source.fd, target, temporary)

    @contextmanager
    def _opened(self, chunk: _Chunk, photo: Photo) -> Iterator[OpenFile]:
        """Open an original. A disk that does not answer is left at it; nothing is made in the archive after that."""
        with ExitStack() as stack:
            with self._slow.opening(photo, patient=chunk.patient):
                source = stack.enter_context(open_regular(chunk.sources.below(home_of(photo)), photo.name))
                stay()
            yield source

    def _make(self, chunk: _Chunk, photo: Photo, source: int, target: int, temporary: str) -> Placed:
        each_block = unless_halted(self._under_way.bytes_of(photo))
        # Not once a sync of this batch has failed: the next one would succeed, whatever the disk has of the original.
        if not chunk.batch.attempts and self._goes_at_once(chunk, photo.user):
            linked = link_into(
                source, target, temporary, mode=_MODE, expected=photo.fingerprint, sync=not chunk.at_once
            )
            if linked is not None:
                each_block(photo.fingerprint.size)
                return linked
        return copy_into(
            source,
            target,
            temporary,
            size=photo.fingerprint.size,
            mtime_ns=photo.fingerprint.mtime_ns,
            mode=_MODE,
            expected=photo.fingerprint,
            each_block=each_block,
            sync=not chunk.at_once,
        )

    def _goes_at_once(self, chunk: _Chunk, user: str) -> bool:
        """Tell whether a user's originals are deleted as soon as proved; one that stays may be written to later."""
        known = chunk.leaving.get(user)
        if known is None:
            users = self._current.settings.users
            rules = users.rules_for(user)
            known = rules.after == "delete" and rules.release_after == 0 and users.decision(user) == "include"
            chunk.leaving[user] = known
        return known

    # -- names --------------------------------------------------------------------------------------------------

    def _finish(
        self, chunk: _Chunk, groups: Sequence[Sequence[Photo]], outcomes: dict[int, Placed | Exception]
    ) -> dict[int, RelayError | Fingerprint]:
        told: dict[int, RelayError | Fingerprint] = {}
        good: list[Sequence[Photo]] = []
        for group in groups:
            failed = next((photo for photo in group if isinstance(outcomes[photo.id], Exception)), None)
            if failed is None:
                good.append(group)
                continue
            fault = outcomes[failed.id]
            assert isinstance(fault, Exception)  # noqa: S101  as found above
            self._drop(chunk, group)
            said = fault if isinstance(fault, RelayError) else in_words(fault, f"placing {shown(failed.name)}, in")
            if said is None:
                raise fault
            told[failed.id] = said
        if chunk.at_once:
            # Power cut here: hidden files of ours, perhaps not whole; no name that anybody reads was given yet.
            sync_disks(chunk.targets.devices().values())
        for group in list(good):
            try:
                self._publish(chunk, group)
            except RelayError as error:
                if error.code in _WHOLE:
                    raise
                # What has its name by now is found there, by its bytes, when the group comes again.
                self._drop(chunk, group)
                told[group[0].id] = error
                good.remove(group)
        self._sync_names(chunk)
        for group in good:
            for photo in group:
                placed = outcomes[photo.id]
                if not isinstance(placed, Exception) and placed.method == "link":
                    now = self._new_baseline(chunk, photo, placed.fingerprint)
                    if now is not None:
                        told[photo.id] = now
        # Power cut here: linked, and the ledger still has the time before: it is examined again, and recognised.
        self._under_way.done(*(photo for group in groups for photo in group))
        return told

    def _new_baseline(self, chunk: _Chunk, photo: Photo, linked: Fingerprint) -> Fingerprint | None:
        """Give the original's fingerprint as it is after the archive's name was given to it."""
        path = chunk.paths[photo.id]
        found = look(chunk.targets.made(_folder(path)), _name(path))
        now = None if found is None else Fingerprint.of(found)
        # Written to meanwhile, it keeps the old fingerprint, and the proof reads it.
        return now if now is not None and linked.renamed(now) else None

    def _publish(self, chunk: _Chunk, group: Sequence[Photo]) -> None:
        """Give all members their names under the first number that is free for all of them."""
        wanted = {photo.id: chunk.paths[photo.id] for photo in group}
        for number in range(1, _MOST_NUMBERS):
            paths = {identity: _numbered(path, number) for identity, path in wanted.items()}
            if number > 1:
                self._intend(paths)
                chunk.paths |= paths
            if self._publish_as(chunk, group):
                return
        raise NeedsPerson(
            "archive.no_name",
            f"no free name was found in the archive for {wanted[group[0].id]}",
            hint="make the template's names more distinct",
        )

    def _publish_as(self, chunk: _Chunk, group: Sequence[Photo]) -> bool:
        """Rename the members to these names; if one is taken by other bytes, take all back and say so."""
        done: list[Photo] = []
        twins: list[Photo] = []
        for photo in group:
            path, temporary = chunk.paths[photo.id], temporary_name(chunk.batch, photo)
            fd = chunk.targets.made(_folder(path))
            try:
                # Power cut here: the ledger has the intent; a new run finds these very bytes there and goes on.
                rename_noreplace(fd, temporary, fd, _name(path))
                done.append(photo)
            except FileExistsError:
                if self._is_there(photo, path):
                    # Ours from before a crash, or the same photo by other means: it is there once already.
                    twins.append(photo)
                    continue
                for other in done:
                    back = chunk.targets.made(_folder(chunk.paths[other.id]))
                    rename_noreplace(back, _name(chunk.paths[other.id]), back, temporary_name(chunk.batch, other))
                return False
        drop(chunk.targets, chunk.batch, twins, chunk.paths)
        return True

    def _drop(self, chunk: _Chunk, group: Sequence[Photo]) -> None:
        with suppress(RelayError, OSError):
            drop(chunk.targets, chunk.batch, group, chunk.paths)

    def _is_there(self, photo: Photo, path: str) -> bool:
        """Tell whether these bytes have this name already; a file that may not be read is another one.

        Where the disk fails nobody can tell: it may well be ours, and under a second name it would be there twice.
        """
        root = self._current.settings.archive.folder.path
        try:
            return originals.same_bytes(root, path, photo.fingerprint.size, photo.blake3 or b"") is not None
        except RelayError as error:
            if error.code != "disk.permission":
                raise
            return False

    def _sync_names(self, chunk: _Chunk) -> None:
        """Make the new names durable, and those of the folders on the way: a killed run may have made one of them."""
        folders = set(chunk.targets.names())
        for folder in list(folders):
            while folder:
                folder = folder.rpartition("/")[0]
                folders.add(folder)
        opened = [chunk.targets.below(folder) for folder in sorted(folders)]
        if chunk.at_once and whole_disks(opened, len(opened)):
            sync_disks(opened)
        else:
            for fd in opened:
                sync_dir(fd)


def temporary_name(batch: Batch, photo: Photo) -> str:
    """Give the hidden name that a photo has in the archive until its bytes are whole and synced."""
    return f".photon-relay-{batch.name}-{photo.id}.part"


def drop(targets: Folders, batch: Batch, photos: Sequence[Photo], paths: dict[int, str]) -> None:
    """Take the hidden files of these photos away, which are copies, or second names of originals that stand."""
    for photo in photos:
        with suppress(Refused, FileNotFoundError):
            # Power cut here: one hidden file more or less; the original stands.
            os.unlink(temporary_name(batch, photo), dir_fd=targets.below(_folder(paths[photo.id])))


def _concerns_all(error: Exception) -> bool:
    return isinstance(error, RelayError) and error.code in _WHOLE


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _numbered(path: str, number: int) -> str:
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{numbered(name, number)}"
