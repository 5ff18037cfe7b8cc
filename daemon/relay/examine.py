"""Examine: what a settled file really is, and whether the archive has it already. Reads only.

Each file is opened without following links, read once (BLAKE3 is our identity, SHA-1 PhotoPrism's), and refused where
it may not move: encrypted by the server, empty, not what its name says, put back on request.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import anyio
import anyio.to_thread

from daemon.errors import NeedsPerson, Refused, RelayError, Transient
from daemon.files.exiftool import find_exiftool
from daemon.files.faults import in_words
from daemon.files.hashing import hash_file
from daemon.files.kinds import agrees, extension_of, is_encrypted, sniff
from daemon.files.opening import file_below
from daemon.files.taken import content_identifier, taken_at
from daemon.ledger.model import State
from daemon.pauses import pause
from daemon.relay.archive import Verdict, of_one_file
from daemon.relay.partners import companions
from daemon.relay.presence import really
from daemon.relay.under_way import UnderWay
from daemon.schedule import zone_name
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo
    from daemon.relay.archive import Archive

log = logging.getLogger(__name__)

_MAY_ANNOUNCE = frozenset({"heic", "heif", "mov", "jpg", "jpeg"})


@dataclass(frozen=True, slots=True)
class Examined:
    """What reading one file told."""

    blake3: bytes
    sha1: bytes
    kind: str
    content_id: str
    taken: str
    taken_from: str


class Examine:
    """The first step: settled files become examined ones, or are refused with a reason."""

    def __init__(
        self, ledger: Ledger, current: Current, archive: Archive, clock: Clock, under_way: UnderWay | None = None
    ) -> None:
        self._ledger = ledger
        self._current = current
        self._archive = archive
        self._clock = clock
        self._under_way = under_way or UnderWay(clock)
        self._readers = anyio.CapacityLimiter(max(1, min(4, os.cpu_count() or 1)))
        self._exiftool = find_exiftool()

    async def group(self, group: Sequence[Photo]) -> list[Photo]:
        """Examine a group's files and write down what they are; give those that go on, re-read from the ledger."""
        going: list[int] = []
        for photo in group:
            try:
                found = await anyio.to_thread.run_sync(self._look, photo, limiter=self._readers)
            except RelayError as error:
                await anyio.to_thread.run_sync(self._failed, group, photo, error)
                if not isinstance(error, Refused):
                    return []
            except Exception as fault:
                said = in_words(fault, f"reading {shown(photo.name)} of {photo.user}, in")
                if said is None:
                    # Readers of metadata meet files that nobody has thought of: one such file must not stop the others.
                    log.exception("%s of %s could not be examined", shown(photo.path), photo.user)
                    said = _crashed(photo, fault)
                await anyio.to_thread.run_sync(self._failed, group, photo, said)
                return []
            else:
                await anyio.to_thread.run_sync(self._write, photo, found)
                going.append(photo.id)
        left = await anyio.to_thread.run_sync(self._left, going)
        if (
            left
            and all(photo.role == "side" for photo in left)
            and not await anyio.to_thread.run_sync(companions, self._ledger, left)
        ):
            alone = Refused("media.no_main", "the photo that this side file belongs to will not be moved, so it stays")
            await anyio.to_thread.run_sync(
                self._ledger.photos.refuse, [photo.id for photo in left], alone, self._clock.wall()
            )
            return []
        return await self._duplicates(left)

    async def preview(self, photo: Photo) -> str:
        """Say in a sentence what would become of a settled file; changes nothing."""
        try:
            found = await anyio.to_thread.run_sync(self._look, photo, limiter=self._readers)
        except RelayError as error:
            return f"would stay: {error.message} [{error.code}]"
        known = await anyio.to_thread.run_sync(self._ledger.contents.find, found.blake3)
        rules = self._current.settings.users.rules_for(photo.user)
        what = "is a duplicate of what the archive has" if known else f"would be relayed ({found.kind})"
        return f"{what}; then: {rules.after}"

    # -- reading ------------------------------------------------------------------------------------------------

    def _look(self, photo: Photo) -> Examined:
        data = self._current.settings.nextcloud.data
        who = f"{shown(photo.name)} of {photo.user}"
        with really(data), file_below(data, f"{photo.user}/files/{photo.path}") as source:
            if source.status.st_size == 0:
                raise Refused("file.empty", f"{who} is empty; it stays where it is")
            hashed = hash_file(source.fd, expected=photo.fingerprint, each_block=self._under_way.bytes_of(photo))
            if is_encrypted(hashed.first):
                raise Refused(
                    "file.encrypted",
                    f"{who} is encrypted by Nextcloud's server-side encryption; it stays where it is",
                    hint="photos can be relayed only where server-side encryption is off (occ encryption:status)",
                )
            extension = extension_of(photo.name)
            if photo.role == "main" and not agrees(extension, hashed.first):
                kind = sniff(hashed.first) or "nothing known"
                raise Refused("media.mismatch", f"{who} is not what its name says: it begins like {kind}; it stays")
            digest = bytes.fromhex(hashed.blake3)
            if self._ledger.photos.put_back(photo.user, photo.path, digest):
                raise Refused("photo.put_back", f"{who} was put back on request; it is not taken again")
            if self._ledger.photos.stayed(photo.user, photo.path, digest, photo.fingerprint.inode):
                raise Refused("photo.kept", f"{who} was relayed before and kept; it is left alone")
            identifier = ""
            if extension in _MAY_ANNOUNCE and (extension not in {"jpg", "jpeg"} or b"Apple" in hashed.first):
                identifier = content_identifier(source.fd) or ""
            taken, taken_from = "", ""
            if self._archive.dated and photo.role == "main":
                zone = self._zone()
                when = taken_at(source.fd, photo.name, now=self._clock.now(), zone=zone, exiftool=self._exiftool)
                taken, taken_from = when.when.replace(tzinfo=None).isoformat(), when.source
            return Examined(digest, bytes.fromhex(hashed.sha1), extension, identifier, taken, taken_from)

    def _zone(self) -> ZoneInfo | None:
        name = zone_name(self._current.settings.ui.timezone, os.environ)
        return ZoneInfo(name) if name else None

    # -- writing down -------------------------------------------------------------------------------------------

    def _write(self, photo: Photo, found: Examined) -> None:
        self._ledger.photos.advance(
            [photo.id],
            State.EXAMINED,
            self._clock.wall(),
            blake3=found.blake3,
            sha1=found.sha1,
            kind=found.kind,
            content_id=found.content_id,
            taken=found.taken,
            taken_from=found.taken_from,
        )

    def _failed(self, group: Sequence[Photo], photo: Photo, error: RelayError) -> None:
        """Write down why a file does not go on; what may pass by itself takes its whole group along."""
        now = self._clock.wall()
        with self._ledger.write():
            if isinstance(error, Refused):
                self._ledger.photos.refuse([photo.id], error, now)
                return
            ids = [member.id for member in group]
            self._ledger.photos.leave_batch(ids)
            if error.code == "file.changed":
                # It settles anew: the watch is told to look at it again.
                self._ledger.photos.advance(ids, State.FOUND, now, str(error))
                return
            if isinstance(error, Transient) or error.code.startswith("disk."):
                wanted = error.retry_after if isinstance(error, Transient) else 300.0
                again = now + pause(max(member.attempts for member in group), wanted)
                self._ledger.photos.wait(ids, State.SETTLED, error, now, again)
            else:
                self._ledger.photos.hold(ids, error, now)

    def _left(self, ids: list[int]) -> list[Photo]:
        return [photo for one in ids if (photo := self._ledger.photos.get(one))]

    # -- duplicates ---------------------------------------------------------------------------------------------

    async def _duplicates(self, group: list[Photo]) -> list[Photo]:
        """Mark what is there already, or is under way from somebody else; proof comes in confirm."""
        hidden = None
        for photo in group:
            columns: dict[str, Any] = {}
            twin = await anyio.to_thread.run_sync(self._ledger.photos.twin, photo)
            if twin is not None:
                columns["duplicate_of"] = twin.id
            else:
                try:
                    finding = await self._archive.known(photo)
                except RelayError as error:
                    if not of_one_file(error):
                        raise
                    await anyio.to_thread.run_sync(self._failed, group, photo, error)
                    return []
                if finding.verdict is Verdict.PROVED:
                    content = await anyio.to_thread.run_sync(self._ledger.contents.find, photo.blake3 or b"")
                    # 0: the archive had it before this program came, or before this try: no photo is its own twin.
                    columns["duplicate_of"] = content.photo_id if content and content.photo_id != photo.id else 0
                elif finding.verdict is Verdict.HIDDEN:
                    hidden = NeedsPerson(
                        "archive.hidden",
                        f"{shown(photo.name)} of {photo.user} is in the archive already ({shown(finding.path)}), but"
                        " archived or hidden there; the original is kept",
                        hint="bring it back in PhotoPrism (Archive, Hidden or Review) and run a sweep, or delete the"
                        " upload",
                    )
            if columns:
                await anyio.to_thread.run_sync(_put, self._ledger, photo.id, columns)
        if hidden is not None:
            await anyio.to_thread.run_sync(
                self._ledger.photos.hold, [photo.id for photo in group], hidden, self._clock.wall()
            )
            return []
        return await anyio.to_thread.run_sync(self._left, [photo.id for photo in group])


def _crashed(photo: Photo, fault: Exception) -> NeedsPerson:
    return NeedsPerson(
        "task.crashed",
        f"{shown(photo.name)} of {photo.user} cannot be examined: a fault of the program ({type(fault).__name__})",
        hint="please report it with the lines in the log; a sweep tries it again",
    )


def _put(ledger: Ledger, identity: int, columns: dict[str, Any]) -> None:
    ledger.photos.put(identity, **columns)
