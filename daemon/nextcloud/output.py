"""What the output of ``occ`` means: pure functions, no process.

Exit codes say little: ``files:scan`` exits 0 for an unknown user, a missing path, a lock and a scan that did nothing
(``core/Command`` and ``apps/files/lib/Command/Scan.php``), so the sentences (`daemon.nextcloud.sentences`) and the
table are read. Standard error is noise (PHP's memory limit, PCNTL) until the exit code says otherwise. Everything here
raises `RelayError` alone, whatever the text.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from daemon.errors import NeedsPerson, Transient
from daemon.nextcloud.sentences import ANYWHERE, FAILED, INDEX, SCAN, clean, raise_known
from daemon.text import count_in_words, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.nextcloud.runner import Answer

_NUMBER: Final = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What one ``files:scan`` counted; new files are often counted as updated, so never rely on ``new`` alone.

    ``errors`` above zero without an exception means that single entries were passed over, mostly names that are not
    NFC, and that the rest was scanned. Versions whose table lacks a column give 0 for it.
    """

    folders: int
    files: int
    new: int = 0
    updated: int = 0
    removed: int = 0
    errors: int = 0

    def __str__(self) -> str:
        counts = {"new": self.new, "updated": self.updated, "removed": self.removed, "passed over": self.errors}
        seen = (count_in_words(self.folders, "folder"), count_in_words(self.files, "file"))
        return ", ".join([*seen, *(f"{count} {what}" for what, count in counts.items() if count)])


@dataclass(frozen=True, slots=True)
class IndexResult:
    """What ``memories:index`` said: files that it failed at are not tried again before they change."""

    failed: int = 0

    def __str__(self) -> str:
        return f"{count_in_words(self.failed, 'file')} failed" if self.failed else "done"


@dataclass(frozen=True, slots=True)
class Status:
    """What ``occ status`` says; ``version`` is Nextcloud's, such as ``32.0.1``."""

    version: str
    maintenance: bool = False
    needs_upgrade: bool = False
    installed: bool = True


@dataclass(frozen=True, slots=True)
class Mount:
    """One external storage: where users see it (``/Album``), and where a local one lies in Nextcloud's own tree.

    Empty ``applicable_users`` and ``applicable_groups`` mean everybody.
    """

    mount_id: int
    mount_point: str
    storage: str
    datadir: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    applicable_users: tuple[str, ...] = ()
    applicable_groups: tuple[str, ...] = ()


def check(what: str, answer: Answer) -> str:
    """Give the cleaned standard output of a call that did what it was asked to, by its exit code.

    ``what`` begins the error's sentence, such as ``scan of /alice/files/Camera``; it must already be printable.

    Raises:
        Transient: ``occ.maintenance``, ``occ.upgrade_pending``, ``occ.not_installed``, ``occ.database``,
            ``occ.locked``; ``occ.failed`` for what is not known.
        NeedsPerson: ``occ.wrong_user``, ``occ.no_command``, ``occ.no_option``, ``occ.no_occ``, ``occ.exiftool``,
            ``occ.memory``, ``occ.unknown_file``.

    """
    out = clean(answer.stdout)
    if answer.exit_code == 0:
        return out
    both = f"{clean(answer.stderr)}\n{out}"
    raise_known(what, both, ANYWHERE + FAILED)
    raise_known(what, both, SCAN)
    said = next((line.strip() for line in both.splitlines() if line.strip()), "it said nothing")
    raise Transient(
        "occ.failed",
        f"{what}: occ ended with exit code {answer.exit_code}: {shown(said)} It is tried again.",
        exit_code=answer.exit_code,
    )


def parse_scan(what: str, answer: Answer) -> ScanResult:
    """Read what ``files:scan`` did.

    A folder is scanned when the table counts at least one folder, a single file when it counts that file and nothing
    removed: a file by its own path that Nextcloud does not know yet is counted as removed and leaves no entry.

    Raises:
        Transient: as `check`, and ``occ.already_scanning``, ``occ.storage_unavailable``, ``occ.scan_failed``,
            ``occ.interrupted``, ``occ.no_answer`` (no table).
        NeedsPerson: as `check`, and ``occ.unknown_user``, ``occ.path_not_found``, ``occ.not_writable``,
            ``occ.nothing_scanned``, ``occ.unknown_file``.

    """
    out = check(what, answer)
    # The sentences may stand on either stream, by version; noise does not look like them.
    raise_known(what, f"{out}\n{clean(answer.stderr)}", ANYWHERE + SCAN)
    table = parse_table(out, "Folders", "Files")
    if table is None:
        raise Transient("occ.no_answer", f"{what}: occ did not say what it scanned. It is tried again.")
    result = ScanResult(
        folders=table["Folders"],
        files=table["Files"],
        new=table.get("New", 0),
        updated=table.get("Updated", 0),
        removed=table.get("Removed", 0),
        errors=table.get("Errors", 0),
    )
    if result.folders == 0 and result.files and result.removed:
        raise NeedsPerson("occ.unknown_file", f"{what}: Nextcloud does not know this file; its folder comes first.")
    if result.folders == 0 and not result.files:
        raise NeedsPerson(
            "occ.nothing_scanned",
            f"{what}: Nextcloud scanned nothing.",
            hint="Is the album mounted in Nextcloud's container? A received share is scanned as its owner, "
            "see nextcloud.album.seen_by.",
        )
    return result


