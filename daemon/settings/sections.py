"""The sections about the relay itself: each key with its type, its default and words for people.

The users, the page and messages have modules of their own beside this one.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from daemon.settings.base import Section, key, secret
from daemon.settings.values import (
    AbsolutePath,
    AbsolutePathOrEmpty,
    Command,
    Commands,
    Duration,
    Extensions,
    Secret,
    Size,
    Switch,
    UserId,
    WebAddress,
    Workers,
)


class Occ(Section):
    """How Nextcloud's own command line tool is called."""

    via: Literal["docker", "command", "off"] = key(
        "docker",
        "How occ, Nextcloud's command line tool, is called: docker (in Nextcloud's container), command (a program "
        "here), or off. Without occ galleries learn of photos only when Nextcloud looks by itself.",
        "command",
    )
    container: str = key(
        "nextcloud",
        "With `via: docker`, Nextcloud's container: its name, the name of a Swarm service, or label=value.",
        "com.docker.compose.service=app",
    )
    user: str = key(
        "auto",
        "With `via: docker`, the user as whom occ runs in the container, a name or a number. auto finds www-data, abc "
        "or the owner of config.php.",
        "www-data",
    )
    command: Command = key(
        "auto",
        "How occ is started, as a list. auto finds it in the container; with `via: command` the whole command must "
        "stand here.",
        ["sudo", "-u", "www-data", "php", "/var/www/nextcloud/occ"],
    )
    timeout: Duration = key(
        1800.0, "How long one call of occ may take; a length of time, such as 10m or 2h.", "30m", unit="time"
    )
    also: Commands = key(
        (),
        "Further occ commands after each batch, each a list of words.",
        [["preview:pre-generate"], ["recognize:classify"]],
    )


class Album(Section):
    """Where Nextcloud shows the archive."""

    folder: AbsolutePathOrEmpty = key(
        "/Album",
        "The folder under which Nextcloud shows the archive (usually an external storage). Empty: Nextcloud does not "
        "show it.",
        "/Photos/Archive",
    )
    seen_by: UserId = key(
        "admin", "A user who sees that folder; it is scanned as this user, for everybody who sees it.", "admin"
    )


class Nextcloud(Section):
    """Nextcloud, where the photos come from."""

    data: AbsolutePath = key(
        "/nextcloud-data",
        "Nextcloud's data directory, as mounted here: the folder that holds the users' folders and .ncdata.",
        "/nextcloud-data",
    )
    occ: Occ = Field(default=Occ(), description="How Nextcloud's own command line tool is called.")
    album: Album = Field(default=Album(), description="Where Nextcloud shows the archive.")
    memories: Switch = key(
        "auto",
        "Tell the Memories app about what changed (memories:index)? auto: if it is installed; or on, or off.",
        "on",
    )
    photos: Switch = key(
        "auto",
        "Read dates and places for the Photos app (--generate-metadata)? auto: if Nextcloud can; or on, or off.",
        "off",
    )


class FolderArchive(Section):
    """An archive without PhotoPrism: a folder, sorted by date."""

    path: AbsolutePath = key("/archive", "The archive's folder, as mounted here.", "/archive")
    template: str = key(
        "{taken:%Y/%m}/{taken:%Y%m%d_%H%M%S}_{name}{ext}",
        "Where a photo goes in it. {taken:…} is the date and time it was taken, in strftime letters; {name} its name "
        "without ending, {ext} the ending with the dot, {user} whose it was.",
        "{taken:%Y}/{user}/{name}{ext}",
    )


class Archive(Section):
    """Where the photos go."""

    via: Literal["photoprism", "folder"] = key(
        "photoprism", "Where the photos go: photoprism (PhotoPrism imports them), or folder (sorted by date).", "folder"
    )
    folder: FolderArchive = Field(
        default=FolderArchive(), description="With `via: folder`: an archive without PhotoPrism."
    )


