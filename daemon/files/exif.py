"""Exif from photos and raw files: where it lies, and the few tags that are asked for, within a budget."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import exifread

from daemon.files.boxes import canon_blocks, exif_item
from daemon.files.kinds import SNIFFED, sniff
from daemon.files.window import BudgetSpent, Window

if TYPE_CHECKING:
    from collections.abc import Mapping

# It logs what it finds in hostile files, word for word.
logging.getLogger("exifread").disabled = True

_MOST_SEGMENTS = 512
_RAF_JPEG = 84  # in the header of Fujifilm's RAF: where its JPEG is, and how long


def exif_tags(fd: int, *, details: bool = False) -> Mapping[str, Any]:
    """Give a photo's Exif tags by exifread's names (``EXIF DateTimeOriginal``); empty where there are none.

    With ``details`` the maker's own notes too. A hostile file costs no more than the budget of its ``Window``: no
    exception, no long loop, no large memory.
    """
    tags: dict[str, Any] = {}
    try:
        for start, length in _structures(fd):
            if start and os.pread(fd, 2, start) not in {b"II", b"MM"}:
                continue  # exifread would try to read it as a file of some other kind
            tags.update(
                exifread.process_file(Window(fd, start, length), details=details, extract_thumbnail=False)  # type: ignore[arg-type, unused-ignore]
            )
    except (BudgetSpent, RecursionError, MemoryError, OSError):
        return tags
    except Exception:  # noqa: BLE001 - exifread raises whatever a broken file leads it to (struct.error, KeyError, …)
        return tags
    return tags


def text_of(tags: Mapping[str, Any], *names: str) -> str:
    """Give the text of the first of the tags that has one, empty where none has."""
    for name in names:
        value = tags.get(name)
        values = getattr(value, "values", None)
        if isinstance(values, str) and values.strip("\0 :"):
            return values.strip("\0 ")
    return ""


def _structures(fd: int) -> list[tuple[int, int]]:
    """Give where the TIFF structures lie (offset, length); the whole file where exifread finds them itself."""
    size = os.fstat(fd).st_size
    first = os.pread(fd, SNIFFED, 0)
    kind = sniff(first)
    if kind == "jpeg":
        return _jpeg_exif(fd, 0, size)
    if kind in {"heif", "avif"}:
        # Not left to exifread, whose boxes share a dictionary among all files and threads.
        place = exif_item(Window(fd, 0, size), size)
        return [place] if place else []
    if kind == "cr3":
        return canon_blocks(Window(fd, 0, size), size)
    if kind == "raf":
        start = int.from_bytes(first[_RAF_JPEG : _RAF_JPEG + 4], "big")
        return _jpeg_exif(fd, start, size)
    if kind in {"tiff", "orf", "rw2", "png", "webp", "jxl"}:
        return [(0, size)]
    return []


def _jpeg_exif(fd: int, start: int, size: int) -> list[tuple[int, int]]:
    """Find the Exif segment by walking all segments: large ones (XMP, colour profiles) may stand before it."""
    at = start + 2
    for _ in range(_MOST_SEGMENTS):
        head = os.pread(fd, 10, at)
        if len(head) < 10 or head[0] != 0xFF or head[1] in {0xD9, 0xDA}:
            break
        if head[1] == 0xFF:  # a fill byte
            at += 1
            continue
        length = int.from_bytes(head[2:4], "big")
        if head[1] == 0xE1 and head[4:10] == b"Exif\0\0" and at + 10 < size:
            return [(at + 10, length - 8)]
        at += 2 + length
    return []
