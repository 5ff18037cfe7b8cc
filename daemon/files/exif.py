"""Exif from photos and raw files: where it lies, and the few tags that are asked for, within a budget."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Literal

import exifread

from daemon.files.boxes import canon_blocks, exif_item
from daemon.files.dates_in_tiff import dates_in_tiff
from daemon.files.kinds import SNIFFED, sniff
from daemon.files.window import BudgetSpent, Window

if TYPE_CHECKING:
    from collections.abc import Mapping

# It logs what it finds in hostile files, word for word.
logging.getLogger("exifread").disabled = True

_MOST_SEGMENTS = 512
_LARGEST_SEGMENT = 64 << 10
_APPLE = b"Apple iOS\0"
_LARGEST_NOTE = 64 << 10
_LARGEST_THUMBNAIL = 1 << 20
_CONTENT_IDENTIFIER = 0x0011
_RAF_JPEG = 84  # in the header of Fujifilm's RAF: where its JPEG is, and how long


def exif_tags(fd: int) -> Mapping[str, Any]:
    """Give a photo's Exif tags by exifread's names (``EXIF DateTimeOriginal``); empty where there are none.

    A hostile file costs no more than the budget of its ``Window``: no exception, no long loop, no large memory.
    """
    tags: dict[str, Any] = {}
    for start, length in _structures(fd, os.pread(fd, SNIFFED, 0)):
        tags.update(_read_tags(fd, start, length, details=False))
    return tags


def dates(fd: int, first: bytes | None = None) -> Mapping[str, Any]:
    """Give the Exif tags that say when a photo was taken, by exifread's names, and perhaps others.

    ``first`` are the file's first bytes, where they were read already (as many as ``sniff`` wants).
    """
    first = os.pread(fd, SNIFFED, 0) if first is None else first
    if sniff(first) == "jpeg":
        places = _jpeg_exif(fd, 0, os.fstat(fd).st_size, first)
        if not places:
            return {}
        [(start, length)] = places
        # A segment has 64 kB at most, and everything in it is addressed from its own start.
        found = dates_in_tiff(os.pread(fd, max(0, min(length, _LARGEST_SEGMENT)), start))
        if found is not None:
            return found
    return exif_tags(fd)


def apple_identifier(fd: int, first: bytes) -> str:
    """Give the ContentIdentifier from the maker note of Apple's cameras, empty where there is none."""
    for start, length in _structures(fd, first):
        if length <= _LARGEST_SEGMENT and _APPLE not in os.pread(fd, max(0, length), start):
            continue  # nearly all photos: looked for in the bytes, it takes a twentieth of the time
        note = _read_tags(fd, start, length, details=True).get("EXIF MakerNote")
        if note is not None:
            size = min(note.field_length, _LARGEST_NOTE)
            return _apple_text(os.pread(fd, size, start + note.field_offset), _CONTENT_IDENTIFIER)
    return ""


def jpeg_thumbnail(fd: int) -> bytes:
    """Give the small JPEG that a camera put beside the photo's Exif tags, empty where there is none.

    Not looked into: only its first bytes are those of a JPEG. Of at most 1 MiB, within the budget of the tags.
    """
    for start, length in _structures(fd, os.pread(fd, SNIFFED, 0)):
        tags = _read_tags(fd, start, length, details=False)
        at, size = (
            _number(tags, "Thumbnail JPEGInterchangeFormat"),
            _number(tags, "Thumbnail JPEGInterchangeFormatLength"),
        )
        if not 0 < at < length or not 0 < size <= min(_LARGEST_THUMBNAIL, length - at):
            continue
        picture = os.pread(fd, size, start + at)
        if picture.startswith(b"\xff\xd8\xff") and len(picture) == size:
            return picture
    return b""


def _number(tags: Mapping[str, Any], name: str) -> int:
    values = getattr(tags.get(name), "values", None)
    return values[0] if isinstance(values, list) and values and isinstance(values[0], int) else 0


