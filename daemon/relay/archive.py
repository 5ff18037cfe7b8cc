"""What the steps ask of an archive; PhotoPrism and the plain folder are two of them, and a fork may add another.

An archive is trusted with nothing: whatever it says, an original is let go only after :meth:`Archive.prove` has
compared the bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from daemon.errors import RelayError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from daemon.fingerprint import Fingerprint
    from daemon.ledger.model import Batch, Photo


class Verdict(StrEnum):
    """What the archive really has of a file."""

    PROVED = "proved"
    """The same bytes, complete, on the disk, and everybody can see them."""
    HIDDEN = "hidden"
    """The same bytes, but archived or hidden there: every gallery would lose the photo."""
    UNINDEXED = "unindexed"
    """The same bytes stand in the archive's files, but the archive does not know them."""
    BROKEN = "broken"
    """The archive says it has the file, but the file is missing or differs."""
    ABSENT = "absent"
    """Nothing of it."""
    UNPROVABLE = "unprovable"
    """It cannot be looked at from here (a side file, and the originals are not mounted)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one photo: where its bytes stand below the archive's root, and as what file.

    ``fingerprint`` is ``None`` where the file itself could not be looked at from here.
    """

    verdict: Verdict
    path: str = ""
    fingerprint: Fingerprint | None = None
    note: str = ""
    item: str = ""
    """The archive's own id of what it shows this file as part of (a stack, a Live Photo); empty where it has none."""
    halves: tuple[str, ...] = ()
    """Half copies of this photo that stand in the archive too, under other names or instead of it."""


_ONE_FILE = frozenset(
    {
        "disk.permission",
        "disk.error",
        "disk.unanswered",
        "file.busy",
        "photoprism.download_failed",
        "photoprism.download_cut",
    }
)


def of_one_file(error: RelayError) -> bool:
    """Tell whether what an archive said may concern a single file of it, so that others need not wait for it."""
    return error.code in _ONE_FILE


def concerns_all(error: Exception) -> bool:
    """Tell whether what the archive said of one file holds for all of them: it is away."""
    return isinstance(error, RelayError) and not of_one_file(error)


def as_answer(outcome: Finding | Exception) -> Finding | RelayError:
    """Give a finding, or the error of one file; what is no word of the program's is raised."""
    if isinstance(outcome, Exception) and not isinstance(outcome, RelayError):
        raise outcome
    return outcome


def by_group(
    groups: Sequence[Sequence[Photo]], found: Mapping[int, Finding | Exception]
) -> list[dict[int, Finding] | RelayError]:
    """Put findings together by group; where one file's error is among them, that is what is said of its group."""
    answers: list[dict[int, Finding] | RelayError] = []
    for group in groups:
        findings: dict[int, Finding] = {}
        error: RelayError | None = None
        for photo in group:
            one = as_answer(found[photo.id])
            if isinstance(one, RelayError):
                error = error or one
            else:
                findings[photo.id] = one
        answers.append(error or findings)
    return answers


class Archive(Protocol):
    """A place that photos are relayed to. All methods may raise ``Transient`` for what passes by itself."""

    name: str
    """``photoprism`` or ``folder``: in messages and in the ledger."""

    dated: bool
    """Whether the archive's own path of a photo depends on when it was taken."""

    apart: bool
    """Whether it takes photos in by itself, and slowly: meanwhile the next ones are brought to it."""

    imports: bool
    """Whether it takes placed photos in by a step of their own; else they are in it as soon as they are placed."""

    most: int
    most_bytes: int
    """Photos of a batch, and their bytes, beyond which a larger one makes nothing quicker and newcomers wait."""

    by_sha1: bool
    """Whether the archive knows files by their SHA-1; else nobody needs it, and it is not worked out."""

    @property
    def root(self) -> str:
        """Give the folder in which archived files stand, as mounted here; empty where it is not mounted."""

    async def ready(self, size: int) -> None:
        """Return if ``size`` bytes could be taken now; raise ``Transient`` with the reason if not."""

    async def known(self, photos: Sequence[Photo]) -> list[Finding | RelayError]:
        """Tell cheaply of each whether the archive has it already; ``ABSENT`` may be wrong, ``PROVED`` not.

        An error stands for one photo only (``of_one_file``); others are raised.
        """

    async def place(
        self, batch: Batch, groups: Sequence[Sequence[Photo]], companions: dict[int, list[Photo]]
    ) -> Mapping[int, RelayError | Fingerprint]:
        """Put the groups where the archive takes them in; may be repeated after a crash at any point.

        ``companions`` are archived photos, by group id, that must be joined with a partner that came too late. Gives
        what there is to say of single photos, by photo id: what went wrong (their whole group is not placed then), or
        the original's fingerprint, where placing has changed it.
        """

    def already_placed(self, batch: Batch) -> bool:
        """Tell whether a batch had become visible before a crash (blocking; at start only)."""

    async def take_in(self, batch: Batch, photos: Sequence[Photo], progress: Callable[[str, str], None]) -> None:
        """Have the archive take a placed batch in; ``progress(event, name)`` is told of each file.

        Never called where it ``imports`` nothing.
        """

    async def prove(self, groups: Sequence[Sequence[Photo]]) -> list[dict[int, Finding] | RelayError]:
        """Tell of each group, for each member (by photo id), what the archive really has, reading every byte once.

        A file that is the examined original itself under a second name is not read again. An error stands for one
        group only (``of_one_file``); others are raised.
        """

    async def still(self, photo: Photo) -> bool:
        """Tell whether what was proved of a photo is still so; cheap where nothing was touched."""

    def untouched(self, photos: Sequence[Photo]) -> set[int]:
        """Give those (by id) whose archived file is, without being read, what was proved. Blocking."""

    def give_up(self, photo: Photo) -> None:
        """Take the archive's name of a photo away if it is but a second name of its original. Blocking."""

    async def index(self, folder: str) -> None:
        """Have the archive look at a folder of its own files again."""

    async def clear(self, batch: Batch) -> None:
        """Take away what of a batch was left lying; every original still stands, or is proved."""

    def fetch(self, photo: Photo) -> AsyncIterator[bytes]:
        """Give the archived bytes of a photo, in blocks."""

    def durable_after(self, finding: Finding) -> float:
        """Give the seconds until proved bytes are surely on the disk; 0 where we have synced them ourselves."""
