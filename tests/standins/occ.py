#!/usr/bin/env python3
r"""A stand-in for Nextcloud's ``occ``: a real data directory, a real file cache, the original's texts and exit codes.

Standard library only, so that it can be copied into a container and run by a ``php`` shim::

    occ.py --data DIR --state FILE [--album HOSTDIR=/Album]... [--config config.php] -- files:scan --path=/alice/files/x

The same may come from ``OCC_DATA``, ``OCC_STATE``, ``OCC_ALBUMS`` (``HOSTDIR=/Album;HOSTDIR=/Other``) and
``OCC_CONFIG``. Where ``config`` is given, its owner alone may call, as with the original.

``FILE`` is JSON and switches the traps (``OCC_TRAPS``, JSON too, goes on top). ``true`` is always, a number is "the
next so many calls that meet it":

==================== ==================================================================================================
maintenance          no apps are loaded: no ``files`` namespace, exit 1; ``status`` says so
needs_upgrade        the same for a pending upgrade
not_installed        the same for a server that is still being set up
database             the database cannot be reached at the start: exit 1
database_lost        the database goes away meanwhile: the original sleeps for ever, and so does this
locked               scans and deletions meet a lock; ``locked_style: "new"`` is the newest version's way, exit 1
locked_paths         a list of ``alice/files/x.jpg`` that only ``files:delete`` and ``tag:files:add`` find locked
already_scanning     ``Another process is already scanning``, zeros, exit 0 (also by itself, for two at the same path)
wrong_user           a number, the uid that owns config.php: every call says so and exits 1
not_writable         ``Home storage for user … not writable``
nothing              a scan that does nothing and says nothing: zeros, exit 0
slow, hang           seconds before every answer; no answer at all (SIGTERM ignored)
noise                PHP's warnings on standard error
no_memories          the app is not there
old_memories         before 7.6.1: ``--folder`` instead of ``--path``
no_exiftool          ``memories:index`` exits 1
unindexable          a list of file names that ``memories:index`` fails at, exit 0
no_photos            the Photos app is disabled
no_trashbin          deleted files are gone, as where the bin has no room for them
trashbin_off         deleted files are gone, since the app is disabled
old_nextcloud        27: no ``--generate-metadata``, a table without New, Updated, Removed and Errors
counts_new           new files are counted as New (else as Updated, as the original does)
version              the version string, such as ``32.0.1``
users                further user ids that have no home yet
shares               ``{"bob": ["/Album"]}``: received shares, whose scan does nothing and exits 0
commands             names of further commands that are known and do nothing
answers              ``{"files:scan": {"exit": 1, "stdout": "", "stderr": ""}}``: say just that
==================== ==================================================================================================

Beside ``FILE`` stand ``FILE.db`` (the file cache, SQLite), ``FILE.calls`` (one JSON line a call: ``argv``, ``at``,
``took``, ``exit``, ``uid``; ``exit`` is null for one that hangs) and lock files. In Python, `StandInOcc` does all that.
"""

