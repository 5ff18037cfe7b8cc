"""Nextcloud through ``occ``: does it answer, what can it do, and does it show the archive."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from daemon.checks.aside import aside
from daemon.checks.check import Check, failed, of_error, ok, warning
from daemon.errors import RelayError
from daemon.nextcloud.homes import survey
from daemon.text import shown

if TYPE_CHECKING:
    from daemon.nextcloud.occ import Occ
    from daemon.nextcloud.output import Mount, Status
    from daemon.settings import Settings

OCC, BIN, APPS, ALBUM = "occ", "trash bin", "galleries", "album"


async def nextcloud(settings: Settings, occ: Occ | None) -> list[Check]:
    """Ask for the version, the apps and the album's mount. Raises what ``occ`` raises."""
    if occ is None:
        return _without(settings)
    status = await occ.status()
    stopped = _stopped(status)
    if stopped is not None:
        return [stopped]
    found = [ok(OCC, f"Nextcloud {status.version} answers")]
    for name, part in ((BIN, _bin), (APPS, _galleries), (ALBUM, _album)):
        try:
            found += await part(settings, occ)
        except RelayError as error:
            found.append(of_error(name, error))
    return found


def _without(settings: Settings) -> list[Check]:
    if settings.nextcloud.occ.via != "off":
        message = "nextcloud.occ was changed and is called from the next start on"
        return [warning(OCC, message, "Restart the daemon.", "config.restart")]
    message = "off: galleries show new photos, and forget moved ones, only when Nextcloud looks by itself"
    found = [warning(OCC, message, "Set nextcloud.occ.via to docker or command.", "occ.off")]
    needing = _with_after(settings, {"trash", "tag"})
    if needing:
        message = f"`after: trash` and `after: tag` need occ, and originals are kept meanwhile: {_listed(needing)}"
        hint = "Set users.after (or a user's own) to delete, archive or keep, or let occ be called."
        found.append(failed(OCC, message, hint, "occ.off"))
    return found


def _with_after(settings: Settings, wanted: set[str]) -> list[str]:
    rules = {name: settings.users.rules_for(name).after for name in settings.users.include}
    if settings.users.new == "include" or not rules:
        rules["users"] = settings.users.after
    return sorted(name for name, after in rules.items() if after in wanted)


def _listed(names: list[str]) -> str:
    return ", ".join(shown(name, 60) for name in names[:10]) + (" …" if len(names) > 10 else "")


def _stopped(status: Status) -> Check | None:
    version = f"Nextcloud {status.version}"
    if not status.installed:
        return failed(OCC, f"{version} is not set up yet", "Finish its installation.", "occ.not_installed")
    if status.needs_upgrade:
        hint = "Run `occ upgrade`, or open Nextcloud in a browser and follow it."
        return failed(OCC, f"{version} waits for an upgrade, and until then does nothing", hint, "occ.upgrade_pending")
    if status.maintenance:
        hint = "It passes by itself after an update; otherwise `occ maintenance:mode --off`."
        message = f"{version} is in maintenance mode; galleries are refreshed once it is over"
        return warning(OCC, message, hint, "occ.maintenance")
    return None


async def _bin(settings: Settings, occ: Occ) -> list[Check]:
    needing = _with_after(settings, {"trash"})
    if not needing:
        return []
    if (await occ.features(fresh=True)).trash:
        return [ok(BIN, "Nextcloud keeps what is deleted in its owner's bin (`after: trash`)")]
    message = f"Nextcloud's bin is off, so originals are kept, whatever `after: trash` says: {_listed(needing)}"
    hint = "Enable the app (`occ app:enable files_trashbin`), or set `after` to delete, archive or keep."
    return [failed(BIN, message, hint, "occ.no_trash")]


