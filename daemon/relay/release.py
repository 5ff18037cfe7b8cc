"""Release: let an original go, as its owner's rules say, once the archive provably has it.

Nothing here trusts a path: the name is moved to a private one that the ledger already knows, what then stands there
is compared with what was examined, and only that very file goes on. Anything else is put back, replacing nothing.
"""

from __future__ import annotations

import logging
import os
from contextlib import nullcontext, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from daemon.errors import NeedsPerson, Refused, RelayError, Transient
from daemon.files.faults import changed, path_of, told
from daemon.files.folders import Folders
from daemon.files.hashing import hash_only_blake3
from daemon.files.names import MOST_NAMES, kept_name
from daemon.files.opening import directory_below, file_below, look
from daemon.files.publishing import made_dirs, own_like, rename_noreplace, sync_dir
from daemon.files.releasing import (
    hide,
    move_hidden_to,
    new_hidden_name,
    put_back,
    second_name,
    unlink_hidden,
)
from daemon.files.settling import Where, settle_hidden
from daemon.fingerprint import Fingerprint
from daemon.ledger.model import State
from daemon.nextcloud.homes import check_data
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo
    from daemon.nextcloud.occ import Occ
    from daemon.relay.archive import Archive
    from daemon.settings import EffectiveRules

log = logging.getLogger(__name__)

_MOST_NAMES = 10_000

_DEEDS = {
    "trash": "trashed",
    "delete": "removed",
    "archive": "archived",
    "tag": "tagged",
    "keep": "kept",
}
_NOTHING = "nothing to release"


