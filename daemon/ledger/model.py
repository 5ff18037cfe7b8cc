"""What the ledger holds, as plain values: photos, batches, refresh jobs and their states."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from daemon.fingerprint import Fingerprint


class State(StrEnum):
    """Where a photo is on its way; ``WAITING`` goes on by itself, ``HELD`` asks a person, the last three are ends."""

    FOUND = "found"
    SETTLED = "settled"
    EXAMINED = "examined"
    PLACED = "placed"
    IMPORTED = "imported"
    ARCHIVED = "archived"
    RELEASED = "released"
    WAITING = "waiting"
    HELD = "held"
    DONE = "done"
    REFUSED = "refused"
    RESTORED = "restored"


ENDS = frozenset({State.DONE, State.REFUSED, State.RESTORED})
"""States from which nothing moves by itself."""


class BatchState(StrEnum):
    """How far a batch is; a batch that is not ``ENDED`` is taken up again after a restart."""

    OPEN = "open"
    PLACED = "placed"
    IMPORTED = "imported"
    ENDED = "ended"


class Photo(NamedTuple):
    """One file of one user on its way, as the ledger has it. Paths are ``str`` as of :func:`os.fsdecode`."""

    id: int
    user: str
    folder: str
    """The watched folder, below the user's ``files/``."""
    path: str
    """The file, below the user's ``files/``."""
    role: str
    """``main`` or ``side``."""
    group_id: int | None
    state: State
    resume: State | None
    """For a waiting photo: the state it goes on from."""
    fingerprint: Fingerprint
    blake3: bytes | None
    sha1: bytes | None
    kind: str
    content_id: str
    batch_id: int | None
    place: str
    """Where it was put: ``<subfolder>/<name>`` below the batch folder; empty where nothing was put."""
    duplicate_of: int | None
    archived_as: str
    """Its path below the archive's root; written down as an intent before a file of ours appears there."""
    archive_fingerprint: Fingerprint | None
    taken: str
    taken_from: str
    after: str
    hidden: str
    """The private name that the original bears while it is let go; written down before it is renamed."""
    imports: int
    indexings: int
    attempts: int
    next_try: float | None
    since: float | None
    code: str
    message: str
    hint: str
    found_at: float
    ended_at: float | None
    proved_at: float | None

    @property
    def directory(self) -> str:
        """Give the folder the file stands in, below the user's ``files/``."""
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        """Give the file's own name."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Batch:
    """Photos that are placed and imported together."""

    id: int
    name: str
    state: BatchState
    created_at: float
    ended_at: float | None
    imports: int
    attempts: int
    next_try: float | None
    since: float | None
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Job:
    """One thing that Nextcloud has to be asked for: a folder to scan (``kind`` is ``user`` or ``album``)."""

    id: int
    kind: str
    user: str
    path: str
    gained: int
    created_at: float
    attempts: int
    next_try: float | None
    since: float | None
    code: str
    message: str
