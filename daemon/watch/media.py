"""What is a photo, what is only on its way to become one, and what belongs together. Names alone, no files.

A Live Photo comes as a picture and a film of the same name, a raw photo with its JPEG, an edit with its recipe; they
must reach the archive in one delivery or they will never be joined again, since the archive renames what it takes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from daemon.files.kinds import FILE_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

Role = Literal["main", "side"]

_TEMPORARY_ENDINGS = (
    ".part",
    ".tmp",
    ".temp",
    ".partial",
    ".filepart",
    ".crdownload",
    ".download",
    ".upload",
    ".swp",
    "~",
)
_TRANSFER = re.compile(r"\.ocTransferId\d+", re.ASCII)
SIDE_EXTENSIONS = frozenset(ext for ext, found in FILE_TYPES.items() if found.category == "side")
MAIN_EXTENSIONS = frozenset(FILE_TYPES) - SIDE_EXTENSIONS
VIDEO_EXTENSIONS = frozenset(ext for ext, found in FILE_TYPES.items() if found.category == "video")
_KNOWN = frozenset(FILE_TYPES)
# What cameras and exports put between a photo's name and `.json`: `IMG_1.jpg.supplemental-metadata.json`, cut off
# anywhere where the whole would be too long (Google Takeout).
_TAKEOUT = re.compile(r"\.s(?:u(?:p(?:p(?:l(?:e(?:mental[a-z-]*|m[a-z]*)?)?)?)?)?)?$", re.ASCII)
_APPLE_EDIT = re.compile(r"IMG_E(?=\d)", re.ASCII)


def is_temporary(name: str) -> bool:
    """Tell whether a name is that of a file still being made, or hidden from people: never to be taken.

    Nextcloud writes ``x.jpg.ocTransferId123.part``, rsync ``.x.jpg.Ab12Cd``, Android leaves ``.pending-…`` and
    ``.trashed-…``; our own hidden names begin with ``.photon-relay-``. A name that begins with a dot is hidden.
    """
    return (
        name.startswith((".", "~$")) or name.lower().endswith(_TEMPORARY_ENDINGS) or _TRANSFER.search(name) is not None
    )


def _split(name: str) -> tuple[str, str]:
    stem, dot, extension = name.rpartition(".")
    return (stem, extension.lower()) if dot and stem else (name, "")


def role(name: str, extensions: frozenset[str] = frozenset()) -> Role | None:
    """Tell what a name's extension makes of it: a photo or video, a file beside one, or nothing of ours.

    ``extensions`` (lower case, no dot) limits both where it is not empty; side files go along with what is taken,
    so that they need not be named there.
    """
    extension = _split(name)[1]
    if extension in SIDE_EXTENSIONS:
        return "side"
    if extensions:
        return "main" if extension in extensions else None
    return "main" if extension in MAIN_EXTENSIONS else None


def is_candidate(name: str, extensions: frozenset[str] = frozenset()) -> bool:
    """Tell whether a file of this name may be relayed."""
    return not is_temporary(name) and role(name, extensions) is not None


def group_key(name: str) -> str:
    """Give what every name of one group has in common, and no name of another group of the same directory.

    It is the stem without known extensions (``x`` for ``x.jpg``, ``x.jpg.xmp``, ``x.mov``), with Apple's edit
    ``IMG_E1234`` counted to ``IMG_1234`` and ``x_HEVC.mov`` to ``x``. Upper and lower case differ, as they do for
    PhotoPrism; a stranger such as ``x_2023.jpg`` is a group of its own.
    """
    stem, extension = _split(name)
    if extension == "json":
        bare = _TAKEOUT.sub("", stem)
        if _split(bare)[1] in MAIN_EXTENSIONS:
            stem = bare
    while True:
        inner, known = _split(stem)
        if known not in _KNOWN:
            break
        stem, extension = inner, known if known in MAIN_EXTENSIONS else extension
    if extension in VIDEO_EXTENSIONS and stem.endswith(("_HEVC", "_hevc")) and len(stem) > 5:
        stem = stem[:-5]
    return _APPLE_EDIT.sub("IMG_", stem, count=1) if stem.startswith("IMG_E") else stem


def may_belong(keys: Collection[str]) -> Callable[[str], bool]:
    """Give what tells cheaply whether ``group_key`` of a name can be one of these keys.

    A key is what its names begin with, but for Apple's edits. In a folder of thousands nearly all names are others, so
    for keys of one length, as cameras give them, there is a way of its own.
    """
    lengths = {len(key) for key in keys}
    if len(lengths) == 1:
        [only] = lengths
        return lambda name: name[:only] in keys or name[:5] == "IMG_E"
    return lambda name: name[:5] == "IMG_E" or any(name[:length] in keys for length in lengths)


class Group(NamedTuple):
    """Names of one directory that belong together, sorted; ``sides_only`` where no photo or video is among them."""

    key: str
    names: tuple[str, ...]
    sides_only: bool


def group(names: Iterable[str], extensions: frozenset[str] = frozenset()) -> list[Group]:
    """Sort names of one directory into groups: each name in exactly one, in whatever order they come."""
    groups: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        groups.setdefault(group_key(name), []).append(name)
    return [
        Group(key, tuple(members), not any(role(name, extensions) == "main" for name in members))
        for key, members in sorted(groups.items())
    ]


def _prefixes(name: str) -> set[str]:
    """Give the stems by which PhotoPrism may look for a file's relatives: its releases differ in how they cut."""
    bare = name.rpartition(".")[0] if "." in name else name
    result = {bare}
    while _foreign_known(bare):
        bare = bare.rpartition(".")[0]
        result.add(bare)
    parts = name.split(".")
    for position in range(1, len(parts)):
        if parts[position].lower() in _PHOTOPRISM_KNOWN:
            result.add(".".join(parts[:position]))
            break
    return result


