"""Who is to be watched where: watched folders that stand now, and where those that do not will appear.

The library cannot watch a path that does not exist, and a new user has no home before the first log-in. So beside the
watch over the folders there is a flat one over the data root, over homes without ``files/`` and over the nearest
existing directory above each folder that is missing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daemon.nextcloud import homes
from daemon.watch import tree
from daemon.watch.model import below
from daemon.watch.questions import Asking

Folders = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to watch: ``deep`` with everything inside, ``flat`` by themselves; ``users`` all who have a home."""

    deep: tuple[str, ...]
    flat: tuple[str, ...]
    users: frozenset[str]


def normal(folders: Folders) -> dict[str, tuple[str, ...]]:
    """Give each user's folders without leading and trailing slashes, each once; ``.`` and ``..`` are dropped."""
    result: dict[str, tuple[str, ...]] = {}
    for user, names in folders.items():
        kept: list[str] = []
        for name in names:
            parts = [part for part in name.split("/") if part and part != "."]
            folder = "/".join(parts)
            if ".." not in parts and folder not in kept:
                kept.append(folder)
        result[user] = tuple(kept)
    return result


def outermost(folders: Sequence[str]) -> list[str]:
    """Leave out folders that lie in others of the list: they are walked with those."""
    return [folder for folder in folders if below(folder, [other for other in folders if other != folder]) is None]


def plan(base: str, folders: Folders, asking: Asking | None = None, before: Plan | None = None) -> Plan:
    """Look at the data directory and decide what to watch for these users' (normal) folders. Blocking.

    Whose disks hang, as ``asking`` has it, are watched as they were ``before``.

    Raises what ``homes.check_data`` raises where the data directory is not there: then nothing is decided.
    """
    asking, before = asking or Asking(frozenset()), before or Plan((), (), frozenset())
    users = frozenset(homes.list_homes(base, asking.passes_over)) | (before.users & asking.hanging)
    deep = {path for path in before.deep if path.partition("/")[0] in asking.hanging}
    flat = {path for path in before.flat if path.partition("/")[0] in asking.hanging} | {""}
    for user, names in folders.items():
        if asking.passes_over(user):
            continue
        if user not in users:
            if tree.identity(base, user) is not None:
                flat.add(user)
            continue
        for folder in outermost(names):
            path = f"{user}/files/{folder}" if folder else f"{user}/files"
            if tree.identity(base, path) is not None:
                deep.add(path)
                flat.add(f"{user}/files")
            else:
                flat.add(_nearest(base, user, folder))
    asking.passes_over("")
    flat.update(_without_files(base, users | asking.hanging))
    return Plan(tuple(sorted(deep)), tuple(sorted(flat)), users)


def _nearest(base: str, user: str, folder: str) -> str:
    path = f"{user}/files/{folder}"
    while path.count("/") > 1:
        path = path.rpartition("/")[0]
        if tree.identity(base, path) is not None:
            break
    return path


def _without_files(base: str, users: frozenset[str]) -> set[str]:
    """Give the directories that may become homes: made by the log-in that is just happening."""
    with os.scandir(base) as entries:
        return {
            entry.name
            for entry in entries
            if homes.is_home_name(entry.name) and entry.name not in users and entry.is_dir(follow_symlinks=False)
        }
