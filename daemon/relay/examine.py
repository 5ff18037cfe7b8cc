"""Examine: what a settled file really is, and whether the archive has it already. Reads only.

Each file is opened without following links, read once (BLAKE3 is our identity, SHA-1 PhotoPrism's), and refused where
it may not move: encrypted by the server, empty, not what its name says, put back on request.
"""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

import anyio
import anyio.to_thread

from daemon.errors import NeedsPerson, Refused, RelayError, Transient
from daemon.files.exiftool import find_exiftool
from daemon.files.faults import in_words
from daemon.files.folders import Folders
from daemon.files.hashing import hash_file
from daemon.files.kinds import agrees, extension_of, is_encrypted, sniff
from daemon.files.opening import open_regular
from daemon.files.taken import content_identifier, taken_at
from daemon.ledger.model import State
from daemon.pauses import pause
from daemon.relay import originals
from daemon.relay.abreast import abreast, threads, unless_halted
from daemon.relay.archive import Verdict
from daemon.relay.batch import home_of, size_of
from daemon.relay.partners import companions
from daemon.relay.presence import really
from daemon.relay.slow import Slow, TooSlow
from daemon.relay.telling import say_restless
from daemon.relay.under_way import UnderWay
from daemon.schedule import zone_name
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo
    from daemon.relay.archive import Archive, Finding

log = logging.getLogger(__name__)

_MAY_ANNOUNCE = frozenset({"heic", "heif", "mov", "jpg", "jpeg"})


class Examined(NamedTuple):
    """What reading one file told."""

    blake3: bytes
    sha1: bytes | None
    kind: str
    content_id: str
    taken: str
    taken_from: str


