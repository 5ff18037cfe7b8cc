"""Taking an original away without a race: the name is first moved to a private one, then looked at, then let go.

Nextcloud may put a new upload under the same name at any moment, so a check followed by a deletion would some day
delete a photo that nobody has archived. A rename takes whatever stands there *now* out of everybody's way; only if
that is the very file that was examined does the release go on, otherwise it is put back without replacing anything.

The caller writes the hidden name into the ledger before ``hide``, so a crash leaves nothing under a name that nobody
knows; ``daemon.files.settling`` finds out after a crash where a file stands.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from daemon.errors import NeedsPerson, Refused, RelayError, Transient
from daemon.files.faults import changed, disk_fault, path_of, told
from daemon.files.hashing import hash_only_blake3
from daemon.files.names import HIDDEN_PREFIX, MOST_NAMES, copy_name, hidden_name, kept_name, numbered, word
from daemon.files.opening import look, open_regular
from daemon.files.placing import copy_into, nobody_writes
from daemon.files.publishing import rename_noreplace, sync_dir
from daemon.files.syncing import sync_copy
from daemon.fingerprint import Fingerprint
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


_TOKEN = 16


def new_hidden_name(name: str) -> str:
    """Give a private name for ``name`` that nobody can guess, to be written into the ledger before ``hide``."""
    return hidden_name(name, word(_TOKEN))


def new_hidden_names(names: Sequence[str]) -> list[str]:
    """Give a private name for each of ``names``, as ``new_hidden_name`` does; the kernel is asked for chance once."""
    letters = word(_TOKEN * len(names))
    return [hidden_name(name, letters[_TOKEN * at : _TOKEN * (at + 1)]) for at, name in enumerate(names)]


def hide(dir_fd: int, name: str, hidden: str, expected: Fingerprint) -> Fingerprint:
    """Move the examined file from its name to the hidden one, and give its fingerprint there.

    Just before, all of the fingerprint is compared, the ctime included. The rename itself sets the ctime, so after it
    the inode, size and mtime are compared, the inode with the file held open all the while (its number cannot be used
    again). Whatever else was caught is put back: under its name, or, if that is taken by then, under a visible
    numbered one, which the error tells (``kept_as``). Raises ``Transient`` ``file.changed`` (nothing was taken away),
    ``Refused`` ``file.vanished``, ``file.link`` or ``file.not_regular``, ``NeedsPerson`` ``disk.no_safe_rename``.
    """
    # Power cut here: the file stands under its own name or under the hidden one, complete; the ledger knows both.
    with open_regular(dir_fd, name) as held:
        if held.fingerprint != expected:
            raise changed(path_of(dir_fd, name), why="since it was examined")
        try:
            rename_noreplace(dir_fd, name, dir_fd, hidden)
        except FileExistsError as error:
            raise Transient(
                "file.hidden_taken",
                f"The private name {shown(hidden)} is already there beside {shown(path_of(dir_fd, name))}.",
                path=path_of(dir_fd, hidden),
            ) from error
        except OSError as error:
            raise disk_fault(error, "hiding", path_of(dir_fd, name)) from error
        # Power cut here: hidden, and perhaps not the examined file; settling looks, and puts another one back.
        try:
            found = look(dir_fd, hidden)
            if found is not None and expected.renamed(Fingerprint.of(found)):
                return Fingerprint.of(found)
        except BaseException:
            with suppress(RelayError, OSError):
                put_back(dir_fd, hidden, name)
            raise
    kept = put_back(dir_fd, hidden, name)
    why = "another file was put under its name, and has it again"
    if kept != name:
        why = f"twice in one moment: what was caught first is now called {shown(kept)}"
    fault = changed(path_of(dir_fd, name), why=why)
    fault.context["kept_as"] = kept
    raise fault


def put_back(dir_fd: int, hidden: str, name: str) -> str:
    """Give a hidden file its name back, or a visible numbered one if that is taken; tells which.

    Nothing is replaced, and nothing stays hidden. Raises ``Refused`` ``file.vanished`` if there is no hidden file.
    """
    # Power cut here: hidden or back; settling does this again.
    return _move(dir_fd, hidden, dir_fd, _kept_names(name))


def second_name(one: os.stat_result, other: os.stat_result, one_folder: int, other_folder: int) -> bool:
    """Tell whether two names, each in its open folder, are two links to one file, so that either may go.

    One name seen twice, because a folder is mounted or configured twice, is none: there nothing may be unlinked.
    """
    return (
        os.path.samestat(one, other)
        and one.st_nlink > 1
        and not os.path.samestat(os.fstat(one_folder), os.fstat(other_folder))
    )


def unlink_hidden(
    dir_fd: int, hidden: str, expected: Fingerprint, *, sync: bool = True, linked: bool = False
) -> Fingerprint:
    """Delete a hidden file, for good, if it is still exactly what ``hide`` gave the fingerprint of.

    A write through a descriptor that somebody still holds sets the ctime, and is found here: ``Transient``
    ``file.changed``, and the caller puts the file back. Raises ``Refused`` ``file.vanished`` if it is gone already.
    With ``sync`` the deletion is durable on return; without it the caller syncs the folder once for many.

    ``linked``: the archive's copy is this very file under another name, so that whoever has it open for writing would
    write to the archive: ``Transient`` ``file.busy`` then, and ``file.changed`` where there is no other name. Gives
    the file's fingerprint after that, which another name of it has from now on; the one before where the disk tells
    nothing any more of a name that is gone (FUSE): that other name is read once more then.
    """
    with open_regular(dir_fd, hidden) as held:
        if held.fingerprint != expected or (linked and held.status.st_nlink < 2):
            raise changed(path_of(dir_fd, hidden), why="while it was being released")
        if linked and not nobody_writes(held.fd):
            raise Transient(
                "file.busy", f"Something else has {shown(path_of(dir_fd, hidden))} open, which is to be released."
            )
        # Power cut here: the file is gone, or still hidden and proved in the archive; settling finds it, and this
        # is done again.
        try:
            os.unlink(hidden, dir_fd=dir_fd)
        except OSError as error:
            raise disk_fault(error, "deleting", path_of(dir_fd, hidden)) from error
        left = held.fingerprint
        # What fails from here on is no reason to say that it was not deleted.
        with suppress(OSError):
            left = Fingerprint.of(os.fstat(held.fd))
    if sync:
        sync_dir(dir_fd)
    return left


def move_hidden_to(
    dir_fd: int,
    hidden: str,
    to_fd: int,
    name: str,
    expected: Fingerprint,
    *,
    each_block: Callable[[int], None] | None = None,
) -> str:
    """Move a hidden file into another folder under ``name``, or a numbered one if that is taken; tells which.

    Across file systems or mounts it is copied, synced, compared, given its name, and only then unlinked here. Done
    again after a crash it ends with one file, not two. Raises as ``unlink_hidden`` does.
    """
    with open_regular(dir_fd, hidden) as held:
        if held.fingerprint != expected:
            raise changed(path_of(dir_fd, hidden), why="while it was being released")
    # Power cut here: the file stands complete in the one folder or the other (or in both, see below).
    try:
        return _move(dir_fd, hidden, to_fd, _numbered_names(name))
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise disk_fault(error, "moving", path_of(dir_fd, hidden)) from error
    return _move_across(dir_fd, hidden, to_fd, name, expected, each_block)


def _move_across(
    dir_fd: int,
    hidden: str,
    to_fd: int,
    name: str,
    expected: Fingerprint,
    each_block: Callable[[int], None] | None,
) -> str:
    # The copy has a name of its own, never the hidden one: two mounts can show one and the same folder.
    temporary = _copy_name(hidden)
    with open_regular(dir_fd, hidden) as held:
        digest = hash_only_blake3(held.fd, expected=expected, each_block=each_block)
        final = _already_there(to_fd, name, held.status, digest)
        if final is None:
            _sweep_copy(to_fd, temporary, held.status)
            # Power cut here, until the name is given: the original is hidden and whole; what there is of the copy
            # has a name that the next run knows and sweeps.
            copy_into(
                held.fd,
                to_fd,
                temporary,
                size=expected.size,
                mtime_ns=expected.mtime_ns,
                mode=held.status.st_mode & 0o777,
                expected=expected,
                each_block=each_block,
            )
            with open_regular(to_fd, temporary) as copied:
                same = hash_only_blake3(copied.fd, each_block=each_block) == digest
            if not same:
                _sweep_copy(to_fd, temporary, held.status)
                raise Transient("disk.error", f"The copy of {shown(path_of(dir_fd, hidden))} is not what was written.")
            final = _move(to_fd, temporary, to_fd, _numbered_names(name))
    # Power cut here: both are whole; the next run finds the copy by its content and only unlinks.
    unlink_hidden(dir_fd, hidden, expected)
    return final


def _already_there(to_fd: int, name: str, source: os.stat_result, digest: str) -> str | None:
    for candidate in _numbered_names(name):
        found = look(to_fd, candidate)
        if found is None:
            return None
        # One inode under both names is not a second copy: then the bytes are there as soon as the hidden name goes.
        if (found.st_size, Fingerprint.of(found).mtime_ns) == (source.st_size, Fingerprint.of(source).mtime_ns):
            with suppress(Refused), open_regular(to_fd, candidate) as other:
                if hash_only_blake3(other.fd) == digest:
                    with told("syncing", path_of(to_fd, candidate)):
                        sync_copy(other.fd)
                    sync_dir(to_fd)
                    return candidate
    return None


def _sweep_copy(to_fd: int, temporary: str, source: os.stat_result) -> None:
    found = look(to_fd, temporary)
    if found is None or (found.st_dev, found.st_ino) == (source.st_dev, source.st_ino):
        return
    # Power cut here: the half-made copy is there or not; the original is whole.
    with told("sweeping", path_of(to_fd, temporary)):
        os.unlink(temporary, dir_fd=to_fd)


def _move(dir_fd: int, source: str, to_fd: int, names: Iterator[str]) -> str:
    """Rename to the first of the names that is free, durably; only ``EXDEV`` comes out as an ``OSError``."""
    for candidate in names:
        try:
            rename_noreplace(dir_fd, source, to_fd, candidate)
        except FileExistsError:
            continue
        except OSError as error:
            if error.errno == errno.EXDEV:
                raise
            raise disk_fault(error, "renaming", path_of(dir_fd, source)) from error
        sync_dir(to_fd)
        if to_fd != dir_fd:
            sync_dir(dir_fd)
        return candidate
    raise NeedsPerson(
        "file.no_name",
        f"No free name was found for {shown(path_of(dir_fd, source))} in {shown(path_of(to_fd))}.",
        hint="Something fills that folder with files; look at it.",
    )


def _kept_names(name: str) -> Iterator[str]:
    yield name
    for number in range(1, MOST_NAMES):
        yield kept_name(name, number)


def _numbered_names(name: str) -> Iterator[str]:
    for number in range(1, MOST_NAMES):
        yield numbered(name, number)


def _copy_name(hidden: str) -> str:
    """Give the name that a copy has until it is whole, made from the hidden one: the next run knows it."""
    return copy_name(hidden.removeprefix(HIDDEN_PREFIX).split("-")[0][:64])
