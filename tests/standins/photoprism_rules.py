# ruff: noqa: PTH122, PTH123
"""PhotoPrism's rules about names, pure: which files belong together, which are skipped, how they are renamed.

Written after the behaviour of PhotoPrism's ``pkg/clean``, ``pkg/fs`` and ``internal/photoprism``; simplified where a
relay cannot tell the difference (dates come from the first EXIF-looking stamp in the leading bytes).
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from datetime import UTC, datetime
from typing import Final

RAW: Final = frozenset(["cr2", "cr3", "nef", "arw", "dng", "raf", "orf", "rw2", "pef", "srw", "raw"])
HEIC: Final = frozenset(["heic", "heif", "hif", "avif"])
PREVIEW: Final = frozenset(["jpg", "jpeg", "jpe", "jfif", "png"])
IMAGE: Final = frozenset(["gif", "webp", "bmp", "tif", "tiff", "jxl"])
VIDEO: Final = frozenset(
    ["mov", "mp4", "m4v", "avi", "mkv", "webm", "mpg", "mpeg", "3gp", "3g2", "mts", "m2ts", "wmv", "flv", "ogv"]
)
MEDIA: Final = RAW | HEIC | PREVIEW | IMAGE | VIDEO
SIDECAR: Final = frozenset(["xmp", "aae", "json", "yml", "yaml", "txt", "xml", "md"])
KNOWN: Final = MEDIA | SIDECAR
ARCHIVE: Final = frozenset(["zip", "gz", "tar", "rar", "7z"])

STAMP: Final = re.compile(rb"((?:19|20)\d\d):([01]\d):([0-3]\d) ([0-2]\d):([0-5]\d):([0-5]\d)")
DAY: Final = re.compile(
    r"(?<!\d)((?:19|20)\d\d)[-_/.]?(0[1-9]|1[0-2])[-_/.]?(0[1-9]|[12]\d|3[01])"
    r"(?:[-_ T]?([01]\d|2[0-3])[-_.:]?([0-5]\d)[-_.:]?([0-5]\d))?(?!\d)"
)
MONTH: Final = re.compile(r"/((?:19|20)\d\d)/(0[1-9]|1[0-2])/")


def user_path(folder: str) -> str:
    """Give what PhotoPrism makes of a folder name it is asked to import: "" means the whole import folder."""
    if not folder:
        return ""
    text = folder.replace("\\", "/")
    if len(text.encode("utf-8", "surrogateescape")) > 512 or ".." in text or "//" in text:
        text = ""
    text = "".join(char for char in text.strip() if char.isprintable() and char not in '\\|"?*%<>{}')
    text = posixpath.normpath(text or ".").strip(" ~./\\|?*%<>")
    return "" if "/." in text or ".." in text or "//" in text else text


def extension(name: str) -> str:
    """Give the extension in lower case, without the dot."""
    return os.path.splitext(name)[1][1:].lower()


def is_media(name: str) -> bool:
    """Say whether the extension is one that PhotoPrism imports on its own account."""
    return extension(name) in MEDIA


def hidden(name: str) -> bool:
    """Say whether the walk skips this base name; with ``move`` such files are removed at the end."""
    return name[:1] in {".", "@"} or name.startswith(("_.", "__"))


def prefix(name: str) -> str:
    """Give the part of a base name that says what belongs together: up to the first known extension."""
    stem = os.path.splitext(name)[0]
    while extension(stem) in KNOWN:
        stem = os.path.splitext(stem)[0]
    return stem


def related(name: str, names: list[str]) -> list[str]:
    """Give those of a directory's ``names`` that PhotoPrism takes to belong to ``name``, itself included."""
    stem = prefix(name)
    edited = name[:4] + "E" + name[4:] if name[:4].upper() == "IMG_" and name[:5].upper() != "IMG_E" else ""
    sequel = re.compile(re.escape(stem) + r"_.{4}\.", re.DOTALL)
    return sorted(each for each in names if each.startswith(stem + ".") or each in (edited, name) or sequel.match(each))


def main_of(names: list[str]) -> str | None:
    """Choose the main file of a group: RAW, then HEIC, then another image, then a video unless a HEIC is there."""
    main: str | None = None
    heic = False
    for name in names:
        ext = extension(name)
        if ext in PREVIEW:
            if main is None or (extension(main) in PREVIEW and len(main) > len(name)):
                main = name
        elif ext in RAW or ext in IMAGE:
            main = name
        elif ext in HEIC:
            main, heic = name, True
        elif ext in VIDEO and not heic:
            main = name
    return main


def taken(path: str, mtime: float) -> datetime:
    """Give the date a main file is filed under: EXIF, else the first date in its whole path, else its mtime."""
    with open(path, "rb") as stream:
        stamp = STAMP.search(stream.read(256 * 1024))
    if stamp:
        try:
            return datetime(*(int(part) for part in stamp.groups()), tzinfo=UTC)  # type: ignore[misc,arg-type]
        except ValueError:
            pass
    day = DAY.search(path)
    if day:
        try:
            return datetime(*(int(part) for part in day.groups() if part), tzinfo=UTC)  # type: ignore[misc,arg-type]
        except ValueError:
            pass
    month = MONTH.search(path)
    if month:
        return datetime(int(month[1]), int(month[2]), 1, tzinfo=UTC)
    return datetime.fromtimestamp(mtime, UTC)


def _table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


_CRC32C = _table()


def checksum(path: str) -> str:
    """Give the CRC-32C of a file in upper hex, as its name will carry it.

    Exact up to 128 KiB; of a longer file only the first and the last 64 KiB count, because a table walk in Python
    manages a few MB/s and nobody may rely on the name anyway.
    """
    with open(path, "rb") as stream:
        data = stream.read(128 * 1024)
        if os.fstat(stream.fileno()).st_size > len(data):
            stream.seek(-64 * 1024, os.SEEK_END)
            data = data[: 64 * 1024] + stream.read()
    crc, table = 0xFFFFFFFF, _CRC32C
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return f"{crc ^ 0xFFFFFFFF:08X}"


def sha1_of(path: str) -> str:
    """Give a file's SHA-1 in lower hex, which is how PhotoPrism knows it."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.sha1(usedforsecurity=False)).hexdigest()


def canonical(when: datetime, checksum: str) -> tuple[str, str]:
    """Give folder and stem under which an import files a group: ``2026/11``, ``20261122_185412_82F63B78``."""
    return when.strftime("%Y/%m"), f"{when:%Y%m%d_%H%M%S}_{checksum}"