class Examine:
    """The first step: settled files become examined ones, or are refused with a reason."""

    def __init__(
        self,
        ledger: Ledger,
        current: Current,
        archive: Archive,
        clock: Clock,
        under_way: UnderWay | None = None,
        slow: Slow | None = None,
    ) -> None:
        self._ledger = ledger
        self._current = current
        self._archive = archive
        self._clock = clock
        self._under_way = under_way or UnderWay(clock)
        self._exiftool = find_exiftool()
        self.slow = slow or Slow()
        self._one_looks = anyio.Lock()

    async def groups(self, groups: Sequence[Sequence[Photo]], *, patient: bool = False) -> list[list[Photo]]:
        """Examine groups' files and write down what they are; give of each group those that go on, as they are now.

        Unless ``patient``, those of users whose disk is slow leave the batch again, and are settled as before.
        """
        photos = [photo for group in groups for photo in group]
        data = self._current.settings.nextcloud.data
        homes = Folders(data)
        found = await abreast(
            partial(self._look, homes=homes, patient=patient),
            photos,
            threads(self._current.settings, data),
            size=size_of(photos),
            leave=partial(self.slow.left, patient=patient),
            back=self.slow.back,
            # A thread that was left may come back: until then its folder's number is no other folder's.
            at_end=homes.close,
        )
        outcomes = dict(zip((photo.id for photo in photos), found, strict=True))
        left = await anyio.to_thread.run_sync(self._write_down, groups, outcomes)
        # Two batches may be examined side by side: equal photos in them must not become each other's duplicate.
        async with self._one_looks:
            return await self._duplicates(left)

    async def preview(self, photo: Photo) -> str:
        """Say in a sentence what would become of a settled file; changes nothing."""
        try:
            with Folders(self._current.settings.nextcloud.data) as homes:
                found = await anyio.to_thread.run_sync(partial(self._look, photo, homes, patient=True))
            await anyio.to_thread.run_sync(self._not_left_alone, photo, found)
        except RelayError as error:
            return f"would stay: {error.message} [{error.code}]"
        known = await anyio.to_thread.run_sync(self._ledger.contents.find, found.blake3)
        rules = self._current.settings.users.rules_for(photo.user)
        what = "is a duplicate of what the archive has" if known else f"would be relayed ({found.kind})"
        return f"{what}; then: {rules.after}"

    # -- reading ------------------------------------------------------------------------------------------------

    def _look(self, photo: Photo, homes: Folders, *, patient: bool) -> Examined:
        who = f"{shown(photo.name)} of {photo.user}"
        each_block = unless_halted(self._under_way.bytes_of(photo))
        with (
            self.slow.reading(photo, each_block, patient=patient) as each_block,
            really(self._current.settings.nextcloud.data),
            open_regular(homes.below(home_of(photo)), photo.name) as source,
        ):
            if source.status.st_size == 0:
                raise Refused("file.empty", f"{who} is empty; it stays where it is")
            if source.foreign:
                raise Refused(
                    "file.foreign",
                    f"{who} is a second name of a file that belongs to uid {source.status.st_uid}; it is not read and"
                    " stays where it is",
                    hint="if it is meant to be relayed, put a copy there in its place, or give it its folder's owner",
                )
            by_sha1 = self._archive.by_sha1
            hashed = hash_file(source.fd, sha1=by_sha1, expected=photo.fingerprint, each_block=each_block)
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
            identifier = ""
            if extension in _MAY_ANNOUNCE and (extension not in {"jpg", "jpeg"} or b"Apple" in hashed.first):
                identifier = content_identifier(source.fd, hashed.first) or ""
            taken, taken_from = "", ""
            if self._archive.dated and photo.role == "main":
                when = taken_at(
                    source.fd,
                    photo.name,
                    now=self._clock.now(),
                    zone=self._zone(),
                    exiftool=self._exiftool,
                    first=hashed.first,
                )
                taken, taken_from = when.when.replace(tzinfo=None).isoformat(), when.source
            digest, sha1 = bytes.fromhex(hashed.blake3), bytes.fromhex(hashed.sha1) or None
            return Examined(digest, sha1, extension, identifier, taken, taken_from)

    def _zone(self) -> ZoneInfo | None:
        name = zone_name(self._current.settings.ui.timezone, os.environ)
        return ZoneInfo(name) if name else None

    # -- writing down -------------------------------------------------------------------------------------------

    def _write_down(
        self, groups: Sequence[Sequence[Photo]], outcomes: dict[int, Examined | Exception]
    ) -> list[list[Photo]]:
        """Enter what was found, all in one step; give of each group those that go on."""
        digests = [one.blake3 for one in outcomes.values() if isinstance(one, Examined)]
        left_alone = _LeftAlone(self._ledger, digests)
        rows: dict[int, dict[str, Any]] = {}
        going: list[list[int]] = []
        with self._ledger.write():
            for group in groups:
                good: dict[int, dict[str, Any]] = {}
                for photo in group:
                    found = outcomes[photo.id]
                    if isinstance(found, Examined):
                        refused = left_alone.why(photo, found.blake3)
                        if refused is None:
                            good[photo.id] = found._asdict()
                            continue
                        found = refused
                    if isinstance(found, TooSlow):
                        ids = [member.id for member in group]
                        self._ledger.photos.leave_batch(ids)
                        good = {}
                        break
                    if not isinstance(found, RelayError):
                        said = in_words(found, f"reading {shown(photo.name)} of {photo.user}, in")
                        if said is None:
                            # Readers of metadata meet files that nobody has thought of: one must not stop the others.
                            log.error("%s of %s could not be examined", shown(photo.path), photo.user, exc_info=found)
                        found = said or _crashed(photo, found)
                    self._failed(group, photo, found)
                    if not isinstance(found, Refused):
                        good = {}
                        break
                rows |= good
                going.append(list(good))
            self._ledger.photos.advance_each(rows, State.EXAMINED, self._clock.wall())
            known = {photo.id: photo for group in groups for photo in group}
            left = [[_examined(known[identity], rows[identity]) for identity in ids] for ids in going]
            return [[] if self._is_alone(group) else group for group in left]

    def _is_alone(self, group: list[Photo]) -> bool:
        """Refuse side files whose photo will not be moved; tell whether that is so."""
        if not group or any(photo.role != "side" for photo in group) or companions(self._ledger, group):
            return False
        alone = Refused("media.no_main", "the photo that this side file belongs to will not be moved, so it stays")
        self._ledger.photos.refuse([photo.id for photo in group], alone, self._clock.wall())
        return True

    def _not_left_alone(self, photo: Photo, found: Examined) -> None:
        refused = _LeftAlone(self._ledger, [found.blake3]).why(photo, found.blake3)
        if refused is not None:
            raise refused

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
                if self._ledger.photos.changed(ids, error, now):
                    say_restless(photo)
                return
            if isinstance(error, Transient) or error.code.startswith("disk."):
                wanted = error.retry_after if isinstance(error, Transient) else 300.0
                again = now + pause(max(member.attempts for member in group), wanted)
                self._ledger.photos.wait(ids, State.SETTLED, error, now, again)
            else:
                self._ledger.photos.hold(ids, error, now)

    # -- duplicates ---------------------------------------------------------------------------------------------

    async def _duplicates(self, groups: list[list[Photo]]) -> list[list[Photo]]:
        """Mark what is there already, or is under way from somebody else; proof comes in confirm."""
        first: dict[bytes, Photo] = {}
        for photo in (photo for group in groups for photo in group):
            first.setdefault(photo.blake3 or b"", photo)
        brought = await anyio.to_thread.run_sync(self._brought, first, {p.id for group in groups for p in group})
        asked = [photo for digest, photo in first.items() if digest not in brought]
        answers = await self._archive.known(asked)
        found = dict(zip((photo.blake3 or b"" for photo in asked), answers, strict=True))
        return await anyio.to_thread.run_sync(self._mark, groups, brought, found)

    def _brought(self, digests: Iterable[bytes], mine: set[int]) -> dict[bytes, int]:
        """Give by BLAKE3 the photo, if it is none of ``mine``, that brings these bytes to the archive just now."""
        bringing = self._ledger.photos.bringing(digests)
        others = {digest: [one for one in ids if one not in mine] for digest, ids in bringing.items()}
        return {digest: ids[0] for digest, ids in others.items() if ids}

    def _mark(
        self, groups: list[list[Photo]], brought: dict[bytes, int], found: dict[bytes, Finding | RelayError]
    ) -> list[list[Photo]]:
        """Write down what is a duplicate of what, and hold what is hidden in the archive; give those that go on."""
        there = [key for key, one in found.items() if not isinstance(one, RelayError) and one.verdict is Verdict.PROVED]
        contents = self._ledger.contents.find_each(there)
        left: list[list[Photo]] = []
        with self._ledger.write():
            rows: dict[int, dict[str, Any]] = {}
            for group in groups:
                brings: dict[bytes, int] = {}
                hidden: RelayError | None = None
                late = all(photo.role == "side" for photo in group)
                for photo in group:
                    digest = photo.blake3 or b""
                    bringer = brought.get(digest, brings.get(digest))
                    if bringer is not None and late:
                        # The same recipe, but another photo's.
                        brings[digest] = photo.id
                        continue
                    if bringer is not None:
                        rows[photo.id] = {"duplicate_of": bringer}
                        continue
                    finding = found[digest]
                    if isinstance(finding, RelayError):
                        self._failed(group, photo, finding)
                        break
                    if photo.role == "side" and not self._stands_beside(finding, group, found):
                        brings[digest] = photo.id
                    elif finding.verdict is Verdict.PROVED:
                        content = contents.get(digest)
                        # 0: the archive had it before this program came, or before this try: none is its own twin.
                        other = content is not None and content.photo_id != photo.id
                        rows[photo.id] = {"duplicate_of": content.photo_id if content and other else 0}
                    elif finding.verdict is Verdict.HIDDEN:
                        hidden = _hidden(photo, finding)
                    else:
                        brings[digest] = photo.id
                else:
                    if hidden is not None:
                        self._ledger.photos.hold([photo.id for photo in group], hidden, self._clock.wall())
                    else:
                        brought |= brings
                    left.append([] if hidden is not None else group)
                    continue
                for photo in group:
                    rows.pop(photo.id, None)
                left.append([])
            self._ledger.photos.put_each(rows)
        return [[photo._replace(**rows[photo.id]) if photo.id in rows else photo for photo in group] for group in left]

    def _stands_beside(self, finding: Finding, group: list[Photo], found: dict[bytes, Finding | RelayError]) -> bool:
        """Tell whether a side file was found beside its own photo: a preset writes the same recipe for many."""
        if finding.verdict is not Verdict.PROVED:
            return False
        answers = [found.get(photo.blake3 or b"") for photo in group if photo.role == "main"]
        mains = [one.path for one in answers if one is not None and not isinstance(one, RelayError) and one.path]
        # Or beside one that was archived before, also where the group brings that once more.
        before = companions(self._ledger, [photo for photo in group if photo.role == "side"])
        return any(originals.is_beside(finding.path, main) for main in (*mains, *(one.archived_as for one in before)))


