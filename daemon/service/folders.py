"""Which folders a user really has, and what stands in them: bounded looks into a home, links not followed. Blocking."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from daemon.nextcloud.homes import is_sample
from daemon.settings.users import FOLDERS
from daemon.watch import media, tree
from daemon.watch.model import Found, below
from daemon.watch.rules import Rules
from daemon.watch.users import normal, outermost

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from daemon.watch.tree import Listing

SECONDS: Final = 3.0
ENTRIES: Final = 200_000
MOST: Final = 200
LEVELS: Final = 2
_SCREENSHOTS: Final = ("screenshot", "screen shot", "bildschirmfoto", "screen_shot", "captura de pantalla")


@dataclass(slots=True)
class Bounds:
    """How long and how far may be looked; ``cut`` tells that there was more."""

    seconds: float = SECONDS
    entries: int = ENTRIES
    cut: bool = False
    _until: float = field(init=False)

    def __post_init__(self) -> None:
        """Begin to count."""
        self._until = time.monotonic() + self.seconds

    def spend(self, entries: int) -> bool:
        """Note that so many entries were looked at; ``False`` where that was the last."""
        self.entries -= entries
        if self.entries < 0 or time.monotonic() > self._until:
            self.cut = True
        return not self.cut


def _listings(data: str, user: str, folder: str, rules: Rules, bounds: Bounds) -> Iterator[Listing]:
    top = f"{user}/files/{folder}".rstrip("/")
    for listing in tree.walk(data, top, skip=rules.passes_over, wanted=rules.is_candidate):
        yield listing
        if not bounds.spend(1 + len(listing.files)):
            return


def folders_of(
    data: str, user: str, watched: Sequence[str], extensions: frozenset[str], archived: str, bounds: Bounds
) -> list[dict[str, Any]]:
    """Give the real folders that hold photos or are watched, of the upper levels, each with all that lies in it."""
    rules = Rules(extensions, archived, normal({user: watched}))
    folders = rules.folders[user]
    counts: dict[str, int] = {folder: 0 for folder in folders if folder and _is_there(data, user, folder)}
    deep = [folder for folder in counts if folder.count("/") >= LEVELS]
    for listing in _listings(data, user, "", rules, bounds):
        path = listing.path[len(f"{user}/files/") :]
        count = sum(1 for name, _ in listing.files if rules.is_main(name))
        if not path or not count:
            continue
        parts = path.split("/")
        within = {"/".join(parts[:level]) for level in range(1, min(LEVELS, len(parts)) + 1)}
        within |= {folder for folder in deep if below(path, [folder]) is not None}
        for folder in within:
            counts[folder] = counts.get(folder, 0) + count
    chosen = sorted(counts, key=lambda folder: (folder not in folders, -counts[folder], folder))[:MOST]
    return [
        {
            "path": folder,
            "photos": counts[folder],
            "watched": below(folder, folders) is not None,
            "auto_upload": folder.partition("/")[0] in FOLDERS,
        }
        for folder in sorted(chosen)
    ]


def candidates(
    data: str, user: str, folders: Sequence[str], extensions: frozenset[str], archived: str, bounds: Bounds
) -> Iterator[Found]:
    """Give each file in these folders that could be relayed; Nextcloud's sample photos are none."""
    rules = Rules(extensions, archived, normal({user: folders}))
    for folder in outermost(rules.folders[user]):
        for listing in _listings(data, user, folder, rules, bounds):
            directory = listing.path[len(f"{user}/files/") :]
            for name, fingerprint in listing.files:
                path = f"{directory}/{name}" if directory else name
                if not is_sample(path, fingerprint.size):
                    yield Found(user, path, fingerprint)
            if bounds.cut:
                return


def _is_there(data: str, user: str, folder: str) -> bool:
    return tree.identity(data, f"{user}/files/{folder}") is not None


def missing(data: str, user: str, folders: Sequence[str]) -> list[str]:
    """Give those of the folders that are not there (yet)."""
    return [folder for folder in normal({user: folders})[user] if folder and not _is_there(data, user, folder)]


def is_screenshot(path: str) -> bool:
    """Tell by its path whether a picture was taken of a screen: phones have a folder, or a name, for them."""
    lower = path.lower()
    return any(word in lower for word in _SCREENSHOTS)


def is_video(path: str) -> bool:
    """Tell by its name whether a file is a film."""
    return path.rpartition(".")[2].lower() in media.VIDEO_EXTENSIONS
