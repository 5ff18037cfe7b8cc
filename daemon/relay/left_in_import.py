"""Batch folders in PhotoPrism's ``import`` that no batch of the ledger has: told to a person, taken away where proved.

A ledger that was lost, or put back as it was days ago, leaves them: copies, of originals that stood with their users
when they were made and are let go only after a proof. PhotoPrism is not asked to import them: what a user has deleted
since would come back in everybody's gallery. But what the archive has by now (the users' photos came once more, or
somebody has imported the folder) goes, group by group, once its bytes were read there.
"""

from __future__ import annotations

import logging
import math
import os
import re
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import anyio.to_thread

from daemon.errors import NeedsPerson, Refused, RelayError
from daemon.files.faults import changed, path_of, told
from daemon.files.hashing import hash_file
from daemon.files.names import name_of_hidden
from daemon.files.opening import directory_below, look, names_in, open_regular
from daemon.files.publishing import sync_dir
from daemon.files.releasing import hide, new_hidden_name, put_back, unlink_hidden
from daemon.relay import originals
from daemon.relay.archive import of_one_file
from daemon.relay.batch_folder import HIDDEN
from daemon.text import count_in_words, shown, size_in_words
from daemon.watch.media import group, role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.fingerprint import Fingerprint
    from daemon.issues import Issues
    from daemon.ledger.ledger import Ledger
    from daemon.photoprism.client import PhotoPrism

log = logging.getLogger(__name__)

ABOUT = "import folder"
EVERY = 3600.0
"""Seconds between two looks, and between two times that the archive is asked about what is left."""
SOON = 300.0
"""Seconds between two looks while something is left: who has seen to it wants to see it gone."""
QUIET = 3600.0
"""Seconds for which nothing in a folder has changed: another relay may share the import folder, and be at work."""
_NAMED = 20
_FOLDER = re.compile(rf"(?:{re.escape(HIDDEN)})?([a-z]{{14}})")
_SUBFOLDER = re.compile(r"[a-z]{8}")


class Left(NamedTuple):
    """One folder: its name, and what is in it."""

    name: str
    files: int
    size: int


class _Read(NamedTuple):
    """What reading a file told: as what it was read, and its hashes."""

    fingerprint: Fingerprint
    sha1: str
    blake3: bytes


class _Proof(NamedTuple):
    """A file in a subfolder, and where in the archive its bytes stand, as what."""

    name: str
    fingerprint: Fingerprint
    path: str
    archived: Fingerprint


