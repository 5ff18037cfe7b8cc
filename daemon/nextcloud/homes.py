"""The layout of Nextcloud's data directory: who has a home there, and what in it is the user's own.

Beside the homes stand things that can never be a user id (``User/Manager.php``, ``verifyUid``), the app data, the
updater's folders, and what file systems and other programs leave behind. All functions block: call them in a thread.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from daemon.errors import NeedsPerson, Transient
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable

MARKERS: Final = (".ncdata", ".ocdata")
"""Nextcloud's proof that this is its data directory; the second is that of versions before 30."""

NEVER: Final = frozenset(
    {
        "__groupfolders",
        "__groupfolder",
        "files_external",
        "files_encryption",
        "lost+found",
        "#recycle",
        "@Recycle",
        "@eaDir",
        "$RECYCLE.BIN",
        "System Volume Information",
    }
)
"""Names beside the homes that are none, whatever they contain."""

NEVER_PREFIXES: Final = (".", "appdata_", "updater-")
"""A leading dot too: ``.Trash-1000`` has a folder ``files``, and is a desktop's bin."""

FILES: Final = "files"
"""The only folder of a home that is the user's: bins, versions, ``uploads`` and ``cache`` are never watched."""

# Sizes as in Nextcloud's core/skeleton; the folder's name is the same in every language.
_SAMPLES: Final = {
    "Birdie.jpg": 593508,
    "Frog.jpg": 457744,
    "Gorilla.jpg": 474653,
    "Library.jpg": 2170375,
    "Nextcloud community.jpg": 797325,
    "Steps.jpg": 567689,
    "Toucan.jpg": 167989,
    "Vineyard.jpg": 427030,
    "Nextcloud intro.mp4": 3963036,
}
_SAMPLES_AT_THE_TOP: Final = frozenset({"Nextcloud.png"})


@dataclass(frozen=True, slots=True)
class Homes:
    """Who has a home: user ids, sorted, and names of directories that could not be looked into."""

    users: tuple[str, ...]
    unreadable: tuple[str, ...]


def check_data(root: str) -> None:
    """Make sure that ``root`` is a Nextcloud data directory and that it is there.

    An empty mount point looks like a server from which every user has gone, so without the marker nothing is touched.

    Raises:
        Transient: ``nextcloud.mount_missing``, neither marker is there.
        NeedsPerson: ``nextcloud.no_access``, the directory may not be looked into.

    """
    try:
        if any(_is_there(os.path.join(root, marker)) for marker in MARKERS):
            return
    except PermissionError:
        raise _no_access(root) from None
    raise Transient(
        "nextcloud.mount_missing",
        f"{shown(root)} is not a Nextcloud data directory: neither .ncdata nor .ocdata is there. "
        "Nothing is touched until it is back.",
        hint="Is the directory mounted, and is nextcloud.data the data directory itself?",
        path=root,
    )


def _is_there(path: str) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _no_access(path: str) -> NeedsPerson:
    return NeedsPerson(
        "nextcloud.no_access",
        f"{shown(path)} may not be looked into by user id {os.geteuid()}.",
        hint="Run with the user id that owns Nextcloud's data: 33 (Debian), 82 (Alpine), or PUID (linuxserver).",
        path=path,
    )


def is_home_name(name: str) -> bool:
    """Tell whether a name in the data directory may be a user id at all."""
    if not name or name in NEVER or name.startswith(NEVER_PREFIXES) or name != name.strip():
        return False
    # A byte that is not UTF-8 or a control character is in no user id, and could not be named to occ.
    return name.isprintable() and "/" not in name


def list_homes(root: str, passes_over: Callable[[str], bool] = lambda _: False) -> list[str]:
    """List the user ids that have a home in the data directory, sorted; some may be passed over.

    Raises:
        Transient: ``nextcloud.mount_missing``.
        NeedsPerson: ``nextcloud.no_access``.

    """
    return list(survey(root, passes_over).users)


def survey(root: str, passes_over: Callable[[str], bool] = lambda _: False) -> Homes:
    """List the homes, and which directories may not be looked into.

    A home is a real directory with a real directory ``files``; links are not followed, since Nextcloud's own local
    storage refuses what leads out of it.

    Raises:
        Transient: ``nextcloud.mount_missing``.
        NeedsPerson: ``nextcloud.no_access``.

    """
    check_data(root)
    users: list[str] = []
    unreadable: list[str] = []
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                if not is_home_name(entry.name) or not entry.is_dir(follow_symlinks=False):
                    continue
                if passes_over(entry.name):
                    continue
                try:
                    info = os.lstat(os.path.join(root, entry.name, FILES))
                except PermissionError:
                    unreadable.append(entry.name)
                except OSError:
                    continue
                else:
                    if stat.S_ISDIR(info.st_mode):
                        users.append(entry.name)
    except PermissionError:
        raise _no_access(root) from None
    except FileNotFoundError:
        check_data(root)
        raise
    return Homes(tuple(sorted(users)), tuple(sorted(unreadable)))


def files_of(root: str, user: str) -> str:
    """Give the directory that Nextcloud shows to ``user`` as their files."""
    if not is_home_name(user):
        raise ValueError(f"no user id: {shown(user)}")
    return os.path.join(root, user, FILES)


def is_sample(relative_path: str, size: int) -> bool:
    """Tell whether a file below a user's files is one of the photos that Nextcloud gives to every new user.

    They come at the first log-in, into ``Photos``, which is also where the iOS app uploads. Name and size must both
    fit, so that a person's own ``Steps.jpg`` is theirs.
    """
    folder, _, name = relative_path.strip("/").rpartition("/")
    if not folder and name in _SAMPLES_AT_THE_TOP:
        return True
    return folder.count("/") == 0 and _SAMPLES.get(name) == size
