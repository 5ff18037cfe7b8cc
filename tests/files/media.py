"""Real photos and movies for the tests, small, and with just the metadata that is asked for."""

from __future__ import annotations

import io
import struct
from datetime import UTC, datetime

import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()

DATE_TIME, EXIF_IFD = 0x0132, 0x8769
ORIGINAL, DIGITIZED, OFFSET_ORIGINAL, MAKER_NOTE = 0x9003, 0x9004, 0x9011, 0x927C


def photo(
    kind: str = "JPEG", *, exif: dict[int, object] | None = None, image: dict[int, object] | None = None
) -> bytes:
    """Encode a photo with tags in its Exif and its image directory."""
    tags = Image.Exif()
    for tag, value in (image or {}).items():
        tags[tag] = value
    inner = tags.get_ifd(EXIF_IFD)
    for tag, value in (exif or {}).items():
        inner[tag] = value
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "orange").save(out, kind, exif=tags.tobytes())
    return out.getvalue()


def apple_note(identifier: str) -> bytes:
    """Make a maker note as Apple's cameras write it, with a ContentIdentifier (tag 0x0011)."""
    text = identifier.encode() + b"\0"
    head = b"Apple iOS\0\0\x01MM" + struct.pack(">H", 2)
    entries = struct.pack(">HHLl", 0x0001, 9, 1, 14)
    entries += struct.pack(">HHLL", 0x0011, 2, len(text), len(head) + 2 * 12 + 4)
    return head + entries + bytes(4) + text


def box(kind: bytes, *content: bytes) -> bytes:
    inner = b"".join(content)
    return struct.pack(">L", 8 + len(inner)) + kind + inner


def seconds_since_1904(when: datetime) -> int:
    return int((when - datetime(1904, 1, 1, tzinfo=UTC)).total_seconds())


def movie(
    created: int = 0,
    keys: dict[str, str] | None = None,
    *,
    media: int = 100,
    moov_first: bool = False,
    full_meta: bool = False,
) -> bytes:
    """Make a QuickTime movie's frame: the header's creation time, and Apple's metadata keys."""
    header = box(b"mvhd", struct.pack(">LLLLL", 0, created, created, 600, 600) + bytes(80))
    meta = b""
    if keys:
        names = b"".join(struct.pack(">L", 8 + len(name)) + b"mdta" + name.encode() for name in keys)
        items = b"".join(
            box(struct.pack(">L", index), box(b"data", struct.pack(">LL", 1, 0), value.encode()))
            for index, value in enumerate(keys.values(), 1)
        )
        meta = box(
            b"meta",
            bytes(4) if full_meta else b"",
            box(b"hdlr", bytes(8), b"mdta", bytes(13)),
            box(b"keys", struct.pack(">LL", 0, len(keys)), names),
            box(b"ilst", items),
        )
    moov, mdat = box(b"moov", header, meta), box(b"mdat", bytes(media))
    return box(b"ftyp", b"qt  ", bytes(4), b"qt  ") + (moov + mdat if moov_first else mdat + moov)
