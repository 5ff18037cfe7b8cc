"""Names that are safe everywhere and still a human's own. Pure.

Names come in as ``os.fsdecode`` gives them: any bytes but ``/`` and NUL, what is not UTF-8 as lone surrogates.
"""

from __future__ import annotations

import re
import unicodedata
from random import Random, SystemRandom
from string import ascii_lowercase

from daemon.files.kinds import FILE_TYPES

#: ext4, XFS, btrfs, ZFS and NTFS all stop at 255, in bytes of UTF-8 or fewer.
LONGEST = 255
#: The stem of a placed name is cut here whatever its extension, so that the members of a group are cut alike.
LONGEST_STEM = 200
LONGEST_EXTENSION = 24

#: What every private name of ours starts with: files on their way out, and folders that are being filled.
HIDDEN_PREFIX = ".photon-relay-"
#: As many numbered names are tried before a person is asked.
MOST_NAMES = 1000
# Nextcloud's Scanner.php passes over `*.part`: a scan in that moment takes no hidden file into its cache.
_HIDDEN_END = ".part"
_HIDDEN_NAME = re.compile(r"\.photon-relay-([a-z]+)-(.+)\.part", re.DOTALL)
_RANDOM = SystemRandom()
_LETTERS = (ascii_lowercase.encode() * 10)[:256]
"""A letter for each byte; that four of them come a little less often is nothing to a word of sixteen."""


def split_name(name: str) -> tuple[str, str]:
    """Split a name into stem and extension with its dot; ``IMG_1.jpg.json`` into ``IMG_1`` and ``.jpg.json``.

    So a side file that carries its photo's whole name is numbered, and cut, as its photo is. A name whose only dot is
    its first character has no extension; nor has one of blanks, of signs, or of more than 24 bytes with its dot.
    """
    stem, extension = _split_once(name)
    found = FILE_TYPES.get(extension[1:].lower())
    if found is not None and found.category == "side":
        inner_stem, inner = _split_once(stem)
        if inner[1:].lower() in FILE_TYPES:
            return inner_stem, inner + extension
    return stem, extension


def placed_name(name: str) -> str:
    """Give the name under which a photo is put into the archive's import: as its owner named it, where that is safe.

    In NFC (Nextcloud does not show names in NFD), printable, UTF-8 (a byte that is none is read as Windows-1252,
    which it mostly is), 255 bytes at most with the extension kept, and not one of those that PhotoPrism takes for
    hidden and deletes after an import: a leading ``.``, ``@``, ``_.`` or ``__`` (pkg/fs/name.go). The members of a
    group keep a common stem. Two names can become one: who places them numbers them.
    """
    stem, extension = split_name(cleaned(name).rstrip())
    stem = stem.strip()
    while stem and (stem + extension).startswith((".", "@", "_.", "__")):
        stem = stem[1:].lstrip()
    return (_cut(stem, LONGEST_STEM).rstrip() or "photo") + extension


def numbered(name: str, number: int) -> str:
    """Give ``IMG (2).jpg`` for the number 2, the name itself for 1; never longer than a name may be."""
    return name if number <= 1 else _with_mark(name, f" ({number})")


def kept_name(name: str, number: int = 1) -> str:
    """Give ``IMG (kept).jpg``, then ``IMG (kept 2).jpg``: a visible name for what found its own one taken."""
    return _with_mark(name, " (kept)" if number <= 1 else f" (kept {number})")


def hidden_name(name: str, token: str) -> str:
    """Give the private name that a file has between its place and its end; ``token`` is a word of ``[a-z]``.

    It carries the file's own name, so that it finds back even where the ledger is lost.
    """
    room = LONGEST - len(HIDDEN_PREFIX) - len(token) - 1 - len(_HIDDEN_END)
    stem, extension = _split_once(name)
    return f"{HIDDEN_PREFIX}{token}-{_cut(stem, room - _length(extension))}{extension}{_HIDDEN_END}"


def copy_name(token: str) -> str:
    """Give the private name that a copy has beside people's photos until it is whole.

    A half-made copy must never be taken for an original that wants its name back (``name_of_hidden`` gives none).
    """
    return f"{HIDDEN_PREFIX}copy.{token}{_HIDDEN_END}"


def name_of_hidden(hidden: str) -> str | None:
    """Give the name that a hidden file had (shortened, if it was very long), ``None`` for what is none of ours."""
    found = _HIDDEN_NAME.fullmatch(hidden)
    return found.group(2) if found else None


def word(length: int, random: Random = _RANDOM) -> str:
    """Give a random word of ``[a-z]``: no digits, since PhotoPrism reads dates from folders' names, and nothing else.

    A path that its ``pkg/clean/path.go`` does not like becomes the empty one, and then it imports everything.
    """
    return random.randbytes(length).translate(_LETTERS).decode()


def cut_name(name: str, longest: int = LONGEST) -> str:
    """Give the name, cut at the end of its stem if it has more than ``longest`` bytes; the extension is kept."""
    if _length(name) <= longest:
        return name
    stem, extension = split_name(name)
    return _cut(stem, longest - _length(extension)) + extension


def cleaned(text: str) -> str:
    """Give a text as one part of a path may hold it: NFC, UTF-8, no control characters, no slash or backslash."""
    if not text.isascii() or not text.isprintable():
        text = unicodedata.normalize("NFC", _printable(_decoded(text)))
    return text.replace("/", "_").replace("\\", "_")


def _split_once(name: str) -> tuple[str, str]:
    stem, dot, extension = name.rpartition(".")
    if not stem or not extension or not extension.isalnum() or _length(extension) >= LONGEST_EXTENSION:
        return name, ""
    return stem, dot + extension


def _with_mark(name: str, mark: str) -> str:
    stem, extension = split_name(name)
    return _cut(stem, LONGEST - _length(extension) - len(mark)) + mark + extension


def _decoded(name: str) -> str:
    """Read lone surrogates as the Windows-1252 letters that the bytes behind them mostly are."""
    out = []
    for char in name:
        if "\udc80" <= char <= "\udcff":
            out.append(bytes([ord(char) - 0xDC00]).decode("cp1252", "replace").replace("\ufffd", "_"))
        else:
            out.append(char)
    return "".join(out)


def _printable(text: str) -> str:
    out = []
    for char in text:
        category = unicodedata.category(char)
        if category in {"Cc", "Cs", "Zl", "Zp"}:
            out.append("_")
        elif category != "Cf":  # marks without a shape: they turn the direction of writing, or make twins of names
            out.append(char)
    return "".join(out)


def _length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))


def _cut(text: str, longest: int) -> str:
    """Give as much of the start as ``longest`` bytes hold, whole characters only."""
    if _length(text) <= longest:
        return text
    raw = text.encode("utf-8", "surrogateescape")[: max(longest, 0)]
    # Only a character that the cut itself went through may be dropped: bytes that are no UTF-8 came in so.
    for back in range(4):
        shorter = raw[: len(raw) - back].decode("utf-8", "surrogateescape")
        if text.startswith(shorter):
            return shorter
    return ""
