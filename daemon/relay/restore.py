"""Restore: copy an archived original back to where it came from. The archive is never deleted from.

The bytes of that user at that path are not taken again. The order makes it safe to be killed anywhere: the private
name is in the ledger before a byte is written, and the photo counts as restored before the file gets its own name, so
that no watch can take it for a new upload.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio.to_thread
from blake3 import blake3

from daemon.errors import NeedsPerson, Refused, RelayError
from daemon.files.faults import path_of, told
from daemon.files.hashing import hash_only_blake3
from daemon.files.names import copy_name, numbered, word
from daemon.files.opening import file_below, look
from daemon.files.publishing import made_dirs, own_like, publish, set_mode, sync_dir
from daemon.fingerprint import Fingerprint
from daemon.ledger.model import State
from daemon.nextcloud.homes import check_data
from daemon.text import shown

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo
    from daemon.relay.archive import Archive

log = logging.getLogger(__name__)

_MOST_NUMBERS = 1000
_RESTORABLE = frozenset({State.DONE, State.RELEASED, State.RESTORED})


class Restore:
    """Brings originals back."""

    def __init__(self, ledger: Ledger, current: Current, archive: Archive, clock: Clock) -> None:
        self._ledger = ledger
        self._current = current
        self._archive = archive
        self._clock = clock

    async def photo(self, identity: int, who: str = "command line") -> str:
        """Put one photo back and give its path below the user's files.

        Raises ``NeedsPerson``: ``restore.unknown``, ``restore.not_relayed``, ``archive.absent``, or what the disk says.
        """
        photo = await anyio.to_thread.run_sync(self._ledger.photos.get, identity)
        if photo is None:
            raise NeedsPerson("restore.unknown", f"there is no photo {identity} in the ledger")
        if photo.state not in _RESTORABLE or not photo.blake3:
            raise NeedsPerson(
                "restore.not_relayed",
                f"{shown(photo.name)} of {photo.user} was not relayed ({photo.state}): its original stands in place",
            )
        # A marker that has gone says that this may be another directory: nothing is put into it.
        await anyio.to_thread.run_sync(check_data, self._current.settings.nextcloud.data)
        standing = await anyio.to_thread.run_sync(self._stands, photo, photo.path)
        if standing is not None:
            await anyio.to_thread.run_sync(self._kept, photo, standing, who)
            return photo.path
        if photo.hidden:
            # An earlier try could not give its copy the name, or not sweep it: the disk had failed.
            named = await anyio.to_thread.run_sync(self._finish_earlier, photo, who)
            if named is not None:
                return named
        elsewhere = await anyio.to_thread.run_sync(self._stands_elsewhere, photo)
        if elsewhere:
            return elsewhere
        hidden = copy_name(word(16))
        await anyio.to_thread.run_sync(lambda: self._ledger.photos.put(photo.id, hidden=hidden))
        try:
            await self._write(photo, hidden)
            return await anyio.to_thread.run_sync(self._publish, photo, hidden, who)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._drop, photo, hidden)
            raise

    async def batch(self, batch_id: int, who: str = "command line") -> list[tuple[Photo, str | RelayError]]:
        """Put all photos of a batch back; give each with its path, or with what stood in the way."""
        results: list[tuple[Photo, str | RelayError]] = []
        for photo in await anyio.to_thread.run_sync(self._ledger.photos.of_batch, batch_id):
            try:
                results.append((photo, await self.photo(photo.id, who)))
            except RelayError as error:
                results.append((photo, error))
        return results

    def recover(self, photo: Photo) -> None:
        """After a crash: finish a restore that was written down, or sweep one that was not. Blocking."""
        if self._finish_earlier(photo, "restart") is not None or photo.state is not State.RESTORED:
            return
        there = photo.path if self._stands(photo, photo.path) is not None else self._stands_elsewhere(photo)
        if there:
            self._ended(photo, there, "restart")
        else:
            self._ledger.photos.put(photo.id, hidden="")

    def _finish_earlier(self, photo: Photo, who: str) -> str | None:
        """End what an earlier try has left under its private name; give the path of a copy that was whole."""
        if not self._is_told(photo, photo.hidden):
            self._drop(photo, photo.hidden)
            return None
        with self._folder(photo) as folder:
            if look(folder, photo.hidden) is None:
                return None
            # Told of an earlier time, this copy may be whole only in memory, and have no time yet.
            with told("opening", path_of(folder, photo.hidden)):
                fd = os.open(photo.hidden, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                _finish(fd, photo.fingerprint.mtime_ns)
            finally:
                os.close(fd)
            name = self._give_name(photo, folder, photo.hidden)
        return self._named(photo, name, who)

    # -- steps --------------------------------------------------------------------------------------------------

    def _home(self, photo: Photo) -> str:
        return f"{self._current.settings.nextcloud.data}/{photo.user}/files"

    def _folder(self, photo: Photo) -> AbstractContextManager[int]:
        return made_dirs(self._home(photo), photo.directory, mode=0o755)

    def _is_told(self, photo: Photo, hidden: str) -> bool:
        """Tell whether a copy under its private name is the one that the ledger tells of as restored.

        One that was put back before, and is put back again, is restored too while its new copy is still being written.
        """
        path = f"{photo.directory}/{hidden}" if photo.directory else hidden
        return photo.state is State.RESTORED and self._stands(photo, path) is not None

    def _stands_elsewhere(self, photo: Photo) -> str:
        """Give the path of a copy that was put back under a number, since the place was taken, and still stands.

        Asked for once more, a restore brings no second copy; a numbered file that nobody put back is not looked at.
        """
        if photo.state is not State.RESTORED or not photo.blake3:
            return ""
        put_back = {path for user, path, _ in self._ledger.photos.put_back([photo.blake3]) if user == photo.user}
        stem = photo.directory and f"{photo.directory}/"
        for path in sorted(put_back & {f"{stem}{numbered(photo.name, number)}" for number in range(2, _MOST_NUMBERS)}):
            if self._stands(photo, path) is not None:
                return path
        return ""

    def _stands(self, photo: Photo, path: str) -> Fingerprint | None:
        """Give the fingerprint of a file of that user which has these bytes (it was kept, or put back)."""
        with suppress(Refused), file_below(self._home(photo), path) as original:
            if (
                original.status.st_size == photo.fingerprint.size
                and bytes.fromhex(hash_only_blake3(original.fd)) == photo.blake3
            ):
                return Fingerprint.of(os.fstat(original.fd))
        return None

    def _kept(self, photo: Photo, standing: Fingerprint, who: str) -> None:
        if photo.state is State.RESTORED and photo.fingerprint.renamed(standing):
            return  # asked for once more, after a restore that was cut short perhaps: nothing is done, nothing written
        now = self._clock.wall()
        with self._ledger.write():
            note = "it stands in its place; it is not taken again"
            self._ledger.photos.advance([photo.id], State.RESTORED, now, note, fingerprint=standing)
            self._ledger.audit.note(now, "restored", who=who, photo_id=photo.id, user=photo.user, path=photo.path)

    async def _write(self, photo: Photo, hidden: str) -> None:
        digest = blake3()
        fd = await anyio.to_thread.run_sync(self._create, photo, hidden)
        try:
            async for block in self._archive.fetch(photo):
                digest.update(block)
                await anyio.to_thread.run_sync(_write_all, fd, block)
            if digest.digest() != photo.blake3:
                raise NeedsPerson(
                    "archive.differs",
                    f"what the archive has of {shown(photo.name)} of {photo.user} is not what was relayed; nothing is"
                    " put back",
                    hint="look for the photo in a backup of the archive",
                )
            await anyio.to_thread.run_sync(_finish, fd, photo.fingerprint.mtime_ns)
        finally:
            os.close(fd)

    def _create(self, photo: Photo, hidden: str) -> int:
        with self._folder(photo) as folder:
            with told("making", path_of(folder, hidden)):
                fd = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=folder)
            own_like(fd, folder)
            set_mode(fd, 0o644)  # as Nextcloud's own files, whatever the umask is
            return fd

    def _publish(self, photo: Photo, hidden: str, who: str) -> str:
        with self._folder(photo) as folder:
            found = look(folder, hidden)
            if found is None:
                raise NeedsPerson("restore.vanished", f"the copy of {shown(photo.name)} was taken away meanwhile")
            # Told as restored, it must be found after a power cut: its bytes were synced, the private name was not.
            sync_dir(folder)
            now = self._clock.wall()
            with self._ledger.write():
                self._ledger.photos.advance([photo.id], State.RESTORED, now, fingerprint=Fingerprint.of(found))
            # Power cut here: restored in the ledger, the copy complete under its private name; recover names it.
            name = self._give_name(photo, folder, hidden)
        return self._named(photo, name, who)

    def _named(self, photo: Photo, name: str, who: str) -> str:
        path = f"{photo.directory}/{name}" if photo.directory else name
        self._ended(photo, path, who)
        return path

    def _give_name(self, photo: Photo, folder: int, hidden: str) -> str:
        """Give the copy its name, or a numbered one where another file has it; that one is written down as well."""
        for number in range(1, _MOST_NUMBERS):
            name = numbered(photo.name, number)
            if number > 1:
                path = f"{photo.directory}/{name}" if photo.directory else name
                if look(folder, name) is not None:
                    continue
                self._enter_twin(photo, path, folder, hidden)
            try:
                publish(folder, hidden, name)
            except FileExistsError:
                continue
            return name
        raise NeedsPerson("file.no_name", f"no free name was found for {shown(photo.name)} of {photo.user}")

    def _enter_twin(self, photo: Photo, path: str, folder: int, hidden: str) -> None:
        """Enter the numbered place as restored too, so that the watch does not take it from there."""
        found = look(folder, hidden)
        if found is None:
            return
        now = self._clock.wall()
        with self._ledger.write():
            twin = self._ledger.photos.add(photo.user, photo.folder, path, photo.role, Fingerprint.of(found), now)
            self._ledger.photos.advance(
                [twin],
                State.RESTORED,
                now,
                f"photo {photo.id} under another name",
                blake3=photo.blake3,
                sha1=photo.sha1,
            )

    def _ended(self, photo: Photo, path: str, who: str) -> None:
        now = self._clock.wall()
        with self._ledger.write():
            self._ledger.photos.put(photo.id, hidden="")
            self._ledger.audit.note(
                now, "restored", who=who, photo_id=photo.id, user=photo.user, path=photo.path, note=f"as {shown(path)}"
            )
            if self._current.settings.nextcloud.occ.via != "off":
                self._ledger.jobs.add("user", photo.user, photo.directory, now)

    def _drop(self, photo: Photo, hidden: str) -> None:
        """Take the unfinished copy away; the archive has the photo, and nothing else changed."""
        now = self._ledger.photos.get(photo.id)
        try:
            if now is not None and self._is_told(now, hidden):
                return
            with self._folder(photo) as folder, suppress(FileNotFoundError), told("sweeping", path_of(folder, hidden)):
                os.unlink(hidden, dir_fd=folder)
        except Refused:
            pass  # its folder has gone, and the copy with it
        except RelayError as error:
            # Its name stays in the ledger: the next start sweeps it.
            log.warning("the unfinished copy of %s of %s stays for now: %s", shown(photo.name), photo.user, error)
            return
        self._ledger.photos.put(photo.id, hidden="")


def _write_all(fd: int, block: bytes) -> None:
    view = memoryview(block)
    with told("writing", path_of(fd)):
        while view:
            view = view[os.write(fd, view) :]


def _finish(fd: int, mtime_ns: int) -> None:
    with told("finishing", path_of(fd)):
        os.utime(fd, ns=(mtime_ns, mtime_ns))
        os.fsync(fd)
