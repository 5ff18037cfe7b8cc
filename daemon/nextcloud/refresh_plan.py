"""Which ``occ`` calls make Nextcloud see what a batch changed: a pure function, cheapest calls first found out.

Figures behind it, measured on an album of 20,000 photos: a shallow scan of one folder 0.5 s, of which 0.4 s is PHP
starting; of everything below a folder 0.86 ms a file besides; Memories' index of one folder 0.83 s, of everything
0.025 ms a file besides, where nothing is new; ``--generate-metadata`` works on every file below its path, changed or
not, 0.045 s each, or on one single file in 0.6 s all told. It needs the plain scan of the folder before it, since a
file by its own path that Nextcloud does not know is counted as removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from daemon.nextcloud.joining import Price, joined
from daemon.text import count_in_words, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Switch = Literal["auto", "on", "off"]

SECONDS_FOR_ONE_FILE: Final = 0.6
SECONDS_FOR_EACH_FILE_OF_A_FOLDER: Final = 0.045
SECONDS_TO_START: Final = 0.5
SCAN: Final = Price(folder=0.5, start=0.5, each=0.00086)
INDEX: Final = Price(folder=0.83, start=0.83, each=0.000025)


@dataclass(frozen=True, slots=True)
class Features:
    """What this Nextcloud can do: found out once in a while by `daemon.nextcloud.occ.Occ.features`.

    ``memories`` is the app's version or ``None``; ``memories_option`` limits its index to a folder: ``--path``,
    ``--folder`` before 7.6.1, empty where neither is known. ``trash``: the app that keeps deleted files is enabled;
    without it ``files:delete`` deletes for good.
    """

    generate_metadata: bool = False
    memories: str | None = None
    memories_option: Literal["--path", "--folder", ""] = ""
    memories_skip_cleanup: bool = False
    photos: bool = False
    trash: bool = False


@dataclass(frozen=True, slots=True)
class Changed:
    """One folder whose content changed.

    ``path`` is below the user's files, or below the album's folder for an album folder; ``gained`` are the names of
    the files that came (empty: files only went), ``there`` is how many files stand in the folder now.
    """

    path: str
    gained: tuple[str, ...] = ()
    there: int = 0


@dataclass(frozen=True, slots=True)
class Scan:
    """One ``files:scan``; ``path`` is below the user's files, a folder or, with metadata, one file."""

    user: str
    path: str
    shallow: bool = True
    generate_metadata: bool = False


@dataclass(frozen=True, slots=True)
class MemoriesIndex:
    """One ``memories:index`` of a folder, or of all that is new to Memories (``path`` is ``None``)."""

    user: str
    path: str | None


Call = Scan | MemoriesIndex


@dataclass(frozen=True, slots=True)
class Plan:
    """The calls in their order, each once, and what a person should know."""

    calls: tuple[Call, ...]
    warnings: tuple[str, ...] = ()


def plan_refresh(
    users: Mapping[str, Iterable[Changed]],
    archive: Iterable[Changed],
    *,
    album: str,
    seen_by: str,
    features: Features,
    memories: Switch = "auto",
    photos: Switch = "auto",
    count: Callable[[str, str], int | None] = lambda _user, _path: None,
) -> Plan:
    """Give the ``occ`` calls for what a batch changed, merged: scans first, then metadata, then Memories.

    ``users`` maps user ids to the folders of theirs that lost or regained files, ``archive`` has the album's folders
    that gained some, below ``album`` (as `seen_by` sees it; empty = the archive is shown nowhere). The album's root is
    never scanned: with its mount missing, Nextcloud would drop every photo of it, and desktop clients would delete
    their copies, while a missing folder below it is only told as ``Path not found``. ``count`` gives how many files
    stand below a folder of a user (``None``: nobody knows): folders are asked for together, at a parent, where that
    costs less.
    """
    warnings: list[str] = []
    changed = [(user, folder) for user, folders in sorted(users.items()) for folder in _merged(folders, "")]
    root = album.strip("/")
    if root:
        folders = _merged(archive, root)
        if folders and not seen_by:
            warnings.append("Nobody is named in nextcloud.album.seen_by, so the album is not scanned.")
            folders = []
        for folder in folders:
            if folder.path == root:
                names = count_in_words(len(folder.gained), "photo")
                warnings.append(
                    f"{names} came into the album's root {shown('/' + root)}, which is never scanned: with its mount "
                    "missing, Nextcloud would forget the whole album. Let the archive make subfolders."
                )
            else:
                changed.append((seen_by, folder))
    metadata, index, more = _wanted(features, memories, photos, any(folder.gained for _, folder in changed))
    calls: dict[Call, None] = dict.fromkeys(_scans(changed, {(seen_by, root), *((user, "") for user in users)}, count))
    if metadata:
        for user, folder in changed:
            calls.update(dict.fromkeys(_metadata(user, folder)))
    if index:
        calls.update(dict.fromkeys(_indexes(changed, features, count)))
    return Plan(tuple(calls), (*warnings, *more))


