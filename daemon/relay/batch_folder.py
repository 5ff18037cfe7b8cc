"""The folder of a batch below PhotoPrism's ``import``: filled under a hidden name, made visible by one rename.

``import/.photon-relay-<batch>/`` is invisible to PhotoPrism, which enters no hidden folder (a hidden *file* it would
delete at the end of an import: its ``pkg/fs/ignore.go``, ``internal/photoprism/import.go``). When all is on the disk,
a rename to ``import/<batch>/`` publishes it at once. All functions but ``fill`` block.
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING

import anyio.to_thread

from daemon.errors import Refused, RelayError
from daemon.files.faults import told
from daemon.files.opening import directory_below, file_below, look
from daemon.files.placing import copy_into
from daemon.files.publishing import made_dirs, make_dirs, publish, sync_dir
from daemon.files.syncing import sync_disks, whole_disks
from daemon.relay.abreast import abreast, stay, unless_halted
from daemon.relay.batch import size_of
from daemon.relay.presence import really

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from daemon.ledger.model import Photo
    from daemon.relay.slow import Slow
    from daemon.relay.under_way import UnderWay

HIDDEN = ".photon-relay-"

# What concerns all photos of a batch alike; `disk.error` may be one bad sector under one user's file.
_WHOLE = frozenset({"disk.full", "disk.read_only", "disk.no_root", "disk.permission", "nextcloud.mount_missing"})


def is_visible(import_root: str, batch: str) -> bool:
    """Tell whether a batch folder has been published (and not been taken away since)."""
    with directory_below(import_root, "") as root:
        found = look(root, batch)
    return found is not None and stat.S_ISDIR(found.st_mode)


async def fill(
    import_root: str,
    batch: str,
    data: str,
    groups: Sequence[Sequence[Photo]],
    places: dict[int, tuple[str, str]],
    extras: Callable[[int, Sequence[Photo]], RelayError | None],
    *,
    workers: int,
    under_way: UnderWay,
    slow: Slow,
    patient: bool,
) -> dict[int, RelayError]:
    """Copy the groups into the hidden folder of a batch; give what went wrong with single photos, by photo id.

    A group of which one member cannot be copied is taken out again as a whole, and one whose disk does not answer is
    left (``patient``: later). ``extras(folder_fd, group)`` may add further files to a group's subfolder, all or none,
    and gives what went wrong with them. Raises what concerns the disk and not a file (``disk.*``).
    """
    subfolders = sorted({places[photo.id][0] for group in groups for photo in group})
    with ExitStack() as stack:
        root, at_once = await anyio.to_thread.run_sync(_make, stack, import_root, batch, subfolders, len(places))
        copy = partial(_copy_group, root, data, places, extras, slow=slow, patient=patient, sync=not at_once)

        def one(group: Sequence[Photo]) -> dict[int, RelayError]:
            found = copy(under_way, group)
            under_way.done(*group)
            return found

        try:
            found = await abreast(
                one,
                groups,
                max(1, workers),
                size=sum(map(size_of, groups)),
                of_all=_concerns_all,
                leave=lambda group, silent: slow.not_opened(group[0], silent, patient=patient),
                back=lambda group: slow.back(group[0]),
            )
            trouble: dict[int, RelayError] = {}
            for group, outcome in zip(groups, found, strict=True):
                if isinstance(outcome, RelayError):
                    trouble[group[0].id] = outcome
                elif isinstance(outcome, Exception):
                    raise outcome
                else:
                    trouble |= outcome
        except (RelayError, OSError):
            # What was copied so far would only keep a full disk full; the next try begins anew in any case.
            with suppress(RelayError, OSError):
                await anyio.to_thread.run_sync(sweep, import_root, HIDDEN + batch)
            raise
        await anyio.to_thread.run_sync(_sync, root, subfolders, at_once)
    return trouble


def _make(stack: ExitStack, import_root: str, batch: str, subfolders: list[str], count: int) -> tuple[int, bool]:
    """Make the hidden folder with what is in it; give it, open, and whether one call will sync its disk."""
    # Power cut here, anywhere until the rename: a hidden folder that a new run sweeps; the users' files are only read.
    sweep(import_root, HIDDEN + batch, durably=False)
    root = stack.enter_context(made_dirs(import_root, HIDDEN + batch, durably=False))
    for subfolder in subfolders:
        make_dirs(root, subfolder, durably=False)
    # One call for the disk where many files were written; else each is synced by itself.
    return root, whole_disks([root], count)


def _sync(root: int, subfolders: list[str], at_once: bool) -> None:
    # Power cut here: hidden, and perhaps not whole; nothing of it has a name that anybody reads.
    if at_once:
        sync_disks([root])
        return
    for subfolder in subfolders:
        with directory_below(root, subfolder) as folder:
            sync_dir(folder)
    sync_dir(root)


def _copy_group(
    root: int,
    data: str,
    places: dict[int, tuple[str, str]],
    extras: Callable[[int, Sequence[Photo]], RelayError | None],
    under_way: UnderWay,
    group: Sequence[Photo],
    *,
    slow: Slow,
    patient: bool,
    sync: bool,
) -> dict[int, RelayError]:
    made: list[str] = []
    subfolder = places[group[0].id][0]
    with ExitStack() as stack:
        sources = []
        with slow.opening(group[0], patient=patient):
            for photo in group:
                try:
                    with really(data):
                        sources.append(stack.enter_context(file_below(data, f"{photo.user}/files/{photo.path}")))
                except RelayError as error:
                    return _trouble(photo, error)
            # A disk that does not answer is left before this; nothing is made after that.
            stay()
        folder = stack.enter_context(directory_below(root, subfolder))
        for photo, source in zip(group, sources, strict=True):
            name = places[photo.id][1]
            try:
                with really(data):
                    copy_into(
                        source.fd,
                        folder,
                        name,
                        size=photo.fingerprint.size,
                        mtime_ns=photo.fingerprint.mtime_ns,
                        expected=photo.fingerprint,
                        each_block=unless_halted(under_way.bytes_of(photo)),
                        sync=sync,
                    )
                made.append(name)
            except RelayError as error:
                found = _trouble(photo, error)
                _take_out(folder, made)
                return found
        fault = extras(folder, group)
        if fault is not None:
            _take_out(folder, made)
            return {group[0].id: fault}
    return {}


def _take_out(folder: int, names: Iterable[str]) -> None:
    """Take copies of a group out of the hidden folder again."""
    for name in names:
        # Power cut here: hidden, and swept by a new run; the originals are only read.
        os.unlink(name, dir_fd=folder)


def _trouble(photo: Photo, error: RelayError) -> dict[int, RelayError]:
    if error.code in _WHOLE:
        raise error
    return {photo.id: error}


def _concerns_all(error: Exception) -> bool:
    return not isinstance(error, RelayError) or error.code in _WHOLE


def show(import_root: str, batch: str) -> None:
    """Make a filled batch folder visible; one that is visible already is left as it is."""
    with directory_below(import_root, "") as root:
        if look(root, HIDDEN + batch) is None and look(root, batch) is not None:
            return
        # Power cut here: hidden and swept at the next start, or visible and complete: all of it was synced before.
        publish(root, HIDDEN + batch, batch)


def remaining(import_root: str, batch: str) -> list[str]:
    """Give what is left in a batch folder, as ``<subfolder>/<name>``; nothing where the folder is gone."""
    found: list[str] = []
    try:
        with directory_below(import_root, batch) as root:
            for subfolder in os.listdir(root):
                with suppress(Refused), directory_below(root, subfolder) as folder:
                    found += [f"{subfolder}/{name}" for name in os.listdir(folder)]
    except Refused:
        return []
    return sorted(found)


def sweep(import_root: str, folder: str, *, durably: bool = True) -> None:
    """Take away a folder of ours below ``import`` with all that is in it; links in it are unlinked, not followed.

    Only for folders whose name we made: what is in them are copies, and their originals stand or are proved. Without
    ``durably`` nothing is synced where nothing stands: for a name that nobody else has had in his hands.
    """
    try:
        with directory_below(import_root, "") as root:
            found = look(root, folder) is not None
            if found:
                _remove_tree(root, folder)
            if found or durably:
                # Also where PhotoPrism has taken it away itself, and has not synced that: after a power cut it would
                # stand there again, and belong to a batch that has ended.
                sync_dir(root)
    except Refused:
        return


def _remove_tree(parent: int, name: str) -> None:
    with directory_below(parent, name) as folder:
        for entry in os.listdir(folder):
            found = look(folder, entry)
            if found is not None and stat.S_ISDIR(found.st_mode):
                _remove_tree(folder, entry)
            else:
                # Power cut here: some copies are left; the next sweep takes them.
                with suppress(FileNotFoundError), told("sweeping", entry):
                    os.unlink(entry, dir_fd=folder)
    with suppress(FileNotFoundError), told("sweeping", name):
        os.rmdir(name, dir_fd=parent)


def users_of(photos: Iterable[Photo]) -> dict[str, str]:
    """Give the user of each subfolder that photos were put into."""
    return {photo.place.partition("/")[0]: photo.user for photo in photos if photo.place}
