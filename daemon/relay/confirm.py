"""Confirm: prove, file by file, that the archive holds the same bytes; a group goes on only as a whole.

Reads only. What was found decides what happens next:

=============  ====================================================================================================
verdict        then
=============  ====================================================================================================
``proved``     the group is ``archived``: its originals may be let go
``hidden``     the originals are kept and a person is told: the photo would vanish from every gallery
``unindexed``  the archive is asked to index that folder, twice at most; then proved, or kept and warned about
``broken``     placed again under a new batch, a few times, then a person is told; after once, of a half copy
``absent``     placed again under a new batch once; absent again: kept, a person is told
``unprovable`` kept, a person is told what to mount
=============  ====================================================================================================
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from daemon.errors import NeedsPerson, RelayError, Transient
from daemon.ledger.contents import Content
from daemon.ledger.model import State
from daemon.relay.archive import Finding, Verdict, of_one_file
from daemon.relay.failures import bring_again
from daemon.relay.half_copies import refuses_copies
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.clock import Clock
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo
    from daemon.relay.archive import Archive
    from daemon.relay.half_copies import HalfCopies

log = logging.getLogger(__name__)

MOST_INDEXINGS = 2
MOST_IMPORTS = 2
BETWEEN_INDEXINGS = 15.0

_NEVER_INDEXED = frozenset({"photoprism.forbidden", "photoprism.odd_folder"})
# The worst finding decides for the whole group.
_WORST_FIRST = (
    Verdict.HIDDEN,
    Verdict.UNPROVABLE,
    Verdict.UNINDEXED,
    Verdict.BROKEN,
    Verdict.ABSENT,
    Verdict.PROVED,
)


class Confirm:
    """The step between import and release."""

    def __init__(self, ledger: Ledger, archive: Archive, half_copies: HalfCopies, clock: Clock) -> None:
        self._ledger = ledger
        self._archive = archive
        self.half_copies = half_copies
        self._clock = clock

    async def groups(
        self, groups: Sequence[Sequence[Photo]], *, release_after: Callable[[str], float], album_user: str, album: bool
    ) -> list[RelayError | None]:
        """Prove groups that were imported (or are duplicates) and move them on; all that are proved in one step.

        ``release_after`` gives the seconds for a user; ``album`` says whether Nextcloud shows the archive and must
        look at the folders that gained files, as ``album_user``. Gives for each group the error of one of its files
        that keeps it from being looked at now. Raises ``Transient`` where the archive cannot be asked now.
        """
        answers = await self._archive.prove(groups)
        now = self._clock.wall()
        proved: list[tuple[Sequence[Photo], dict[int, Finding], float]] = []
        errors: list[RelayError | None] = [None] * len(groups)
        late: list[int] = []
        for number, (group, answer) in enumerate(zip(groups, answers, strict=True)):
            if isinstance(answer, RelayError):
                errors[number] = answer
            elif _worst(answer) is Verdict.PROVED:
                proved.append((group, answer, release_after(group[0].user)))
            else:
                late.append(number)
        await anyio.to_thread.run_sync(self._archived, proved, now, album_user if album else None)
        for group, answer, _ in proved:
            await self._tell_halves(group, answer)
        for number in late:
            answer = answers[number]
            assert not isinstance(answer, RelayError)  # noqa: S101  sorted out above
            try:
                wait = release_after(groups[number][0].user)
                await self._one(groups[number], answer, wait, album_user if album else None)
            except RelayError as error:
                if not of_one_file(error):
                    raise
                errors[number] = error
        return errors

    async def _tell_halves(self, group: Sequence[Photo], findings: dict[int, Finding]) -> None:
        for photo in group:
            finding = findings[photo.id]
            if finding.halves and finding.verdict is Verdict.PROVED:
                await self.half_copies.found(photo, finding.path, finding.halves)

    async def _one(
        self, group: Sequence[Photo], findings: dict[int, Finding], release_after: float, album_user: str | None
    ) -> None:
        """Go on with a group that was not proved at once."""
        while (worst := _worst(findings)) is Verdict.UNINDEXED:
            tried = max(photo.indexings for photo in group)
            if tried >= MOST_INDEXINGS:
                break
            folders = {f.path.rpartition("/")[0] for f in findings.values() if f.verdict is Verdict.UNINDEXED}
            if tried:
                # PhotoPrism is silent where it was busy: the second time is not asked in the same breath.
                await self._clock.sleep(BETWEEN_INDEXINGS)
            for folder in sorted(folders):
                log.info("the archive does not know what stands in its folder %s; it is asked to index it", folder)
                try:
                    await self._archive.index(folder)
                except RelayError as error:
                    # One photo that PhotoPrism may not, or cannot, be asked about is held; the others go on.
                    if error.code not in _NEVER_INDEXED:
                        if error.code != "photoprism.busy":
                            # Asked it was, and what a proxy cut off goes on; else the batch would ask for ever.
                            await anyio.to_thread.run_sync(self._count_indexing, group)
                        raise
                    log.warning("the folder %s cannot be indexed: %s", shown(folder), error)
            await anyio.to_thread.run_sync(self._count_indexing, group)
            group = await anyio.to_thread.run_sync(self._again, group)
            [answer] = await self._archive.prove([group])
            if isinstance(answer, RelayError):
                raise answer
            findings = answer
        now = self._clock.wall()
        if worst is Verdict.PROVED:
            await anyio.to_thread.run_sync(self._archived, [(group, findings, release_after)], now, album_user)
        else:
            await anyio.to_thread.run_sync(self._not_proved, group, findings, worst, now)
        # Beside what is whole of a group that is held, too.
        await self._tell_halves(group, findings)

    def _count_indexing(self, group: Sequence[Photo]) -> None:
        with self._ledger.write():
            for photo in group:
                self._ledger.photos.put(photo.id, indexings=photo.indexings + 1)

    def _again(self, group: Sequence[Photo]) -> list[Photo]:
        return [found for photo in group if (found := self._ledger.photos.get(photo.id))]

    def _archived(
        self,
        proved: Sequence[tuple[Sequence[Photo], dict[int, Finding], float]],
        now: float,
        album_user: str | None,
    ) -> None:
        rows: dict[int, dict[str, Any]] = {}
        notes: dict[int, str] = {}
        contents: list[Content] = []
        gained: dict[str, list[int]] = {}
        for group, findings, release_after in proved:
            wait = max([release_after, *(self._archive.durable_after(found) for found in findings.values())])
            for photo in group:
                finding = findings[photo.id]
                note = f"proved in the archive as {shown(finding.path)}"
                notes[photo.id] = f"a duplicate: {note}" if photo.duplicate_of is not None else note
                rows[photo.id] = {
                    "archived_as": finding.path,
                    "archive_fingerprint": finding.fingerprint,
                    "proved_at": now,
                    "next_try": now + wait,
                }
                if photo.blake3:
                    size = photo.fingerprint.size
                    contents.append(Content(photo.blake3, size, finding.path, photo.id))
                # Known before this try, perhaps by the import of an earlier one: its folder was not looked at then.
                if photo.duplicate_of is None or (not photo.duplicate_of and photo.imports):
                    gained.setdefault(finding.path.rpartition("/")[0], []).append(photo.id)
        with self._ledger.write():
            self._ledger.photos.advance_each(rows, State.ARCHIVED, now, notes)
            self._ledger.contents.proved(contents)
            for folder, ids in gained.items():
                if album_user is None:
                    break
                self._ledger.jobs.add("album", album_user, folder, now, ids)

    def _not_proved(self, group: Sequence[Photo], findings: dict[int, Finding], worst: Verdict, now: float) -> None:
        culprit = next(photo for photo in group if findings[photo.id].verdict is worst)
        tries = max(photo.imports for photo in group)
        error = _trouble(culprit, findings[culprit.id], worst, tries=tries)
        broken = [(photo, found) for photo in group if (found := findings[photo.id]).verdict is Verdict.BROKEN]
        halves = [(photo, found.path) for photo, found in broken if found.halves]
        if worst is Verdict.BROKEN and halves and tries >= MOST_IMPORTS:
            # Not at the first time: PhotoPrism may still be copying. All at once, or each would take another round.
            error = refuses_copies(halves)
        if worst is Verdict.BROKEN:
            for photo in group:
                self._archive.give_up(photo)
        if isinstance(error, Transient):
            bring_again(self._ledger, group, error, now)
        else:
            self._ledger.photos.hold([photo.id for photo in group], error, now)


def _worst(findings: dict[int, Finding]) -> Verdict:
    """Give the verdict that decides for a whole group."""
    return min((found.verdict for found in findings.values()), key=_WORST_FIRST.index)


def _trouble(photo: Photo, finding: Finding, verdict: Verdict, *, tries: int) -> RelayError:
    """Give what a verdict other than ``proved`` means for a photo, in words."""
    who = f"{shown(photo.name)} of {photo.user}"
    where = shown(finding.path)
    if verdict is Verdict.HIDDEN:
        return NeedsPerson(
            "archive.hidden",
            f"{who} is in the archive already ({where}), but archived or hidden there; the original is kept",
            hint="bring it back in PhotoPrism (Archive, Hidden or Review) and run a sweep, or delete the upload",
        )
    if verdict is Verdict.UNPROVABLE:
        return NeedsPerson(
            "archive.unprovable",
            f"{who} cannot be proved from here: {finding.note or 'the originals are not mounted'}; it is kept",
            hint="mount PhotoPrism's originals and name them in photoprism.originals",
        )
    if verdict is Verdict.UNINDEXED:
        return NeedsPerson(
            "archive.unindexed",
            f"{who} stands in the archive as {where}, but PhotoPrism does not show it even after being asked twice"
            f" to index that folder; the original is kept{_told(finding)}",
            hint="look at PhotoPrism's log for that file: it may be damaged, too large or of a kind it cannot read",
        )
    if verdict is Verdict.BROKEN:
        return Transient(
            "archive.broken",
            f"the archive says it has {who} as {where}, but the file there is missing or differs; the photo is"
            " brought again, the original is kept meanwhile",
            hint="see whether somebody deletes or changes files in the archive's folder",
        )
    if tries >= MOST_IMPORTS:
        return NeedsPerson(
            "archive.absent",
            f"{who} did not reach the archive in {tries} imports; the original is kept{_told(finding)}",
            hint="look at PhotoPrism's log for that file; mend the cause, then run a sweep",
        )
    return Transient(
        "archive.not_yet",
        f"{who} is not in the archive after the import; it is brought once more{_told(finding)}",
    )


def _told(finding: Finding) -> str:
    return f" ({finding.note})" if finding.note else ""
