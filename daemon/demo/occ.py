"""A stand-in for Nextcloud's ``occ`` over a playground: it keeps a file cache and tells the truth about the disk.

Run as ``python occ.py PLAYGROUND command …``, where the playground holds ``nextcloud-data`` and ``archive``; the
archive appears to every user as the external storage ``/Album``. Standard library alone, so that a call starts fast.
Texts and exit codes are those of Nextcloud 32, as far as the relay uses them.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ALBUM = "Album"
VERSION = "32.0.1"
APPS = {
    "files": "2.4.0",
    "files_external": "1.24.0",
    "files_trashbin": "1.22.0",
    "memories": "8.1.0",
    "photos": "5.0.0",
}
HELP = {
    "files:scan": "  -p, --path=PATH  limit rescan to this path\n"
    "      --generate-metadata[=GENERATE-METADATA]  Generate metadata for all scanned files\n"
    "      --shallow  do not scan folders recursively",
    "memories:index": "  -u, --user=USER  Index only the specified user\n"
    "      --path=PATH  Index only the specified path\n"
    "      --skip-cleanup  Skip cleanup step (for frequent runs)",
}
Say: TypeAlias = "Callable[[str], None]"
Command: TypeAlias = "Callable[[Server, list[str], Say], None]"
COLUMNS = ("Folders", "Files", "New", "Updated", "Removed", "Errors", "Elapsed time")


class Refusal(Exception):
    """A call that ends with exit code 1 and a sentence."""


class Server:
    """The pretended Nextcloud: where a user's paths lie on the disk, and what its file cache knows of them."""

    def __init__(self, playground: str) -> None:
        self.data = os.path.join(playground, "nextcloud-data")
        self.archive = os.path.join(playground, "archive")
        self.state = os.path.join(playground, "occ.json")
        self.cache: dict[str, dict[str, Any]] = {}

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the file cache for one call; others wait."""
        with open(f"{self.state}.lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError), open(self.state) as file:
                self.cache = json.load(file)
            yield
            with open(f"{self.state}.new", "w") as file:
                json.dump(self.cache, file)
            os.replace(f"{self.state}.new", self.state)

    def place(self, path: str) -> tuple[str, str]:
        """Give a path's key in the cache and its place on the disk; ``path`` is ``alice/files/InstantUpload``."""
        parts = [part for part in path.split("/") if part]
        if len(parts) < 2 or parts[1] != "files" or ".." in parts:
            raise Refusal(f"file {path} not found")
        user, below = parts[0], parts[2:]
        if below[:1] == [ALBUM]:
            return "/".join(["", *below]), os.path.join(self.archive, *below[1:])
        return "/".join([user, *below]), os.path.join(self.data, user, "files", *below)

    def known(self, path: str) -> tuple[str, str]:
        """Give the same for a file that Nextcloud knows, else refuse as it does.

        What lies in a home came by an upload here, so Nextcloud knew it from then on; the album it knows by scans.
        """
        key, disk = self.place(path)
        if key not in self.cache and (key.startswith("/") or not os.path.lexists(disk)):
            raise Refusal(f"file {path} not found")
        return key, disk

    def drop(self, key: str) -> int:
        """Forget a path and what lies below it; give how many that were."""
        gone = [one for one in self.cache if one == key or one.startswith(f"{key}/")]
        for one in gone:
            del self.cache[one]
        return len(gone)


def scan(server: Server, argv: list[str], say: Say) -> None:
    """Bring the cache up to what stands on the disk, and count what changed."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("users", nargs="*")
    parser.add_argument("-p", "--path", default="")
    for option in ("--all", "--shallow", "--home-only", "--unscanned", "-q", "-v", "-n"):
        parser.add_argument(option, action="store_true")
    parser.add_argument("--generate-metadata", nargs="?", const="all")
    parser.add_argument("--output")
    options = parser.parse_args(argv)
    users = sorted(user for user in os.listdir(server.data) if os.path.isdir(f"{server.data}/{user}/files"))
    paths = [options.path] if options.path else [f"{user}/files" for user in (users if options.all else options.users)]
    counts, started = dict.fromkeys(COLUMNS[:-1], 0), time.monotonic()
    for number, path in enumerate(paths, 1):
        user = path.strip("/").partition("/")[0]
        if user not in users:
            say(f"Unknown user {number} {user}")
            continue
        say(f"Starting scan for user {number} out of {len(paths)} ({user})")
        key, disk = server.place(path)
        if not os.path.lexists(disk):
            say(f"Path not found: {path}")
            counts["Errors"] += 1
        elif os.path.isdir(disk):
            _folder(server, key, disk, counts, options)
        elif key in server.cache:
            _file(server, key, disk, counts, options)
        else:
            # A file by its own path before its folder: Nextcloud counts it as removed and keeps no row.
            counts["Files"] += 1
            counts["Removed"] += 1
    took = int(time.monotonic() - started)
    elapsed = f"{took // 3600:02}:{took // 60 % 60:02}:{took % 60:02}"
    say(_table([*map(str, counts.values()), elapsed]))


def _folder(server: Server, key: str, disk: str, counts: dict[str, int], options: argparse.Namespace) -> None:
    counts["Folders"] += 1
    server.cache.setdefault(key, {"folder": True})
    seen = set()
    for entry in sorted(os.scandir(disk), key=lambda one: one.name):
        if entry.is_symlink() or entry.name.endswith(".part"):
            continue
        below = f"{key}/{entry.name}"
        seen.add(below)
        if not entry.is_dir():
            _file(server, below, entry.path, counts, options)
        elif not options.shallow:
            _folder(server, below, entry.path, counts, options)
        else:
            server.cache.setdefault(below, {"folder": True})
    children = [one for one in server.cache if one.rpartition("/")[0] == key and one not in seen]
    for child in children:
        counts["Removed"] += server.drop(child)


def _file(server: Server, key: str, disk: str, counts: dict[str, int], options: argparse.Namespace) -> None:
    counts["Files"] += 1
    try:
        info = os.stat(disk, follow_symlinks=False)
    except FileNotFoundError:
        return
    found = {"size": info.st_size, "mtime": int(info.st_mtime)}
    old = server.cache.get(key)
    if old is None or any(old.get(name) != value for name, value in found.items()):
        counts["New" if old is None else "Updated"] += 1
        server.cache[key] = found
    if options.generate_metadata:
        server.cache[key]["metadata"] = True


def _table(values: list[str]) -> str:
    widths = [max(len(head), len(value)) for head, value in zip(COLUMNS, values, strict=True)]
    line = "+" + "+".join("-" * (width + 2) for width in widths) + "+"

    def row(cells: tuple[str, ...] | list[str]) -> str:
        return "|" + "|".join(f" {cell.ljust(width)} " for cell, width in zip(cells, widths, strict=True)) + "|"

    return "\n".join([line, row(COLUMNS), line, row(values), line])


def delete(server: Server, argv: list[str], say: Say) -> None:
    """Put a file into its owner's bin; without ``--force`` it asks, nobody answers, and nothing goes."""
    paths = [one for one in argv if not one.startswith("-")]
    key, disk = server.known(paths[0])
    if "--force" not in argv and "-f" not in argv:
        say(f"Delete {paths[0]}? [y/N] ")
        return
    user = paths[0].strip("/").partition("/")[0]
    folder = os.path.join(server.data, user, "files_trashbin", "files")
    os.makedirs(folder, exist_ok=True)
    moment = int(time.time())
    name = os.path.basename(disk)
    while os.path.lexists(os.path.join(folder, f"{name}.d{moment}")):
        moment += 1
    try:
        os.rename(disk, os.path.join(folder, f"{name}.d{moment}"))
    except FileNotFoundError:
        raise Refusal(f"file {paths[0]} not found") from None
    server.drop(key)


