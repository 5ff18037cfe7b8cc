"""The photos' desk: the ledger as a list, one photo with its whole way, trying again and putting back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from daemon.clock import iso
from daemon.errors import NeedsPerson, RelayError
from daemon.files.kinds import category_of
from daemon.files.opening import directory_below, look
from daemon.fingerprint import inode_of
from daemon.ledger.model import State
from daemon.service.again import RETRIABLE, can_be_restored, try_again
from daemon.service.export import Export
from daemon.service.filters import Filters, by_hash, within_int64
from daemon.service.thumbnails import Thumbnails
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.events import Bus
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo
    from daemon.photoprism.client import PhotoPrism
    from daemon.relay.archive import Archive
    from daemon.relay.restore import Restore
    from daemon.wake import Wake

LIMIT, MOST = 50, 200
_LONG = 10_000
"""Characters of a path that are shown: all that a path can have."""
_MOST_MEMBERS = 200
_LOOKING = 3.0
"""Seconds for looking whether a file is there; a network mount that hangs must not keep the answer."""


class PhotoDesk:
    """What a front end may ask about photos, and have done with one."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        current: Current,
        archive: Archive,
        prism: PhotoPrism | None,
        restore: Restore,
        bus: Bus,
        wake: Wake,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._current = current
        self._archive = archive
        self._restore = restore
        self._bus = bus
        self._wake = wake
        self._clock = clock
        self._thumbnails = Thumbnails(current, archive, prism)
        self._export = Export(ledger)

    # -- asking -------------------------------------------------------------------------------------------------

    async def list(
        self,
        *,
        state: str | None = None,
        user: str | None = None,
        q: str | None = None,
        since: str | None = None,
        until: str | None = None,
        batch: int | None = None,
        before: int | None = None,
        limit: int = LIMIT,
    ) -> dict[str, Any]:
        """Give photos newest first, and the cursor with which to go on.

        A request looks at a bounded number of rows only: ``photos`` may be short or empty while ``next`` tells that
        there are more, and ``searched_back_to`` how far it has come. Raises ``NeedsPerson`` ``request.invalid``.
        """
        filters = Filters(state, user, q, since, until, batch)
        before = None if before is None else within_int64(before)
        limit = max(1, min(limit, MOST))
        return await anyio.to_thread.run_sync(self._page, filters, before, limit)

    def _page(self, filters: Filters, before: int | None, limit: int) -> dict[str, Any]:
        wanted = by_hash(filters.wanted(self._current.settings.ui.timezone), self._ledger.photo_list)
        page = self._ledger.photo_list.page(wanted, before, limit)
        return {
            "photos": [photo_row(photo) for photo in page.photos],
            "next": page.next,
            "searched_back_to": iso(page.back_to),
        }

    async def get(self, identity: int) -> dict[str, Any]:
        """Give one photo: its row, its way, where it stands, what belongs to it, and what can be done with it."""
        photo = await self._photo(identity)
        row = await anyio.to_thread.run_sync(self._told, photo)
        # Abandoned where a mount hangs: then it is not known whether the files are there.
        with anyio.move_on_after(_LOOKING):
            there = await anyio.to_thread.run_sync(self._there, photo, abandon_on_cancel=True)
            row["places"]["original"]["exists"], row["places"]["archive"]["exists"] = there
        return row

    def _told(self, photo: Photo) -> dict[str, Any]:
        batch = self._ledger.batches.get(photo.batch_id) if photo.batch_id is not None else None
        group = [] if photo.group_id is None else self._ledger.photos.of_group(photo.group_id)
        album = self._current.settings.nextcloud.album.folder.rstrip("/")
        archived = shown(photo.archived_as, _LONG)
        return photo_row(photo) | {
            "history": [
                {"at": iso(line["at"]), "state": line["state"], "note": shown(line["note"], 2000)}
                for line in self._ledger.photos.history(photo.id)
            ],
            "places": {
                "original": {"path": shown(photo.path, _LONG), "exists": None},
                "batch": f"{batch.name}/{shown(photo.place, _LONG)}" if batch and photo.place else None,
                "archive": {"path": archived or None, "exists": None},
                "nextcloud_album": f"{shown(album)}/{archived}" if album and archived else None,
            },
            "members": [
                {"id": one.id, "name": shown(one.name, _LONG), "role": one.role, "state": one.state.value}
                for one in group[:_MOST_MEMBERS]
                if one.id != photo.id
            ],
            "audit": [audit_line(line) for line in self._ledger.audit.of_photo(photo.id)],
            "can": {"retry": photo.state in RETRIABLE, "restore": can_be_restored(photo)},
        }

    def _there(self, photo: Photo) -> tuple[bool | None, bool | None]:
        """Tell whether the original and the archived file stand in their places; ``None`` = not known."""
        home = f"{self._current.settings.nextcloud.data}/{photo.user}/files"
        original = _stands(home, photo.path, photo.fingerprint.size, photo.fingerprint.inode)
        if not photo.archived_as or not self._archive.root:
            return original, None
        return original, _stands(self._archive.root, photo.archived_as, photo.fingerprint.size)

    async def thumbnail(self, identity: int) -> tuple[bytes, str] | None:
        """Give a small picture of a photo with its media type, ``None`` where there is none to be had."""
        return await self._thumbnails.of(await self._photo(identity))

    def export(self, form: str, filters: Filters) -> AsyncIterator[bytes]:
        """Give all photos that match as ``csv`` or as a checksum list (``b3sum``), in blocks.

        Raises ``NeedsPerson`` ``request.invalid`` at once, not first when the blocks are read.
        """
        return self._export.blocks(form, filters.wanted(self._current.settings.ui.timezone))

    # -- doing --------------------------------------------------------------------------------------------------

    async def retry(self, identity: int, who: str) -> dict[str, Any]:
        """Let a photo that waits, is held or was refused go on at once, and give its row.

        Raises ``NeedsPerson``: ``photo.unknown``, ``photo.not_retriable``.
        """
        photo = await self._photo(identity)
        if not await anyio.to_thread.run_sync(self._again, photo, who):
            raise NeedsPerson(
                "photo.not_retriable",
                f"{shown(photo.name)} of {shown(photo.user)} is {photo.state}: it needs no other try",
            )
        self._wake.set()
        return photo_row(await self._photo(identity))

    def _again(self, photo: Photo, who: str) -> bool:
        now = self._clock.wall()
        with self._ledger.write():
            going = try_again(self._ledger, photo.id, now)
            if going:
                self._ledger.audit.note(
                    now, "tried again", who=who, photo_id=photo.id, user=photo.user, path=photo.path, note=photo.code
                )
        return going

    async def restore(self, identity: int, who: str) -> dict[str, Any]:
        """Put a photo back where it came from; give its row and the path below the user's files.

        Raises ``NeedsPerson``: ``photo.unknown``, and what :meth:`Restore.photo` raises.
        """
        photo = await self._photo(identity)
        path = await self._restore.photo(photo.id, who)
        self._wake.set()
        return {"photo": photo_row(await self.tell_restored(identity)), "path": shown(path, _LONG)}

    async def tell_restored(self, identity: int) -> Photo:
        """Tell whoever looks on that a photo was put back; give it as it is now."""
        photo = await self._photo(identity)
        self._bus.tell("photo.restored", id=photo.id, user=photo.user, name=shown(photo.name), code="")
        return photo

    async def _photo(self, identity: int) -> Photo:
        photo = await anyio.to_thread.run_sync(self._ledger.photos.get, within_int64(identity))
        if photo is None:
            raise NeedsPerson("photo.unknown", f"there is no photo {identity} in the ledger")
        return photo