class _LeftAlone:
    """Files that are not taken again: put back on request, or relayed before and kept."""

    def __init__(self, ledger: Ledger, digests: list[bytes]) -> None:
        self._put_back = ledger.photos.put_back(digests)
        self._stayed = ledger.photos.stayed(digests)

    def why(self, photo: Photo, digest: bytes) -> Refused | None:
        """Give why a photo with these bytes is left alone, or ``None``."""
        who = f"{shown(photo.name)} of {photo.user}"
        if (photo.user, photo.path, digest) in self._put_back:
            return Refused("photo.put_back", f"{who} was put back on request; it is not taken again")
        if (photo.user, photo.path, digest, photo.fingerprint.inode) in self._stayed:
            return Refused("photo.kept", f"{who} was relayed before and kept; it is left alone")
        return None


def _examined(photo: Photo, columns: dict[str, Any]) -> Photo:
    """Give a photo as its row is now."""
    return photo._replace(state=State.EXAMINED, resume=None, next_try=None, **columns)


def _hidden(photo: Photo, finding: Finding) -> NeedsPerson:
    return NeedsPerson(
        "archive.hidden",
        f"{shown(photo.name)} of {photo.user} is in the archive already ({shown(finding.path)}), but archived or"
        " hidden there; the original is kept",
        hint="bring it back in PhotoPrism (Archive, Hidden or Review) and run a sweep, or delete the upload",
    )


def _crashed(photo: Photo, fault: Exception) -> NeedsPerson:
    return NeedsPerson(
        "task.crashed",
        f"{shown(photo.name)} of {photo.user} cannot be examined: a fault of the program ({type(fault).__name__})",
        hint="please report it with the lines in the log; a sweep tries it again",
    )