def _foreign_known(name: str) -> bool:
    stem, dot, extension = name.rpartition(".")
    return bool(dot and stem) and extension.lower() in _PHOTOPRISM_KNOWN


# PhotoPrism cuts off some extensions that are no photo of ours, `.MP` in `PXL_1.MP.jpg` among them (pkg/fs,
# file_exts.go).
_FOREIGN = (
    "jpe jif jfif jfi thm pn avifs hif heifs heics avci avcs mpo 3fr ari bay cap crw data dcs dcr drf eip fff gpr mdc "
    "mos mrw nrw obm ptx pxn r3d raw rwl rwz srw x3f hevc qt av1 avc vvc evc mjpg mjpeg mp2 mpv mp 3g2 flv f4v ogv "
    "ogg ogx asf wmv svg ps ps2 ps3 eps eps2 eps3 epi ept epsf epsi ai xml yml yaml txt md markdown pdf jxl psd "
    "insv insp lrv glb zip"
)
_PHOTOPRISM_KNOWN = _KNOWN | frozenset(_FOREIGN.split())


def _joins(name: str, other: str) -> bool:
    for prefix in _prefixes(name):
        if not other.startswith(prefix):
            continue
        rest = other[len(prefix) :]
        if rest.startswith(".") or (len(rest) > 5 and rest[0] == "_" and rest[5] == "."):
            return True
    upper = name.upper()
    if upper.startswith("IMG_") and not upper.startswith("IMG_E"):
        return other == f"{name[:4]}E{name[4:]}"
    return False


def would_meet(first: Iterable[str], second: Iterable[str]) -> bool:
    """Tell whether PhotoPrism would join files of two groups if they lay in one directory.

    It looks for ``<stem>.*``, ``<stem>_????.*`` and Apple's ``IMG_E…`` (internal/photoprism/mediafile_related.go),
    letter case kept. Where releases cut the stem differently, all ways count: a folder too many does no harm.
    """
    ours, theirs = tuple(first), tuple(second)
    return any(_joins(a, b) or _joins(b, a) for a in ours for b in theirs)
