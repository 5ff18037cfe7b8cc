"""The six Exif tags that say when, read out of a TIFF structure in memory; whatever is unusual is left to exifread.

Of each photo only its date is asked, and exifread reads, and keeps, all tags: that took longer than hashing the photo.
"""

from __future__ import annotations

from struct import Struct, error

_TAGS = {
    0x0132: "DateTime",
    0x9003: "DateTimeOriginal",
    0x9004: "DateTimeDigitized",
    0x9010: "OffsetTime",
    0x9011: "OffsetTimeOriginal",
    0x9012: "OffsetTimeDigitized",
}
_EXIF = 0x8769
_ASCII, _LONG = 2, 4
_MOST_ENTRIES = 512
_LONGEST = 64
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}


def dates_in_tiff(block: bytes) -> dict[str, str] | None:
    """Give the tags by exifread's names (``EXIF DateTimeOriginal``), or ``None`` where that is not quite certain."""
    order = _ORDERS.get(block[:4])
    if order is None:
        return None
    long, short, entry = Struct(f"{order}I"), Struct(f"{order}H"), Struct(f"{order}HHII")
    found: dict[str, str] = {}
    try:
        pointers = _directory(block, long.unpack_from(block, 4)[0], short, entry, "Image", found)
        if len(pointers) > 1 or (pointers and _directory(block, pointers[0], short, entry, "EXIF", found)):
            return None
    except (error, _Unusual):
        return None
    return found


class _Unusual(Exception):
    pass


def _directory(block: bytes, at: int, short: Struct, entry: Struct, name: str, found: dict[str, str]) -> list[int]:
    """Read one directory's dates into ``found``; give the places of the Exif directories that it points to."""
    count = short.unpack_from(block, at)[0]
    if at < 8 or count > _MOST_ENTRIES or at + 2 + 12 * count > len(block):
        raise _Unusual
    pointers = []
    for tag, kind, length, value in entry.iter_unpack(block[at + 2 : at + 2 + 12 * count]):
        if tag == _EXIF:
            if kind != _LONG or length != 1:
                raise _Unusual
            pointers.append(value)
        elif tag in _TAGS:
            # Up to four bytes would stand in the entry itself: no date is so short.
            if kind != _ASCII or not 4 < length <= _LONGEST or value + length > len(block):
                raise _Unusual
            found[f"{name} {_TAGS[tag]}"] = block[value : value + length].decode("latin-1")
    return pointers
