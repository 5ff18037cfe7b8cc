"""The folders photos go to, proved by doing: PhotoPrism's import and originals, or the folder archive. Blocks."""

from __future__ import annotations

import grp
import os
import stat
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from daemon.checks.check import Check, failed, of_error, ok, warning
from daemon.checks.doing import Made, make_and_remove, mount_at
from daemon.errors import RelayError, Transient
from daemon.files.opening import directory_below, open_regular
from daemon.files.template import check_template
from daemon.text import shown
from daemon.watch import tree

if TYPE_CHECKING:
    from daemon.settings import Settings

IMPORT, ORIGINALS, ARCHIVE = "import folder", "originals", "archive folder"
_NO_ORIGINALS = (
    "every photo is downloaded back to be proved; side files cannot be proved, and stay with their originals"
)
_MOST_LOOKED_THROUGH = 500


def import_folder(settings: Settings) -> list[Check]:
    """Make what a batch is made of in PhotoPrism's import folder, and look who would own it."""
    root = settings.photoprism.import_
    try:
        made = make_and_remove(root, settings.nextcloud.data)
    except RelayError as error:
        return [_unplaced(IMPORT, error, "photoprism.import")]
    return [ok(IMPORT, f"{shown(root)}: photos can be put there; {_cost(made)}"), *ownership(root, made)]


def _unplaced(name: str, error: RelayError, key: str) -> Check:
    if error.code == "disk.no_root":
        return failed(name, error.message, f"Is it mounted here, and is {key} its path as mounted here?", error.code)
    return of_error(name, error)


def _cost(made: Made) -> str:
    if made.method is None:
        return "what a copy costs is not known while the data directory is not there"
    if made.method == "reflink":
        return "a copy shares its bytes with the original (reflink), so it costs next to nothing"
    where = "on the same file system as the data directory" if made.same_device else "on another file system"
    return f"it lies {where}, and photos are copied once"


def ownership(root: str, made: Made) -> list[Check]:
    """Say where PhotoPrism, as another user of the same group, could not take away what was made. Pure."""
    group = made.top.st_gid
    hint = (
        f"chgrp to a group that PhotoPrism and this program share, then chmod g+rwxs {shown(root)}; or run both with "
        "the same group (PHOTOPRISM_GID). Where PhotoPrism runs as root, or as the same user, nothing need be done."
    )
    wrong = next((status.st_gid for status in (made.folder, made.file) if status.st_gid != group), None)
    if wrong is not None:
        message = (
            f"what is made in {shown(root)} belongs to the group {_group_name(wrong)}, not to that folder's own, "
            f"{_group_name(group)}: PhotoPrism may not be able to take it away"
        )
        return [warning(IMPORT, message, hint, "import.group")]
    needed = stat.S_IRGRP | stat.S_IWGRP
    if made.file.st_mode & needed != needed or made.folder.st_mode & stat.S_IRWXG != stat.S_IRWXG:
        message = (
            f"what is made in {shown(root)} is not writable for its group (the file system, or how it is mounted, "
            "does not keep modes): PhotoPrism may not be able to take it away"
        )
        return [warning(IMPORT, message, hint, "import.mode")]
    return []


def _group_name(gid: int) -> str:
    with suppress(KeyError):
        return f"{shown(grp.getgrgid(gid).gr_name)} ({gid})"
    return str(gid)


def originals(settings: Settings) -> list[Check]:
    """Read some file in PhotoPrism's originals, and say whether they lie on one mount with import."""
    root = settings.photoprism.originals
    hint = "Mount PhotoPrism's originals here, read-only if you like, and name them in photoprism.originals."
    if not root:
        return [warning(ORIGINALS, f"not mounted: {_NO_ORIGINALS}", hint, "originals.not_mounted")]
    try:
        with directory_below(root, ""):
            name = _some_file(root)
    except RelayError as error:
        return [_unplaced(ORIGINALS, error, "photoprism.originals")]
    if not name:
        message = f"{shown(root)} holds no file that could be read"
        hint = "With a new PhotoPrism that is as it should be. Otherwise: is this the folder, and is it mounted?"
        return [warning(ORIGINALS, message, hint, "originals.empty")]
    return [ok(ORIGINALS, f"{shown(root)} can be read{_beside_import(settings)}")]


def _some_file(root: str) -> str:
    """Read from the first regular file below ``root``; gives its path, or nothing where none was found.

    Raises what the disk said: what PhotoPrism has written must be readable, or nothing can be proved.
    """
    for listing in islice(tree.walk(root, "", skip=_hidden), _MOST_LOOKED_THROUGH):
        if listing.error is not None and not listing.path:
            raise Transient("disk.error", f"{shown(root)} cannot be listed: {listing.error.strerror}")
        for name, _ in listing.files[:1]:
            with directory_below(root, listing.path) as folder, open_regular(folder, name) as opened:
                os.read(opened.fd, 1)
            return f"{listing.path}/{name}"
    return ""


def _hidden(path: str, _parent: int) -> bool:
    return path.rpartition("/")[2].startswith(".")


def _beside_import(settings: Settings) -> str:
    try:
        mounts = {mount_at(path) for path in (settings.photoprism.import_, settings.photoprism.originals)}
    except RelayError:
        return ""
    if "" in mounts:
        return ""
    if len(mounts) == 1:
        return "; it is one mount with import"
    return "; it is another mount than import, and if that is so in PhotoPrism too, PhotoPrism copies each photo"


def archive_folder(settings: Settings) -> list[Check]:
    """Make what the folder archive is made of, and read its template."""
    folder = settings.archive.folder
    found = [
        failed(ARCHIVE, f"archive.folder.template: {fault}", "Correct the template in the file.", "template.invalid")
        for fault in check_template(folder.template)
    ]
    try:
        made = make_and_remove(folder.path, settings.nextcloud.data)
    except RelayError as error:
        return [*found, _unplaced(ARCHIVE, error, "archive.folder.path")]
    cost = "it is one mount with the data directory" if made.same_mount else _cost(made)
    return [ok(ARCHIVE, f"{shown(folder.path)}: photos can be put there; {cost}"), *found]
