"""A plain folder as the archive: photos are placed straight into it under a date template, never over anything."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio.to_thread

from daemon.errors import Refused, RelayError, Transient
from daemon.files.folders import Folders
from daemon.files.opening import directory_below, look, open_regular
from daemon.files.publishing import sync_dir
from daemon.files.releasing import second_name
from daemon.fingerprint import Fingerprint
from daemon.ledger.model import State
from daemon.relay import originals
from daemon.relay.abreast import abreast, threads, unless_halted
from daemon.relay.archive import Finding, Verdict, as_answer, by_group, concerns_all
from daemon.relay.batch import chunks_of_groups, home_of, size_of
from daemon.relay.folder_place import FolderPlace, drop
from daemon.relay.folder_stock import FolderStock
from daemon.relay.room import need_room
from daemon.relay.slow import Slow
from daemon.relay.under_way import UnderWay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from daemon.current import Current
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Batch, Photo

_ABSENT = Finding(Verdict.ABSENT)


class FolderArchive:
    """The archive without PhotoPrism. What it has it proves by reading it."""

    name = "folder"
    dated = True
    by_sha1 = False
    apart = False
    imports = False
    most = 256
    most_bytes = 512 << 20

    def __init__(
        self, current: Current, ledger: Ledger, under_way: UnderWay | None = None, slow: Slow | None = None
    ) -> None:
        self._under_way = under_way or UnderWay()
        slow = slow or Slow()
        self._current = current
        self._ledger = ledger
        self._place = FolderPlace(current, ledger, self._under_way, slow)
        self._stock = FolderStock(current, ledger, slow)
        self._seen: tuple[int, int] | None = None
        self._tidy: set[int] = set()

    @property
    def root(self) -> str:
        """Give the archive's folder."""
        return self._current.settings.archive.folder.path

    async def ready(self, size: int) -> None:
        """Return if the folder is mounted, known, and has room for ``size`` bytes more."""
        await anyio.to_thread.run_sync(self._ready, size)
        await self._stock.listed()

    def _ready(self, size: int) -> None:
        if not os.path.isdir(self.root):
            raise Transient(
                "archive.no_folder",
                f"the archive's folder {self.root} is not there",
                hint="see that it is mounted here and that archive.folder.path names it",
            )
        originals.not_emptied(self.root, self._ledger)
        with directory_below(self.root, "") as top:
            self._seen = _identity(top)
        need_room(self.root, size, self._current.settings.relay.min_free)

    async def known(self, photos: Sequence[Photo]) -> list[Finding | RelayError]:
        """Tell of each whether its bytes stand where the ledger says they were proved, or where nobody has looked."""
        digests = [photo.blake3 for photo in photos if photo.blake3]
        contents = await anyio.to_thread.run_sync(self._ledger.contents.find_each, digests)
        asked = [photo for photo in photos if photo.blake3 in contents]
        found = await abreast(self._known, asked, threads(self._current.settings, self.root), of_all=concerns_all)
        findings = dict(zip((photo.id for photo in asked), found, strict=True))
        absent = [one for one in photos if as_answer(findings.get(one.id, _ABSENT)) == _ABSENT]
        findings |= await self._stock.find(absent)
        return [as_answer(findings.get(photo.id, _ABSENT)) for photo in photos]

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
    ) -> dict[int, RelayError | Fingerprint]:
        """Put the groups into the archive, some hundred files at a time."""
        told: dict[int, RelayError | Fingerprint] = {}
        top = await anyio.to_thread.run_sync(self._open_top)
        try:
            for chunk in chunks_of_groups(groups):
                told |= await self._place.chunk(batch, chunk, companions, top)
        except (RelayError, OSError):
            # The batch waits. What was linked by now is the same file still when it goes on.
            linked = {one: {"fingerprint": now} for one, now in told.items() if isinstance(now, Fingerprint)}
            await anyio.to_thread.run_sync(self._ledger.photos.put_each, linked)
            raise
        finally:
            os.close(top)
        if not batch.attempts and not any(isinstance(one, RelayError) for one in told.values()):
            self._tidy.add(batch.id)
        return told

    def _open_top(self) -> int:
        """Open the folder that was found ready, for all that is placed now.

        By its path, what comes after an unmount would be put below the bare mount point, be proved there, and vanish
        when the disk is back. Raises ``Transient`` ``archive.empty`` where another folder stands there by now.
        """
        with directory_below(self.root, "") as top:
            if self._seen is not None and self._seen != _identity(top):
                raise originals.emptied(self.root)
            return os.dup(top)

    def already_placed(self, batch: Batch) -> bool:
        """Tell that placing must be done again after a crash; what stands in the archive already is recognised."""
        # A hidden second name left behind would keep the original from being linked again.
        self._clear(batch)
        self._as_linked(batch)
        return False

    def _as_linked(self, batch: Batch) -> None:
        """Take over the time that a killed run's link has set: the file is examined again, and has not to settle anew.

        Who settles anew comes after the others, and might get another number in the archive.
        """
        rows: dict[int, dict[str, Fingerprint]] = {}
        with Folders(self._current.settings.nextcloud.data) as homes:
            for photo in self._ledger.photos.of_batch(batch.id):
                if photo.state is State.EXAMINED and photo.archived_as:
                    with suppress(Refused):
                        found = look(homes.below(home_of(photo)), photo.name)
                        if found is not None and photo.fingerprint.renamed(now := Fingerprint.of(found)):
                            rows[photo.id] = {"fingerprint": now}
        self._ledger.photos.put_each(rows)

    async def take_in(self, batch: Batch, photos: Sequence[Photo], progress: Callable[[str, str], None]) -> None:
        """Do nothing: what is placed is in the archive. Asked only for a batch of an earlier version."""

    async def index(self, folder: str) -> None:
        """Do nothing: a folder needs no index."""

    async def clear(self, batch: Batch) -> None:
        """Sweep hidden copies that were left in the folders of this batch; not where each has got its name here."""
        if batch.id in self._tidy:
            self._tidy.discard(batch.id)
            return
        await anyio.to_thread.run_sync(self._clear, batch)

    def _clear(self, batch: Batch) -> None:
        photos = [photo for photo in self._ledger.photos.of_batch(batch.id) if photo.archived_as]
        with Folders(self.root) as folders:
            drop(folders, batch, photos, {photo.id: photo.archived_as for photo in photos})

    def give_up(self, photo: Photo) -> None:
        """Take the archive's name of a photo away where it is a second name of the original, which was written to.

        Else the archive would hold, under the name of what was examined, whatever the original has become. What was
        there before stays, whoever has linked it into a home: it was brought by somebody else.
        """
        if photo.duplicate_of is not None:
            return
        data, home = self._current.settings.nextcloud.data, home_of(photo)
        folder, _, name = photo.archived_as.rpartition("/")
        with (
            suppress(Refused),
            directory_below(data, home) as theirs,
            open_regular(theirs, photo.name) as original,
            directory_below(self.root, folder) as ours,
        ):
            found = look(ours, name)
            if found is not None and second_name(found, original.status, ours, theirs):
                # Power cut here: the original stands under its own name; the archive's name of it may stand as well.
                os.unlink(name, dir_fd=ours)
                sync_dir(ours)

    # -- proof --------------------------------------------------------------------------------------------------

    async def prove(self, groups: Sequence[Sequence[Photo]]) -> list[dict[int, Finding] | RelayError]:
        """Tell for each member what stands in the archive; what is the original itself needs no reading."""
        photos = [photo for group in groups for photo in group]
        paths = {photo.id: photo.archived_as for photo in photos}
        with Folders(self.root) as folders, Folders(self._current.settings.nextcloud.data) as homes:
            found = await abreast(
                # One whose bytes another member brings is not placed itself.
                lambda photo: self._prove(
                    photo, photo.archived_as or paths.get(photo.duplicate_of or 0, ""), folders, homes
                ),
                photos,
                threads(self._current.settings, self.root),
                size=size_of(photos),
                of_all=concerns_all,
            )
        return by_group(groups, dict(zip((photo.id for photo in photos), found, strict=True)))

    def _prove(self, photo: Photo, path: str, folders: Folders, homes: Folders) -> Finding:
        self._under_way.take(photo)
        if not path:
            return self._known(photo)
        folder, _, name = path.rpartition("/")
        try:
            fd = folders.below(folder)
            found = look(fd, name)
            if found is not None and self._is_the_original(photo, found, homes):
                return Finding(Verdict.PROVED, path, Fingerprint.of(found))
            with open_regular(fd, name) as archived:
                if originals.has_bytes(archived, photo.fingerprint.size, photo.blake3 or b"", unless_halted(_nobody)):
                    return Finding(Verdict.PROVED, path, archived.fingerprint)
        except Refused:
            pass
        return Finding(Verdict.BROKEN, path)

    def _is_the_original(self, photo: Photo, archived: os.stat_result, homes: Folders) -> bool:
        """Tell whether an archived file is the examined original itself, untouched since it was linked.

        What was hashed had this very fingerprint until the link was made, which set its ctime; that one is in the
        ledger. So these are the bytes that were hashed.
        """
        if Fingerprint.of(archived) != photo.fingerprint:
            return False
        with suppress(Refused):
            original = look(homes.below(home_of(photo)), photo.name)
            return original is not None and os.path.samestat(original, archived)
        return False

    async def still(self, photo: Photo) -> bool:
        """Tell whether the archived file is still the one that was proved."""
        return await anyio.to_thread.run_sync(self._still, photo)

    def _still(self, photo: Photo) -> bool:
        if photo.archive_fingerprint and originals.unchanged(self.root, photo.archived_as, photo.archive_fingerprint):
            return True
        size = photo.fingerprint.size
        return originals.same_bytes(self.root, photo.archived_as, size, photo.blake3 or b"") is not None

    def untouched(self, photos: Sequence[Photo]) -> set[int]:
        """Give those whose archived file is, without being read, what was proved."""
        return originals.untouched(self.root, photos)

    def durable_after(self, finding: Finding) -> float:
        """Give 0: every file and folder was synced here."""
        del finding
        return 0.0

    async def fetch(self, photo: Photo) -> AsyncIterator[bytes]:
        """Give the archived bytes of a photo, wherever in the archive they are now."""
        blocks = await anyio.to_thread.run_sync(originals.find, self.root, photo)
        while (block := await anyio.to_thread.run_sync(next, blocks, b"")) != b"":
            yield block


def _nobody(_done: int) -> None:
    pass


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino
