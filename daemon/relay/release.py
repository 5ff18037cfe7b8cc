"""Release: let an original go, as its owner's rules say, once the archive provably has it.

Nothing here trusts a path: the name is moved to a private one that the ledger already knows, what then stands there
is compared with what was examined, and only that very file goes on. Anything else is put back, replacing nothing.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from daemon.errors import NeedsPerson, Refused, RelayError, Transient
from daemon.files.faults import path_of, told
from daemon.files.opening import look
from daemon.files.publishing import made_dirs, own_like
from daemon.files.releasing import (
    move_hidden_to,
    put_back,
    unlink_hidden,
)
from daemon.files.settling import Where, settle_hidden
from daemon.ledger.model import State
from daemon.nextcloud.homes import check_data
from daemon.relay.hiding import Hiding
from daemon.relay.trash import NOTHING, Trash
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.fingerprint import Fingerprint
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo
    from daemon.nextcloud.occ import Occ
    from daemon.relay.archive import Archive
    from daemon.settings import EffectiveRules

log = logging.getLogger(__name__)

_DEEDS = {
    "trash": "trashed",
    "delete": "removed",
    "archive": "archived",
    "tag": "tagged",
    "keep": "kept",
}


class Release:
    """The step that takes originals away; the only one that touches what is the users' own."""

    def __init__(self, ledger: Ledger, current: Current, archive: Archive, occ: Occ | None, clock: Clock) -> None:
        self._ledger = ledger
        self._current = current
        self._archive = archive
        self._occ = occ
        self._clock = clock
        self.hiding = Hiding(ledger, current, archive)
        self._trash = Trash(ledger, current, self.hiding, occ, clock)

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
        if after != "delete" and await anyio.to_thread.run_sync(self.hiding.is_linked, photo):
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
                note = await self._trash.photo(photo)
            elif after == "tag":
                await self._tag(photo, rules.tag)
            elif after == "delete":
                await anyio.to_thread.run_sync(self._delete, photo)
            elif after == "archive":
                note = await anyio.to_thread.run_sync(self._set_aside, photo, rules)
        except Refused as error:
            await anyio.to_thread.run_sync(check_data, self._current.settings.nextcloud.data)
            # Nothing stands there, or nothing that is a file: its owner was faster. The archive has the photo.
            note = f"{NOTHING}: {error.message}"
        await anyio.to_thread.run_sync(self._released, photo, after, note)
        return True

    def _is_put_back(self, photo: Photo) -> bool:
        """Tell whether somebody has asked for these bytes to stay there, while they came a second time."""
        return (photo.user, photo.path, photo.blake3) in self._ledger.photos.put_back([photo.blake3 or b""])

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
        before = self.hiding.archived(photo)
        with self.hiding.home_folder(photo) as folder:
            hidden, fingerprint = self.hiding.hide(folder, photo)
            try:
                found = look(folder, hidden)
                linked = found is not None and self.hiding.linked(folder, photo, found)
                if not linked:
                    self.hiding.apart(photo, before)
                # Power cut here: the original is hidden or gone; the archive's copy was proved and synced.
                left = unlink_hidden(folder, hidden, fingerprint, linked=linked)
            except RelayError:
                self.hiding.show(folder, hidden, photo)
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
            self.hiding.home_folder(photo) as folder,
            made_dirs(home, target.rpartition("/")[0], mode=0o755) as to,
        ):
            before = self.hiding.archived(photo)
            hidden, fingerprint = self.hiding.hide(folder, photo)
            try:
                self.hiding.apart(photo, before)
                final = move_hidden_to(folder, hidden, to, photo.name, fingerprint)
            except RelayError:
                self.hiding.show(folder, hidden, photo)
                raise
        return f"archived as {shown(target.rpartition('/')[0])}/{shown(final)}"

    def _recover(self, photo: Photo) -> None:
        check_data(self._current.settings.nextcloud.data)
        with self.hiding.home_folder(photo) as folder:
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

    # -- tags -----------------------------------------------------------------------------------------------------

    async def _tag(self, photo: Photo, tag: str) -> None:
        if self._occ is None:
            raise NeedsPerson(
                "occ.off", "after: tag needs occ, which is off; the original is kept", hint="see nextcloud.occ.via"
            )
        await anyio.to_thread.run_sync(self.hiding.check, photo)
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
    return "left alone" if note.startswith(NOTHING) else _DEEDS.get(after, "removed")


def aside(photo: Photo, archived: str) -> str:
    """Give where ``after: archive`` puts an original: ``Archived/Camera/x.jpg`` for ``Camera/x.jpg``, pure."""
    parent = photo.folder.rpartition("/")[0]
    return "/".join(part for part in (parent, archived, _below_parent(photo)) if part)


def _below_parent(photo: Photo) -> str:
    parent = photo.folder.rpartition("/")[0]
    return photo.path[len(parent) + 1 :] if parent else photo.path
