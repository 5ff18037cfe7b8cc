"""Nextcloud's data directory: is it there, who has a home in it, and may originals be read and taken away. Blocks."""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING

from daemon.checks.check import Check, Level, failed, of_error, ok, warning
from daemon.checks.doing import others_may_go, take_away
from daemon.errors import NeedsPerson, RelayError
from daemon.files.opening import directory_below, open_regular
from daemon.nextcloud.homes import survey
from daemon.text import count_in_words, shown
from daemon.watch import tree

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.settings import EffectiveRules, Settings

DATA, USERS, RIGHTS = "data directory", "users", "rights in users' folders"
_RUN_AS = "Run with the user id that owns Nextcloud's data: 33 (Debian), 82 (Alpine), or PUID (linuxserver)."
_MOST_LINES = 5
_MOST_NAMES = 10
_MOST_LOOKED_THROUGH = 500
"""Directories of a watched folder in which a file to be read is searched for."""


def data_directory(settings: Settings) -> list[Check]:
    """Look whether the data directory is there, with homes in it. Raises as ``homes.survey`` does."""
    root = settings.nextcloud.data
    homes = survey(root)
    found = []
    if homes.users:
        found.append(ok(DATA, f"{shown(root)} is Nextcloud's, with {count_in_words(len(homes.users), 'home')}"))
    else:
        found.append(
            warning(
                DATA,
                f"{shown(root)} is Nextcloud's data directory, but nobody has a home in it",
                "A home is made at the first log-in. Where Nextcloud keeps its files in an object storage there are "
                "none, and photos cannot be relayed.",
                "nextcloud.no_homes",
            )
        )
    if homes.unreadable:
        included = [user for user in homes.unreadable if settings.users.decision(user) == "include"]
        found.append(
            (failed if included else warning)(
                DATA,
                f"these folders in {shown(root)} may not be looked into by user id {os.geteuid()}: "
                f"{named(homes.unreadable)}",
                _RUN_AS,
                "nextcloud.no_access",
            )
        )
    return found


def users(settings: Settings) -> list[Check]:
    """Say whose photos are relayed, whose are not, who is waited for, and who is named but has no home."""
    homes = survey(settings.nextcloud.data).users
    by_decision: dict[str, list[str]] = {"include": [], "ask": [], "exclude": []}
    for user in homes:
        by_decision[settings.users.decision(user)].append(user)
    included, asking = by_decision["include"], by_decision["ask"]
    parts = [f"included: {named(included)}"] if included else []
    parts += [f"waiting for your decision: {named(asking)}"] if asking else []
    parts += [f"excluded: {named(by_decision['exclude'])}"] if by_decision["exclude"] else []
    said = "; ".join(parts) or "there are none"
    hint = "Add them to users.include or users.exclude; until then nothing of theirs is touched." if asking else ""
    if included:
        found = [Check(USERS, Level.OK, said, hint)]
    else:
        hint = hint or "Name a user in users.include."
        found = [warning(USERS, f"nobody's photos are relayed; {said}", hint, "users.none_included")]
    homeless = [user for user in settings.users.include if user not in homes and user not in settings.users.exclude]
    if homeless:
        found.append(
            warning(
                USERS,
                f"named in users.include, but without a home: {named(homeless)}",
                "A home is made at the first log-in. Otherwise: is the id spelled as the folder in the data directory "
                "is named?",
                "users.no_home",
            )
        )
    return found


def rights(settings: Settings) -> list[Check]:
    """Read in every watched folder of the included users, and where originals go away, do that with a file of ours."""
    root = settings.nextcloud.data
    included = [user for user in survey(root).users if settings.users.decision(user) == "include"]
    faults: list[Check] = []
    well = tried = 0
    for user in included:
        rules = settings.users.rules_for(user)
        waiting = 0
        for folder in rules.folders:
            path = f"{user}/files/{folder}"
            try:
                if tree.stat_directory(root, path) is None and _vanished(root, path):
                    waiting += 1
                    continue
                _read(root, path)
                tried += _let_go(root, path, rules, dry_run=settings.relay.dry_run)
                well += 1
            except RelayError as error:
                faults.append(of_error(RIGHTS, error))
            except OSError as error:
                faults.append(failed(RIGHTS, f"{shown(path)}: {error.strerror}", code="disk.error"))
        if rules.folders and waiting == len(rules.folders):
            faults.append(
                warning(
                    RIGHTS,
                    f"{shown(user)} has none of the watched folders yet: {named(rules.folders)}",
                    "They are noticed when they appear. Is another one meant? Set users.folders, or the folders of "
                    "this user in users.include.",
                    "users.no_folder",
                )
            )
    rest = len(faults) - _MOST_LINES
    if rest > 0:
        worst_first = sorted(faults, key=lambda check: check.level is not Level.FAILED)
        faults = [*worst_first[:_MOST_LINES], warning(RIGHTS, f"and {rest} more of the kind")]
    return [*([ok(RIGHTS, _well(well, tried, settings))] if well else []), *faults]


def _well(well: int, tried: int, settings: Settings) -> str:
    folders = count_in_words(well, "watched folder")
    if tried:
        return f"{folders} can be read; originals can be taken away in {tried} of them (tried with a file of our own)"
    return f"{folders} can be read{'; a dry run takes nothing away' if settings.relay.dry_run else ''}"


def _vanished(root: str, path: str) -> bool:
    """Tell whether nothing stands there; raises where what stands there is no folder, or may not be looked at."""
    try:
        with directory_below(root, path):
            return False
    except RelayError as error:
        if error.code == "file.vanished":
            return True
        raise


def _read(root: str, path: str) -> None:
    """List a folder, and read from a file in it where there is one."""
    for listing in islice(tree.walk(root, path), _MOST_LOOKED_THROUGH):
        if listing.error is not None and listing.path == path:
            raise NeedsPerson(
                "disk.permission",
                f"{shown(path)} cannot be read by user id {os.geteuid()}: {listing.error.strerror}.",
                hint=_RUN_AS,
            )
        if listing.files:
            with directory_below(root, listing.path) as folder, open_regular(folder, listing.files[0][0]) as opened:
                os.read(opened.fd, 1)
            return


def _let_go(root: str, path: str, rules: EffectiveRules, *, dry_run: bool) -> bool:
    """Do to a file of ours what release does to an original; tells whether there was anything to do."""
    if dry_run or rules.after not in {"delete", "archive"}:
        return False
    with directory_below(root, path) as folder:
        take_away(folder)
        others_may_go(folder)
    if rules.after == "archive":
        above = path.rpartition("/")[0]
        archived = f"{above}/{rules.archived}"
        with directory_below(root, above if _vanished(root, archived) else archived) as beside:
            take_away(beside)
    return True


def named(names: Iterable[str]) -> str:
    """Give names for a sentence, the first ten of them."""
    every = list(names)
    rest = len(every) - _MOST_NAMES
    return ", ".join(shown(name, 60) for name in every[:_MOST_NAMES]) + (f" and {rest} more" if rest > 0 else "")
