"""What a folder archive holds that this ledger has not proved in it: from before its time, or before one was lost.

Photos that an owner has put into the archive by hand count as archived like any other, if they stood there when it was
listed. They are listed by size when a ledger meets the archive for the first time, and an upload is compared with
those that have its size: by their beginnings first, which are read once, since the raw photos of one camera are all of
one size. Whatever begins alike is read whole.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING

import anyio.to_thread
from blake3 import blake3

from daemon.errors import Refused, RelayError
from daemon.files.faults import told
from daemon.files.folders import Folders
from daemon.files.opening import directory_below, open_regular
from daemon.ledger.contents import Content
from daemon.nextcloud.homes import NEVER
from daemon.relay import originals
from daemon.relay.abreast import abreast, stay, threads, unless_halted
from daemon.relay.archive import Finding, Verdict, concerns_all
from daemon.relay.batch import home_of
from daemon.text import count_in_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from daemon.current import Current
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo
    from daemon.ledger.stock import Unread
    from daemon.relay.slow import Slow

log = logging.getLogger(__name__)

HEAD = 64 << 10
"""Bytes that are compared first: the date, the thumbnail and the like, by which photos of one size differ."""
_CHUNK = 5_000


class FolderStock:
    """Lists the archive when the ledger does not know it, and recognises what is in it."""

    def __init__(self, current: Current, ledger: Ledger, slow: Slow) -> None:
        self._current = current
        self._ledger = ledger
        self._slow = slow
        self._listing = threading.Lock()

    async def listed(self) -> None:
        """See that the archive's files are listed: anew where the ledger or the folder is another one than before."""
        root = self._current.settings.archive.folder.path
        [outcome] = await abreast(self._listed_once, [root], 1)
        if isinstance(outcome, Exception):
            raise outcome

    def _listed_once(self, root: str) -> None:
        with self._listing:
            self._listed(root)

    def _listed(self, root: str) -> None:
        where = self._where(root)
        if self._ledger.stock.listed() == where:
            return
        log.info("this ledger has not seen the archive %s yet: its files are listed", root)
        halted = unless_halted(_nobody)
        self._ledger.stock.list_begin()
        chunk: list[tuple[str, int]] = []
        # Killed here: the listing has no mark and begins anew at the next start; nothing is relayed until it is whole.
        for file in _files(root, ""):
            chunk.append(file)
            if len(chunk) == _CHUNK:
                halted(0)
                self._ledger.stock.list_add(chunk)
                chunk = []
        self._ledger.stock.list_add(chunk)
        count = self._ledger.stock.list_end(where)
        if count:
            log.info(
                "the archive holds %s not proved by this ledger; what is in it is recognised",
                count_in_words(count, "file"),
            )

    def _where(self, root: str) -> str:
        """Name the folder and the ledger: a copy in the ledger's place, or another disk there, is not the same."""
        with told("looking at", root):
            folder = os.stat(root).st_ino
        with told("looking at", self._ledger.state):
            return f"{folder} {os.stat(f'{self._ledger.state}/ledger.db').st_ino} {root}"

    async def find(self, photos: Sequence[Photo]) -> dict[int, Finding | Exception]:
        """Give, by photo id, those whose bytes stand in the archive unproved, and write down where; or what failed."""
        unread = await anyio.to_thread.run_sync(self._of_their_sizes, photos)
        if not unread:
            return {}
        asked = [photo for photo in photos if photo.fingerprint.size in unread]
        root = self._current.settings.archive.folder.path
        homes = Folders(self._current.settings.nextcloud.data)
        with Folders(root) as folders:
            look = _Look(root, homes, folders, unread, self._slow)
            found = await abreast(
                look.at,
                asked,
                threads(self._current.settings, look.root),
                of_all=concerns_all,
                leave=lambda photo, silent: self._slow.not_opened(photo, silent, patient=False),
                back=self._slow.back,
                at_end=homes.close,
            )
        await anyio.to_thread.run_sync(self._write_down, look)
        outcomes = dict(zip((photo.id for photo in asked), found, strict=True))
        return {identity: one for identity, one in outcomes.items() if one is not None}

    def _of_their_sizes(self, photos: Sequence[Photo]) -> dict[int, list[Unread]]:
        found: dict[int, list[Unread]] = {}
        for one in self._ledger.stock.of_sizes({photo.fingerprint.size for photo in photos}):
            found.setdefault(one.size, []).append(one)
        return found

    def _write_down(self, look: _Look) -> None:
        with self._ledger.write():
            self._ledger.stock.heads(look.begun)
            self._ledger.contents.proved([content for _, content in look.proved])
            self._ledger.stock.out([*look.gone, *(one for one, _ in look.proved)])


class _Look:
    """One look at what has the sizes of some uploads."""

    def __init__(
        self, root: str, homes: Folders, folders: Folders, unread: dict[int, list[Unread]], slow: Slow
    ) -> None:
        self.root = root
        self._homes = homes
        self._folders = folders
        self._unread = unread
        self._slow = slow
        self.begun: list[Unread] = []
        self.gone: list[Unread] = []
        self.proved: list[tuple[Unread, Content]] = []

    def at(self, photo: Photo) -> Finding | None:
        """Tell whether one of the files is this photo, and sync it if so."""
        with self._slow.opening(photo, patient=True):
            head = _head(self._homes, home_of(photo), photo.name)
            stay()
        for one in self._unread[photo.fingerprint.size]:
            try:
                if head is None or not self._begins(one, head):
                    continue
                found = originals.same_bytes(self.root, one.path, one.size, photo.blake3 or b"")
            except RelayError as error:
                if error.code != "disk.permission":  # what may not be read is another one
                    raise
                continue
            if found is not None:
                self.proved.append((one, Content(photo.blake3 or b"", one.size, one.path, 0)))
                return Finding(Verdict.PROVED, one.path, found)
        return None

    def _begins(self, one: Unread, head: bytes) -> bool:
        if one.head is None:
            folder, _, name = one.path.rpartition("/")
            one.head = _head(self._folders, folder, name, one.size)
            (self.gone if one.head is None else self.begun).append(one)
        return one.head == head


def _head(folders: Folders, folder: str, name: str, size: int | None = None) -> bytes | None:
    """Give the hash of how a file begins; ``None`` where it is gone, or has not the ``size`` that was listed."""
    try:
        with open_regular(folders.below(folder), name) as opened:
            if size is not None and opened.status.st_size != size:
                return None
            with told("reading", f"{folder}/{name}"):
                return blake3(os.pread(opened.fd, HEAD, 0)).digest()
    except Refused:
        return None


def _files(root: str, folder: str) -> Iterator[tuple[str, int]]:
    """Give path and size of each file below the archive; what is hidden, or in a bin, is in no gallery."""
    inner: list[str] = []
    try:
        with directory_below(root, folder) as fd, os.scandir(fd) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name in NEVER:
                    continue
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_dir(follow_symlinks=False):
                    inner.append(path)
                elif entry.is_file(follow_symlinks=False):
                    try:
                        size = entry.stat(follow_symlinks=False).st_size
                    except FileNotFoundError:
                        continue
                    if size:
                        yield path, size
    except Refused:
        return
    except RelayError as error:
        if error.code != "disk.permission":
            raise
        log.warning("a folder of the archive may not be listed, so what it holds is not recognised: %s", error)
    for path in sorted(inner):
        yield from _files(root, path)


def _nobody(_done: int) -> None:
    pass
