"""Reads and watches the configuration file; whatever stands in it, people get words, never a traceback."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from daemon.clock import Clock
from daemon.errors import ConfigError
from daemon.settings.document import MAX_BYTES, Document, DocumentError, read_document
from daemon.settings.fields import Shape
from daemon.settings.model import Settings
from daemon.settings.origins import Fault, Origins
from daemon.settings.overlay import apply_environment, expand_files
from daemon.settings.reading import UnreadableError, read_small
from daemon.settings.render import default_file
from daemon.settings.validation import validate
from daemon.settings_bell import Bell
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from daemon.settings.document import KeyPath
    from daemon.wake import Wake

POLL = 1.0
LONGEST = 60.0
CALM = 0.3
GONE = 1.0


@dataclass(frozen=True)
class Loaded:
    """A configuration file that is valid, as it was read."""

    settings: Settings
    text: str
    etag: str
    """The SHA-256 of the file's bytes, in hex."""
    warnings: list[str]
    path: Path
    document: Document
    """The file's data and where each key stands in the text."""
    overridden: dict[KeyPath, str] = field(default_factory=dict)
    """The keys whose value comes from elsewhere, each with from where in words."""


def load(path: Path, environ: Mapping[str, str], *, sweep: bool = False) -> Loaded:
    """Read the file, or raise `ConfigError` with a line for each fault in it.

    ``sweep``: for one sweep, where ``watch.settle`` may be as short as wished. Blocks: call it in a thread.
    """
    return parse(read_bytes(path), path, environ, sweep=sweep)


def parse(content: bytes, path: Path, environ: Mapping[str, str], *, sweep: bool = False) -> Loaded:
    """Read these bytes as if they stood in the file at ``path``; raises `ConfigError`."""
    file = shown(str(path), 4096)
    text = _decode(content, file)
    try:
        document = read_document(text)
    except DocumentError as error:
        places = Origins(file, {problem.path: problem.line for problem in error.problems if problem.path})
        raise ConfigError(
            [
                places.line(Fault(problem.path, problem.message, where=f"{file}:{problem.line}"))
                for problem in error.problems
            ]
        ) from None
    origins = Origins(file, dict(document.lines))
    # A copy: the document keeps what really stands in the file.
    data = {} if document.data is None else copy.deepcopy(document.data)
    if not isinstance(data, dict):
        raise ConfigError([f"{file}:1: must hold keys with values, such as `watch:`, not a list or a single value"])
    root, folder = Shape("section", Settings), path.parent
    already = [*apply_environment(data, root, environ, origins), *expand_files(data, root, folder, origins)]
    settings, faults, warnings = validate(data, folder, already=already, sweep=sweep)
    if settings is None:
        raise ConfigError(origins.lines_for(faults))
    etag = hashlib.sha256(content).hexdigest()
    return Loaded(settings, text, etag, origins.lines_for(warnings), path, document, origins.elsewhere())


def read_bytes(path: Path) -> bytes:
    """Give the file's bytes; raises `ConfigError` where it cannot be read, is no file or is too large."""
    try:
        return read_small(path, MAX_BYTES, "1 MiB")
    except UnreadableError as error:
        raise ConfigError([f"{shown(str(path), 4096)}:1: {error}"]) from None


