"""Puts a new text in a settings file's place: the old one or the new one, whole, whenever the power goes."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from daemon.errors import NeedsPerson
from daemon.settings.document import MAX_BYTES
from daemon.settings.reading import UnreadableError, read_small
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

Way = Literal["renamed", "in place"]
# Where only the file itself is mounted, or its folder is not ours to write. Not where the disk is full: what is written
# in place there may be torn.
_NOT_SO = frozenset({errno.EBUSY, errno.EXDEV, errno.EPERM, errno.EACCES, errno.EROFS})


class Writable(NamedTuple):
    """Whether a settings file can be written from here, and why not."""

    can: bool
    why_not: str = ""


def etag_of(content: bytes) -> str:
    """Give the word by which a file's content is known: the SHA-256 of its bytes, in hex."""
    return hashlib.sha256(content).hexdigest()


def writable(path: Path) -> Writable:
    """Tell whether :func:`store` can write here; looks at mounts and rights, writes nothing. Blocking."""
    target = Path(os.path.realpath(path))
    into_file = os.access(target, os.W_OK)
    into_folder = os.access(target.parent, os.W_OK | os.X_OK)
    if is_mounted(target):
        into_folder = False  # renaming over a mount point is refused
    if into_file or into_folder:
        return Writable(can=True)
    with suppress(OSError):
        if os.statvfs(target).f_flag & os.ST_RDONLY:
            return Writable(
                can=False,
                why_not="the settings file is mounted read-only (as Swarm configs are); change it where it comes from, "
                "or mount its folder with the right to write",
            )
    return Writable(
        can=False,
        why_not=f"user {os.geteuid()}, as whom the daemon runs, may write neither the settings file nor its folder; "
        "give it the right to, or change the file by hand",
    )


def is_mounted(path: Path) -> bool:
    """Tell whether the file itself is a mount point, as where only it and not its folder was bind-mounted."""
    try:
        table = Path("/proc/self/mountinfo").read_bytes()
    except OSError:
        return False
    wanted = os.fsencode(path)
    for line in table.splitlines():
        fields = line.split(b" ")
        if len(fields) > 4 and _unescaped(fields[4]) == wanted:
            return True
    return False


def _unescaped(name: bytes) -> bytes:
    for code in (b" ", b"\t", b"\n", b"\\"):
        name = name.replace(f"\\{code[0]:03o}".encode(), code)
    return name


Keep = Callable[[bytes, bytes], AbstractContextManager[None]]
"""Keeps the text before and after while the file is written in place (`Versions.written_over`)."""


def unkept(_before: bytes, _after: bytes) -> AbstractContextManager[None]:
    """Keep nothing."""
    return nullcontext()


def store(path: Path, content: bytes, expected: str, keep: Keep = unkept) -> Way:
    """Put ``content`` into the file, if what stands there still has the etag ``expected``. Blocking.

    Through a new file beside it, synced and renamed over it, with its mode and owner; in place only where that cannot
    be, and then inside of what ``keep`` gives for the text before and this one. Raises `NeedsPerson`
    ``config.conflict`` where something else stands there, ``config.read_only`` where it cannot be written.
    """
    target = Path(os.path.realpath(path))
    with _alone(target.parent):
        _expect(target, expected)
        if not is_mounted(target):
            try:
                _by_renaming(target, content, expected)
            except OSError as error:
                if error.errno not in _NOT_SO:
                    raise _unwritable(path, error) from None
            else:
                return "renamed"
        try:
            with keep(_expect(target, expected), content):
                _in_place(target, content, expected)
        except OSError as error:
            raise _unwritable(path, error) from None
        return "in place"


def _unwritable(path: Path, error: OSError) -> NeedsPerson:
    return NeedsPerson(
        "config.read_only",
        f"{shown(str(path), 1000)} cannot be written: {error.strerror}",
        hint=writable(path).why_not or "free some space, or change the file by hand",
    )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep every other process of ours that would write in this folder waiting."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # some network file systems know no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _expect(target: Path, expected: str) -> bytes:
    try:
        content = read_small(target, MAX_BYTES, "1 MiB")
    except UnreadableError as error:
        raise NeedsPerson(
            "config.conflict", f"the settings file {error}; nothing was changed", hint="put the file back"
        ) from None
    if etag_of(content) != expected:
        raise NeedsPerson(
            "config.conflict",
            "the settings file was changed meanwhile; nothing was overwritten",
            hint="look at what stands there now, and save again what is still wanted",
        )
    return content


def _by_renaming(target: Path, content: bytes, expected: str) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
    temporary = Path(name)
    try:
        try:
            _write(descriptor, content)
            _dress(descriptor, target)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        # An editor may have saved it while ours was written.
        _expect(target, expected)
        # Power cut here: the old file stands, whole, or the new one, synced before; at most a hidden copy is left.
        temporary.rename(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(target.parent)


def _write(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def _dress(descriptor: int, target: Path) -> None:
    """Give the new file the old one's owner and mode, and what else is noted with it, as far as we may."""
    old = target.stat()
    mine = os.fstat(descriptor)
    if (old.st_uid, old.st_gid) != (mine.st_uid, mine.st_gid):
        try:
            os.fchown(descriptor, old.st_uid, old.st_gid)
        except OSError:
            with suppress(OSError):
                os.fchown(descriptor, -1, old.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
    with suppress(OSError):
        for name in os.listxattr(target):
            with suppress(OSError):
                os.setxattr(descriptor, name, os.getxattr(target, name))


def _in_place(target: Path, content: bytes, expected: str) -> None:
    """Write over the old content at one stroke, so that a process that is killed leaves no mixture of both."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        before = _expect(target, expected)
        size = len(before)
        # Empty lines at the end say nothing in YAML: what a shorter text leaves of the old one is covered with them,
        # and with them a longer one takes its room first. On a full disk the old text stands, and says what it said.
        if len(content) > size:
            try:
                _write_at(descriptor, b"\n" * (len(content) - size), size)
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        covered = content + b"\n" * (size - len(content))
        # Power cut here: the only place where a mixture may be left (no renaming over a mount). Both texts are kept
        # beside the versions by now, and the next start knows a mixture of them and puts the earlier one back.
        try:
            _write_at(descriptor, covered, 0)
            os.fsync(descriptor)
        except OSError:
            # A disk that writes elsewhere than it read (btrfs) wants room for that too; mostly there is enough for one.
            with suppress(OSError):
                _write_at(descriptor, before, 0)
            with suppress(OSError):
                os.ftruncate(descriptor, size)
            with suppress(OSError):
                os.fsync(descriptor)
            raise
        os.ftruncate(descriptor, len(content))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_at(descriptor: int, content: bytes, place: int) -> None:
    left = memoryview(content)
    while left:
        written = os.pwrite(descriptor, left, place)
        place += written
        left = left[written:]


def put_private(path: Path, content: bytes) -> None:
    """Put a file there whole, instead of an earlier one, readable by its owner only; on the disk on return. Blocking.

    Raises ``OSError``.
    """
    descriptor, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)  # mode 0600
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        # Power cut here: the earlier file stands, or the new one, whole; at most a hidden copy is left beside it.
        temporary.rename(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk. Some network file systems cannot; then there is nothing more to be done."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
