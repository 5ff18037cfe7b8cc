"""PhotoPrism as the archive: photos go into its import folder, it moves them; nothing it says is believed unproved."""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from daemon.errors import Refused, RelayError, Transient
from daemon.files.names import placed_name
from daemon.files.opening import file_below
from daemon.files.placing import copy_into
from daemon.files.publishing import set_mode
from daemon.photoprism.progress import Busy, FileIndexed, FileStarted, Progress
from daemon.relay import batch_folder, originals, torn
from daemon.relay.abreast import threads
from daemon.relay.archive import Finding, Verdict, of_one_file
from daemon.relay.photoprism_proof import PhotoPrismProof, sha1_of
from daemon.relay.room import need_room
from daemon.relay.slow import Slow
from daemon.relay.subfolders import assign
from daemon.relay.under_way import UnderWay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from daemon.current import Current
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Batch, Photo
    from daemon.photoprism.client import PhotoPrism
    from daemon.photoprism.progress import Item

log = logging.getLogger(__name__)

IMPORT_TIMEOUT = 6 * 3600.0
INDEX_TIMEOUT = 3600.0
MOST_EMPTY_IMPORTS = 6
"""After so many imports that took nothing the batch counts as imported: it may be of a kind PhotoPrism leaves lying."""
WELL = 1.0
"""Seconds for which PhotoPrism's last answer to whether it is well is believed: a few photos are examined by then."""
HEARING = 0.5
"""Seconds by which an event of the WebSocket may be behind the HTTP answer that it belongs to."""
UNSYNCED = 60.0
"""Seconds after which the kernel has written back what PhotoPrism wrote (``dirty_expire_centisecs`` is 30 s)."""