class LeftInImport:
    """Looks after what earlier runs have left; ``stopped`` tells whether nothing may move now."""

    def __init__(
        self,
        client: PhotoPrism,
        ledger: Ledger,
        current: Current,
        issues: Issues,
        clock: Clock,
        stopped: Callable[[], bool],
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._current = current
        self._issues = issues
        self._clock = clock
        self._stopped = stopped
        self._read: dict[tuple[str, str, str], _Read] = {}
        self._known: set[str] = set()
        """Folders that were quiet once: what goes out of them is no reason to wait anew."""
        self._asked = -math.inf

    @property
    def _import(self) -> str:
        return self._current.settings.photoprism.import_

    async def run(self) -> None:
        """Look now and from time to time, for ever."""
        while True:
            await self._clock.sleep(SOON if await self.look() else EVERY)

    async def look(self) -> list[Left]:
        """Take away what the archive provably has, and tell of the rest; give that."""
        try:
            left = await anyio.to_thread.run_sync(self._find)
            if left and self._may_clear():
                self._asked = self._clock.monotonic()
                with suppress(RelayError, OSError):  # PhotoPrism is away, or a disk: others say so
                    for one in left:
                        await self._clear(one.name)
                left = await anyio.to_thread.run_sync(self._find)
        except (RelayError, OSError) as error:
            log.debug("the import folder cannot be looked through now: %s", error)
            return []
        names = {one.name for one in left}
        self._read = {key: read for key, read in self._read.items() if key[0] in names}
        left = [one for one in left if one.files]
        self._tell(left)
        return left

    def _may_clear(self) -> bool:
        """Tell whether the archive is to be asked what it has: where it can be read, and not at each look."""
        due = self._clock.monotonic() - self._asked >= EVERY
        return due and bool(self._current.settings.photoprism.originals) and not self._stopped()

    # -- finding ------------------------------------------------------------------------------------------------

    def _find(self) -> list[Left]:
        found: list[Left] = []
        with directory_below(self._import, "") as root:
            for name in sorted(os.listdir(root)):
                if (ours := _FOLDER.fullmatch(name)) is not None and self._is_left(ours[1]):
                    # Who is faster, PhotoPrism or a person, has seen to it.
                    with suppress(Refused):
                        one, latest = _measured(root, name)
                        quiet = name in self._known or abs(self._clock.wall() - latest) >= QUIET
                        if one is not None and quiet:
                            found.append(one)
        for one in found:
            if one.files and one.name not in self._known:
                log.warning("left in PhotoPrism's import folder, and no batch knows of it: %s", _in_words(one))
        self._known = {one.name for one in found}
        return found

    def _is_left(self, batch: str) -> bool:
        return all(one.name != batch for one in self._ledger.batches.unfinished())

    def _tell(self, left: list[Left]) -> None:
        if not left:
            self._issues.clear(ABOUT)
            return
        more = f", and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        which = ", ".join(_in_words(one) for one in left[:_NAMED])
        self._issues.report(
            ABOUT,
            NeedsPerson(
                "import.left_behind",
                f"an earlier run, whose ledger is not this one, has left {count_in_words(len(left), 'folder')} in"
                f" PhotoPrism's import folder: {which}{more}. They are copies: the originals were let go only once the"
                " archive had them",
                hint="import them on PhotoPrism's page (Library, Import, with Move files switched on), or delete them;"
                f" what begins with {HIDDEN} PhotoPrism does not see: delete that. What the archive has by then goes by"
                " itself",
            ),
        )

    # -- taking away --------------------------------------------------------------------------------------------

    async def _clear(self, folder: str) -> None:
        for subfolder in await anyio.to_thread.run_sync(self._subfolders, folder):
            for names in await anyio.to_thread.run_sync(self._groups, folder, subfolder):
                try:
                    proofs = await self._proved(folder, subfolder, names)
                    if proofs is not None:
                        await anyio.to_thread.run_sync(self._take_away, folder, subfolder, proofs)
                except RelayError as error:
                    if not (isinstance(error, Refused) or error.code == "file.changed" or of_one_file(error)):
                        raise
                    log.debug("%s in %s is left alone: %s", shown(names[0]), folder, error)
        await anyio.to_thread.run_sync(self._remove_empty, folder)

    def _subfolders(self, folder: str) -> list[str]:
        try:
            with directory_below(self._import, folder) as fd:
                return sorted(os.listdir(fd))
        except Refused:
            return []

    def _groups(self, folder: str, subfolder: str) -> list[tuple[str, ...]]:
        """Give the names of each group in a subfolder; what a killed run has hidden has its name again."""
        with directory_below(self._import, f"{folder}/{subfolder}") as fd:
            for hidden in names_in(fd):
                name = name_of_hidden(hidden)
                if name is not None:
                    # Power cut here: hidden or back.
                    put_back(fd, hidden, name)
            return [one.names for one in group(names_in(fd)) if not one.sides_only]

    async def _proved(self, folder: str, subfolder: str, names: Iterable[str]) -> list[_Proof] | None:
        """Give where the archive has each of a group's files, side files first; ``None`` where it has not got all."""
        root = self._current.settings.photoprism.originals
        mains: list[_Proof] = []
        sides: list[tuple[str, _Read]] = []
        for name in names:
            read = await anyio.to_thread.run_sync(self._hashed, folder, subfolder, name)
            if role(name) != "main":
                sides.append((name, read))
                continue
            row = await self._client.lookup(read.sha1)
            if row is None or not row.in_originals:
                return None
            size = read.fingerprint.size
            mark = await anyio.to_thread.run_sync(originals.same_bytes, root, row.name, size, read.blake3)
            if mark is None:
                return None
            mains.append(_Proof(name, read.fingerprint, row.name, mark))
        proofs: list[_Proof] = []
        for name, read in sides:
            found = await anyio.to_thread.run_sync(_beside, root, mains, read)
            if found is None:
                return None
            proofs.append(_Proof(name, read.fingerprint, *found))
        # A side file is proved only beside its photo, so that one stays until last.
        return proofs + mains

    def _hashed(self, folder: str, subfolder: str, name: str) -> _Read:
        """Read a file, once as long as it stays as it is."""
        key = (folder, subfolder, name)
        with directory_below(self._import, f"{folder}/{subfolder}") as fd, open_regular(fd, name) as file:
            known = self._read.get(key)
            if known is None or known.fingerprint != file.fingerprint:
                hashed = hash_file(file.fd, expected=file.fingerprint)
                known = _Read(file.fingerprint, hashed.sha1, bytes.fromhex(hashed.blake3))
                self._read[key] = known
            return known

    def _take_away(self, folder: str, subfolder: str, proofs: Sequence[_Proof]) -> None:
        """Delete the files of a group, all or none: only if the archive's do not change with their names."""
        root = self._current.settings.photoprism.originals
        hidden: dict[str, tuple[str, Fingerprint]] = {}
        with directory_below(self._import, f"{folder}/{subfolder}") as fd:
            try:
                for proof in proofs:
                    private = new_hidden_name(proof.name)
                    # Power cut here: under its name, or hidden; the next look gives it its name back.
                    hidden[proof.name] = private, hide(fd, proof.name, private, proof.fingerprint)
                for proof in proofs:
                    if not originals.unchanged(root, proof.path, proof.archived):
                        # Changed just now, or one and the same file, where import lies in the archive.
                        raise changed(path_of(fd, proof.name), why="or the archive's file with it")
                for name, (private, expected) in list(hidden.items()):
                    # Power cut here: hidden or gone; its bytes were read, and synced, in the archive.
                    unlink_hidden(fd, private, expected)
                    del hidden[name]
            finally:
                for name, (private, _) in hidden.items():
                    # Power cut here: hidden, or under its name again.
                    put_back(fd, private, name)
        for proof in proofs:
            log.info(
                "%s in %s/%s, left by an earlier run, stands in the archive as %s: it was taken away",
                shown(proof.name),
                folder,
                subfolder,
                shown(proof.path),
            )

    def _remove_empty(self, folder: str) -> None:
        with suppress(Refused, FileNotFoundError), directory_below(self._import, "") as root:
            with directory_below(root, folder) as fd:
                for subfolder in os.listdir(fd):
                    with suppress(OSError):  # not empty
                        # Power cut here: an empty folder more or less; the next look goes on.
                        os.rmdir(subfolder, dir_fd=fd)
                if names_in(fd):
                    return
            with told("removing", path_of(root, folder)):
                # Power cut here: as above.
                os.rmdir(folder, dir_fd=root)
            sync_dir(root)


def _beside(root: str, mains: Iterable[_Proof], read: _Read) -> tuple[str, Fingerprint] | None:
    for main in mains:
        found = originals.beside(root, main.path, read.fingerprint.size, read.blake3)
        if found is not None:
            return found
    return None


def _measured(root: int, name: str) -> tuple[Left | None, float]:
    """Give what is in a folder, and when anything in it last changed; no ``Left`` for one that is none of ours."""
    files, size = 0, 0
    with directory_below(root, name) as fd:
        latest = os.fstat(fd).st_ctime
        for subfolder in os.listdir(fd):
            if not _SUBFOLDER.fullmatch(subfolder):
                return None, latest
            with directory_below(fd, subfolder) as inner:
                latest = max(latest, os.fstat(inner).st_ctime)
                for entry in os.listdir(inner):
                    found = look(inner, entry)
                    if found is not None:
                        latest = max(latest, found.st_ctime)
                        files += 1
                        size += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return Left(name, files, size), latest


def _in_words(left: Left) -> str:
    return f"{left.name} ({count_in_words(left.files, 'file')}, {size_in_words(left.size)})"
