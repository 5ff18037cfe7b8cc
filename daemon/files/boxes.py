"""ISO media files (MP4, QuickTime, HEIC, AVIF, CR3): finding the few boxes that tell when and with what.

Box layout: ISO/IEC 14496-12; HEIC items: ISO/IEC 23008-12; the ``mdta`` keys: Apple's QuickTime File Format.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.files.window import Window

_EPOCH = datetime(1904, 1, 1, tzinfo=UTC)
_LARGEST = 1 << 20
_MOST_BOXES = 4096
_CANON = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")

_CREATION_DATE = b"com.apple.quicktime.creationdate"
_CONTENT_IDENTIFIER = b"com.apple.quicktime.content.identifier"


@dataclass(frozen=True, slots=True)
class Box:
    """A box's type, and where its content starts and ends in the file."""

    kind: bytes
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class MovieFacts:
    """What a movie's header tells: when it was made in UTC, Apple's local date as text, Apple's pairing id."""

    created: datetime | None = None
    creation_date: str | None = None
    content_identifier: str | None = None


def movie_facts(file: Window, size: int) -> MovieFacts:
    """Give what a movie's ``moov`` box tells; empty where there is none or it makes no sense."""
    movie = _first(file, 0, size, b"moov")
    if movie is None:
        return MovieFacts()
    created = None
    keys: dict[bytes, str] = {}
    for box in _boxes(file, movie.start, movie.end):
        if box.kind == b"mvhd":
            created = _movie_header(_content(file, box))
        elif box.kind == b"meta":
            keys |= _keys(file, box)
        elif box.kind == b"udta" and (meta := _first(file, box.start, box.end, b"meta")) is not None:
            # Cameras have the keys beside the tracks; ffmpeg, and what is built on it, has them one box deeper.
            keys = _keys(file, meta) | keys
    return MovieFacts(created, keys.get(_CREATION_DATE), keys.get(_CONTENT_IDENTIFIER))


def exif_item(file: Window, size: int) -> tuple[int, int] | None:
    """Give where a HEIC or AVIF file has its Exif TIFF structure (offset and length), ``None`` where it has none."""
    meta = _first(file, 0, size, b"meta")
    if meta is None:
        return None
    inner = {box.kind: box for box in _boxes(file, meta.start + 4, meta.end)}
    if b"iinf" not in inner or b"iloc" not in inner:
        return None
    item = _exif_item_id(file, inner[b"iinf"])
    if item is None:
        return None
    place = _item_place(_content(file, inner[b"iloc"]), item, inner.get(b"idat"))
    if place is None:
        return None
    offset, length = place
    file.seek(offset)
    head = file.read(4)
    # The payload starts with the distance to the TIFF header, over "Exif\0\0" in most files; a few have 0 and "Exif".
    skip = 4 + int.from_bytes(head, "big")
    if skip + 8 > length:
        return None
    file.seek(offset + skip)
    if file.read(6) == b"Exif\0\0":
        skip += 6
    return offset + skip, length - skip


def canon_blocks(file: Window, size: int) -> list[tuple[int, int]]:
    """Give where a CR3 file has its TIFF structures: ``CMT1`` is the image's, ``CMT2`` the Exif part of it."""
    movie = _first(file, 0, size, b"moov")
    if movie is None:
        return []
    for box in _boxes(file, movie.start, movie.end):
        if box.kind == b"uuid" and _read(file, box.start, 16) == _CANON:
            return [
                (inner.start, inner.end - inner.start)
                for inner in _boxes(file, box.start + 16, box.end)
                if inner.kind in {b"CMT1", b"CMT2"}
            ]
    return []


def _boxes(file: Window, start: int, end: int) -> Iterator[Box]:
    """Walk the boxes that stand one after the other; one that makes no sense ends the walk."""
    for _ in range(_MOST_BOXES):
        head = _read(file, start, 16) if start + 8 <= end else b""
        if len(head) < 8:
            return
        size, content = int.from_bytes(head[:4], "big"), start + 8
        if size == 1 and len(head) == 16:
            size, content = int.from_bytes(head[8:16], "big"), start + 16
        elif size == 0:
            size = end - start
        if size < content - start or start + size > end:
            return
        yield Box(head[4:8], content, start + size)
        start += size