class PhotoPrismArchive:
    """The archive behind PhotoPrism's HTTP interface and its two folders."""

    name = "photoprism"
    dated = False
    by_sha1 = True
    apart = True
    imports = True
    # Each import costs PhotoPrism something; how large one is is the owner's choice (``watch.batch``).
    most = sys.maxsize
    most_bytes = sys.maxsize

    def __init__(
        self,
        client: PhotoPrism,
        progress: Progress,
        current: Current,
        ledger: Ledger,
        under_way: UnderWay | None = None,
        slow: Slow | None = None,
    ) -> None:
        self._client = client
        self._current = current
        self._ledger = ledger
        self._under_way = under_way or UnderWay()
        self._slow = slow or Slow()
        self._proof = PhotoPrismProof(client, current, ledger, under_way)
        self._heard = _Heard(progress)
        self._well_at = -math.inf

    async def listen(self) -> None:
        """Listen to PhotoPrism's WebSocket until cancelled; all works without it, only slower when it is busy."""
        await self._heard.progress.follow(self._heard.take)

    @property
    def root(self) -> str:
        """Give PhotoPrism's originals as mounted here, or an empty string."""
        return self._current.settings.photoprism.originals

    @property
    def _import(self) -> str:
        return self._current.settings.photoprism.import_

    # -- before -------------------------------------------------------------------------------------------------

    async def ready(self, size: int) -> None:
        """Return if PhotoPrism answers, its folders are mounted and there is room for ``size`` bytes more."""
        await anyio.to_thread.run_sync(self._disk_ready, size)
        if time.monotonic() - self._well_at > WELL:
            # A hash that nobody has: 404 says that PhotoPrism is up, its database answers and our token holds.
            await self._client.lookup("0" * 40)
            self._well_at = time.monotonic()

    def _disk_ready(self, size: int) -> None:
        if not os.path.isdir(self._import):
            raise Transient(
                "photoprism.no_import",
                f"PhotoPrism's import folder {self._import} is not there",
                hint="see that it is mounted here and that photoprism.import names it",
            )
        if self.root and not os.path.isdir(self.root):
            raise Transient(
                "photoprism.no_originals",
                f"PhotoPrism's originals folder {self.root} is not there",
                hint="see that it is mounted here, or leave photoprism.originals empty",
            )
        if self.root:
            originals.not_emptied(self.root, self._ledger)
        need_room(self._import, size, self._current.settings.relay.min_free)

    async def known(self, photos: Sequence[Photo]) -> list[Finding | RelayError]:
        """Tell of each whether PhotoPrism has it already, proved by its bytes."""
        return await self._proof.known(photos)

    # -- place and import ---------------------------------------------------------------------------------------

    async def place(
        self, batch: Batch, groups: Sequence[Sequence[Photo]], companions: dict[int, list[Photo]]
    ) -> dict[int, RelayError]:
        """Fill the batch folder and make it visible; give what went wrong with single photos."""
        places = assign(groups)
        await anyio.to_thread.run_sync(self._intend, batch, places)
        trouble = await self._copy(batch, groups, places, companions)
        await anyio.to_thread.run_sync(batch_folder.show, self._import, batch.name)
        return trouble

    async def _copy(
        self,
        batch: Batch,
        groups: Sequence[Sequence[Photo]],
        places: dict[int, tuple[str, str]],
        companions: dict[int, list[Photo]],
    ) -> dict[int, RelayError]:
        """Copy groups, with what is archived of them already, into a batch's hidden folder."""
        fetched = {photo.id: await self._companion(photo) for many in companions.values() for photo in many}
        missing = {identity for identity, content in fetched.items() if content is None}

        def extras(folder: int, group: Sequence[Photo]) -> RelayError | None:
            names, made = {places[photo.id][1] for photo in group}, list[str]()
            for photo in companions.get(group[0].group_id or group[0].id, []):
                name = placed_name(photo.name)
                if photo.id in missing or name in names:
                    continue
                try:
                    _copy_companion(folder, name, self.root, photo, fetched[photo.id] or b"")
                except RelayError as error:
                    if not of_one_file(error) and error.code != "file.changed":
                        raise
                    # Power cut here: in a hidden folder that a new run sweeps.
                    for other in made:
                        os.unlink(other, dir_fd=folder)
                    return error
                made.append(name)
            return None

        data = self._current.settings.nextcloud.data
        return await batch_folder.fill(
            self._import,
            batch.name,
            data,
            groups,
            places,
            extras,
            workers=threads(self._current.settings, self._import),
            under_way=self._under_way,
            slow=self._slow,
            patient=batch.id in self._slow.aside,
        )

    def _intend(self, batch: Batch, places: dict[int, tuple[str, str]]) -> None:
        # A try before may have got as far as making the folder visible, and nobody was told: it is made anew.
        batch_folder.sweep(self._import, batch.name, durably=False)
        self._ledger.photos.put_each({one: {"place": f"{folder}/{name}"} for one, (folder, name) in places.items()})

    async def _companion(self, photo: Photo) -> bytes | None:
        """Give an archived file's bytes where the originals are not mounted; else nothing, it is copied on the disk.

        ``None`` where the archive does not have it any more: then the late partner goes without it.
        """
        if self.root:
            return b""
        if photo.sha1 is None or await self._client.lookup(sha1_of(photo)) is None:
            return None
        try:
            async with self._client.download(sha1_of(photo)) as blocks:
                return b"".join([block async for block in blocks])
        except Transient as error:
            if error.code == "photoprism.download_failed":
                return None
            raise

    def already_placed(self, batch: Batch) -> bool:
        """Tell whether a batch had become visible before a crash; a half-made folder of it is swept."""
        if batch_folder.is_visible(self._import, batch.name):
            return True
        batch_folder.sweep(self._import, batch_folder.HIDDEN + batch.name)
        return False

    async def take_in(self, batch: Batch, photos: Sequence[Photo], progress: Callable[[str, str], None]) -> None:
        """Ask PhotoPrism to import the batch folder; an answer that it is done counts only if something was taken.

        It answers 200 "completed" at once where it was busy, where it does not see the folder, and where it failed
        (its ``internal/photoprism/import.go``, ``Start``).
        """
        before = await anyio.to_thread.run_sync(batch_folder.remaining, self._import, batch.name)
        if before and batch.imports:
            before = await self._mend(batch, photos, before)
        if not before:
            return
        self._heard.begin(progress)
        fault: RelayError | None = None
        async with anyio.create_task_group() as beside:
            over = anyio.Event()
            standing = partial(batch_folder.remaining, self._import, batch.name)
            beside.start_soon(self._proof.along, photos, standing, over)
            try:
                for path, albums in self._imports(batch, photos):
                    await self._client.import_folder(path, albums=albums, timeout=IMPORT_TIMEOUT)
            except RelayError as raised:
                fault = raised
            over.set()
        if fault is not None:
            raise fault
        after = await anyio.to_thread.run_sync(batch_folder.remaining, self._import, batch.name)
        if not after or (len(after) < len(before) and not await self._was_busy()) or await self._surely_done():
            return
        if self._heard.busy or batch.attempts + 1 < MOST_EMPTY_IMPORTS:
            raise Transient(
                "photoprism.busy",
                "PhotoPrism says that the import is done, but took nothing: it is busy with another import or index",
                hint="if this lasts, see that the import folder mounted here is the one PhotoPrism has",
                retry_after=5.0,
            )

    async def _mend(self, batch: Batch, photos: Sequence[Photo], lying: list[str]) -> list[str]:
        """Complete the groups that an import before this one has torn; give what lies in the batch folder then.

        It may still be going on (we died, or a proxy gave it up): then all that is put back is thrown away as known.
        """
        find = partial(torn.torn, self._ledger, photos, set(lying))
        groups, companions = await anyio.to_thread.run_sync(find)
        if not groups:
            return lying
        log.info("batch %s: %d groups were taken in by halves; they are put together again", batch.name, len(groups))
        places = {
            photo.id: (folder, name)
            for group in groups
            for photo in group
            for folder, _, name in [photo.place.partition("/")]
        }
        # Where an original has changed meanwhile, the rest of its group goes alone.
        await self._copy(batch, groups, places, companions)
        await anyio.to_thread.run_sync(torn.put_back, self._import, batch.name)
        return await anyio.to_thread.run_sync(batch_folder.remaining, self._import, batch.name)

    def _imports(self, batch: Batch, photos: Sequence[Photo]) -> list[tuple[str, list[str]]]:
        """Give the import calls: one for the batch, or one for each subfolder where albums are named after users."""
        albums = self._current.settings.photoprism.albums
        if not any("{user}" in album for album in albums):
            return [(batch.name, list(albums))]
        return [
            (f"{batch.name}/{subfolder}", [album.replace("{user}", user) for album in albums])
            for subfolder, user in sorted(batch_folder.users_of(photos).items())
        ]

    async def index(self, folder: str) -> None:
        """Have PhotoPrism index one folder of its originals; it is silent over HTTP where it was busy."""
        self._heard.begin(_nobody)
        await self._client.index(folder, timeout=INDEX_TIMEOUT)
        await anyio.sleep(HEARING)
        if self._heard.busy:
            raise Transient("photoprism.busy", "PhotoPrism is busy with another import or index", retry_after=10.0)

    async def _was_busy(self) -> bool:
        await anyio.sleep(HEARING)
        return self._heard.busy

    async def _surely_done(self) -> bool:
        await anyio.sleep(HEARING)
        return self._heard.surely_done()

    async def clear(self, batch: Batch) -> None:
        """Take away what PhotoPrism left lying of a batch: copies of ours, whose originals stand or are proved."""
        await anyio.to_thread.run_sync(batch_folder.sweep, self._import, batch.name)
        await anyio.to_thread.run_sync(batch_folder.sweep, self._import, batch_folder.HIDDEN + batch.name)

    # -- proof --------------------------------------------------------------------------------------------------

    async def prove(self, groups: Sequence[Sequence[Photo]]) -> list[dict[int, Finding] | RelayError]:
        """Tell of each group, for each member, what PhotoPrism and its disk really have."""
        return await self._proof.groups(groups)

    async def still(self, photo: Photo) -> bool:
        """Tell whether what was proved of a photo is still so, just before its original is let go."""
        if self.root and photo.archive_fingerprint is not None:
            if await anyio.to_thread.run_sync(
                originals.unchanged, self.root, photo.archived_as, photo.archive_fingerprint
            ):
                return True
            same = partial(
                originals.same_bytes, self.root, photo.archived_as, photo.fingerprint.size, photo.blake3 or b""
            )
            return await anyio.to_thread.run_sync(same) is not None
        row = await self._client.lookup(sha1_of(photo)) if photo.sha1 else None
        if row is None or not row.in_originals or row.name != photo.archived_as:
            return False
        # The row outlives its file: somebody may have deleted or changed that meanwhile, so it is fetched once more.
        return (await self._proof.by_download(photo, row)).verdict is not Verdict.BROKEN

    def untouched(self, photos: Sequence[Photo]) -> set[int]:
        """Give those whose file in the originals is, without being read, what was proved."""
        return originals.untouched(self.root, photos) if self.root else set()

    def give_up(self, photo: Photo) -> None:
        """Do nothing: nothing is linked into what PhotoPrism owns."""

    def durable_after(self, finding: Finding) -> float:
        """Give 0 where we have synced the archived file ourselves, else the time the kernel there may take."""
        return 0.0 if finding.fingerprint is not None else UNSYNCED

    async def fetch(self, photo: Photo) -> AsyncIterator[bytes]:
        """Give the archived bytes of a photo, wherever PhotoPrism has them now."""
        if self.root:
            blocks = await anyio.to_thread.run_sync(originals.find, self.root, photo)
            while (block := await anyio.to_thread.run_sync(next, blocks, b"")) != b"":
                yield block
            return
        async with self._client.download(sha1_of(photo)) as downloaded:
            async for block in downloaded:
                yield block


