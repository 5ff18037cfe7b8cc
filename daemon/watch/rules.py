"""Which files are looked at at all, and whose they are. Decided by names; links and contents are others' business."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from daemon.watch import media, tree
from daemon.watch.model import below


class Place(NamedTuple):
    """Where a file is: its user, the watched folder and its directory (both relative to ``files/``), its name."""

    user: str
    folder: str
    directory: str
    name: str

    @property
    def path(self) -> str:
        """Give the path relative to the user's ``files/``."""
        return f"{self.directory}/{self.name}" if self.directory else self.name


@dataclass(slots=True)
class Rules:
    """Which names are looked at: the configured extensions, the folders of each user, the folder for released ones.

    ``archived`` is the name of the folder beside a watched one into which released originals go. A directory of that
    name is passed over where it stands beside a watched folder, and wherever it holds a ``.nomedia``.
    """

    extensions: frozenset[str] = frozenset()
    archived: str = ""
    folders: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def is_candidate(self, name: str) -> bool:
        """Tell whether a file of this name may be relayed."""
        return media.is_candidate(name, self.extensions)

    def is_main(self, name: str) -> bool:
        """Tell whether a name is that of a photo or video."""
        return media.role(name, self.extensions) == "main"

    def passes_over(self, path: str, parent: int | None = None) -> bool:
        """Tell whether a directory (relative to the data root) is never entered; ``parent``: its parent, open.

        Hidden directories are not a person's photos: thumbnails, bins, what other programs keep.
        """
        name = path.rpartition("/")[2]
        if name.startswith(".") or name == "@eaDir":
            return True
        if not self.archived or name != self.archived:
            return False
        user, _, rest = path.partition("/files/")
        above = rest.rpartition("/")[0]
        if any(folder and folder.rpartition("/")[0] == above for folder in self.folders.get(user, ())):
            # Someone may watch a folder of that very name on purpose.
            return rest not in self.folders.get(user, ())
        return parent is not None and tree.look(parent, f"{name}/.nomedia") is not None

    def is_closed(self, base: str, place: Place) -> bool:
        """Tell whether a place lies in a directory below its watched folder that is never entered. May block."""
        parts = place.directory.split("/") if place.directory else []
        for depth in range(place.folder.count("/") + 1 if place.folder else 0, len(parts)):
            path = f"{place.user}/files/" + "/".join(parts[: depth + 1])
            if self.passes_over(path):
                return True
            if parts[depth] == self.archived and tree.fingerprints(base, path, [".nomedia"])[".nomedia"]:
                return True
        return False

    def locate(self, path: str) -> Place | None:
        """Give whose and in which watched folder a path (relative to the data root) is; ``None``: not watched."""
        user, _, rest = path.partition("/files/")
        folders = self.folders.get(user)
        if folders is None or not rest:
            return None
        directory, _, name = rest.rpartition("/")
        folder = below(directory, folders)
        return None if folder is None else Place(user, folder, directory, name)