# File names are bytes of any kind here, as in the parts that are tested with this: os, not pathlib.
# ruff: noqa: PTH103, PTH104, PTH108, PTH110, PTH112, PTH114, PTH116, PTH118, PTH119, PTH123, PTH208

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import signal
import sqlite3
import stat
import sys
import time
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RESERVED = {".htaccess", "files_external", "__groupfolders", ".ncdata", "files_encryption", "lost+found"}
SCHEMA = """
CREATE TABLE IF NOT EXISTS filecache (
    fileid INTEGER PRIMARY KEY AUTOINCREMENT, storage TEXT NOT NULL, path TEXT NOT NULL, parent TEXT,
    is_dir INTEGER NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL, metadata INTEGER NOT NULL DEFAULT 0,
    UNIQUE (storage, path));
CREATE TABLE IF NOT EXISTS memories (fileid INTEGER PRIMARY KEY, mtime INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS tags (fileid INTEGER NOT NULL, tag TEXT NOT NULL, UNIQUE (fileid, tag));
"""
NO_OPTION = 'The "--{}" option does not exist.'
NOT_WRITABLE = "Make sure you're running the scan command only as the user the web server runs as"
WRONG_USER = """\
Console has to be executed with the user that owns the file config/config.php
Current user id: {uid}
Owner id of config.php: {owner}
Try adding 'sudo -u #{owner}' to the beginning of the command (without the single quotes)
If running with 'docker exec' try adding the option '-u {owner}' to the docker command (without the single quotes)"""
NOISE = """\
The current PHP memory limit is below the recommended value of 512MB.
The process control (PCNTL) extensions are required in case you want to interrupt long running commands
"""
NO_DATABASE = "An exception occurred in the driver: SQLSTATE[HY000] [2002] Connection refused"
LIMITED = {
    "not_installed": "Nextcloud is not installed - only a limited number of commands are available",
    "maintenance": """\
Nextcloud is in maintenance mode, no apps are loaded.
Commands provided by apps are unavailable.""",
    "needs_upgrade": """\
Nextcloud or one of the apps require upgrade - only a limited number of commands are available
You may use your browser or the occ upgrade command to do the upgrade""",
}
HELP = {
    "files:scan": """\
  -p, --path=PATH  limit rescan to this path, eg. --path="/alice/files/Music"
      --generate-metadata[=GENERATE-METADATA]  Generate metadata for all scanned files
      --all  will rescan all files of all known users
      --unscanned  only scan files which are marked as not fully scanned
      --shallow  do not scan folders recursively
      --home-only  only scan the home storage, ignoring any mounted external storage or share""",
    "memories:index": """\
  -u, --user=USER  Index only the specified user
  -g, --group=GROUP  Index only specified group
      --path=PATH  Index only the specified path
  -f, --force  Force refresh of existing index entries
      --skip-cleanup  Skip cleanup step (for frequent runs)""",
}
EVERYWHERE = {"output", "no-warnings", "no-interaction", "quiet", "verbose", "ansi", "no-ansi"}


def bin_name(name: str, second: int) -> str:
    """Give a deleted file's name in the bin: what is over 250 bytes is taken out of its middle (``Trashbin.php``)."""
    whole = os.fsencode(f"{name}.d{second}")
    return os.fsdecode(whole[:125] + whole[125 + max(0, len(whole) - 250) :])


class StandInOcc:
    """The stand-in as a test sees it: switch the traps, ask what was called, look into the file cache."""

    def __init__(
        self, data: Path, state: Path, albums: dict[Path, str] | None = None, config: Path | None = None
    ) -> None:
        self.data, self.state, self.albums, self.config = data, state, albums or {}, config

    @property
    def command(self) -> list[str]:
        """The argument list that stands for ``php occ``."""
        given = [sys.executable, "-S", "-E", __file__, "--data", str(self.data), "--state", str(self.state)]
        for folder, mount in self.albums.items():
            given += ["--album", f"{folder}={mount}"]
        return [*given, *(["--config", str(self.config)] if self.config else []), "--"]

    def switch(self, **traps: Any) -> None:
        """Switch traps on and off; those not named stay."""
        with _locked(f"{self.state}.lock"):
            known = json.loads(self.state.read_text()) if self.state.exists() else {}
            _write(str(self.state), known | traps)

    def calls(self, *commands: str) -> list[list[str]]:
        """Every call's arguments in the order of their ends, or only those of the named commands."""
        every = [[str(item) for item in entry["argv"]] for entry in self.log()]
        return [argv for argv in every if not commands or (argv and argv[0] in commands)]

    def log(self) -> list[dict[str, Any]]:
        """The whole call log."""
        path = Path(f"{self.state}.calls")
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def forget(self) -> None:
        """Empty the call log."""
        Path(f"{self.state}.calls").unlink(missing_ok=True)

    def known(self, user: str) -> set[str]:
        """The files in the cache as this user sees them, ``Album/2026/x.jpg``; folders end with a slash."""
        return {path for path, _ in self._rows(user)}

    def with_metadata(self, user: str) -> set[str]:
        """Those of them that Nextcloud Photos has dates for."""
        return {path for path, row in self._rows(user) if row["metadata"]}

    def indexed(self, user: str) -> set[str]:
        """Those of them that Memories shows."""
        return {path for path, row in self._rows(user) if row["indexed"]}

    def tagged(self, user: str) -> dict[str, set[str]]:
        """The tags of those of them that have any."""
        return {path: set(row["tags"].split("\n")) for path, row in self._rows(user) if row["tags"]}

    def _rows(self, user: str) -> Iterator[tuple[str, sqlite3.Row]]:
        server = Server(str(self.data), str(self.state), {str(k): v for k, v in self.albums.items()}, None)
        with contextlib.closing(server.open()):
            for mount in server.mounts(user):
                for row in server.below(mount.storage, "files" if mount.home else ""):
                    name = row["path"].removeprefix("files").strip("/") if mount.home else row["path"]
                    shown = "/".join(part for part in (mount.point, name) if part)
                    yield shown + ("/" if row["is_dir"] else ""), row