class Photoprism(Section):
    """PhotoPrism, with `archive.via: photoprism`."""

    url: WebAddress = key(
        "http://photoprism:2342", "PhotoPrism's address, as reached from here.", "http://photoprism:2342"
    )
    token: Secret = secret(
        "An app password of an admin user (PhotoPrism: Settings, Account, Apps and Devices). Better kept in a file of "
        "its own: token_file: /run/secrets/photoprism_token",
        "XXXXXX-XXXXXX-XXXXXX-XXXXXX",
    )
    import_: AbsolutePath = key(
        "/photoprism/import", "PhotoPrism's import folder, as mounted here.", "/photoprism/import", alias="import"
    )
    originals: AbsolutePathOrEmpty = key(
        "/photoprism/originals",
        "PhotoPrism's originals, as mounted here (reading is enough). Empty: not mounted; then every photo is fetched "
        "back from PhotoPrism once to prove that it arrived whole.",
        "/photoprism/originals",
    )
    albums: tuple[str, ...] = key(
        (), "Titles of albums that every photo is added to; {user} becomes the user id.", ["Phone photos of {user}"]
    )


class Watch(Section):
    """When new photos are noticed and taken."""

    settle: Duration = key(
        10.0,
        "How long nothing may have changed before a photo is taken; a length of time. Below 1s uploads may fail and "
        "be repeated, below 300ms is refused.",
        "15s",
        unit="time",
    )
    max_wait: Duration = key(
        600.0,
        "The longest time that a photo waits because others still arrive beside it; a length of time.",
        "10m",
        unit="time",
    )
    partner: Duration = key(
        120.0,
        "How long a photo waits for the second half it announces, such as the video of a Live Photo; a length of time.",
        "2m",
        unit="time",
    )
    batch: int = Field(
        default=200,
        ge=1,
        le=100_000,
        description="How many photos are handed to the archive at once, at most.",
        examples=[500],
        json_schema_extra={"x-unit": "photos"},
    )
    mode: Literal["auto", "inotify", "poll"] = key(
        "auto",
        "How new photos are noticed: inotify (at once), poll (by looking again and again, for network file systems), "
        "or auto.",
        "poll",
    )
    sweep: str = key(
        "every 15m",
        "When everything is looked through again, as a safety net: every and a length of time (up to four times that "
        'while the watch proves itself and nothing was missed), or a cron expression such as "0 3 * * *".',
        "0 3 * * *",
    )
    extensions: Extensions = key(
        "default", "Which file name endings are photos and videos: default, or a list.", ["jpg", "heic", "mov"]
    )

    @property
    def only(self) -> frozenset[str]:
        """Give the extensions that are taken, lower case; empty means all that the program knows."""
        return frozenset() if isinstance(self.extensions, str) else frozenset(self.extensions)


class Relay(Section):
    """How the work is done."""

    dry_run: bool = key(False, "Only say what would be done, and touch nothing?", True)
    min_free: Size = key(
        2 << 30,
        "With less free space than this where photos are put, nothing is put there; a size, such as 500MB or 2GiB.",
        "10GiB",
        unit="bytes",
    )
    near_duplicates: bool = key(
        False,
        "Look for photos that resemble earlier ones (a perceptual hash), and only report them? Needs Pillow: the extra "
        "photon-relay[near].",
        True,
    )
    workers: Workers = key(
        "auto",
        "How many files are read and copied at the same time, 1 to 64. auto: one where the disk spins, else one for "
        "each processor, four at most.",
        2,
    )
    nice: int = Field(
        default=0,
        ge=0,
        le=19,
        description="How far this program stands back from others for the processor, 0 to 19; a smaller number than "
        "before counts from the next start on.",
        examples=[10],
        json_schema_extra={"x-unit": "steps"},
    )
    io: Literal["normal", "low", "idle"] = key(
        "normal",
        "How this program stands back from others for the disk: normal, low, or idle (only when nobody else wants it). "
        "Not every disk's scheduler in the kernel knows the difference; bfq does.",
        "low",
    )
    bandwidth: Size = key(
        0,
        "How many bytes of photos are read and written in a second, both together, at most; a size, such as 20MiB. "
        "0: no limit.",
        "20MiB",
        unit="bytes",
    )
    pause_above: int = Field(
        default=0,
        ge=0,
        le=100,
        description="Photos rest while other work on this machine has to wait for the processor or the disk for more "
        "than this share of the time, in percent (Linux's pressure figures), ten minutes at most. 0: never.",
        examples=[60],
        json_schema_extra={"x-unit": "percent"},
    )


class Log(Section):
    """What the log says, and how."""

    level: Literal["debug", "info", "warning", "error"] = key(
        "info", "How much is logged: debug, info, warning or error.", "debug"
    )
    format: Literal["text", "json"] = key(
        "text", "How it is written: text (for people) or json (for machines).", "json"
    )
