"""A small picture of a photo in the ledger: the archive's own, the one that the camera put into the file, or itself.

The daemon decodes no pictures, so there is nothing in one that could harm it. What goes out begins as a JPEG, PNG or
WebP does: PhotoPrism answers with an SVG where it has no thumbnail (internal/api/thumbs.go), and an SVG can hold a
script.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from daemon.errors import RelayError
from daemon.files.exif import jpeg_thumbnail
from daemon.files.opening import file_below
from daemon.fingerprint import inode_of
from daemon.ledger.model import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.current import Current
    from daemon.ledger.model import Photo
    from daemon.photoprism.client import PhotoPrism
    from daemon.relay.archive import Archive

log = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds for one thumbnail, wherever it comes from."""
AT_ONCE = 4
"""Thumbnails under way at a time: a list asks for fifty, and PhotoPrism and the disk have other work."""
SMALL = 512 << 10
"""Bytes up to which a picture is its own thumbnail: what messengers send is small, and has none in it."""
_WITH_PHOTOPRISM = frozenset({State.ARCHIVED, State.RELEASED, State.DONE, State.RESTORED})


class Thumbnails:
    """Finds thumbnails; nothing is kept, the browser does that."""

    def __init__(self, current: Current, archive: Archive, prism: PhotoPrism | None) -> None:
        self._current = current
        self._archive = archive
        self._prism = prism
        self._limit = anyio.Semaphore(AT_ONCE)

    async def of(self, photo: Photo) -> tuple[bytes, str] | None:
        """Give a photo's thumbnail with its media type, ``None`` where there is none."""
        if photo.role != "main":
            return None
        async with self._limit:
            picture = await self._from_photoprism(photo)
            if picture is None:
                with anyio.move_on_after(PATIENCE):
                    picture = await anyio.to_thread.run_sync(self._embedded, photo, abandon_on_cancel=True)
        if picture is None:
            return None
        kind = media_type(picture)
        return (picture, kind) if kind else None

    async def _from_photoprism(self, photo: Photo) -> bytes | None:
        if self._prism is None or photo.sha1 is None or photo.state not in _WITH_PHOTOPRISM:
            return None
        try:
            with anyio.move_on_after(PATIENCE):
                picture = await self._prism.thumbnail(photo.sha1.hex())
                return picture if picture and media_type(picture) else None
        except RelayError as error:
            log.debug("no thumbnail of photo %d from PhotoPrism: %s", photo.id, error)
        return None

    def _embedded(self, photo: Photo) -> bytes | None:
        """Look into the archived file, then into the original if it is still the file in the ledger. Blocking."""
        for root, path, inode in self._places(photo):
            try:
                with file_below(root, path) as opened:
                    status = opened.status
                    if status.st_size != photo.fingerprint.size or inode not in {None, inode_of(status)}:
                        continue
                    picture = jpeg_thumbnail(opened.fd) or _whole(opened.fd, status.st_size)
            except RelayError:
                continue
            if picture:
                return picture
        return None

    def _places(self, photo: Photo) -> Iterator[tuple[str, str, int | None]]:
        if photo.archived_as and self._archive.root:
            yield self._archive.root, photo.archived_as, None
        # Another file may stand under its name meanwhile: its owner's, but not the one that was asked for.
        yield f"{self._current.settings.nextcloud.data}/{photo.user}/files", photo.path, photo.fingerprint.inode


def _whole(fd: int, size: int) -> bytes:
    return os.pread(fd, size, 0) if size <= SMALL and media_type(os.pread(fd, 12, 0)) else b""


def media_type(picture: bytes) -> str | None:
    """Give the media type of a picture by its first bytes, ``None`` for whatever a browser is not to be given."""
    if picture.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if picture.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if picture.startswith(b"RIFF") and picture[8:12] == b"WEBP":
        return "image/webp"
    return None