def info(server: Server, argv: list[str], say: Say) -> None:
    """Tell what the cache knows of a file."""
    path = next(one for one in argv if not one.startswith("-"))
    key, _ = server.known(path)
    entry = server.cache.setdefault(key, {})
    say(f"{path.rpartition('/')[2]}\n  fileid: {list(server.cache).index(key) + 1}\n  size: {entry.get('size', 0)} B")


def tag(server: Server, argv: list[str], say: Say) -> None:
    """Put a tag on a file."""
    path, name, access = [one for one in argv if not one.startswith("-")]
    key, _ = server.known(path)
    server.cache.setdefault(key, {}).setdefault("tags", []).append(name)
    say(f"{access} tag named {name} added.")


def index(server: Server, argv: list[str], say: Say) -> None:
    """Let Memories take up what the file cache knows below a path."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("-u", "--user", default="")
    parser.add_argument("--path", default="")
    for option in ("-f", "--force", "--skip-cleanup", "--retry"):
        parser.add_argument(option, action="store_true")
    options = parser.parse_args(argv)
    if not os.path.isdir(os.path.join(server.data, options.user, "files")):
        say(f"User {options.user} not found")
        return
    say(f"Indexing user {options.user}")
    key, _ = server.place(f"{options.user}/files/{options.path.strip('/')}")
    if key not in server.cache:
        say(f"The specified folder {options.path} does not exist for {options.user}")
        return
    for one, entry in server.cache.items():
        if (one == key or one.startswith(f"{key}/")) and not entry.get("folder"):
            entry["indexed"] = True


def _json(value: Any) -> Command:
    return lambda _server, _argv, say: say(json.dumps(value))


COMMANDS: dict[str, Command] = {
    "status": _json(
        {
            "installed": True,
            "version": f"{VERSION}.2",
            "versionstring": VERSION,
            "edition": "",
            "maintenance": False,
            "needsDbUpgrade": False,
            "productname": "Nextcloud",
            "extendedSupport": False,
        }
    ),
    "app:list": _json({"enabled": APPS, "disabled": {}}),
    "files_external:list": lambda server, _argv, say: say(
        json.dumps(
            [
                {
                    "mount_id": 1,
                    "mount_point": f"/{ALBUM}",
                    "storage": "\\OC\\Files\\Storage\\Local",
                    "authentication_type": "null::null",
                    "configuration": {"datadir": server.archive},
                    "options": {"enable_sharing": False},
                    "applicable_users": [],
                    "applicable_groups": [],
                }
            ]
        )
    ),
    "files:scan": scan,
    "files:delete": delete,
    "info:file": info,
    "tag:files:add": tag,
    "memories:index": index,
}


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def main(argv: list[str]) -> int:
    """Do one call, and give its exit code."""
    # Names are bytes of any kind; what came in as bytes goes out as the same bytes.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="surrogateescape")
    playground, name, *rest = [*argv, "list"] if len(argv) < 2 else argv
    command = COMMANDS.get(name)
    if command is None:
        sys.stderr.write(f'\n  Command "{name}" is not defined.\n')
        return 1
    if "--help" in rest:
        sys.stdout.write(f"Usage:\n  {name} [options]\n\nOptions:\n{HELP.get(name, '')}\n")
        return 0
    server = Server(playground)
    try:
        with server.opened():
            command(server, [one for one in rest if one != "--"], _say)
    except Refusal as refusal:
        sys.stderr.write(f"{refusal}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
