"""Real photos and videos, made from a few small base files without any imaging library.

Each function gives a file that cameras, galleries and exiftool accept. The same date and seed give the same bytes,
another date or seed others, ``size`` gives a file of exactly that many bytes. What varies stands in placeholders of
the same length (dates, Apple's identifier) or where each format has room for what readers skip: a JPEG comment, a PNG
private chunk, an ISO ``free`` box, what follows the last strip of a TIFF.
"""

from __future__ import annotations

import functools
import hashlib
import struct
import uuid
import zlib
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

MEDIA = Path(str(files("daemon.demo"))) / "media"
DATE = "2001:02:03 04:05:06"
"""Stands in the base files where EXIF has the date taken: local time, 19 characters."""
OFFSET = "+13:37"
"""Stands where EXIF has the date's offset from UTC (OffsetTimeOriginal)."""
QUICKTIME_DATE = "2001-02-03T04:05:06+1337"
"""Stands where Apple's videos have com.apple.quicktime.creationdate."""
IDENTIFIER = "01234567-89AB-4CDE-8F01-23456789ABCD"
"""Stands where both halves of a Live Photo have their ContentIdentifier."""
_QUICKTIME_EPOCH = datetime(1904, 1, 1, tzinfo=UTC)
_MARK = 32


@functools.cache
def _base(name: str) -> bytes:
    return (MEDIA / name).read_bytes()


def _aware(taken: datetime) -> datetime:
    return taken if taken.tzinfo else taken.replace(tzinfo=UTC)


def _filler(what: str, taken: datetime, seed: int, length: int) -> bytes:
    """Give bytes that no compression shrinks and no other file has: the same for the same arguments."""
    return hashlib.shake_128(f"{what} {taken.isoformat()} {seed}".encode()).digest(length)


def _patched(base: bytes, taken: datetime, identifier: str = "") -> bytes:
    """Put dates and identifier over their placeholders; lengths are equal, so no offset in the file moves."""
    taken = _aware(taken)
    offset = taken.strftime("%z")
    for old, new in (
        (DATE, taken.strftime("%Y:%m:%d %H:%M:%S")),
        (OFFSET, f"{offset[:3]}:{offset[3:5]}"),
        (QUICKTIME_DATE, taken.strftime("%Y-%m-%dT%H:%M:%S") + offset[:5]),
        (IDENTIFIER, identifier or IDENTIFIER),
    ):
        base = base.replace(old.encode(), new.encode())
    return base


def _room(name: str, base: bytes, size: int | None, frame: int) -> int:
    """Give the number of bytes to add inside a frame of ``frame`` bytes, so that the whole becomes ``size``."""
    if size is None:
        return _MARK
    room = size - len(base) - frame
    if room < _MARK:
        raise ValueError(f"a {name} here has at least {len(base) + frame + _MARK} bytes, not {size}")
    return room


def jpeg(taken: datetime, seed: int, size: int | None = None, *, identifier: str = "") -> bytes:
    """Give a JPEG with its EXIF date; with ``identifier`` an iPhone's that announces the video of a Live Photo."""
    name = "live.jpg" if identifier else ("lake.jpg", "dawn.jpg", "night.jpg")[seed % 3]
    base = _patched(_base(name), taken, identifier)
    room = _room("JPEG", base, size, 4)
    # A comment holds 65,533 bytes at most, its length included in the two bytes that count it.
    segments = -(-(room + 4) // 65_537)
    filler, out, at = _filler("jpeg" + identifier, taken, seed, room + 4 - 4 * segments), [], 0
    for number in range(segments):
        length = (len(filler) - at) // (segments - number)
        out.append(b"\xff\xfe" + struct.pack(">H", length + 2) + filler[at : at + length])
        at += length
    split = _after_exif(base)
    return base[:split] + b"".join(out) + base[split:]


def _after_exif(base: bytes) -> int:
    """Give the place behind the APP segments, where a comment keeps no reader from finding the EXIF block early."""
    at = 2
    while 0xE0 <= base[at + 1] <= 0xEF:
        at += 2 + struct.unpack(">H", base[at + 2 : at + 4])[0]
    return at


def png(taken: datetime, seed: int, size: int | None = None) -> bytes:
    """Give a PNG with the date in its eXIf chunk."""
    out, at, base = [], 8, _base("night.png")
    while at < len(base):
        length, kind = struct.unpack(">L4s", base[at : at + 8])
        body = base[at + 8 : at + 8 + length]
        if kind == b"IEND":
            out.append(_chunk(b"paDd", _filler("png", taken, seed, _room("PNG", base, size, 12))))
        out.append(_chunk(kind, _patched(body, taken) if kind == b"eXIf" else body))
        at += 12 + length
    return base[:8] + b"".join(out)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))