class _Heard:
    """What PhotoPrism's WebSocket told since the last import or index began."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._tell: Callable[[str, str], None] = _nobody
        self._from_the_start = False
        self.busy = False

    def begin(self, tell: Callable[[str, str], None]) -> None:
        self._tell = tell
        self._from_the_start = self.progress.connected
        self.busy = False

    def take(self, item: Item) -> None:
        if isinstance(item, Busy):
            self.busy = True
        elif isinstance(item, FileStarted):
            self._tell("started", item.name)
        elif isinstance(item, FileIndexed):
            self._tell("indexed", item.name)

    def surely_done(self) -> bool:
        """Tell whether we were listening all the while and heard of no other job: it was done, and took nothing."""
        return self._from_the_start and self.progress.connected and not self.busy


def _nobody(event: str, name: str) -> None:
    del event, name


def _copy_companion(folder: int, name: str, root: str, photo: Photo, fetched: bytes) -> None:
    """Put a copy of an archived main file beside the partner that came too late, so that PhotoPrism joins them."""
    if root:
        # Somebody has taken it out of the archive meanwhile: the late partner goes without it.
        with suppress(Refused), file_below(root, photo.archived_as) as archived:
            copy_into(
                archived.fd,
                folder,
                name,
                size=archived.status.st_size,
                mtime_ns=archived.status.st_mtime_ns,
            )
        return
    made = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o664, dir_fd=folder)
    with os.fdopen(made, "wb") as target:
        set_mode(made, 0o664)  # whatever the umask is: PhotoPrism must be able to read it
        target.write(fetched)
        target.flush()
        os.fsync(target.fileno())