class Release:
    """The step that takes originals away; the only one that touches what is the users' own."""

    def __init__(self, ledger: Ledger, current: Current, archive: Archive, occ: Occ | None, clock: Clock) -> None:
        self._ledger = ledger
        self._current = current
        self._archive = archive
        self._occ = occ
        self._clock = clock
        self._trashed: dict[tuple[str, str], float] = {}
        self._began = clock.wall()

    async def photo(self, photo: Photo) -> bool:
        """Let one proved original go; ``False`` where the archive's copy is not what was proved any more.

        Raises ``Transient`` or ``NeedsPerson`` with nothing lost; called again it goes on where it stopped.
        """
        if photo.hidden:
            # An earlier try left it hidden (the disk failed, a mount went away): first that is brought to an end.
            await anyio.to_thread.run_sync(self._recover, photo)
            again = await anyio.to_thread.run_sync(self._ledger.photos.get, photo.id)
            if again is None or again.state is not State.ARCHIVED:
                return True
            photo = again
        if not await self._archive.still(photo):
            return False
        # A marker that has gone says that this may be another directory: nothing is taken away from it.
        await anyio.to_thread.run_sync(check_data, self._current.settings.nextcloud.data)
        rules = self._current.settings.users.rules_for(photo.user)
        included = self._current.settings.users.decision(photo.user) == "include"
        after = rules.after if included and not await anyio.to_thread.run_sync(self._is_put_back, photo) else "keep"
        if after != "delete" and await anyio.to_thread.run_sync(self._is_linked, photo):
            if photo.duplicate_of is not None:
                # Not our link: to give the archive's name up would take away what somebody else brought.
                raise NeedsPerson(
                    "archive.second_name",
                    f"{shown(photo.path)} of {photo.user} and the archive's {shown(photo.archived_as)} are two names of"
                    " one file, and not by this program; it is kept, and what is written to it reaches the archive",
                    hint="put a copy of it in its place, and delete that name; or set `after: delete`",
                )
            raise Transient(
                "archive.linked",
                f"{shown(photo.name)} of {photo.user} stays after all, but the archive's copy is the same file under a"
                " second name; it is brought again as a file of its own",
            )
        await anyio.to_thread.run_sync(partial(self._ledger.photos.put, photo.id, after=after))
        note = _DEEDS[after]
        try:
            if after == "trash":
                note = await self._trash(photo)
            elif after == "tag":
                await self._tag(photo, rules.tag)
            elif after == "delete":
                await anyio.to_thread.run_sync(self._delete, photo)
            elif after == "archive":
                note = await anyio.to_thread.run_sync(self._set_aside, photo, rules)
        except Refused as error:
            await anyio.to_thread.run_sync(check_data, self._current.settings.nextcloud.data)
            # Nothing stands there, or nothing that is a file: its owner was faster. The archive has the photo.
            note = f"{_NOTHING}: {error.message}"
        await anyio.to_thread.run_sync(self._released, photo, after, note)
        return True

    def _is_put_back(self, photo: Photo) -> bool:
        """Tell whether somebody has asked for these bytes to stay there, while they came a second time."""
        return (photo.user, photo.path, photo.blake3) in self._ledger.photos.put_back([photo.blake3 or b""])

    def _is_linked(self, photo: Photo) -> bool:
        """Tell whether the archive's copy is the original itself, under a second name."""
        with suppress(Refused), self._home_folder(photo) as folder:
            found = look(folder, photo.name)
            return found is not None and self.linked(folder, photo, found)
        return False

    def recover(self, restore: Callable[[Photo], None]) -> None:
        """After a crash: find every original that may be hidden, and give it its name back or see its release done.

        ``restore`` is told of those that were being put back. Blocking; called once, before anything else moves.
        """
        for photo in self._ledger.photos.hidden():
            try:
                if photo.state in {State.ARCHIVED, State.WAITING, State.HELD}:
                    self._recover(photo)
                elif photo.state in {State.DONE, State.RELEASED, State.RESTORED}:
                    # Only of these can the hidden file be a restore's copy, which may be dropped.
                    restore(photo)
            except RelayError as error:
                # Its hidden name stays in the ledger; the next start looks again.
                log.error("%s of %s: %s", shown(photo.name), photo.user, error)

    # -- keep nothing: delete -----------------------------------------------------------------------------------

    def _delete(self, photo: Photo) -> None:
        with self._home_folder(photo) as folder:
            hidden, fingerprint = self._hide(folder, photo)
            try:
                found = look(folder, hidden)
                linked = found is not None and self.linked(folder, photo, found)
                # Power cut here: the original is hidden or gone; the archive's copy was proved and synced.
                left = unlink_hidden(folder, hidden, fingerprint, linked=linked)
            except RelayError:
                self._show(folder, hidden, photo)
                raise
            if linked:
                self._ledger.photos.put(photo.id, archive_fingerprint=left)

    # -- after: archive -----------------------------------------------------------------------------------------

    def _set_aside(self, photo: Photo, rules: EffectiveRules) -> str:
        home = f"{self._current.settings.nextcloud.data}/{photo.user}/files"
        target = aside(photo, rules.archived)
        root = target[: len(target) - len(_below_parent(photo))].rstrip("/")
        with made_dirs(home, root, mode=0o755) as fd, suppress(FileExistsError):
            # Galleries pass over a folder with this file in it; the photos would else be there twice.
            with told("making .nomedia in", path_of(fd)):
                mark = os.open(".nomedia", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=fd)
            try:
                own_like(mark, fd)
            finally:
                os.close(mark)
        with (
            self._home_folder(photo) as folder,
            made_dirs(home, target.rpartition("/")[0], mode=0o755) as to,
        ):
            hidden, fingerprint = self._hide(folder, photo)
            try:
                final = move_hidden_to(folder, hidden, to, photo.name, fingerprint)
            except RelayError:
                self._show(folder, hidden, photo)
                raise
        return f"archived as {shown(target.rpartition('/')[0])}/{shown(final)}"

    # -- hiding -------------------------------------------------------------------------------------------------

    def _home_folder(self, photo: Photo) -> AbstractContextManager[int]:
        return directory_below(
            self._current.settings.nextcloud.data, f"{photo.user}/files/{photo.directory}".rstrip("/")
        )

    def _hide(self, folder: int, photo: Photo) -> tuple[str, Fingerprint]:
        expected = self._as_examined(folder, photo)
        hidden = new_hidden_name(photo.name)
        self._ledger.photos.put(photo.id, hidden=hidden)
        # Power cut here: nothing has moved; the ledger knows a name that nobody bears.
        try:
            return hidden, hide(folder, photo.name, hidden, expected)
        except RelayError as error:
            if look(folder, hidden) is None:  # else putting back failed too: the next try begins with it
                self._ledger.photos.put(photo.id, hidden="")
            if error.code == "file.changed" and not self._is_linked(photo):
                raise Refused(
                    "file.replaced", "another file has its name now, which goes its own way", **error.context
                ) from error
            raise

    def _as_examined(self, folder: int, photo: Photo) -> Fingerprint:
        """Give the fingerprint that the file must have: as examined, or as it is where only its ctime moved on.

        A changed mode, owner or link count sets the ctime too; then the bytes are read once more.
        """
        found = look(folder, photo.name)
        if found is None:
            raise Refused("file.vanished", "its owner has removed or renamed it meanwhile")
        now = Fingerprint.of(found)
        linked = self.linked(folder, photo, found)
        if now == photo.fingerprint:
            return now
        if photo.fingerprint.renamed(now):
            with file_below(folder, photo.name) as source:
                if bytes.fromhex(hash_only_blake3(source.fd, expected=now)) == photo.blake3:
                    return now
        if linked:
            # The archive's copy has changed with it: the next try finds that, and the photo is brought again.
            raise changed(path_of(folder, photo.name), why="since it was proved")
        raise Refused("file.replaced", "another file has its name now, which goes its own way")

    def linked(self, folder: int, photo: Photo, found: os.stat_result, archive: Folders | None = None) -> bool:
        """Tell whether the archive's copy is the original itself under a second name, so that this one may go.

        ``folder`` is the original's, open, and ``found`` what stands in it. Raises ``NeedsPerson`` where both are one
        name seen twice (a folder mounted or configured twice), ``Transient`` where the archive's name is gone: asked
        after the original was hidden, that would be the same. ``archive`` has the archive's folders open, where many
        are asked about. Blocking.
        """
        before, root = photo.archive_fingerprint, self._archive.root
        if before is None or not root or before.inode != Fingerprint.of(found).inode:
            return False
        parent, _, name = photo.archived_as.rpartition("/")
        try:
            with nullcontext(archive) if archive is not None else Folders(root) as folders:
                ours = folders.below(parent)
                archived = look(ours, name)
                second = archived is not None and second_name(archived, found, ours, folder)
        except Refused:
            archived, second = None, False
        if archived is None or Fingerprint.of(archived).inode != before.inode:
            raise Transient(
                "archive.broken",
                f"the archive's {shown(photo.archived_as)} of {shown(photo.path)} of {photo.user} has gone; it is kept",
                hint="see whether somebody deletes or changes files in the archive's folder",
            )
        if not second and os.path.samestat(archived, found):
            raise NeedsPerson(
                "archive.itself",
                f"{shown(photo.path)} of {photo.user} and the archive's {shown(photo.archived_as)} are one and the"
                " same file; it is kept",
                hint="see that the archive's folder is not a watched one too, mounted or linked twice",
            )
        return second

    def _show(self, folder: int, hidden: str, photo: Photo) -> None:
        """Give a hidden original its name back after a failure; its hidden name stays known where that fails too."""
        put_back(folder, hidden, photo.name)
        self._ledger.photos.put(photo.id, hidden="")

    def _recover(self, photo: Photo) -> None:
        check_data(self._current.settings.nextcloud.data)
        with self._home_folder(photo) as folder:
            rules = self._current.settings.users.rules_for(photo.user)
            if photo.after == "archive":
                home = f"{self._current.settings.nextcloud.data}/{photo.user}/files"
                with made_dirs(home, aside(photo, rules.archived).rpartition("/")[0], mode=0o755) as to:
                    settled = settle_hidden(
                        folder, photo.hidden, photo.name, photo.fingerprint, moved_to=(to, photo.name)
                    )
            else:
                settled = settle_hidden(folder, photo.hidden, photo.name, photo.fingerprint)
            if settled.where is Where.HIDDEN:
                # It was not watched while we were down: back to its name, and the release begins anew.
                put_back(folder, photo.hidden, photo.name)
        if settled.where in {Where.MOVED, Where.GONE}:
            self._released(photo, photo.after, f"{_DEEDS.get(photo.after, 'removed')} (seen after a restart)")
        else:
            self._ledger.photos.put(photo.id, hidden="")

    # -- Nextcloud's bin and tags -------------------------------------------------------------------------------

    async def _trash(self, photo: Photo) -> str:
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
            await anyio.to_thread.run_sync(self._check, photo)
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
            self._trashed.clear()

    def _check(self, photo: Photo) -> None:
        with self._home_folder(photo) as folder:
            self._as_examined(folder, photo)

    def _trashed_before(self, photo: Photo) -> str:
        """Say as what the examined file lies in the bin, or nothing where it does not."""
        home = f"{self._current.settings.nextcloud.data}/{photo.user}"
        start = f"{photo.name}.d"
        with suppress(Refused), directory_below(home, "files_trashbin/files") as bin_:
            for entry in sorted(os.listdir(bin_)):
                if entry.startswith(start) and entry[len(start) :].isdigit():
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
            self._home_folder(photo) as folder,
            directory_below(home, "files_trashbin/files") as bin_,
        ):
            # Power cut here: in the bin or back under its name, whole; back, it is taken again, as a duplicate.
            sync_dir(bin_)
            sync_dir(folder)

    def _bin_of(self, photo: Photo) -> frozenset[str]:
        """Give what lies in the bin under a photo's name."""
        start = f"{photo.name}.d"
        home = f"{self._current.settings.nextcloud.data}/{photo.user}"
        with suppress(Refused), directory_below(home, "files_trashbin/files") as bin_:
            return frozenset(one for one in os.listdir(bin_) if one.startswith(start) and one[len(start) :].isdigit())
        return frozenset()

    def _in_bin(self, photo: Photo, before: frozenset[str]) -> str:
        """Look at what came into the bin: the examined file, or another one that took its name just before.

        What lay there ``before`` is what its owner has thrown away: it is not looked at.
        """
        home = f"{self._current.settings.nextcloud.data}/{photo.user}"
        start = f"{photo.name}.d"
        try:
            with directory_below(home, "files_trashbin/files") as bin_:
                newest, since = "", -1
                for entry in self._bin_of(photo) - before:
                    found = look(bin_, entry)
                    if found is not None and photo.fingerprint.renamed(Fingerprint.of(found)):
                        return f"trashed as {shown(entry)}"
                    if int(entry[len(start) :]) > since:
                        newest, since = entry, int(entry[len(start) :])
                if not newest:
                    return "trashed (the bin has not kept it)"
                with file_below(bin_, newest) as lying:
                    if bytes.fromhex(hash_only_blake3(lying.fd)) == photo.blake3:
                        return f"trashed as {shown(newest)}"
                return self._out_of_bin(photo, bin_, newest)
        except Refused:
            return "trashed (the bin has not kept it)"

    def _out_of_bin(self, photo: Photo, bin_: int, name: str) -> str:
        """Put back what was thrown away in the examined file's place: an upload that came in that very moment."""
        with self._home_folder(photo) as folder:
            # Power cut here: in the bin or back under its name, whole; the sweep at the next start finds it.
            for number in range(MOST_NAMES):
                final = kept_name(photo.name, number) if number else photo.name
                with suppress(FileExistsError), told("taking out of the bin", path_of(bin_, name)):
                    rename_noreplace(bin_, name, folder, final)
                    break
            else:
                return f"{_NOTHING}: a new upload had its name; it lies in the bin as {shown(name)}"
            sync_dir(folder)
            sync_dir(bin_)
        self._ledger.jobs.add("user", photo.user, photo.directory, self._clock.wall())
        return f"{_NOTHING}: a new upload had its name; it is back as {shown(final)}"

    async def _tag(self, photo: Photo, tag: str) -> None:
        if self._occ is None:
            raise NeedsPerson(
                "occ.off", "after: tag needs occ, which is off; the original is kept", hint="see nextcloud.occ.via"
            )
        await anyio.to_thread.run_sync(self._check, photo)
        await self._occ.tag(photo.user, photo.path, tag)

    # -- the end ------------------------------------------------------------------------------------------------

    def _released(self, photo: Photo, after: str, note: str) -> None:
        self.released([photo], after, {photo.id: note}, {})

    @property
    def ends(self) -> bool:
        """Tell whether nothing comes after the release: there is no Nextcloud that could be asked to look again."""
        return self._occ is None

    def released(
        self,
        photos: Sequence[Photo],
        after: str,
        notes: dict[int, str],
        left: dict[int, Fingerprint],
        *,
        done: bool = False,
    ) -> None:
        """Write down that these originals were let go by one rule, all in one step; ``notes`` are by id.

        ``left`` has the archived files' fingerprints where letting the original go has changed them. With ``done``
        they are at their end with it, of which the caller tells.
        """
        now = self._clock.wall()
        rows: dict[int, dict[str, Any]] = {}
        folders: dict[tuple[str, str], list[int]] = {}
        for photo in photos:
            rows[photo.id] = {"hidden": "", "after": after}
            if left:
                rows[photo.id]["archive_fingerprint"] = left.get(photo.id, photo.archive_fingerprint)
            if self._occ is not None and after in {"delete", "archive"}:
                folders.setdefault((photo.user, photo.directory), []).append(photo.id)
                if after == "archive":
                    rules = self._current.settings.users.rules_for(photo.user)
                    to = aside(photo, rules.archived).rpartition("/")[0]
                    folders.setdefault((photo.user, to), []).append(photo.id)
        with self._ledger.write():
            if done:
                self._ledger.photos.advance_each(rows, State.DONE, now, notes, through=State.RELEASED)
            else:
                self._ledger.photos.advance_each(rows, State.RELEASED, now, notes)
            self._ledger.audit.note_each(
                now, [(photo.id, _deed(notes[photo.id], after), notes[photo.id]) for photo in photos]
            )
            for (user, folder), ids in folders.items():
                self._ledger.jobs.add("user", user, folder, now, ids)