def dng(taken: datetime, seed: int, size: int | None = None) -> bytes:
    """Give a digital negative (RAW) with its EXIF date."""
    base = _patched(_base("dawn.dng"), taken)
    return base + _filler("dng", taken, seed, _room("DNG", base, size, 0))


def heic(taken: datetime, seed: int, size: int | None = None, *, identifier: str = "") -> bytes:
    """Give an iPhone's HEIC with its EXIF date; with ``identifier`` one that announces the video of a Live Photo."""
    base = _patched(_base("live.heic" if identifier else "dawn.heic"), taken, identifier)
    return _boxed("HEIC", base, "heic" + identifier, taken, seed, size)


def mp4(taken: datetime, seed: int, size: int | None = None) -> bytes:
    """Give a second of H.264 video with its creation time, which the format counts in UTC."""
    return _boxed("MP4", _timed(_base("lake.mp4"), taken), "mp4", taken, seed, size)


def mov(taken: datetime, seed: int, size: int | None = None, *, identifier: str = "") -> bytes:
    """Give an iPhone's QuickTime video; with ``identifier`` the moving half of a Live Photo."""
    identifier = identifier or content_identifier(taken, -seed - 1)
    return _boxed("MOV", _timed(_patched(_base("live.mov"), taken, identifier), taken), "mov", taken, seed, size)


def _boxed(name: str, base: bytes, what: str, taken: datetime, seed: int, size: int | None) -> bytes:
    room = _room(name, base, size, 8)
    return base + struct.pack(">L4s", 8 + room, b"free") + _filler(what, taken, seed, room)


def _timed(base: bytes, taken: datetime) -> bytes:
    """Set creation and modification time in every header box of version 0 (32-bit seconds since 1904)."""
    seconds = struct.pack(">L", int((_aware(taken) - _QUICKTIME_EPOCH).total_seconds()))
    out = bytearray(base)
    for kind in (b"mvhd\0", b"tkhd\0", b"mdhd\0"):
        at = out.find(kind)
        while at >= 0:
            out[at + 8 : at + 16] = seconds * 2
            at = out.find(kind, at + 16)
    return bytes(out)


def content_identifier(taken: datetime, seed: int) -> str:
    """Give the UUID that both halves of one Live Photo carry, upper case as iPhones write it."""
    return str(uuid.UUID(bytes=_filler("live", taken, seed, 16), version=4)).upper()


def live_pair(taken: datetime, seed: int, size: int | None = None) -> tuple[bytes, bytes]:
    """Give a Live Photo: the HEIC and the MOV, which share a ContentIdentifier; ``size`` is the still's."""
    identifier = content_identifier(taken, seed)
    return heic(taken, seed, size, identifier=identifier), mov(taken, seed, identifier=identifier)


def live_pair_jpeg(taken: datetime, seed: int, size: int | None = None) -> tuple[bytes, bytes]:
    """Give a Live Photo as "most compatible" makes it: JPEG and MOV with one ContentIdentifier."""
    identifier = content_identifier(taken, seed)
    return jpeg(taken, seed, size, identifier=identifier), mov(taken, seed, identifier=identifier)


def xmp(seed: int) -> bytes:
    """Give a side file as photo editors write it beside a picture."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:identifier="{seed}"/></rdf:RDF></x:xmpmeta>'
        '<?xpacket end="w"?>'
    ).encode()