def photo_row(photo: Photo) -> dict[str, Any]:
    """Give a photo as every front end gets it; names are fit to be shown, times ISO 8601, sizes in bytes."""
    return {
        "id": photo.id,
        "user": shown(photo.user),
        "name": shown(photo.name, _LONG),
        "path": shown(photo.path, _LONG),
        "folder": shown(photo.folder, _LONG),
        "state": photo.state.value,
        "resume": photo.resume.value if photo.resume else None,
        "size": photo.fingerprint.size,
        "kind": photo.kind or None,
        "role": photo.role,
        "group_id": photo.group_id,
        "batch_id": photo.batch_id,
        "duplicate_of": photo.duplicate_of,
        "archived_as": shown(photo.archived_as, _LONG) or None,
        "after": photo.after or None,
        "found_at": iso(photo.found_at),
        "ended_at": iso(photo.ended_at),
        "taken": photo.taken or None,
        "code": photo.code or None,
        "message": shown(photo.message, 2000) or None,
        "hint": shown(photo.hint, 2000) or None,
        "since": iso(photo.since),
        "next_try": iso(photo.next_try) if photo.state in {State.WAITING, State.ARCHIVED} else None,
        "blake3": photo.blake3.hex() if photo.blake3 else None,
        "sha1": photo.sha1.hex() if photo.sha1 else None,
        "thumbnail": f"/api/v1/photos/{photo.id}/thumbnail" if _may_have_picture(photo) else None,
    }


def audit_line(line: dict[str, Any]) -> dict[str, Any]:
    """Give a line of the audit trail as every front end gets it."""
    return {
        "id": line["id"],
        "at": iso(line["at"]),
        "who": shown(line["who"]),
        "deed": line["deed"],
        "photo_id": line["photo_id"],
        "user": shown(line["user"]),
        "path": shown(line["path"], _LONG),
        "note": shown(line["note"], 2000),
    }


def _may_have_picture(photo: Photo) -> bool:
    return photo.role == "main" and category_of(photo.name) in {"image", "raw", "video"}


def _stands(root: str, path: str, size: int, inode: int | None = None) -> bool | None:
    """Tell whether a file of that size (and inode) stands there; ``None`` where that cannot be seen. Blocking."""
    folder, _, name = path.rpartition("/")
    try:
        with directory_below(root, folder) as fd:
            found = look(fd, name)
    except RelayError as error:
        return False if error.code == "file.vanished" else None
    return found is not None and found.st_size == size and inode in {None, inode_of(found)}