class Failure(Exception):
    """A call that ends with an exit code and a text on standard error."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


class Mount:
    """Where a part of a user's tree lies on the disk; ``point`` is below the user's files, empty for the home."""

    def __init__(self, point: str, root: str, storage: str, *, home: bool = False) -> None:
        self.point, self.root, self.storage, self.home = point, root, storage, home


@contextlib.contextmanager
def _locked(path: str, *, wait: bool = True) -> Iterator[bool]:
    with open(path, "a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def _write(path: str, value: dict[str, Any]) -> None:
    Path(f"{path}.new").write_text(json.dumps(value))
    Path(f"{path}.new").replace(path)


class Server:
    """The Nextcloud that is pretended: who lives there, what is mounted where, what the file cache knows."""

    def __init__(self, data: str, state: str, albums: dict[str, str], config: str | None) -> None:
        self.data, self.state, self.albums, self.config = data, state, albums, config
        self.database: sqlite3.Connection

    def open(self) -> sqlite3.Connection:
        self.database = sqlite3.connect(f"{self.state}.db", timeout=30, isolation_level=None)
        self.database.row_factory = sqlite3.Row
        self.database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;" + SCHEMA)
        return self.database

    def trap(self, name: str) -> Any:
        """The value of a trap, uncounted."""
        extra = json.loads(os.environ.get("OCC_TRAPS", "{}"))
        if name in extra:
            return extra[name]
        return (json.loads(Path(self.state).read_text()) if os.path.exists(self.state) else {}).get(name)

    def meets(self, name: str) -> bool:
        """Is the trap set? A number goes down by one."""
        with _locked(f"{self.state}.lock"):
            value = self.trap(name)
            if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
                return bool(value) and value != 0
            known = json.loads(Path(self.state).read_text()) if os.path.exists(self.state) else {}
            _write(self.state, known | {name: value - 1})
            return True

    def version(self) -> str:
        return str(self.trap("version") or ("27.1.4" if self.trap("old_nextcloud") else "32.0.1"))

    def users(self) -> set[str]:
        found = set(self.trap("users") or [])
        for name in os.listdir(self.data):
            if name not in RESERVED and not name.startswith("appdata_") and os.path.isdir(f"{self.data}/{name}/files"):
                found.add(name)
        return found

    def mounts(self, user: str) -> list[Mount]:
        albums = [Mount(point.strip("/"), root, f"local::{root}") for root, point in self.albums.items()]
        return [Mount("", f"{self.data}/{user}", f"home::{user}", home=True), *albums]

    def resolve(self, user: str, path: str) -> tuple[Mount, str]:
        """The mount and the path in its storage of ``path`` below the user's files."""
        path = path.strip("/")
        for mount in self.mounts(user)[1:]:
            if path == mount.point or path.startswith(mount.point + "/"):
                return mount, path[len(mount.point) :].strip("/")
        return self.mounts(user)[0], f"files/{path}".rstrip("/")

    def row(self, storage: str, path: str) -> sqlite3.Row | None:
        try:
            found = self.database.execute("SELECT * FROM filecache WHERE storage=? AND path=?", (storage, path))
        except UnicodeEncodeError:
            return None
        row: sqlite3.Row | None = found.fetchone()
        return row

    def below(self, storage: str, path: str) -> list[sqlite3.Row]:
        prefix = f"{path}/" if path else ""
        return self.database.execute(
            "SELECT filecache.*, memories.fileid IS NOT NULL AS indexed,"
            " (SELECT group_concat(tag, char(10)) FROM tags WHERE tags.fileid = filecache.fileid) AS tags"
            " FROM filecache LEFT JOIN memories USING (fileid, mtime)"
            " WHERE storage = ? AND path <> '' AND substr(path, 1, ?) = ? ORDER BY path",
            (storage, len(prefix), prefix),
        ).fetchall()

    def drop(self, storage: str, path: str) -> int:
        """Take a path and what lies below it out of the cache; how many rows that were."""
        rows = self.database.execute(
            "DELETE FROM filecache WHERE storage = ? AND (path = ? OR substr(path, 1, ?) = ?)",
            (storage, path, len(path) + 1, path + "/"),
        )
        return rows.rowcount

    def put(self, storage: str, path: str, info: os.stat_result) -> bool:
        """Bring one row up to date; was anything changed?"""
        is_dir = stat.S_ISDIR(info.st_mode)
        size, mtime = (0 if is_dir else info.st_size), int(info.st_mtime)
        row = self.row(storage, path)
        if row and (is_dir or (row["size"], row["mtime"]) == (size, mtime)):
            return False
        parent = path.rpartition("/")[0] if path else None
        self.database.execute(
            "INSERT INTO filecache (storage, path, parent, is_dir, size, mtime) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (storage, path) DO UPDATE SET size = excluded.size, mtime = excluded.mtime, metadata = 0",
            (storage, path, parent, is_dir, size, mtime),
        )
        return True


