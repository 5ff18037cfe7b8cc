# ruff: noqa: PTH103, PTH104, PTH106, PTH108, PTH112, PTH113, PTH114, PTH116, PTH118, PTH119, PTH120, PTH123, PTH208
"""What the PhotoPrism stand-in does to files: the import with all its surprises, and the index. Runs in a thread."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

from tests.standins import photoprism_rules as rules
from tests.standins.photoprism_rows import FileRow, Rows

if TYPE_CHECKING:
    from pathlib import Path

    from tests.standins.photoprism_traps import Traps

Publish = Callable[[str, dict[str, Any]], None]


class CrashedError(Exception):
    """The process "went away" in the middle of an import."""


def _any(name: str, patterns: list[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


@dataclass
class Report:
    """What one run did, for tests to look at; the HTTP answer tells none of it."""

    moved: dict[str, str] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    indexed: list[str] = field(default_factory=list)


class Library:
    """One PhotoPrism's files: an import and an originals tree, the rows, and the lock that all jobs share."""

    def __init__(self, imports: Path, originals: Path, rows: Rows, traps: Traps, publish: Publish) -> None:
        self.imports, self.originals = os.path.realpath(imports), os.path.realpath(originals)
        self.rows, self.traps, self._publish = rows, traps, publish
        self.busy = threading.Lock()
        self.stopped = threading.Event()
        self.worked = 0.0
        """The seconds that imports and indexes have taken."""
        self._moved = 0
        self._stubborn: set[str] = set()

    def publish(self, event: str, **data: Any) -> None:
        """Send an event to whoever listens."""
        self._publish(event, data)

    def log(self, level: str, message: str) -> None:
        """Write a line to the log, which listeners see too."""
        self.publish(f"log.{level}", level=level, message=message)

    def _take_lock(self, what: str) -> bool:
        if self.traps.busy_next > 0:
            self.traps.busy_next -= 1
        elif not self.traps.busy and self.busy.acquire(blocking=False):
            return True
        self.publish("notify.warning", message=f"{what}: already running")
        self.log("warning", f"{what}: already running")
        return False

    # Import

    def run_import(self, folder: str, albums: list[str]) -> Report:
        """Import a folder below the import folder ("" = all of it), moving; says nothing about what went wrong."""
        report = Report()
        top = os.path.join(self.imports, folder) if folder else self.imports
        if not os.path.isdir(top):
            self.publish("notify.error", message=f"import: directory {folder} not found")
            self.log("error", f"import: directory {folder} not found")
            return report
        if not self._take_lock("import"):
            return report
        began = time.monotonic()
        try:
            self._moved = 0
            self._walk(top, albums, report)
            if folder and top != self.imports and os.path.isdir(top) and not os.listdir(top):
                os.rmdir(top)
        finally:
            self.worked += time.monotonic() - began
            self.busy.release()
        return report

    def _walk(self, top: str, albums: list[str], report: Report) -> None:
        folders: list[str] = []
        dotfiles: list[str] = []
        ignored: list[str] = []
        done: set[str] = set()
        for here, subfolders, names in os.walk(top, followlinks=True):
            if ".ppstorage" in names:
                subfolders[:] = []
                continue
            ignored += self._ignore_list(here)
            subfolders[:] = sorted(each for each in subfolders if not rules.hidden(each) and not _any(each, ignored))
            folders += [os.path.join(here, each) for each in subfolders]
            dotfiles += [os.path.join(here, each) for each in names if rules.hidden(each)]
            for name in sorted(names):
                path = os.path.join(here, name)
                if rules.hidden(name) or _any(name.lower(), ignored) or not rules.is_media(name) or path in done:
                    continue
                if self._empty(path) or (self.traps.skip_raw and rules.extension(name) in rules.RAW):
                    continue
                self._group(top, here, name, done, albums, report)
                if self.stopped.is_set():
                    raise CrashedError
        for each in sorted(folders, key=len, reverse=True):
            if not os.path.islink(each) and not os.listdir(each):
                os.rmdir(each)
        for each in dotfiles:
            if os.path.isfile(each) and os.path.basename(each) not in {".keep", ".gitkeep"}:
                os.unlink(each)
                report.deleted.append(each)

    @staticmethod
    def _empty(path: str) -> bool:
        try:
            return os.stat(path).st_size == 0
        except OSError:
            return True

    @staticmethod
    def _ignore_list(here: str) -> list[str]:
        try:
            with open(os.path.join(here, ".ppignore"), encoding="utf-8", errors="replace") as stream:
                return [line.strip().lower() for line in stream if line.strip() and not line.startswith("#")]
        except OSError:
            return []

    def _group(self, top: str, here: str, name: str, done: set[str], albums: list[str], report: Report) -> None:
        try:
            names = [each for each in os.listdir(here) if os.path.isfile(os.path.join(here, each))]
        except OSError:
            return
        members = [
            each
            for each in rules.related(name, names)
            if os.path.join(here, each) not in done
            and not self._empty(os.path.join(here, each))
            and rules.extension(each) not in rules.ARCHIVE
            and not (self.traps.skip_raw and rules.extension(each) in rules.RAW)
        ]
        done.update(os.path.join(here, each) for each in members)
        main = rules.main_of(members)
        if main is None:
            self.publish("notify.error", message=f"import: {name} is unsupported")
            return
        if self.traps.import_allow and rules.extension(main) not in self.traps.import_allow:
            self.log("warning", f"import: skipped {main} because the file type is not allowed")
            return
        original = os.path.relpath(os.path.join(here, main), top)
        self.publish("import.file", fileName=original, baseName=main, subFolder=self.traps.import_dest)
        if self.traps.seconds_per_photo:
            self.stopped.wait(self.traps.seconds_per_photo)
        self._bring(top, here, main, members, albums, report)

    def _bring(self, top: str, here: str, main: str, members: list[str], albums: list[str], report: Report) -> None:
        """Move a group into originals and index it; each way in which that goes wrong is only logged."""
        source = os.path.join(here, main)
        folder, stem = rules.canonical(rules.taken(source, os.stat(source).st_mtime), rules.checksum(source))
        folder = os.path.join(self.traps.import_dest, folder).strip("/")
        main_at = ""
        came: dict[str, str] = {}
        for member in [main, *(each for each in members if each != main)]:
            path = os.path.join(here, member)
            named = os.path.relpath(path, top)
            try:
                sha1 = rules.sha1_of(path)
            except OSError as fault:
                self.log("error", f"import: {fault.strerror}")
                continue
            target, exists = self._destination(folder, stem, member, sha1)
            if exists:
                self._already_there(path, named, sha1, albums, report)
                continue
            if not self._make_folder(os.path.dirname(target)):
                continue
            relative = os.path.relpath(target, self.originals)
            self.log("info", f"import: moving {'main' if member == main else 'related'} file {named} to {relative}")
            if member == main:
                main_at = target
            if self._move(path, target, member):
                came[target] = named
                report.moved[named] = relative
        if main_at:
            self._index_group(main, main_at, came, albums, report)

    def _destination(self, folder: str, stem: str, member: str, sha1: str) -> tuple[str, bool]:
        extension = rules.extension(member)
        if extension in rules.MEDIA and (row := self.rows.first_by_hash(sha1)) is not None:
            old = os.path.join(self.originals, row.name)
            return old, os.path.isfile(old)
        suffix = f".{extension}" if extension else ""
        target = os.path.join(self.originals, folder, stem + suffix)
        count = 0
        while os.path.lexists(target):
            if rules.sha1_of(target) == sha1:
                return target, True
            count += 1
            target = os.path.join(self.originals, folder, f"{stem}.{count:05d}{suffix}")
        return target, False

    def _already_there(self, path: str, named: str, sha1: str, albums: list[str], report: Report) -> None:
        row = self.rows.first_by_hash(sha1)
        if row is not None:
            self.rows.add_to_albums(row.photo_uid, albums)
        if row is None and self.traps.keeps_unproved:
            self.log("info", f"import: kept {named}, as no stored file holds its contents")
            return
        os.unlink(path)
        report.deleted.append(path)
        self.log("info", f"import: deleted {named} (already exists)")

    def _make_folder(self, folder: str) -> bool:
        if self.traps.mkdir_denied and not os.path.isdir(folder):
            self.log("error", "import: failed to create folder (permission denied)")
            return False
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as fault:
            self.log("error", f"import: failed to create folder ({fault.strerror})")
            return False
        return True

    def _move(self, source: str, target: str, name: str) -> bool:
        if _any(name, self.traps.move_fails):
            self.log("warning", f"import: could not move file to {os.path.relpath(target, self.originals)}")
            return False
        if _any(name, self.traps.swallowed):
            os.unlink(source)
            return False
        try:
            if self.traps.exdev:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
            os.rename(source, target)
        except OSError as fault:
            if fault.errno != errno.EXDEV:
                self.log("error", f"import: {fault.strerror}")
                return False
            self._copy_over(source, target)
        if self.traps.crash_after is not None:
            self._moved += 1
            if self._moved >= self.traps.crash_after:
                self.traps.crash_after = None
                raise CrashedError
        if _any(name, self.traps.crash_at):
            self.traps.crash_at = []
            raise CrashedError
        return True

    def _copy_over(self, source: str, target: str) -> None:
        with open(source, "rb") as read, open(target, "wb") as write:
            half = os.fstat(read.fileno()).st_size // 2
            write.write(read.read(half))
            write.flush()
            if self.traps.copy_pause:
                self.stopped.wait(self.traps.copy_pause)
            shutil.copyfileobj(read, write)
        stat = os.stat(source)
        os.utime(target, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        os.unlink(source)

    # Index

    def _index_group(self, main: str, main_at: str, came: dict[str, str], albums: list[str], report: Report) -> None:
        self._stubborn |= {
            target for target, named in came.items() if _any(os.path.basename(named), self.traps.never_indexed)
        }
        if _any(main, self.traps.unindexed + self.traps.never_indexed):
            self.log("error", f"import: failed to generate thumbnails for {os.path.relpath(main_at, self.originals)}")
            return
        photo_uid = ""
        for target in [main_at, *(each for each in came if each != main_at)]:
            base = os.path.basename(came.get(target, main))
            if rules.extension(target) not in rules.MEDIA or not os.path.isfile(target):
                continue
            if _any(base, self.traps.unindexed + self.traps.never_indexed):
                continue
            row = self._index_file(target, photo_uid, came.get(target, ""), base, primary=target == main_at)
            photo_uid = row.photo_uid
            report.indexed.append(row.name)
            if _any(base, self.traps.altered):
                alter(target)
        self.rows.add_to_albums(photo_uid, albums)

    def _index_file(self, path: str, photo_uid: str, original: str, base: str, *, primary: bool) -> FileRow:
        name, stat = os.path.relpath(path, self.originals), os.stat(path)
        self.publish(
            "index.indexing", fileHash="", fileName=name, fileRoot="/", baseName=os.path.basename(path),
            fileSize=stat.st_size,
        )  # fmt: skip
        row = FileRow(
            name=name,
            hash=rules.sha1_of(path),
            size=stat.st_size,
            photo_uid=photo_uid,
            is_primary=primary,
            original_name=original,
            error="could not be read" if _any(base, self.traps.row_error) else "",
            mod_time=int(stat.st_mtime),
        )
        return self.rows.put(row, quality=-1 if _any(base, self.traps.hide) else 3)

    def run_index(self, folder: str) -> Report:
        """Make rows for what stands in a folder of originals ("" = all), and mark rows whose file is gone."""
        report = Report()
        if not self._take_lock("index"):
            return report
        began = time.monotonic()
        try:
            top = os.path.join(self.originals, folder) if folder else self.originals
            for here, subfolders, names in os.walk(top):
                subfolders[:] = sorted(each for each in subfolders if not rules.hidden(each))
                for name in sorted(names):
                    self._index_standing(os.path.join(here, name), report)
            for row in self.rows.below(folder):
                if not os.path.isfile(os.path.join(self.originals, row.name)) and row.deleted_at is None:
                    # A purge soft-deletes the row: the duplicate test still sees it, GET /files does not.
                    self.rows.change(row.hash, missing=1, is_primary=0, deleted_at=1.0)
        finally:
            self.worked += time.monotonic() - began
            self.busy.release()
        return report

    def mend(self) -> None:
        """Do a complete rescan: no row but for what stands there, and one for each file."""
        self._stubborn.clear()
        self.run_index("")
        for row in self.rows.all():
            path = os.path.join(self.originals, row.name)
            sound = os.path.isfile(path) and rules.sha1_of(path) == row.hash
            if not sound or row.error or row.missing or row.deleted_at is not None:
                self.rows.forget(row.hash)
        self.run_index("")

    def _index_standing(self, path: str, report: Report) -> None:
        base = os.path.basename(path)
        if rules.hidden(base) or rules.extension(base) not in rules.MEDIA or self._empty(path):
            return
        if self.traps.never_indexed and (path in self._stubborn or _any(base, self.traps.never_indexed)):
            return
        relative = os.path.relpath(path, self.originals)
        row, stat = self.rows.by_name(relative), os.stat(path)
        current = row is not None and (row.size, row.mod_time) == (stat.st_size, int(stat.st_mtime))
        if row is not None and current and row.deleted_at is None:
            return
        beside = next(
            (each.photo_uid for each in self.rows.below(os.path.dirname(relative))
             if rules.prefix(os.path.basename(each.name)) == rules.prefix(base)), "",
        )  # fmt: skip
        if self.traps.seconds_per_photo:
            self.stopped.wait(self.traps.seconds_per_photo)
        photo_uid = row.photo_uid if row else beside
        self._index_file(path, photo_uid, "", base, primary=not beside)
        report.indexed.append(relative)


def alter(path: str) -> None:
    """Change one byte in the middle of a file, keeping length and times."""
    stat = os.stat(path)
    with open(path, "r+b") as stream:
        stream.seek(stat.st_size // 2)
        byte = stream.read(1)
        stream.seek(stat.st_size // 2)
        stream.write(bytes([byte[0] ^ 0xFF]) if byte else b"x")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
