"""Letting many originals go at once, for ``after: delete``: the ledger is written and folders are synced once for all.

Each goes as :mod:`daemon.relay.release` lets a single one go. Whatever is not quite as it was proved is left to that.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from daemon.errors import RelayError
from daemon.files.folders import Folders
from daemon.files.opening import look
from daemon.files.publishing import sync_dir
from daemon.files.releasing import hide, new_hidden_names, put_back, unlink_hidden
from daemon.ledger.model import State
from daemon.nextcloud.homes import check_data
from daemon.relay.batch import home_of
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.current import Current
    from daemon.fingerprint import Fingerprint
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo
    from daemon.relay.archive import Archive
    from daemon.relay.release import Release

log = logging.getLogger(__name__)

_LONGEST = 10.0
"""Seconds for which what was asked before is believed: rules may change, and disks go, while another one hangs."""


class Removals:
    """The quick way of the step that takes originals away."""

    def __init__(self, ledger: Ledger, current: Current, archive: Archive, release: Release) -> None:
        self._ledger = ledger
        self._current = current
        self.archive = archive
        self._release = release

    def remove(self, photos: Sequence[Photo], heard: Callable[[Photo], None] = lambda _: None) -> list[Photo]:
        """Let go those of these proved originals that are simply deleted; give them as they are then. Blocking.

        ``heard`` is called with each when its turn comes, so that a disk that does not answer is told from a slow one.
        Of every other nothing was changed, or it was put back: :meth:`Release.photo` says what is the matter with it.
        """
        began = time.monotonic()
        going = self._that_go(photos)
        if not going:
            return []
        # A marker that has gone says that this may be another directory: nothing is taken away from it.
        check_data(self._current.settings.nextcloud.data)
        hidden = dict(
            zip((photo.id for photo in going), new_hidden_names([photo.name for photo in going]), strict=True)
        )
        self._ledger.photos.put_each({one: {"after": "delete", "hidden": name} for one, name in hidden.items()})
        # Power cut here: nothing has moved; the ledger knows names that nobody bears.
        gone: list[Photo] = []
        left: dict[int, Fingerprint] = {}
        back: list[int] = []
        with Folders(self._current.settings.nextcloud.data) as folders, Folders(self.archive.root) as archive:
            for photo in going:
                heard(photo)
                if time.monotonic() - began > _LONGEST:
                    back.append(photo.id)  # nothing of it was touched: the next round asks anew
                    continue
                try:
                    fd = folders.below(home_of(photo))
                except (RelayError, OSError) as error:
                    log.debug("%s of %s is looked at by itself: %s", shown(photo.path), photo.user, error)
                    back.append(photo.id)  # nothing of it was touched: its folder, or its owner, has gone
                    continue
                try:
                    left[photo.id] = self._remove_one(fd, photo, hidden[photo.id], archive)
                    gone.append(photo)
                except (RelayError, OSError) as error:
                    log.debug("%s of %s is looked at by itself: %s", shown(photo.path), photo.user, error)
                    if self._is_shown(folders, photo, hidden[photo.id]):
                        back.append(photo.id)
            # Power cut here: gone or hidden, and the archive's copies were proved and synced; settling finds which.
            for name in folders.names():
                sync_dir(folders.below(name))
        with self._ledger.write():
            self._ledger.photos.put_each({identity: {"hidden": ""} for identity in back})
            notes = {photo.id: "removed" for photo in gone}
            self._release.released(gone, "delete", notes, left, done=self._release.ends)
        state = State.DONE if self._release.ends else State.RELEASED
        return [photo._replace(state=state, after="delete", hidden="") for photo in gone]

    def _that_go(self, photos: Sequence[Photo]) -> list[Photo]:
        users = self._current.settings.users
        deleted = {
            user
            for user in {photo.user for photo in photos}
            if users.decision(user) == "include" and users.rules_for(user).after == "delete"
        }
        simple = [photo for photo in photos if not photo.hidden and photo.user in deleted]
        untouched = self.archive.untouched(simple)
        stay = self._ledger.photos.put_back(photo.blake3 for photo in simple if photo.blake3)
        return [
            photo for photo in simple if photo.id in untouched and (photo.user, photo.path, photo.blake3) not in stay
        ]

    def _remove_one(self, fd: int, photo: Photo, hidden: str, archive: Folders) -> Fingerprint:
        """Delete one original; give the archived file's fingerprint after that. Put back whatever stood in the way."""
        fingerprint = hide(fd, photo.name, hidden, photo.fingerprint)
        try:
            found = look(fd, hidden)
            linked = found is not None and self._release.hiding.linked(fd, photo, found, archive)
            if not linked:
                self._release.hiding.apart(photo, photo.archive_fingerprint, archive)
            # Power cut here: the original is hidden or gone; the archive's copy was proved and synced.
            left = unlink_hidden(fd, hidden, fingerprint, sync=False, linked=linked)
        except BaseException:
            put_back(fd, hidden, photo.name)
            raise
        assert photo.archive_fingerprint is not None  # noqa: S101  it is untouched
        return left if linked else photo.archive_fingerprint

    def _is_shown(self, folders: Folders, photo: Photo, hidden: str) -> bool:
        """Tell whether nothing stands under the hidden name, so that it may be forgotten."""
        try:
            return look(folders.below(home_of(photo)), hidden) is None
        except RelayError:
            return False
