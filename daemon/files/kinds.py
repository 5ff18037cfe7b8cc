"""What a file is: by the extension of its name, by its first bytes, and whether the two agree.

Extensions as Nextcloud maps them to images, raw images and videos (resources/config/mimetypemapping.dist.json),
with those that came later (cr3, avif, jxl), and the side files that PhotoPrism takes along with a photo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Category = Literal["image", "raw", "video", "side"]

#: As many first bytes as ``sniff`` wants to see.
SNIFFED = 4096


@dataclass(frozen=True, slots=True)
class FileType:
    """What an extension promises: a category, and the kinds of content it may hold (none named: any)."""

    category: Category
    kinds: frozenset[str] = frozenset()


def _table() -> dict[str, FileType]:
    rows: list[tuple[Category, str, str]] = [
        ("image", "jpg jpeg jpe jps mpo", "jpeg"),
        ("image", "heic heif hif", "heif"),
        ("image", "avif", "avif heif"),
        ("image", "webp", "webp"),
        ("image", "png", "png"),
        ("image", "gif", "gif"),
        ("image", "bmp", "bmp"),
        ("image", "tif tiff", "tiff"),
        ("image", "jp2", "jp2"),
        ("image", "jxl", "jxl"),
        ("raw", "arw dcr dng erf iiq k25 kdc mef nef nrw pef sr2 srf srw 3fr fff", "tiff"),
        ("raw", "cr2", "tiff"),
        ("raw", "cr3", "cr3"),
        ("raw", "crw", "crw"),
        ("raw", "mrw", "mrw"),
        ("raw", "orf", "orf tiff"),
        ("raw", "raf", "raf"),
        ("raw", "rw2", "rw2 tiff"),
        ("raw", "x3f", "x3f"),
        ("video", "mp4 m4v mov 3gp 3g2", "mp4"),
        ("video", "avi", "avi"),
        ("video", "mkv webm", "matroska"),
        ("video", "mpg mpeg", "mpeg mpegts mp4"),
        ("video", "mts m2ts m2t", "mpegts"),
        ("video", "wmv", "asf"),
        ("side", "xmp aae json yml txt", ""),
    ]
    return {
        extension: FileType(category, frozenset(kinds.split()))
        for category, extensions, kinds in rows
        for extension in extensions.split()
    }


#: Every extension the program knows, in lower case without the dot.
FILE_TYPES = _table()

_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "jxl"),
    (b"\xff\x0a", "jxl"),
    (b"II\x1a\x00\x00\x00HEAPCCDR", "crw"),
    (b"\x00MRM", "mrw"),
    (b"IIRO", "orf"),
    (b"IIRS", "orf"),
    (b"MMOR", "orf"),
    (b"FUJIFILMCCD-RAW", "raf"),
    (b"IIU\x00", "rw2"),
    (b"FOVb", "x3f"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (b"\x00\x00\x01\xba", "mpeg"),
    (b"\x00\x00\x01\xb3", "mpeg"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
)
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}
# A QuickTime file from before ISO media has no ftyp box and starts with one of these (QuickTime File Format).
_QUICKTIME_BOXES = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
_BMP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}


def extension_of(name: str) -> str:
    """Give a name's extension in lower case without the dot; empty where there is none."""
    stem, dot, extension = name.rpartition(".")
    return extension.lower() if dot and stem else ""


def category_of(name: str) -> Category | None:
    """Give what a file's name says it is, ``None`` for what is no photo, video or side file."""
    found = FILE_TYPES.get(extension_of(name))
    return found.category if found else None


def sniff(first: bytes) -> str:
    """Give the kind of content that a file starts with, empty for what is not known here."""
    for start, kind in _STARTS:
        if first.startswith(start):
            return kind
    if first[4:8] == b"ftyp":
        return _iso_kind(first)
    if first[:4] == b"RIFF":
        return {b"WEBP": "webp", b"AVI ": "avi", b"AVIX": "avi"}.get(first[8:12], "")
    if first[:2] == b"BM" and int.from_bytes(first[14:18], "little") in _BMP_HEADERS:
        return "bmp"
    if first[4:8] in _QUICKTIME_BOXES:
        return "mp4"
    if _has_packets(first, 0, 188) or _has_packets(first, 4, 192):
        return "mpegts"
    return ""


def agrees(extension: str, first: bytes) -> bool:
    """Tell whether a file's first bytes are what its extension promises; of side files nothing is asked.

    The extension comes with or without its dot, in any case. One that is not known agrees with nothing.
    """
    found = FILE_TYPES.get(extension.lower().removeprefix("."))
    if found is None:
        return False
    return not found.kinds or sniff(first) in found.kinds


def is_encrypted(first: bytes) -> bool:
    """Tell whether Nextcloud's server-side encryption wrote this file: its bytes are of no use to anybody else."""
    return first.startswith(b"HBEGIN:")


def _iso_kind(first: bytes) -> str:
    size = min(int.from_bytes(first[:4], "big"), len(first))
    major, compatible = first[8:12], {first[at : at + 4] for at in range(16, size - 3, 4)}
    if major == b"crx ":
        return "cr3"
    if major in _AVIF_BRANDS:
        return "avif"
    if major in _HEIF_BRANDS:
        return "avif" if compatible & _AVIF_BRANDS and not compatible & (_HEIF_BRANDS - {b"mif1", b"msf1"}) else "heif"
    return "mp4"


def _has_packets(first: bytes, start: int, step: int) -> bool:
    """Tell whether three transport stream packets in a row start with their sync byte (ISO 13818-1: 0x47)."""
    return all(first[start + step * index : start + step * index + 1] == b"G" for index in range(3))