class Scan:
    """One ``files:scan``: what it counted and what it said."""

    def __init__(self, server: Server, options: argparse.Namespace, say: Callable[[str], None]) -> None:
        self.server, self.options, self.say = server, options, say
        self.folders = self.files = self.new = self.updated = self.removed = self.errors = 0

    def user(self, user: str, path: str) -> None:
        """Scan below one user's files, mounts below included, as Nextcloud's Utils/Scanner does."""
        server = self.server
        if path in (server.trap("shares") or {}).get(user, []) or server.meets("nothing"):
            return
        if server.meets("not_writable"):
            self.say(f"Home storage for user {user} not writable or 'files' subdirectory missing")
            self.say(NOT_WRITABLE)
            self.errors += 1
            return
        if server.meets("locked"):
            what = f'"files/{hashlib.md5(os.fsencode(path)).hexdigest()}" is locked'
            if server.trap("locked_style") == "new":
                raise Failure(_boxed(what, "DBLockingProvider.php line 193"))
            self.say(f"Exception during scan: {what}")
            self.errors += 1
            return
        mount, inside = server.resolve(user, path)
        self.storage(mount, inside, f"/{user}/files{'/' + path.strip('/') if path.strip('/') else ''}")
        if mount.home and not path.strip("/") and not self.options.home_only:
            for other in server.mounts(user)[1:]:
                self.storage(other, "", f"/{user}/files/{other.point}")

    def storage(self, mount: Mount, path: str, asked: str) -> None:
        if not os.path.isdir(mount.root):
            return  # a storage that is not available is passed over without a word
        full = os.path.join(mount.root, path) if path else mount.root
        if not os.path.lexists(full) or os.path.islink(full):
            self.say(f"Path not found: {asked}")
            self.errors += 1
            return
        key = hashlib.md5(os.fsencode(f"{mount.storage}:{path}")).hexdigest()
        with _locked(f"{self.server.state}.scan-{key}", wait=False) as got:
            if not got or self.server.meets("already_scanning"):
                self.say(f"Another process is already scanning '{asked}'")
                return
            time.sleep(float(self.server.trap("slow") or 0))
            if os.path.isdir(full):
                self.parents(mount, path)
                self.folder(mount, path)
            else:
                self.one_file(mount, path)

    def parents(self, mount: Mount, path: str) -> None:
        """Parents that the cache lacks are added, though not counted."""
        parts = path.split("/") if path else []
        for depth in range(len(parts) + 1):
            here = "/".join(parts[:depth])
            self.server.put(mount.storage, here, os.stat(os.path.join(mount.root, here)))

    def one_file(self, mount: Mount, path: str) -> None:
        """A file by its own path: unknown to the cache, it leaves no row and is counted as removed."""
        self.files += 1
        if not self.server.row(mount.storage, path):
            self.removed += 1
            return
        if self.server.put(mount.storage, path, os.stat(os.path.join(mount.root, path))):
            self.updated += 1
        self.metadata(mount.storage, path)

    def folder(self, mount: Mount, path: str) -> None:
        self.folders += 1
        seen = set()
        for entry in sorted(os.scandir(os.path.join(mount.root, path)), key=lambda item: item.name):
            inside = f"{path}/{entry.name}".strip("/")
            if entry.name.endswith(".part") or entry.is_symlink():
                continue
            if not _is_nfc(entry.name):
                self.errors += 1
                if self.options.verbose:
                    name = os.fsencode(inside).decode("utf-8", "replace")
                    self.say(f'\tEntry "{name}" will not be accessible due to incompatible encoding')
                continue
            seen.add(inside)
            self.child(mount, inside, entry)
        for row in self.server.database.execute(
            "SELECT path FROM filecache WHERE storage = ? AND parent = ?", (mount.storage, path)
        ).fetchall():
            if row["path"] not in seen and row["path"]:
                self.removed += self.server.drop(mount.storage, row["path"])

    def child(self, mount: Mount, inside: str, entry: os.DirEntry[str]) -> None:
        try:
            info = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return
        was_there = self.server.row(mount.storage, inside) is not None
        if self.server.put(mount.storage, inside, info):
            if not was_there and self.server.trap("counts_new"):
                self.new += 1
            else:
                self.updated += 1
        if stat.S_ISDIR(info.st_mode):
            if not self.options.shallow:
                self.folder(mount, inside)
            return
        self.files += 1
        if self.options.verbose:
            self.say(f"\tFile\t{inside}")
        self.metadata(mount.storage, inside)

    def metadata(self, storage: str, path: str) -> None:
        if self.options.generate_metadata is not None:
            self.server.database.execute(
                "UPDATE filecache SET metadata = metadata + 1 WHERE storage = ? AND path = ?", (storage, path)
            )

    def table(self) -> str:
        heads = ["Folders", "Files", "New", "Updated", "Removed", "Errors", "Elapsed time"]
        cells: list[Any] = [self.folders, self.files, self.new, self.updated, self.removed, self.errors, "00:00:00"]
        if self.server.trap("old_nextcloud"):
            heads, cells = [heads[0], heads[1], heads[6]], [cells[0], cells[1], cells[6]]
        widths = [max(len(head), len(str(cell))) for head, cell in zip(heads, cells, strict=True)]
        rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
        rows = [
            "| " + " | ".join(str(cell).ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
            for line in (heads, cells)
        ]
        return "\n".join([rule, rows[0], rule, rows[1], rule])


def _is_nfc(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return unicodedata.normalize("NFC", name) == name


def _boxed(text: str, where: str = "") -> str:
    """An error as Symfony's console prints it."""
    place = f"\nIn {where}:\n" if where else "\n"
    return f"{place}{' ' * (len(text) + 4)}\n  {text}  \n{' ' * (len(text) + 4)}\n"


class Occ:
    """One call."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.commands: dict[str, Callable[[list[str]], int]] = {
            "status": self.status,
            "app:list": self.app_list,
            "files:scan": self.files_scan,
            "files:delete": self.files_delete,
            "info:file": self.info_file,
            "tag:files:add": self.tag_add,
            "files_external:list": self.external_list,
        }
        if not server.trap("no_memories"):
            self.commands["memories:index"] = self.memories_index
        for name in server.trap("commands") or []:
            self.commands[name] = lambda _: 0

    def say(self, text: str) -> None:
        sys.stdout.buffer.write(os.fsencode(text + "\n"))
        sys.stdout.buffer.flush()

    def run(self, argv: list[str]) -> int:
        server = self.server
        if (owner := self.wrong_user()) is not None:
            self.say(WRONG_USER.format(uid=os.getuid(), owner=owner))
            return 1
        if server.trap("noise"):
            sys.stderr.write(NOISE)
        name = argv[0] if argv else "list"
        if said := (server.trap("answers") or {}).get(name):
            sys.stdout.write(said.get("stdout", ""))
            sys.stderr.write(said.get("stderr", ""))
            return int(said.get("exit", 0))
        if name not in {"files:scan"}:
            time.sleep(float(server.trap("slow") or 0))
        if server.meets("database"):
            raise Failure(_boxed(f"Failed to connect to the database: {NO_DATABASE}", "Connection.php line 238"))
        self.limited(name)
        if name not in self.commands:
            raise Failure(
                _boxed(
                    f'Command "{name}" is not defined.'
                    if self.same_namespace(name)
                    else f'There are no commands defined in the "{name.rpartition(":")[0]}" namespace.'
                )
            )
        if "--help" in argv or "-h" in argv:
            return self.help(name)
        if server.meets("database_lost"):
            self.say(f"Error while re-connecting to database: {NO_DATABASE}")
            hang()
        return self.commands[name](argv[1:])

    def wrong_user(self) -> int | None:
        if (uid := self.server.trap("wrong_user")) is not None:
            return int(uid)
        if self.server.config and os.stat(self.server.config).st_uid != os.getuid():
            return os.stat(self.server.config).st_uid
        return None

    def same_namespace(self, name: str) -> bool:
        space = name.rpartition(":")[0]
        return any(known.rpartition(":")[0] == space for known in self.commands)

    def limited(self, name: str) -> None:
        """Which of the three states leaves only a few commands? ``status`` is always there."""
        for trap, text in LIMITED.items():
            if name == "status" or not self.server.trap(trap) or not self.server.meets(trap):
                continue
            sys.stderr.write(text + "\n")
            space = name.rpartition(":")[0]
            raise Failure(_boxed(f'There are no commands defined in the "{space}" namespace.'))

    def options(self, name: str, argv: list[str], *known: str) -> argparse.Namespace:
        """Read the arguments as Symfony does: unknown options end the call."""
        for item in argv[: argv.index("--") if "--" in argv else None]:
            if item.startswith("--") and item[2:].partition("=")[0] not in EVERYWHERE.union(known):
                raise Failure(_boxed(NO_OPTION.format(item[2:].partition("=")[0])))
        parser = argparse.ArgumentParser(prog=name, add_help=False, allow_abbrev=False)
        for option in known:
            short = {"path": ["-p"], "user": ["-u"], "force": ["-f"], "expect": ["-e"]}.get(option, [])
            if option in {"path", "folder", "user", "group"}:
                parser.add_argument(f"--{option}", *short)
            elif option == "generate-metadata":
                parser.add_argument(f"--{option}", nargs="?", const="")
            else:
                parser.add_argument(f"--{option}", *short, action="store_true")
        parser.add_argument("--output", default="plain")
        parser.add_argument("--verbose", "-v", action="store_true")
        for option in ("--no-warnings", "--no-interaction", "-n", "--quiet", "-q", "--ansi", "--no-ansi", "-e"):
            with contextlib.suppress(argparse.ArgumentError):
                parser.add_argument(option, action="store_true")
        parser.add_argument("words", nargs="*")
        return parser.parse_args(argv)

    # -- the commands ---------------------------------------------------------------------------------------------

    def status(self, argv: list[str]) -> int:
        options = self.options("status", argv, "exit-code")
        maintenance, upgrade = bool(self.server.trap("maintenance")), bool(self.server.trap("needs_upgrade"))
        code = (1 if maintenance else 2 if upgrade else 0) if options.e or options.exit_code else 0
        version = self.server.version()
        values = {
            "installed": not self.server.trap("not_installed"), "version": f"{version}.2", "versionstring": version,
            "edition": "", "maintenance": maintenance, "needsDbUpgrade": upgrade, "productname": "Nextcloud",
            "extendedSupport": False,
        }  # fmt: skip
        if options.e or options.exit_code:
            return code
        if options.output == "json":
            self.say(json.dumps(values))
        else:
            for key, value in values.items():
                self.say(f"  - {key}: {json.dumps(value) if isinstance(value, bool) else value}")
        return code

    def app_list(self, argv: list[str]) -> int:
        self.options("app:list", argv)
        enabled = {"activity": "5.0.0", "files": "2.4.0", "files_external": "1.24.0", "files_trashbin": "1.22.0"}
        disabled: dict[str, str] = {}
        if not self.server.trap("no_memories"):
            enabled["memories"] = "7.5.2" if self.server.trap("old_memories") else "7.8.2"
        (disabled if self.server.trap("no_photos") else enabled)["photos"] = "5.0.0"
        if self.server.trap("trashbin_off"):
            disabled["files_trashbin"] = enabled.pop("files_trashbin")
        self.say(json.dumps({"enabled": enabled, "disabled": disabled}))
        return 0

    def files_scan(self, argv: list[str]) -> int:
        extra = [] if self.server.trap("old_nextcloud") else ["generate-metadata"]
        options = self.options("files:scan", argv, "path", "all", "unscanned", "shallow", "home-only", *extra)
        if not extra:
            options.generate_metadata = None
        if options.path is not None:
            parts = options.path.strip("/").split("/", 2)
            asked = [(parts[0], "/" + (parts[2] if len(parts) > 2 else ""))]
        elif options.all:
            asked = [(user, "/") for user in sorted(self.server.users())]
        else:
            asked = [(user, "/") for user in options.words]
        if not asked:
            self.say("Please specify the user id to scan, --all to scan for all users or --path=...")
            return 1
        scan = Scan(self.server, options, self.say)
        users = self.server.users()
        for number, (user, path) in enumerate(asked, 1):
            if user not in users:
                self.say(f"Unknown user {number} {user}")
                continue
            self.say(f"Starting scan for user {number} out of {len(asked)} ({user})")
            scan.user(user, path)
        self.say(scan.table())
        return 0

    def find(self, name: str) -> tuple[str, Mount, str] | None:
        """Where ``alice/files/x`` lies, if there is such a path on the disk."""
        parts = name.strip("/").split("/", 2)
        if len(parts) < 3 or parts[1] != "files" or parts[0] not in self.server.users():
            return None
        mount, inside = self.server.resolve(parts[0], parts[2])
        return parts[0], mount, inside

    def files_delete(self, argv: list[str]) -> int:
        options = self.options("files:delete", argv, "force")
        found = self.find(options.words[0])
        if not found or not os.path.lexists(os.path.join(found[1].root, found[2])):
            if found:
                self.server.drop(found[1].storage, found[2])
            self.say(f"file {options.words[0]} not found")
            return 1
        user, mount, inside = found
        if not options.force:
            self.say(f"Delete {options.words[0]}? [y/N] ")
            return 0
        self.unlocked(options.words[0])
        full = os.path.join(mount.root, inside)
        if self.server.trap("no_trashbin") or self.server.trap("trashbin_off"):
            os.unlink(full)
        else:
            trash = f"{self.server.data}/{user}/files_trashbin/files"
            os.makedirs(trash, exist_ok=True)
            target = f"{trash}/{bin_name(os.path.basename(inside), int(time.time()))}"
            try:
                os.rename(full, target)
            except OSError:
                with open(full, "rb") as source, open(target, "wb") as sink:
                    sink.write(source.read())
                os.unlink(full)
        self.server.drop(mount.storage, inside)
        return 0

    def unlocked(self, name: str) -> None:
        if name.strip("/") in (self.server.trap("locked_paths") or []) or self.server.meets("locked"):
            what = f'"files/{hashlib.md5(os.fsencode(name)).hexdigest()}" is locked'
            raise Failure(_boxed(what, "DBLockingProvider.php line 193"))

    def info_file(self, argv: list[str]) -> int:
        options = self.options("info:file", argv, "children", "size-as-bytes")
        found = self.find(options.words[0])
        row = self.server.row(found[1].storage, found[2]) if found else None
        if not found or not row:
            self.say(f"file {options.words[0]} not found")
            return 1
        self.say(os.path.basename(found[2]))
        self.say(
            f"  fileid: {row['fileid']}\n  mimetype: image/jpeg\n  size: {row['size']} B\n  etag: {row['mtime']:x}"
        )
        self.say(f"  permissions: full permissions\n\nThe following users have access to the file\n\n{found[0]}:")
        self.say(f"  /{options.words[0].strip('/')}: full permissions")
        return 0

    def tag_add(self, argv: list[str]) -> int:
        options = self.options("tag:files:add", argv)
        target, tags, access = options.words
        found = self.find(target)
        if not found or not os.path.lexists(os.path.join(found[1].root, found[2])):
            self.say(f"file {target} not found")
            return 1
        self.unlocked(target)
        self.server.put(found[1].storage, found[2], os.stat(os.path.join(found[1].root, found[2])))
        row = self.server.row(found[1].storage, found[2])
        for tag in tags.split(","):
            self.server.database.execute("INSERT OR IGNORE INTO tags VALUES (?, ?)", (row["fileid"] if row else 0, tag))
            self.say(f"{access} tag named {tag} added.")
        return 0

    def external_list(self, argv: list[str]) -> int:
        self.options("files_external:list", argv, "all", "short", "full", "show-password", "mount-options")
        mounts = [
            {
                "mount_id": number, "mount_point": point, "storage": "\\OC\\Files\\Storage\\Local",
                "authentication_type": "null::null", "configuration": {"datadir": root},
                "options": {"enable_sharing": False}, "applicable_users": [], "applicable_groups": [],
            }
            for number, (root, point) in enumerate(self.server.albums.items(), 1)
        ]  # fmt: skip
        self.say(json.dumps(mounts).replace("/", "\\/"))
        return 0

    def memories_index(self, argv: list[str]) -> int:
        option = "folder" if self.server.trap("old_memories") else "path"
        options = self.options(
            "memories:index", argv, option, "user", "group", "force", "clear", "retry", "skip-cleanup"
        )
        if self.server.meets("no_exiftool"):
            raise Failure(_boxed("failed to run exiftool: sh: 1: exiftool: not found"))
        users = self.server.users()
        if options.user is not None and options.user not in users:
            self.say(f"User {options.user} not found")
            return 0
        for user in [options.user] if options.user is not None else sorted(users):
            self.index(user, (getattr(options, option) or "").strip("/"))
        if not options.skip_cleanup:
            self.say("Cleaning up stale index entries")
            self.server.database.execute("DELETE FROM memories WHERE fileid NOT IN (SELECT fileid FROM filecache)")
        return 0

    def index(self, user: str, path: str) -> None:
        mount, inside = self.server.resolve(user, path)
        row = self.server.row(mount.storage, inside)
        if path and not row:
            self.say(f"The specified folder /{path} does not exist for {user}")
            return
        self.say(f"Indexing user {user}")
        rows = [row] if row and not row["is_dir"] else self.server.below(mount.storage, inside)
        if not path:
            for other in self.server.mounts(user)[1:]:
                rows += self.server.below(other.storage, "")
        for item in rows:
            if item["is_dir"] or not item["size"]:
                continue
            if os.path.basename(item["path"]) in (self.server.trap("unindexable") or []):
                self.say(f"Failed to index file {item['path']}: No date found")
                continue
            sys.stdout.write(f"\x1b[1A\x1b[0JIndexing file /{user}/{item['path']}\x1b[1G\x1b[2K")
            self.server.database.execute("REPLACE INTO memories VALUES (?, ?)", (item["fileid"], item["mtime"]))

    def help(self, name: str) -> int:
        text = HELP.get(name, "")
        if self.server.trap("old_nextcloud"):
            text = "\n".join(line for line in text.splitlines() if "--generate-metadata" not in line)
        if self.server.trap("old_memories"):
            text = text.replace("--path=PATH", "--folder=FOLDER")
        self.say(f"Description:\n  {name}\n\nUsage:\n  {name} [options]\n\nOptions:\n{text}")
        self.say("  -h, --help  Display help for the given command.")
        return 0


def hang() -> None:
    """Never come back, and do not listen to a polite request to stop."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.stdout.flush()
    while True:
        time.sleep(60)


def main() -> int:
    """Read our own options, run the one call, write it down."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--data", default=os.environ.get("OCC_DATA"))
    parser.add_argument("--state", default=os.environ.get("OCC_STATE"))
    parser.add_argument("--album", action="append", default=[])
    parser.add_argument("--config", default=os.environ.get("OCC_CONFIG"))
    cut = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    own, argv = parser.parse_args(sys.argv[1:cut]), sys.argv[cut + 1 :]
    albums = own.album or [item for item in os.environ.get("OCC_ALBUMS", "").split(";") if item]
    server = Server(own.data, own.state, dict(item.rsplit("=", 1) for item in albums), own.config)
    began, code = time.time(), 1

    def log(result: int | None) -> None:
        line = {"argv": argv, "at": began, "took": time.time() - began, "exit": result, "uid": os.getuid()}
        with open(f"{own.state}.calls", "a") as handle:
            handle.write(json.dumps(line) + "\n")

    before = os.umask(0)  # calls by another user id must be able to write themselves down
    for suffix in (".calls", ".lock", ".db"):
        os.close(os.open(own.state + suffix, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o666))
    os.umask(before)
    with contextlib.closing(server.open()):
        if server.meets("hang"):
            log(None)
            hang()
        try:
            code = Occ(server).run(argv)
        except Failure as failure:
            sys.stderr.write(str(failure))
            code = failure.code
        sys.stdout.flush()
        log(code)
    return code


if __name__ == "__main__":
    sys.exit(main())