def parse_table(text: str, *wanted: str) -> dict[str, int] | None:
    """Read the last table whose header has all ``wanted`` columns: numbers by column name, others left out."""
    found: dict[str, int] | None = None
    header: list[str] = []
    for cells in _rows(text):
        if all(name in cells for name in wanted):
            header = cells
        elif header and len(cells) == len(header):
            row = {name: int(cell) for name, cell in zip(header, cells, strict=True) if _NUMBER.fullmatch(cell)}
            if all(name in row for name in wanted):
                found = row
    return found


def _rows(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("|") and stripped.endswith("|") and len(stripped) > 1:
            yield [cell.strip() for cell in stripped[1:-1].split("|")]


def parse_index(what: str, answer: Answer) -> IndexResult:
    """Read what ``memories:index`` did: 0 is its exit code for unknown users and paths too.

    Raises:
        Transient: as `check`.
        NeedsPerson: as `check`, and ``occ.unknown_user``, ``occ.path_not_found``.

    """
    out = check(what, answer)
    raise_known(what, out, INDEX)
    return IndexResult(failed=sum(line.lstrip().startswith("Failed to index file") for line in out.splitlines()))


def parse_json(what: str, text: str, kind: type) -> Any:
    """Find the JSON of the wanted kind (``dict`` or ``list``) among lines that are none.

    Raises:
        Transient: ``occ.no_answer``.

    """
    whole = clean(text).strip()
    begin = whole.find("{" if kind is dict else "[")
    for candidate in (whole, *reversed(whole.splitlines()), whole[begin:] if begin >= 0 else ""):
        try:
            value = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, kind):
            return value
    raise Transient("occ.no_answer", f"{what}: occ gave no answer that could be read. It is tried again.")


def parse_status(what: str, answer: Answer) -> Status:
    """Read ``status --output=json``; in maintenance mode it answers as well, with a warning on standard error.

    Raises:
        Transient: as `check`, and ``occ.no_answer``.
        NeedsPerson: as `check`.

    """
    value = parse_json(what, check(what, answer), dict)
    version = value.get("versionstring") or value.get("version")
    if not isinstance(version, str):
        raise Transient("occ.no_answer", f"{what}: occ did not say its version. It is tried again.")
    return Status(
        version=shown(version, 40),
        maintenance=value.get("maintenance") is True,
        needs_upgrade=value.get("needsDbUpgrade") is True,
        installed=value.get("installed") is not False,
    )


def parse_apps(what: str, answer: Answer) -> dict[str, str]:
    """Read ``app:list --output=json``: the enabled apps and their versions.

    Raises:
        Transient: as `check`, and ``occ.no_answer``.

    """
    enabled = parse_json(what, check(what, answer), dict).get("enabled")
    return {str(app): str(version) for app, version in enabled.items()} if isinstance(enabled, dict) else {}


def parse_mounts(what: str, answer: Answer) -> list[Mount]:
    """Read ``files_external:list --output=json``; PHP writes an empty map as ``[]``.

    Raises:
        Transient: as `check`, and ``occ.no_answer``.
        NeedsPerson: ``occ.no_command`` where the app is not enabled.

    """
    mounts = []
    for item in parse_json(what, check(what, answer), list):
        if not isinstance(item, dict):
            continue
        configuration, number = item.get("configuration"), item.get("mount_id")
        options = item.get("options")
        mounts.append(
            Mount(
                mount_id=number if isinstance(number, int) else 0,
                mount_point=str(item.get("mount_point", "")),
                storage=str(item.get("storage", "")),
                datadir=str(configuration.get("datadir", "")) if isinstance(configuration, dict) else "",
                options=options if isinstance(options, dict) else {},
                applicable_users=_names(item.get("applicable_users")),
                applicable_groups=_names(item.get("applicable_groups")),
            )
        )
    return mounts


def _names(value: Any) -> tuple[str, ...]:
    return tuple(str(name) for name in value) if isinstance(value, list) else ()


def parse_options(text: str) -> frozenset[str]:
    """Read the long options that a ``--help`` page lists, such as ``--path``."""
    return frozenset(re.findall(r"^[ \t]*+(?:-[A-Za-z], *)?(--[a-z][a-z-]*)", clean(text), re.MULTILINE))