def _decode(content: bytes, file: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{file}:{line}: is not UTF-8 text; save it as UTF-8"]) from None


def config_check(path: Path, environ: Mapping[str, str]) -> tuple[list[str], int]:
    """Give the lines and the exit code of ``config check``: 0 with warnings at most, 2 with faults."""
    try:
        loaded = load(path, environ)
    except ConfigError as error:
        return error.faults, 2
    return [*(f"{line} (warning)" for line in loaded.warnings), f"{shown(str(path), 4096)}: valid"], 0


def ensure_default(path: Path) -> bool:
    """Write the commented default file where its folder stands without one, and tell whether it was written.

    Whole or not at all, and never over a file that somebody else puts there meanwhile. Raises `ConfigError`.
    """
    if path.exists() or path.is_symlink() or not path.parent.is_dir():
        return False
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(default_file())
                file.flush()
                # Secrets may be written into it later.
                os.fchmod(descriptor, 0o640)
                os.fsync(descriptor)
            _publish(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except FileExistsError:
        return False
    except OSError as error:
        raise ConfigError(
            [f"{shown(str(path), 4096)}:1: the default file cannot be written: {error.strerror}"]
        ) from None
    return True


def _publish(temporary: Path, path: Path) -> None:
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:
        # Some file systems of mounted folders (exFAT, SMB) know no hard links.
        with path.open("x", encoding="utf-8") as file:
            file.write(temporary.read_text(encoding="utf-8"))
            file.flush()
            os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Some network file systems cannot sync a folder; then there is nothing more to be done.
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def watch_settings(
    path: Path,
    environ: Mapping[str, str],
    *,
    known: str | None = None,
    clock: Clock | None = None,
    hurry: Wake | None = None,
) -> AsyncIterator[Loaded | ConfigError]:
    """Give the settings, or what is wrong with them, within two seconds whenever the file's content has changed.

    ``known`` is the etag of what is in force (default: what stands there now). ``hurry`` is set by whoever
    has just saved the file whole, and has it looked at now. What is wrong carries the content's ``etag``, if any, in
    its context.
    """
    clock = clock or Clock()
    rung = hurry.count if hurry is not None else 0
    seen: _Signature = None
    if known is None:
        seen, known = await anyio.to_thread.run_sync(_signature, path), (await _look(path))[0]
    while True:
        rung, whole = (hurry.count, hurry.count != rung) if hurry is not None else (0, False)
        now = await anyio.to_thread.run_sync(_signature, path)
        if now != seen or now is None or whole:
            seen = now if whole else await _calm(path, now, clock)
            digest, content = await _look(path)
            if digest != known:
                known = digest
                found = content if isinstance(content, ConfigError) else await _parsed(content, path, environ)
                if isinstance(found, ConfigError):
                    found.context["etag"] = None if isinstance(content, ConfigError) else digest
                yield found
        async with anyio.create_task_group() as group:
            if hurry is not None:
                group.start_soon(_until_rung, hurry, rung, group.cancel_scope)
            await _until_changed(path, seen)
            group.cancel_scope.cancel()


async def _until_rung(hurry: Wake, rung: int, scope: anyio.CancelScope) -> None:
    while hurry.count == rung:
        await hurry.wait(rung, LONGEST)
    scope.cancel()


async def _until_changed(path: Path, seen: _Signature) -> None:
    """Wait until the file is another one than ``seen``, at most for a minute, in a thread that sleeps meanwhile."""
    bell = Bell()

    def differs() -> bool:
        now = _signature(path)
        return now is None or now != seen

    try:
        await anyio.to_thread.run_sync(
            bell.wait, path, differs, POLL, LONGEST, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1)
        )
    finally:
        bell.ring()


async def _look(path: Path) -> tuple[str, bytes | ConfigError]:
    """Give the content, or why there is none, with a word that differs where they differ."""
    try:
        content = await anyio.to_thread.run_sync(read_bytes, path)
    except ConfigError as error:
        return error.message, error
    return hashlib.sha256(content).hexdigest(), content


async def _parsed(content: bytes, path: Path, environ: Mapping[str, str]) -> Loaded | ConfigError:
    try:
        return await anyio.to_thread.run_sync(parse, content, path, environ)
    except ConfigError as error:
        return error


_Signature = tuple[int, int, int, int, int] | None


async def _calm(path: Path, now: _Signature, clock: Clock) -> _Signature:
    """Wait until an editor has done: two looks alike, or, for a file that is gone or empty, a second."""
    waited = 0.0
    while waited < GONE:
        await clock.sleep(CALM)
        waited += CALM
        before, now = now, await anyio.to_thread.run_sync(_signature, path)
        if now == before and now is not None and now[3]:
            break
    return now


def _signature(path: Path) -> _Signature:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size, found.st_ctime_ns