def _first(file: Window, start: int, end: int, kind: bytes) -> Box | None:
    return next((box for box in _boxes(file, start, end) if box.kind == kind), None)


def _read(file: Window, start: int, count: int) -> bytes:
    file.seek(start)
    return file.read(count)


def _content(file: Window, box: Box) -> bytes:
    return _read(file, box.start, min(box.end - box.start, _LARGEST))


def _movie_header(content: bytes) -> datetime | None:
    wide = content[:1] == b"\x01"
    raw = content[4:12] if wide else content[4:8]
    seconds = int.from_bytes(raw, "big")
    if not seconds:
        return None
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return None


def _keys(file: Window, meta: Box) -> dict[bytes, str]:
    # QuickTime's meta box holds boxes at once, ISO's has four bytes of version and flags before them.
    start = meta.start if _read(file, meta.start, 8)[4:8] == b"hdlr" else meta.start + 4
    inner = {box.kind: box for box in _boxes(file, start, meta.end)}
    if b"keys" not in inner or b"ilst" not in inner:
        return {}
    names = []
    content, at = _content(file, inner[b"keys"]), 8
    while at + 8 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        if size < 8:
            break
        names.append(content[at + 8 : at + size])
        at += size
    found = {}
    for entry in _boxes(file, inner[b"ilst"].start, inner[b"ilst"].end):
        index = int.from_bytes(entry.kind, "big") - 1
        if 0 <= index < len(names) and names[index] in {_CREATION_DATE, _CONTENT_IDENTIFIER}:
            data = _first(file, entry.start, entry.end, b"data")
            if data is not None and data.end - data.start <= 8 + 256:
                found[names[index]] = _content(file, data)[8:].decode("utf-8", "replace").strip("\0 ")
    return found


def _exif_item_id(file: Window, iinf: Box) -> int | None:
    version = _read(file, iinf.start, 1)
    for box in _boxes(file, iinf.start + (6 if version == b"\0" else 8), iinf.end):
        entry = _read(file, box.start, 16)
        if box.kind != b"infe" or len(entry) < 12:
            continue
        if entry[0] == 2 and entry[8:12] == b"Exif":
            return int.from_bytes(entry[4:6], "big")
        if entry[0] == 3 and entry[10:14] == b"Exif":
            return int.from_bytes(entry[4:8], "big")
    return None


def _item_place(iloc: bytes, wanted: int, idat: Box | None) -> tuple[int, int] | None:
    """Find an item's offset and length in the content of an ``iloc`` box."""
    try:
        return _walk_places(iloc, wanted, idat)
    except struct.error:
        return None


def _walk_places(iloc: bytes, wanted: int, idat: Box | None) -> tuple[int, int] | None:
    version, sizes, at = iloc[0] if iloc else 9, iloc[4:6], 6
    if version > 2 or len(sizes) < 2:
        return None
    offset_size, length_size, base_size = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4
    index_size = sizes[1] & 15 if version else 0

    def number(count: int) -> int:
        nonlocal at
        raw = iloc[at : at + count]
        if len(raw) < count:
            raise struct.error
        at += count
        return int.from_bytes(raw, "big")

    for _ in range(number(4 if version == 2 else 2)):
        item = number(4 if version == 2 else 2)
        method = number(2) & 15 if version else 0
        number(2)
        base, extents = number(base_size), number(2)
        places = []
        for _extent in range(extents):
            number(index_size)
            places.append((base + number(offset_size), number(length_size)))
        if item == wanted:
            if len(places) != 1 or method > 1 or (method == 1 and idat is None):
                return None
            offset, length = places[0]
            return (offset + idat.start if method == 1 and idat else offset), length
    return None
