"""Nextcloud's own bin: an original is thrown away by ``occ``, and what then lies in the bin is looked at.

Nextcloud goes by the path, so an upload may take the name in the very moment: that is taken out of the bin again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio.to_thread

from daemon.errors import NeedsPerson, Refused
from daemon.files.hashing import hash_only_blake3
from daemon.files.opening import directory_below, file_below, look
from daemon.files.publishing import sync_dir
from daemon.files.releasing import move_hidden_to
from daemon.fingerprint import Fingerprint
from daemon.text import shown

if TYPE_CHECKING:
    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo
    from daemon.nextcloud.occ import Occ
    from daemon.relay.hiding import Hiding

NOTHING = "nothing to release"
"""How a note begins that tells of an original which its owner took away, or replaced, before."""
_MOST_NAMES = 10_000
_LONGEST = 250
"""Bytes of a name in the bin."""
_KEPT = 25
"""Characters at the beginning of a name that is shortened which it keeps, however many bytes each takes."""


class Trash:
    """Throws originals away by ``occ``; ``None`` where that is off."""

    def __init__(self, ledger: Ledger, current: Current, hiding: Hiding, occ: Occ | None, clock: Clock) -> None:
        self._ledger = ledger
        self._current = current
        self._hiding = hiding
        self._occ = occ
        self._clock = clock
        self._trashed: dict[tuple[str, str], float] = {}
        self._began = clock.wall()

    async def photo(self, photo: Photo) -> str:
        """Throw one proved original away; say as what it lies in the bin. Called again it goes on where it stopped.

        Raises ``Refused`` where another file stands there, ``Transient`` or ``NeedsPerson`` with nothing lost.
        """
        if self._occ is None:
            raise NeedsPerson(
                "occ.off", "after: trash needs occ, which is off; the original is kept", hint="see nextcloud.occ.via"
            )
        if not (await self._occ.features()).trash:
            # `files:delete` would delete for good, and with it an upload that takes the name in that half second.
            raise NeedsPerson(
                "occ.no_trash",
                f"Nextcloud has no bin (its app files_trashbin is off), so {shown(photo.name)} of {photo.user} is kept",
                hint="enable it (`occ app:enable files_trashbin`), or set `after` to delete, archive or keep",
            )
        await self._not_in_the_same_second(photo)
        try:
            await anyio.to_thread.run_sync(self._hiding.check_apart, photo)
        except Refused:
            # Nextcloud may have been asked before, and we killed (or its answer lost) before that was written down.
            earlier = await anyio.to_thread.run_sync(self._trashed_before, photo) if photo.after == "trash" else ""
            if not earlier:
                raise
            await anyio.to_thread.run_sync(self._sync_bin, photo)
            return earlier
        before = await anyio.to_thread.run_sync(self._bin_of, photo)
        try:
            await self._occ.delete(photo.user, photo.path)
        except NeedsPerson as error:
            if error.code != "occ.unknown_file":
                raise
            # Nextcloud has not seen the file yet (copied in by other means): it looks at the folder, then once more.
            await self._occ.scan(photo.user, photo.directory)
            await self._occ.delete(photo.user, photo.path)
        finally:
            self._trashed[photo.user, photo.name] = self._clock.wall()
        found = await anyio.to_thread.run_sync(self._in_bin, photo, before)
        await anyio.to_thread.run_sync(self._sync_bin, photo)
        return found

    async def _not_in_the_same_second(self, photo: Photo) -> None:
        """Leave a second between two files of one name: the bin calls both ``name.d<second>`` (``Trashbin.php``).

        What a killed run has deleted last is not known, so the first second after a start counts for every name.
        """
        key = (photo.user, photo.name)
        left = self._trashed.get(key, self._began) + 1.05 - self._clock.wall()
        await self._clock.sleep(min(max(0.0, left), 1.05))  # the clock may have been set back since
        if len(self._trashed) > _MOST_NAMES:
            await self._clock.sleep(1.05)
            # Other users' are thrown away meanwhile: theirs of the last second still count.
            now = self._clock.wall()
            self._trashed = {one: at for one, at in self._trashed.items() if now - at < 1.05}

    def _trashed_before(self, photo: Photo) -> str:
        """Say as what the examined file lies in the bin, or nothing where it does not."""
        home = f"{self._current.settings.nextcloud.data}/{photo.user}"
        with suppress(Refused), directory_below(home, "files_trashbin/files") as bin_:
            for entry in sorted(os.listdir(bin_)):
                if _second(entry, photo.name) is not None:
                    found = look(bin_, entry)
                    if found is not None and photo.fingerprint.renamed(Fingerprint.of(found)):
                        return f"trashed as {shown(entry)} (seen after a restart)"
        return ""

    def _sync_bin(self, photo: Photo) -> None:
        """Make durable what Nextcloud has moved, since it syncs nothing itself.

        Else a power cut may give the original its name back after it was told as gone: it would come a second time.
        """
        home = f"{self._current.settings.nextcloud.data}/{photo.user}"
        with (
            suppress(Refused),
            self._hiding.home_folder(photo) as folder,
            directory_below(home, "files_trashbin/files") as bin_,
        ):
            # Power cut here: in the bin or back under its name, whole; back, it is taken again, as a duplicate.
            sync_dir(bin_)
            sync_dir(folder)

    def _bin_of(self, photo: Photo) -> frozenset[str]:
        """Give what lies in the bin under a photo's name."""
        home = f"{self._current.settings.nextcloud.data}/{photo.user}"
        with suppress(Refused), directory_below(home, "files_trashbin/files") as bin_:
            return frozenset(one for one in os.listdir(bin_) if _second(one, photo.name) is not None)
        return frozenset()

    def _in_bin(self, photo: Photo, before: frozenset[str]) -> str:
        """Look at what came into the bin: the examined file, or another one that took its name just before.

        What lay there ``before`` is what its owner has thrown away: it is not looked at.
        """
        home = f"{self._current.settings.nextcloud.data}/{photo.user}"
        try:
            with directory_below(home, "files_trashbin/files") as bin_:
                newest, since = "", -1
                for entry in self._bin_of(photo) - before:
                    found = look(bin_, entry)
                    if found is not None and photo.fingerprint.renamed(Fingerprint.of(found)):
                        return f"trashed as {shown(entry)}"
                    second = _second(entry, photo.name) or 0
                    if second > since:
                        newest, since = entry, second
                if not newest:
                    return "trashed (the bin has not kept it)"
                with file_below(bin_, newest) as lying:
                    if bytes.fromhex(hash_only_blake3(lying.fd)) == photo.blake3:
                        return f"trashed as {shown(newest)}"
                # An upload that came in that very moment.
                back = self._out_of_bin(photo, bin_, newest)
                return f"{NOTHING}: a new upload had its name; it is back as {shown(back)}"
        except Refused:
            return "trashed (the bin has not kept it)"

    def _out_of_bin(self, photo: Photo, bin_: int, name: str) -> str:
        """Put back what should not have been thrown away, replacing nothing; give the name that it has then."""
        found = look(bin_, name)
        if found is None:
            raise Refused("file.vanished", f"{shown(name)} is in the bin no longer")
        with self._hiding.home_folder(photo) as folder:
            # Power cut here: in the bin or back under its name, whole; the sweep at the next start finds it.
            final = move_hidden_to(bin_, name, folder, photo.name, Fingerprint.of(found))
        self._ledger.jobs.add("user", photo.user, photo.directory, self._clock.wall())
        return final


def _second(entry: str, name: str) -> int | None:
    """Give the second in which a file called ``name`` came into the bin as ``entry``; ``None`` for another one's.

    Nextcloud takes what is over 250 bytes out of the middle of the name (``Trashbin.php``, ``getTrashFilename``).
    """
    former, _, second = entry.rpartition(".d")
    if not second.isdigit():
        return None
    shortened = len(os.fsencode(f"{name}.d{second}")) > _LONGEST and former.startswith(name[:_KEPT])
    return int(second) if former == name or shortened else None