def _deed(note: str, after: str) -> str:
    return "left alone" if note.startswith(_NOTHING) else _DEEDS.get(after, "removed")


def aside(photo: Photo, archived: str) -> str:
    """Give where ``after: archive`` puts an original: ``Archived/Camera/x.jpg`` for ``Camera/x.jpg``, pure."""
    parent = photo.folder.rpartition("/")[0]
    return "/".join(part for part in (parent, archived, _below_parent(photo)) if part)


def _below_parent(photo: Photo) -> str:
    parent = photo.folder.rpartition("/")[0]
    return photo.path[len(parent) + 1 :] if parent else photo.path


_FOR_A_PERSON = frozenset({"occ.bad_path", "occ.bad_tag", "occ.bad_argument"})
"""What ``occ`` can never be asked for: the file's name or the tag itself is in the way."""


_OF_ITSELF = frozenset(
    f"occ.{name}"
    for name in (
        *("cannot_start", "database", "maintenance", "no_answer", "no_occ", "no_trash", "no_user", "not_installed"),
        *("off", "timeout", "upgrade_pending", "wrong_user"),
    )
)


def of_nextcloud_itself(error: RelayError) -> bool:
    """Tell whether ``occ`` would fail so for any other file too."""
    return error.code in _OF_ITSELF or error.code.startswith("docker.")


def worth_waiting(error: RelayError) -> bool:
    """Tell whether a release that failed so is tried again by itself."""
    if error.code in _FOR_A_PERSON:
        return False
    return isinstance(error, Transient) or error.code.startswith(("occ.", "docker.", "disk."))