async def _galleries(settings: Settings, occ: Occ) -> list[Check]:
    wanted = settings.nextcloud
    if wanted.memories == wanted.photos == "off":
        return [ok(APPS, "Memories and Nextcloud Photos are left alone (nextcloud.memories and .photos are off)")]
    features = await occ.features(fresh=True)
    found: list[Check] = []
    if wanted.memories == "off":
        found.append(ok(APPS, "Memories is left alone (nextcloud.memories is off)"))
    elif features.memories:
        found.append(ok(APPS, f"Memories {shown(features.memories, 40)} is told of what changed"))
    elif wanted.memories == "on":
        hint = "Install and enable the app (`occ app:enable memories`), or set nextcloud.memories to auto."
        found.append(failed(APPS, "nextcloud.memories is on, but the app is not enabled", hint, "occ.no_memories"))
    else:
        found.append(ok(APPS, "Memories is not installed, and so is left out"))
    if wanted.photos == "off":
        found.append(ok(APPS, "dates and places for Nextcloud Photos are not read (nextcloud.photos is off)"))
    elif features.generate_metadata:
        if features.photos or wanted.photos == "on":
            found.append(ok(APPS, "dates and places are read for Nextcloud Photos"))
        else:
            found.append(ok(APPS, "Nextcloud Photos is not enabled, and so is left out"))
    elif wanted.photos == "on":
        message = "nextcloud.photos is on, but this Nextcloud does not know files:scan --generate-metadata"
        found.append(failed(APPS, message, "Update Nextcloud, or set nextcloud.photos to auto.", "occ.no_option"))
    else:
        found.append(ok(APPS, "this Nextcloud cannot read dates for its Photos app by occ; that is left out"))
    return found


async def _album(settings: Settings, occ: Occ) -> list[Check]:
    album = settings.nextcloud.album
    if not album.folder:
        return [ok(ALBUM, "off: nextcloud.album.folder is empty, so Nextcloud shows no archive")]
    found = await _seen_by(settings)
    mount = _mount_of(album.folder, await occ.external_mounts())
    if mount is None:
        return [*found, await _no_mount(settings, occ)]
    if not _applies(mount, album.seen_by):
        message = f"the external storage {shown(mount.mount_point)} is not there for {shown(album.seen_by, 60)}"
        hint = "Name in nextcloud.album.seen_by a user who has it, or let that user have it."
        return [*found, failed(ALBUM, message, hint, "album.not_seen")]
    where = f"{shown(album.folder)} is the external storage {shown(mount.mount_point)}"
    where += "" if not mount.datadir else f" ({shown(mount.datadir)} as Nextcloud sees it)"
    if not _switched_on(mount.options.get("readonly")):
        message = f"{where}, and Nextcloud lets people write there: whoever deletes a photo there deletes it for all"
        hint = (
            f"Make it read-only: `occ files_external:option {mount.mount_id} readonly true`. Where the folder is "
            "mounted read-only into Nextcloud's container, that does it too, though it cannot be seen from here."
        )
        return [*found, warning(ALBUM, message, hint, "album.writable")]
    return [*found, ok(ALBUM, f"{where}, read-only")]


async def _seen_by(settings: Settings) -> list[Check]:
    user = settings.nextcloud.album.seen_by
    try:
        homes = await aside(survey, settings.nextcloud.data)
    except RelayError:
        return []  # said where the data directory is looked at
    if user in homes.users:
        return []
    hint = "Name in nextcloud.album.seen_by a user who has logged in before and sees the album."
    message = f"nextcloud.album.seen_by is {shown(user, 60)}, who has no home in the data directory"
    return [warning(ALBUM, message, hint, "album.no_such_user")]


def _mount_of(folder: str, mounts: list[Mount]) -> Mount | None:
    """Give the storage that the folder lies in: mount points are paths below a user's files, and may be nested."""
    holding = [
        mount
        for mount in mounts
        if (point := mount.mount_point.rstrip("/")) and (folder == point or folder.startswith(f"{point}/"))
    ]
    return max(holding, key=lambda mount: len(mount.mount_point), default=None)


def _applies(mount: Mount, user: str) -> bool:
    if not mount.applicable_users and not mount.applicable_groups:
        return True
    # Who is in a group is not asked for.
    return user in mount.applicable_users or bool(mount.applicable_groups)


def _switched_on(option: object) -> bool:
    if isinstance(option, str):
        try:
            option = json.loads(option.lower())
        except ValueError:
            return False
    return bool(option)


async def _no_mount(settings: Settings, occ: Occ) -> Check:
    """Say whether the album is something else than an external storage that the administrator set up."""
    album = settings.nextcloud.album
    who = shown(album.seen_by, 60)
    if await occ.knows(album.seen_by, album.folder.strip("/")):
        return ok(ALBUM, f"{shown(album.folder)} is a folder that {who} sees (no external storage of everybody's)")
    hint = (
        "Add the archive as an external storage of the kind Local under that name (Administration, External storage), "
        "read-only; or correct nextcloud.album.folder, or leave it empty."
    )
    return warning(
        ALBUM, f"Nextcloud shows {who} no {shown(album.folder)}: no album is refreshed", hint, "album.missing"
    )
