"""What PhotoPrism really has of photos: its row, the file's bytes in the originals, and whether its search shows it.

While PhotoPrism imports, what has arrived is looked at already (:meth:`PhotoPrismProof.along`). Only good news counts
then, and only in memory: what was proved so is looked at once more, without reading it, when the import is over.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from blake3 import blake3

from daemon.errors import NeedsPerson, RelayError, Transient
from daemon.relay import half_copies, originals
from daemon.relay.abreast import together
from daemon.relay.archive import Finding, Verdict, concerns_all
from daemon.relay.batch import groups_of
from daemon.relay.partners import companions
from daemon.text import shown, size_in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.current import Current
    from daemon.fingerprint import Fingerprint
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo
    from daemon.photoprism.answers import KnownFile
    from daemon.photoprism.client import PhotoPrism
    from daemon.relay.under_way import UnderWay

log = logging.getLogger(__name__)

LOOK = 1.0
"""Seconds between two looks at what an import has taken so far."""
_LOOKS = 3
"""So often a group that has left the import folder is looked at before the import is over: its row comes later."""


class PhotoPrismProof:
    """Compares what PhotoPrism says with what stands on its disk."""

    def __init__(self, client: PhotoPrism, current: Current, ledger: Ledger, under_way: UnderWay | None = None) -> None:
        self._client = client
        self._current = current
        self._ledger = ledger
        self._under_way = under_way
        self._early: dict[int, Finding] = {}

    @property
    def root(self) -> str:
        """Give PhotoPrism's originals as mounted here, or an empty string."""
        return self._current.settings.photoprism.originals

    async def known(self, photos: Sequence[Photo]) -> list[Finding | RelayError]:
        """Tell of each whether PhotoPrism has it already, proved by its bytes."""
        return await together(self._known, photos, of_all=concerns_all)

    async def _known(self, photo: Photo) -> Finding:
        assert photo.blake3 is not None  # noqa: S101  examined photos have their hashes
        if photo.role == "side":
            known = await anyio.to_thread.run_sync(self._beside_archived, photo)
            if known is not None:
                return known
            content = await anyio.to_thread.run_sync(self._ledger.contents.find, photo.blake3)
            if content is None or not self.root:
                return Finding(Verdict.ABSENT)
            mark = await anyio.to_thread.run_sync(
                originals.same_bytes, self.root, content.path, content.size, photo.blake3
            )
            return Finding(Verdict.PROVED, content.path, mark) if mark else Finding(Verdict.ABSENT)
        finding = await self._of_main(photo, thorough=False)
        if finding.verdict is Verdict.PROVED and not await self._client.visible([sha1_of(photo)]):
            return Finding(Verdict.HIDDEN, finding.path, finding.fingerprint)
        return finding

    # -- after an import ----------------------------------------------------------------------------------------

    async def groups(self, groups: Sequence[Sequence[Photo]]) -> list[dict[int, Finding] | RelayError]:
        """Tell of each group, for each member, what PhotoPrism and its disk really have."""
        kept = await anyio.to_thread.run_sync(self._kept, groups)
        late = [number for number in range(len(groups)) if number not in kept]
        answers = await together(self._of_group, [groups[number] for number in late], of_all=concerns_all)
        found: list[dict[int, Finding] | RelayError] = [kept.get(number, {}) for number in range(len(groups))]
        for number, answer in zip(late, answers, strict=True):
            found[number] = answer
        await self._hide(groups, found)
        return found

    def _kept(self, groups: Sequence[Sequence[Photo]]) -> dict[int, dict[int, Finding]]:
        """Give what was proved during the import and is, without being read, still so: by the group's number."""
        early, self._early = self._early, {}
        photos = [
            photo._replace(archived_as=early[photo.id].path, archive_fingerprint=early[photo.id].fingerprint)
            for group in groups
            for photo in group
            if photo.id in early
        ]
        if not photos:
            return {}
        same = originals.untouched(self.root, photos)
        # Those of other groups of the same batch are asked about next.
        self._early = {one: finding for one, finding in early.items() if one not in {photo.id for photo in photos}}
        return {
            number: {photo.id: early[photo.id] for photo in group}
            for number, group in enumerate(groups)
            if all(photo.id in same for photo in group)
        }

    async def _of_group(self, group: Sequence[Photo], *, thorough: bool = True) -> dict[int, Finding]:
        if thorough and self._under_way is not None:
            self._under_way.take(group[0])
        mains = [photo for photo in group if photo.role == "main"]
        findings = {photo.id: await self._of_main(photo, thorough=thorough) for photo in mains}
        for photo in group:
            if photo.role == "side":
                findings[photo.id] = await self._of_side(photo, [findings[main.id] for main in mains])
        if thorough and not self.root:
            absent = [photo for photo in mains if findings[photo.id].verdict is Verdict.ABSENT and not photo.indexings]
            known = [finding.path for finding in findings.values() if finding.verdict is Verdict.PROVED]
            if absent and not known:
                beside = await anyio.to_thread.run_sync(companions, self._ledger, group)
                known = [photo.archived_as for photo in beside]
            if known:
                # PhotoPrism moves what comes beside a photo that it has, but does not index it (import_worker.go:120).
                # It cannot be seen from here, so it is asked once to look there, before anything is brought again.
                findings |= {photo.id: Finding(Verdict.UNINDEXED, known[0]) for photo in absent}
        return findings

    async def _hide(self, groups: Sequence[Sequence[Photo]], found: list[dict[int, Finding] | RelayError]) -> None:
        """Put ``hidden`` for what is proved but shown to nobody; PhotoPrism is asked about many at a time."""
        proved = [
            [photo for photo in group if photo.role == "main" and answer[photo.id].verdict is Verdict.PROVED]
            if isinstance(answer, dict)
            else []
            for group, answer in zip(groups, found, strict=True)
        ]
        visible = await self._client.visible([sha1_of(photo) for mains in proved for photo in mains])
        for mains, answer in zip(proved, found, strict=True):
            if isinstance(answer, dict):
                # A search by hash may show a Live Photo under one of its files only; the item is what people see.
                items = {answer[photo.id].item for photo in mains if sha1_of(photo) in visible} - {""}
                for photo in mains:
                    one = answer[photo.id]
                    if sha1_of(photo) not in visible and one.item not in items:
                        answer[photo.id] = Finding(Verdict.HIDDEN, one.path, one.fingerprint)

    # -- while it imports ---------------------------------------------------------------------------------------

    async def along(self, photos: Sequence[Photo], standing: Callable[[], list[str]], over: anyio.Event) -> None:
        """Prove what leaves the import folder until the import is ``over``; PhotoPrism works on meanwhile.

        ``standing`` (which blocks) gives what is still there, as ``<subfolder>/<name>``. Whatever is not as it should
        be is left for the proof after the import: just moved is not yet indexed, and half a copy not yet whole.
        """
        self._early = {}
        groups = groups_of(photos)
        looks = dict.fromkeys(range(len(groups) if self.root else 0), 0)
        with suppress(RelayError, OSError):
            while looks:
                with anyio.move_on_after(LOOK):
                    await over.wait()
                    return
                names = set(await anyio.to_thread.run_sync(standing))
                gone = [number for number in looks if not any(photo.place in names for photo in groups[number])]
                call = partial(self._of_group, thorough=False)
                answers = await together(call, [groups[number] for number in gone], of_all=concerns_all)
                for number, answer in zip(gone, answers, strict=True):
                    looks[number] += 1
                    if isinstance(answer, dict) and all(one.verdict is Verdict.PROVED for one in answer.values()):
                        self._early |= answer
                    elif looks[number] < _LOOKS:
                        continue
                    del looks[number]

    # -- one file -----------------------------------------------------------------------------------------------

    async def _of_main(self, photo: Photo, *, thorough: bool) -> Finding:
        assert photo.blake3 is not None  # noqa: S101  examined photos have their hashes
        if photo.sha1 is None:
            # Examined for another archive: it goes the whole way once more.
            return Finding(Verdict.ABSENT)
        size = photo.fingerprint.size
        row = await self._client.lookup(sha1_of(photo))
        if row is None:
            if thorough and self.root:
                found = await anyio.to_thread.run_sync(originals.search, self.root, size, photo.blake3)
                if found is not None:
                    return Finding(Verdict.UNINDEXED, *found)
            return Finding(Verdict.ABSENT)
        if row.root != "/" or row.missing or row.size != size:
            return Finding(Verdict.BROKEN, row.name)
        if self.root:
            mark = await anyio.to_thread.run_sync(originals.same_bytes, self.root, row.name, size, photo.blake3)
            if mark is None:
                half = thorough and await anyio.to_thread.run_sync(self._is_half, photo, row.name)
                return Finding(Verdict.BROKEN, row.name, halves=(row.name,) if half else ())
            if row.error:
                return Finding(Verdict.UNINDEXED, row.name, mark, f"PhotoPrism says: {row.error}")
            return await self._proved(row.name, mark, item=row.photo_uid)
        return await self.by_download(photo, row)

    def _is_half(self, photo: Photo, path: str) -> bool:
        home = f"{self._current.settings.nextcloud.data}/{photo.user}/files"
        return half_copies.is_half(self.root, path, home, photo.path, photo)

    async def _proved(self, path: str, mark: Fingerprint, item: str = "") -> Finding:
        """Give the finding for a file whose bytes were compared, with the half copies that kept its name taken."""
        halves: tuple[str, ...] = ()
        if half_copies.numbered(path):
            halves = await anyio.to_thread.run_sync(half_copies.beside, self.root, path)
        return Finding(Verdict.PROVED, path, mark, item=item, halves=halves)

    async def by_download(self, photo: Photo, row: KnownFile) -> Finding:
        """Tell what the bytes are that PhotoPrism hands out for a row: where its originals are not mounted."""
        digest, size = blake3(), 0
        try:
            async with self._client.download(sha1_of(photo)) as blocks:
                async for block in blocks:
                    digest.update(block)
                    size += len(block)
        except Transient as error:
            if not size or error.code != "photoprism.unreachable":
                raise
            # A proxy may cut this file off each time: others, which it hands out, need not wait for that.
            raise Transient(
                "photoprism.download_cut",
                f"PhotoPrism's answer broke off after {size_in_words(size)} of {shown(photo.name)} of {photo.user}, as"
                " it was fetched for comparison; the original is kept",
                hint="see whether a proxy in between has a time limit; or mount PhotoPrism's originals and name them in"
                " photoprism.originals",
                retry_after=60.0,
            ) from error
        if size != photo.fingerprint.size or digest.digest() != photo.blake3:
            return Finding(Verdict.BROKEN, row.name)
        if row.error:
            return Finding(Verdict.UNINDEXED, row.name, None, f"PhotoPrism says: {row.error}")
        return Finding(Verdict.PROVED, row.name, None, item=row.photo_uid)

    async def _of_side(self, photo: Photo, mains: list[Finding]) -> Finding:
        """Prove what PhotoPrism does not index (XMP, AAE, JSON) beside its main file, on the disk."""
        assert photo.blake3 is not None  # noqa: S101  examined photos have their hashes
        if not self.root:
            return Finding(Verdict.UNPROVABLE, note="a side file is not in PhotoPrism's index")
        for main in mains:
            if main.path:
                beside = partial(originals.beside, self.root, main.path, photo.fingerprint.size, photo.blake3)
                found = await anyio.to_thread.run_sync(beside)
                if found is not None:
                    return await self._proved(*found)
        return await anyio.to_thread.run_sync(self._beside_archived, photo) or Finding(Verdict.ABSENT)

    def _beside_archived(self, side: Photo) -> Finding | None:
        """Find a side file's bytes beside the photo that it belongs to, where that was archived before it. Blocking.

        Equal bytes beside another photo are no proof: a preset may have written the same recipe for many.
        """
        if self.root:
            for main in companions(self._ledger, [side]):
                found = originals.beside(self.root, main.archived_as, side.fingerprint.size, side.blake3 or b"")
                if found is not None:
                    return Finding(Verdict.PROVED, *found)
        return None


def sha1_of(photo: Photo) -> str:
    """Give a photo's SHA-1 in hex; raises ``NeedsPerson`` where it was relayed to an archive that needs none."""
    if photo.sha1 is None:
        raise NeedsPerson(
            "archive.absent",
            f"{shown(photo.name)} of {photo.user} was relayed to another archive, not to PhotoPrism",
            hint="set archive.via to what it was then, or import that archive into PhotoPrism",
        )
    return photo.sha1.hex()