def _scans(
    changed: list[tuple[str, Changed]], never: set[tuple[str, str]], count: Callable[[str, str], int | None]
) -> list[Scan]:
    scans = []
    for user in dict.fromkeys(user for user, _ in changed):

        def below(path: str, user: str = user) -> int | None:
            return None if (user, path) in never else count(user, path)

        places = joined([folder.path for one, folder in changed if one == user], SCAN, below)
        scans += [Scan(user, place.path, shallow=not place.whole) for place in places]
    return scans


def _indexes(
    changed: list[tuple[str, Changed]], features: Features, count: Callable[[str, str], int | None]
) -> list[MemoriesIndex]:
    """Give one index for each root, or for each folder where those are few and the root holds very many files."""
    calls = []
    gained = [(user, folder.path) for user, folder in changed if folder.gained]
    for user in dict.fromkeys(user for user, _ in gained):
        if not features.memories_option:
            calls.append(MemoriesIndex(user, None))
            continue
        places = joined([path for one, path in gained if one == user], INDEX, partial(count, user))
        calls += [MemoriesIndex(user, place.path) for place in places]
    return calls


def _merged(folders: Iterable[Changed], below: str) -> list[Changed]:
    """Join what is said about the same folder more than once; paths without slashes at their ends, sorted."""
    joined: dict[str, Changed] = {}
    for folder in folders:
        path = "/".join(part for part in (below, folder.path.strip("/")) if part)
        known = joined.get(path, Changed(path))
        gained = tuple(dict.fromkeys((*known.gained, *folder.gained)))
        joined[path] = Changed(path, gained, max(known.there, folder.there, len(gained)))
    return [joined[path] for path in sorted(joined)]


def _wanted(features: Features, memories: Switch, photos: Switch, gained: bool) -> tuple[bool, bool, list[str]]:
    """Tell whether metadata and Memories are wanted and there, and what is wanted but not there."""
    warnings = []
    if gained and photos == "on" and not features.generate_metadata:
        warnings.append("nextcloud.photos is on, but this Nextcloud does not know --generate-metadata.")
    if gained and memories == "on" and features.memories is None:
        warnings.append("nextcloud.memories is on, but the Memories app is not enabled.")
    metadata = features.generate_metadata and (photos == "on" or (photos == "auto" and features.photos))
    return metadata, features.memories is not None and memories != "off", warnings


def _metadata(user: str, folder: Changed) -> list[Scan]:
    if not folder.gained:
        return []
    by_file = len(folder.gained) * SECONDS_FOR_ONE_FILE
    by_folder = folder.there * SECONDS_FOR_EACH_FILE_OF_A_FOLDER + SECONDS_TO_START
    if by_folder < by_file:
        return [Scan(user, folder.path, generate_metadata=True)]
    return [Scan(user, f"{folder.path}/{name}".lstrip("/"), generate_metadata=True) for name in sorted(folder.gained)]
