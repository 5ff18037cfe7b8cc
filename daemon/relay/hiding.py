"""Taking hold of an original: a private name that the ledger knows before it, and only if it is the examined file."""

from __future__ import annotations

import os
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from daemon.errors import NeedsPerson, Refused, RelayError, Transient
from daemon.files.faults import changed, path_of
from daemon.files.folders import Folders
from daemon.files.hashing import hash_only_blake3
from daemon.files.opening import directory_below, file_below, look, open_regular
from daemon.files.releasing import hide, new_hidden_name, put_back, second_name
from daemon.fingerprint import Fingerprint
from daemon.text import shown

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from daemon.current import Current
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo
    from daemon.relay.archive import Archive


class Hiding:
    """Hides originals and shows them again; tells which are the archive's own file. All methods block."""

    def __init__(self, ledger: Ledger, current: Current, archive: Archive) -> None:
        self._ledger = ledger
        self._current = current
        self._archive = archive

    def home_folder(self, photo: Photo) -> AbstractContextManager[int]:
        """Open the folder in which a photo's original stands; raises ``Refused`` where that is none of its owner's."""
        return directory_below(
            self._current.settings.nextcloud.data, f"{photo.user}/files/{photo.directory}".rstrip("/")
        )

    def hide(self, folder: int, photo: Photo) -> tuple[str, Fingerprint]:
        """Move an original to a private name; give that name and its fingerprint then.

        Raises ``Refused`` where another file stands there, with everything in its place.
        """
        expected = self.as_examined(folder, photo)
        hidden = new_hidden_name(photo.name)
        self._ledger.photos.put(photo.id, hidden=hidden)
        # Power cut here: nothing has moved; the ledger knows a name that nobody bears.
        try:
            return hidden, hide(folder, photo.name, hidden, expected)
        except RelayError as error:
            if look(folder, hidden) is None:  # else putting back failed too: the next try begins with it
                self._ledger.photos.put(photo.id, hidden="")
            if error.code == "file.changed" and not self.is_linked(photo):
                raise Refused(
                    "file.replaced", "another file has its name now, which goes its own way", **error.context
                ) from error
            raise

    def as_examined(self, folder: int, photo: Photo) -> Fingerprint:
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

    def archived(self, photo: Photo, archive: Folders | None = None) -> Fingerprint | None:
        """Give what stands in the archive for a photo now, opened and not only looked at; ``None`` for nothing.

        ``None`` also where the archive's folder is not mounted here. ``archive`` as for ``linked``.
        """
        root = self._archive.root
        if not root or not photo.archived_as:
            return None
        parent, _, name = photo.archived_as.rpartition("/")
        # Opened, since a network's file system asks its server then.
        with (
            suppress(Refused),
            nullcontext(archive) if archive is not None else Folders(root) as folders,
            open_regular(folders.below(parent), name) as found,
        ):
            return found.fingerprint
        return None

    def apart(self, photo: Photo, before: Fingerprint | None, archive: Folders | None = None) -> None:
        """Return if the archive's file is what it was ``before`` the original's name was changed.

        Else both are one file that is seen through two file systems (a pool over disks, a network share of this
        machine), where no device or inode number tells: raises ``NeedsPerson`` ``archive.itself``.
        """
        if before is not None and self.archived(photo, archive) != before:
            raise NeedsPerson(
                "archive.itself",
                f"the archive's {shown(photo.archived_as)} changed in the very moment in which {shown(photo.path)} of"
                f" {photo.user} was moved: they seem to be one file, seen through two mounts; it is kept",
                hint="see that the archive's folder is not a watched one too, mounted or linked twice",
            )

    def show(self, folder: int, hidden: str, photo: Photo) -> str:
        """Give a hidden original its name back, or a visible numbered one where that is taken; tells which.

        Its hidden name stays known where that fails too.
        """
        shows = put_back(folder, hidden, photo.name)
        self._ledger.photos.put(photo.id, hidden="")
        return shows

    def check(self, photo: Photo) -> None:
        """Return if the original is the very file that was examined; raises ``Refused`` if not."""
        with self.home_folder(photo) as folder:
            self.as_examined(folder, photo)

    def check_apart(self, photo: Photo) -> None:
        """Return if the original is the very file that was examined, and not the archive's own besides.

        For those who let somebody else take the name away: that cannot be looked at in its middle. So the name is
        changed here for a moment, the archive looked at (``apart``), and the name given back. Raises ``Refused`` where
        another file stands there, or has taken the name in that moment.
        """
        with self.home_folder(photo) as folder:
            before = self.archived(photo)
            if before is None:  # no archive here that a watched folder could be
                self.as_examined(folder, photo)
                return
            hidden, _ = self.hide(folder, photo)
            try:
                self.apart(photo, before)
            finally:
                # Power cut here: hidden or back under its name; recovery gives the name back, and all begins anew.
                shows = self.show(folder, hidden, photo)
            if shows != photo.name:
                raise Refused("file.replaced", f"an upload took its name; it is called {shown(shows)} now")

    def is_linked(self, photo: Photo) -> bool:
        """Tell whether the archive's copy is the original itself, under a second name."""
        with suppress(Refused), self.home_folder(photo) as folder:
            found = look(folder, photo.name)
            return found is not None and self.linked(folder, photo, found)
        return False
