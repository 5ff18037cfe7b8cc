"""Looking at the archive's own files, as mounted here: the only proof that counts. All functions block; all only read.

Everything that is proved is synced too: PhotoPrism moves files without syncing them, and an original may go only when
its copy would survive a power cut.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from daemon.errors import NeedsPerson, Refused, RelayError, Transient
from daemon.files.faults import disk_fault, path_of, told
from daemon.files.folders import Folders
from daemon.files.hashing import hash_only_blake3
from daemon.files.opening import directory_below, file_below, look
from daemon.files.publishing import sync_dir
from daemon.files.syncing import sync_copy
from daemon.fingerprint import Fingerprint
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from daemon.files.opening import OpenFile
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo

_LOOKS = 5
"""So often a file is read that changes while it is read."""
_NO_SYNC = frozenset({errno.EINVAL, errno.EROFS, errno.EOPNOTSUPP, errno.ENOSYS})
"""A mount that cannot sync (read-only, some FUSE) has written all that it will write."""


def not_emptied(root: str, ledger: Ledger) -> None:
    """Return if the archive's folder can be the one that photos were relayed to.

    Raises ``Transient`` ``archive.empty`` where nothing stands in it any more: mostly a bare mount point, and what is
    put there would vanish below the disk when that is mounted.
    """
    with told("listing", root), os.scandir(root) as entries:
        if next(entries, None) is None and (ledger.contents.any() or ledger.stock.any()):
            raise emptied(root)


def emptied(root: str) -> Transient:
    """Give the error for an archive whose disk has gone away."""
    return Transient(
        "archive.empty",
        f"the archive's folder {root} is empty, though photos were relayed to it; nothing is relayed until they are"
        " back",
        hint="see that its disk is mounted; if it is meant to be empty (a new archive), put any file into it",
    )


def same_bytes(root: str, path: str, size: int, blake3: bytes) -> Fingerprint | None:
    """Give the fingerprint of an archived file if it has exactly these bytes, and sync it; ``None`` if not.

    Raises ``Transient`` where the root is not mounted or the disk fails: that proves nothing either way.
    """
    for _ in range(_LOOKS):
        with suppress(_Moved):
            return _same_bytes(root, path, size, blake3)
    return None


class _Moved(Exception):
    """Raised where a file changed while it was read.

    It may be its ctime alone, since an original that is a second name of it was just let go: then its bytes are as they
    were, and who called them gone would bring the photo a second time. So it is read again.
    """


def _same_bytes(root: str, path: str, size: int, blake3: bytes) -> Fingerprint | None:
    try:
        with file_below(root, path) as archived:
            if archived.status.st_size != size:
                return None
            if bytes.fromhex(hash_only_blake3(archived.fd, expected=archived.fingerprint)) != blake3:
                return None
            _make_durable(root, path, archived)
            # As it was read, not as it is by now: what is written while it is synced is found at the release.
            return archived.fingerprint
    except Refused:
        return None
    except Transient as error:
        if error.code == "file.changed":
            raise _Moved from error
        raise


def has_bytes(archived: OpenFile, size: int, blake3: bytes, each_block: Callable[[int], None]) -> bool:
    """Tell whether an open archived file, which was synced here before, has exactly these bytes."""
    expected = archived.fingerprint
    for _ in range(_LOOKS):
        if expected.size != size:
            return False
        try:
            return bytes.fromhex(hash_only_blake3(archived.fd, expected=expected, each_block=each_block)) == blake3
        except Transient as error:
            if error.code != "file.changed":
                raise
        expected = Fingerprint.of(os.fstat(archived.fd))
    return False


def _make_durable(root: str, path: str, archived: OpenFile) -> None:
    """Sync a file, its name, and the folders on the way to it, which PhotoPrism may have made a moment ago.

    Raises ``Transient`` where the disk could not write it back (``EIO``): what was read came from memory only, and the
    next try reads the disk.
    """
    try:
        sync_copy(archived.fd)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise disk_fault(error, "syncing", path_of(archived.dir_fd, archived.name)) from error
    folder = path.rpartition("/")[0]
    while True:
        with directory_below(root, folder) as fd:
            try:
                sync_dir(fd)
            except RelayError as error:
                if error.code != "disk.read_only":
                    raise
        if not folder:
            return
        folder = folder.rpartition("/")[0]


def unchanged(root: str, path: str, proved: Fingerprint) -> bool:
    """Tell whether an archived file is, without reading it, still the one that was proved."""
    try:
        with file_below(root, path) as archived:
            return archived.fingerprint == proved
    except Refused:
        return False


def untouched(root: str, photos: Sequence[Photo]) -> set[int]:
    """Give those photos (by id) whose archived file is, without reading it, still the one that was proved."""
    found: set[int] = set()
    with Folders(root) as folders:
        for photo in photos:
            folder, _, name = photo.archived_as.rpartition("/")
            if photo.archive_fingerprint is not None and photo.archived_as:
                with suppress(Refused):
                    archived = look(folders.below(folder), name)
                    if archived is not None and Fingerprint.of(archived) == photo.archive_fingerprint:
                        found.add(photo.id)
    return found


def is_beside(path: str, main: str) -> bool:
    """Tell whether a side file's path is one beside that main file's: same folder, a name that begins alike. Pure."""
    folder, _, name = main.rpartition("/")
    at, _, side = path.rpartition("/")
    return at == folder and side.startswith(name.partition(".")[0]) and side != name


def beside(root: str, main: str, size: int, blake3: bytes) -> tuple[str, Fingerprint] | None:
    """Find a side file with these bytes beside an archived main file: same folder, a name that begins alike."""
    folder = main.rpartition("/")[0]
    try:
        with directory_below(root, folder) as fd:
            paths = sorted(f"{folder}/{entry}" if folder else entry for entry in os.listdir(fd))
    except Refused:
        return None
    for path in paths:
        if not is_beside(path, main):
            continue
        found = same_bytes(root, path, size, blake3)
        if found is not None:
            return path, found
    return None


def search(root: str, size: int, blake3: bytes) -> tuple[str, Fingerprint] | None:
    """Find a file with these bytes anywhere in the archive: by size, then by content."""
    for path in _of_size(root, "", size):
        with suppress(RelayError):
            found = same_bytes(root, path, size, blake3)
            if found is not None:
                return path, found
    return None


def _of_size(root: str, folder: str, size: int) -> Iterator[str]:
    inner: list[str] = []
    with suppress(Refused), directory_below(root, folder) as fd, os.scandir(fd) as entries:
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                inner.append(path)
            elif entry.is_file(follow_symlinks=False):
                with suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_size == size:
                        yield path
    for path in sorted(inner, reverse=True):
        yield from _of_size(root, path, size)


def blocks(root: str, path: str, size: int = 1 << 20) -> Iterator[bytes]:
    """Give an archived file's bytes in blocks."""
    with file_below(root, path) as archived:
        while block := os.read(archived.fd, size):
            yield block


def find(root: str, photo: Photo) -> Iterator[bytes]:
    """Give the blocks of a photo's archived file, searched by its bytes where somebody has moved it.

    Raises ``NeedsPerson`` ``archive.absent`` where no file in the archive has these bytes.
    """
    size, digest = photo.fingerprint.size, photo.blake3 or b""
    path = photo.archived_as
    if not path or same_bytes(root, path, size, digest) is None:
        found = search(root, size, digest)
        if found is None:
            raise NeedsPerson(
                "archive.absent",
                f"the archive does not hold the bytes of {shown(photo.name)} of {photo.user} any more",
                hint="look for them in a backup of the archive: b3sum tells them by their hash",
            )
        path = found[0]
    return blocks(root, path)