def text_of(tags: Mapping[str, Any], *names: str) -> str:
    """Give the text of the first of the tags that has one, empty where none has."""
    for name in names:
        value = tags.get(name)
        values = value if isinstance(value, str) else getattr(value, "values", None)
        if isinstance(values, str) and values.strip("\0 :"):
            return values.strip("\0 ")
    return ""


def _structures(fd: int, first: bytes) -> list[tuple[int, int]]:
    """Give where the TIFF structures lie (offset, length); the whole file where exifread finds them itself."""
    size = os.fstat(fd).st_size
    kind = sniff(first)
    if kind == "jpeg":
        return _jpeg_exif(fd, 0, size, first)
    if kind in {"heif", "avif"}:
        # Not left to exifread, whose boxes share a dictionary among all files and threads.
        place = exif_item(Window(fd, 0, size), size)
        return [place] if place else []
    if kind == "cr3":
        return canon_blocks(Window(fd, 0, size), size)
    if kind == "raf":
        start = int.from_bytes(first[_RAF_JPEG : _RAF_JPEG + 4], "big")
        return _jpeg_exif(fd, start, size)
    if kind == "webp":
        return _webp_exif(fd, size)
    if kind in {"tiff", "orf", "rw2", "png", "jxl"}:
        return [(0, size)]
    return []


def _read_tags(fd: int, start: int, length: int, *, details: bool) -> dict[str, Any]:
    if start and os.pread(fd, 2, start) not in {b"II", b"MM"}:
        return {}  # exifread would try to read it as a file of some other kind
    window: Any = Window(fd, start, length)
    try:
        return exifread.process_file(window, details=details, extract_thumbnail=False)
    except (BudgetSpent, RecursionError, MemoryError, OSError):
        return {}
    except Exception:  # noqa: BLE001 - it raises whatever a broken file leads it to (struct.error, KeyError, …)
        return {}


def _apple_text(note: bytes, wanted: int) -> str:
    """Read a text from Apple's maker note, a directory whose offsets count from the note's own start.

    Not left to exifread, which counts them from another place and gives a text that begins 14 bytes late.
    """
    if not note.startswith(_APPLE) or note[12:14] not in {b"MM", b"II"}:
        return ""
    order: Literal["big", "little"] = "big" if note[12:14] == b"MM" else "little"
    for index in range(int.from_bytes(note[14:16], order)):
        entry = note[16 + 12 * index : 28 + 12 * index]
        if len(entry) < 12:
            break
        if int.from_bytes(entry[:2], order) == wanted:
            size, at = int.from_bytes(entry[4:8], order), int.from_bytes(entry[8:12], order)
            text = entry[8 : 8 + size] if size <= 4 else note[at : at + size]
            return text.decode("ascii", "replace").strip("\0 ")
    return ""


def _webp_exif(fd: int, size: int) -> list[tuple[int, int]]:
    r"""Find the EXIF chunk, which holds the TIFF structure with or without ``Exif\0\0`` before it."""
    at = 12
    for _ in range(_MOST_SEGMENTS):
        head = os.pread(fd, 14, at)
        if len(head) < 14 or at >= size:
            break
        length = int.from_bytes(head[4:8], "little")
        if head[:4] == b"EXIF":
            skip = 6 if head[8:] == b"Exif\0\0" else 0
            return [(at + 8 + skip, length - skip)]
        at += 8 + length + length % 2
    return []


def _jpeg_exif(fd: int, start: int, size: int, first: bytes = b"") -> list[tuple[int, int]]:
    """Find the Exif segment by walking all segments: large ones (XMP, colour profiles) may stand before it.

    What lies within the file's ``first`` bytes is not read again.
    """
    at = start + 2
    for _ in range(_MOST_SEGMENTS):
        head = first[at : at + 10] if at + 10 <= len(first) else os.pread(fd, 10, at)
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
