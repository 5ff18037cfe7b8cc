"""An inspector as an example: photos that resemble earlier ones are reported. Nothing is held, nothing is moved.

Off by default (``relay.near_duplicates``), and needs Pillow (``pip install photon-relay[near]``). The daemon decodes no
picture: each is read in a process of its own (:mod:`daemon.relay.perceptual`) with limits of memory and time.

A difference hash of 64 bits; two photos are alike where at most :data:`ALIKE` of them differ. That finds the same
picture in another size, format or quality, not the same motif; the last :data:`KEPT` photos are compared.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from daemon.elsewhere import elsewhere
from daemon.errors import NeedsPerson, RelayError
from daemon.files.opening import file_below
from daemon.relay.opinion import Opinion
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo

log = logging.getLogger(__name__)

ALIKE = 6
KEPT = 50_000
WITHIN = 20.0
"""Seconds for one picture."""
_PICTURES = frozenset({"jpg", "jpeg", "png", "webp", "heic", "heif", "tif", "tiff"})
_SCRIPT = str(Path(__file__).with_name("perceptual.py"))
_FLAT = 5
"""A hash with so few bits of one kind is of a picture without features, which resembles every other such one."""


class NearDuplicates:
    """Finds photos that resemble earlier ones by a perceptual hash."""

    name = "near-duplicates"

    def __init__(self, ledger: Ledger, current: Current, clock: Clock) -> None:
        self._ledger = ledger
        self._current = current
        self._clock = clock
        self._known: dict[int, int] | None = None

    @property
    def on(self) -> bool:
        """Tell whether the settings want it."""
        return self._current.settings.relay.near_duplicates

    async def inspect(self, group: Sequence[Photo]) -> Mapping[int, Opinion]:
        """Compare each picture of a group with the earlier ones.

        Raises:
            NeedsPerson: ``inspect.no_pillow``.

        """
        pictures = [photo for photo in group if photo.kind in _PICTURES and photo.duplicate_of is None]
        if not pictures:
            return {}
        if importlib.util.find_spec("PIL") is None:
            raise NeedsPerson(
                "inspect.no_pillow",
                "relay.near_duplicates is on, but Pillow is not installed; photos go on without being compared",
                hint="pip install 'photon-relay[near]', or set relay.near_duplicates: false",
            )
        if self._known is None:
            self._known = await anyio.to_thread.run_sync(self._load)
        found = {}
        for photo in pictures:
            value = await self._hash(photo)
            if value is not None and _FLAT < value.bit_count() < 64 - _FLAT:
                mine = {one.id for one in group}
                note = await anyio.to_thread.run_sync(self._compare, value, mine)
                found[photo.id] = Opinion(note=note, value=f"{value:016x}")
                self._remember(photo.id, value)
        return found

    def _load(self) -> dict[int, int]:
        return {identity: int(value, 16) for identity, value in self._ledger.inspections.values(self.name, KEPT)}

    def _remember(self, identity: int, value: int) -> None:
        assert self._known is not None  # noqa: S101  loaded before
        self._known[identity] = value
        while len(self._known) > KEPT:
            del self._known[next(iter(self._known))]

    def _compare(self, value: int, mine: set[int]) -> str:
        """Say which earlier photo a picture resembles most, or nothing."""
        assert self._known is not None  # noqa: S101  loaded before
        near = [
            (apart, identity)
            for identity, other in self._known.items()
            if (apart := (value ^ other).bit_count()) <= ALIKE and identity not in mine
        ]
        for apart, identity in sorted(near):
            photo = self._ledger.photos.get(identity)
            if photo is not None:
                return f"looks like {shown(photo.name)} of {shown(photo.user)} (photo {identity}, {apart} of 64 bits)"
        return ""

    async def _hash(self, photo: Photo) -> int | None:
        """Give a picture's hash, or ``None`` where it cannot be read: then it simply is not compared."""
        try:
            fd = await anyio.to_thread.run_sync(self._open, photo)
        except RelayError:
            return None
        return await elsewhere(self._asked(photo, fd))

    async def _asked(self, photo: Photo, fd: int) -> int | None:
        """Have a process of its own look at an open picture, and close that."""
        process = None
        try:
            with anyio.move_on_after(WITHIN):
                process = await anyio.open_process(
                    [sys.executable, "-I", _SCRIPT],
                    stdin=fd,
                    stdout=PIPE,
                    stderr=DEVNULL,
                    env={"PATH": os.environ.get("PATH", "")},
                    start_new_session=True,
                )
                assert process.stdout is not None  # noqa: S101  a pipe
                said = b""
                async for chunk in process.stdout:
                    said = (said + chunk)[:64]
                if await process.wait() == 0:
                    return int(said, 16)
        except (OSError, ValueError) as error:
            log.info("%s of %s could not be compared: %s", shown(photo.path), photo.user, type(error).__name__)
        finally:
            os.close(fd)
            if process is not None:
                with anyio.CancelScope(shield=True):
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    await process.wait()
                    await process.aclose()
        return None

    def _open(self, photo: Photo) -> int:
        with file_below(self._current.settings.nextcloud.data, f"{photo.user}/files/{photo.path}") as opened:
            return os.dup(opened.fd)
