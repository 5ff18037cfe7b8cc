"""A plain folder as the archive: photos are placed straight into it under a date template, never over anything."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING

import anyio.to_thread

from daemon.errors import NeedsPerson, Refused, RelayError, Transient
from daemon.files.names import numbered, split_name
from daemon.files.opening import directory_below, file_below
from daemon.files.placing import copy_into
from daemon.files.publishing import made_dirs, publish, rename_noreplace, sync_dir
from daemon.files.template import fill
from daemon.relay import originals
from daemon.relay.archive import Finding, Verdict
from daemon.relay.batch import main_of
from daemon.relay.presence import really
from daemon.relay.room import need_room
from daemon.relay.under_way import UnderWay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from daemon.current import Current
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Batch, Photo

_WHOLE = frozenset({"disk.full", "disk.read_only", "disk.no_root", "disk.permission", "nextcloud.mount_missing"})
_MOST_NUMBERS = 10_000


class FolderArchive:
    """The archive without PhotoPrism. What it has it proves by reading it."""

    name = "folder"
    dated = True

    def __init__(self, current: Current, ledger: Ledger, under_way: UnderWay | None = None) -> None:
        self._under_way = under_way or UnderWay()
        self._current = current
        self._ledger = ledger

    @property
    def root(self) -> str:
        """Give the archive's folder."""
        return self._current.settings.archive.folder.path

    async def ready(self, size: int) -> None:
        """Return if the folder is mounted and has room for ``size`` bytes more."""
        await anyio.to_thread.run_sync(self._ready, size)

    def _ready(self, size: int) -> None:
        if not os.path.isdir(self.root):
            raise Transient(
                "archive.no_folder",
                f"the archive's folder {self.root} is not there",
                hint="see that it is mounted here and that archive.folder.path names it",
            )
        originals.not_emptied(self.root, self._ledger)
        need_room(self.root, size, self._current.settings.relay.min_free)

    async def known(self, photo: Photo) -> Finding:
        """Tell whether these bytes stand where the ledger says they were proved."""
        return await anyio.to_thread.run_sync(self._known, photo)

    def _known(self, photo: Photo) -> Finding:
        assert photo.blake3 is not None  # noqa: S101  examined photos have their hashes
        content = self._ledger.contents.find(photo.blake3)
        if content is None:
            return Finding(Verdict.ABSENT)
        found = originals.same_bytes(self.root, content.path, content.size, photo.blake3)
        return Finding(Verdict.PROVED, content.path, found) if found else Finding(Verdict.ABSENT)

    # -- place --------------------------------------------------------------------------------------------------

    async def place(
        self, batch: Batch, groups: Sequence[Sequence[Photo]], companions: dict[int, list[Photo]]
    ) -> dict[int, RelayError]:
        """Put the groups into the archive; one after the other, so that two never want the same name at once."""
        trouble: dict[int, RelayError] = {}
        for group in groups:
            beside = companions.get(group[0].group_id or group[0].id, [])
            trouble |= await anyio.to_thread.run_sync(self._place_group, batch, group, beside)
            self._under_way.done(*group)
        return trouble

    def _place_group(self, batch: Batch, group: Sequence[Photo], beside: list[Photo]) -> dict[int, RelayError]:
        wanted = self._wanted(group, beside)
        self._intend(group, wanted)
        made: dict[int, str] = {}
        try:
            for photo in group:
                # Power cut here: a hidden file of ours in the archive, swept when the batch is taken up again.
                self._copy(photo, wanted[photo.id], _temporary(batch, photo))
                made[photo.id] = wanted[photo.id]
        except RelayError as error:
            with suppress(RelayError, OSError):
                self._drop(batch, group, wanted)
            if error.code in _WHOLE:
                raise
            return {next(photo.id for photo in group if photo.id not in made): error}
        try:
            self._publish(batch, group, wanted)
        except RelayError as error:
            if error.code in _WHOLE:
                raise
            # What has its name by now is found there, by its bytes, when the group comes again.
            with suppress(RelayError, OSError):
                self._drop(batch, group, wanted)
            return {group[0].id: error}
        return {}

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

    def _copy(self, photo: Photo, path: str, temporary: str) -> None:
        folder = path.rpartition("/")[0]
        data = self._current.settings.nextcloud.data
        with (
            really(data),
            file_below(data, f"{photo.user}/files/{photo.path}") as source,
            made_dirs(self.root, folder) as target,
        ):
            with suppress(FileNotFoundError):  # what a killed run has left under this name, which only we use
                os.unlink(temporary, dir_fd=target)
            copy_into(
                source.fd,
                target,
                temporary,
                size=photo.fingerprint.size,
                mtime_ns=photo.fingerprint.mtime_ns,
                expected=photo.fingerprint,
                each_block=self._under_way.bytes_of(photo),
            )

    def _publish(self, batch: Batch, group: Sequence[Photo], wanted: dict[int, str]) -> None:
        """Give all members their names under the first number that is free for all of them."""
        for number in range(1, _MOST_NUMBERS):
            paths = {photo.id: _numbered(wanted[photo.id], number) for photo in group}
            self._intend(group, paths)
            if self._publish_as(batch, group, paths):
                return
        raise NeedsPerson(
            "archive.no_name",
            f"no free name was found in the archive for {wanted[group[0].id]}",
            hint="make the template's names more distinct",
        )

    def _intend(self, group: Sequence[Photo], paths: dict[int, str]) -> None:
        with self._ledger.write():
            for photo in group:
                self._ledger.photos.put(photo.id, archived_as=paths[photo.id], place=paths[photo.id])

    def _publish_as(self, batch: Batch, group: Sequence[Photo], paths: dict[int, str]) -> bool:
        """Rename the members to these names; if one is taken by other bytes, take all back and say so."""
        done: list[Photo] = []
        twins: list[Photo] = []
        for photo in group:
            with self._folder(paths[photo.id]) as (fd, name):
                try:
                    # Power cut here: the ledger has the intent; a new run finds these very bytes there and goes on.
                    publish(fd, _temporary(batch, photo), name)
                    done.append(photo)
                    continue
                except FileExistsError:
                    if self._is_there(photo, paths[photo.id]):
                        # Ours from before a crash, or the same photo by other means: it is there once already.
                        twins.append(photo)
                        continue
            for other in done:
                with self._folder(paths[other.id]) as (fd, name):
                    rename_noreplace(fd, name, fd, _temporary(batch, other))
            return False
        for photo in twins:
            with self._folder(paths[photo.id]) as (fd, _):
                os.unlink(_temporary(batch, photo), dir_fd=fd)
                sync_dir(fd)
        return True

    def _is_there(self, photo: Photo, path: str) -> bool:
        """Tell whether these bytes have this name already; a file that may not be read is another one.

        Where the disk fails nobody can tell: it may well be ours, and under a second name it would be there twice.
        """
        try:
            return originals.same_bytes(self.root, path, photo.fingerprint.size, photo.blake3 or b"") is not None
        except RelayError as error:
            if error.code != "disk.permission":
                raise
            return False

    @contextmanager
    def _folder(self, path: str) -> Iterator[tuple[int, str]]:
        folder, _, name = path.rpartition("/")
        with directory_below(self.root, folder) as fd:
            yield fd, name

    def _drop(self, batch: Batch, group: Sequence[Photo], paths: dict[int, str]) -> None:
        for photo in group:
            folder = paths[photo.id].rpartition("/")[0]
            with suppress(Refused), directory_below(self.root, folder) as fd, suppress(FileNotFoundError):
                os.unlink(_temporary(batch, photo), dir_fd=fd)

    def already_placed(self, batch: Batch) -> bool:
        """Tell that placing must be done again after a crash; what stands in the archive already is recognised."""
        del batch
        return False

    async def take_in(self, batch: Batch, photos: Sequence[Photo], progress: Callable[[str, str], None]) -> None:
        """Do nothing: what is placed is in the archive."""

    async def index(self, folder: str) -> None:
        """Do nothing: a folder needs no index."""

    async def clear(self, batch: Batch) -> None:
        """Sweep hidden copies that a killed run has left in the folders of this batch."""
        await anyio.to_thread.run_sync(self._clear, batch)

    def _clear(self, batch: Batch) -> None:
        for photo in self._ledger.photos.of_batch(batch.id):
            if photo.archived_as:
                self._drop(batch, [photo], {photo.id: photo.archived_as})

    # -- proof --------------------------------------------------------------------------------------------------

    async def prove(self, group: Sequence[Photo]) -> dict[int, Finding]:
        """Tell for each member what stands in the archive, reading every byte."""
        paths = {photo.id: photo.archived_as for photo in group}
        findings = {}
        for photo in group:
            # One whose bytes another member brings is not placed itself.
            path = photo.archived_as or paths.get(photo.duplicate_of or 0, "")
            findings[photo.id] = await anyio.to_thread.run_sync(self._prove, photo, path)
        return findings

    def _prove(self, photo: Photo, path: str) -> Finding:
        if not path:
            return self._known(photo)
        found = originals.same_bytes(self.root, path, photo.fingerprint.size, photo.blake3 or b"")
        return Finding(Verdict.PROVED, path, found) if found is not None else Finding(Verdict.BROKEN, path)

    async def still(self, photo: Photo) -> bool:
        """Tell whether the archived file is still the one that was proved."""
        return await anyio.to_thread.run_sync(self._still, photo)

    def _still(self, photo: Photo) -> bool:
        if photo.archive_fingerprint and originals.unchanged(self.root, photo.archived_as, photo.archive_fingerprint):
            return True
        size = photo.fingerprint.size
        return originals.same_bytes(self.root, photo.archived_as, size, photo.blake3 or b"") is not None

    def durable_after(self, finding: Finding) -> float:
        """Give 0: every file and folder was synced here."""
        del finding
        return 0.0

    async def fetch(self, photo: Photo) -> AsyncIterator[bytes]:
        """Give the archived bytes of a photo, wherever in the archive they are now."""
        blocks = await anyio.to_thread.run_sync(originals.find, self.root, photo)
        while (block := await anyio.to_thread.run_sync(next, blocks, b"")) != b"":
            yield block


def _temporary(batch: Batch, photo: Photo) -> str:
    return f".photon-relay-{batch.name}-{photo.id}.part"


def _numbered(path: str, number: int) -> str:
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{numbered(name, number)}"
