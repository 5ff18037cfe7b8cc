"""What PhotoPrism says, as typed values; anything of another form is refused rather than guessed at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from daemon.errors import RelayError

T = TypeVar("T")


class OddAnswerError(ValueError):
    """Raised for an answer that is not of the expected form."""


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file that PhotoPrism has a row for (``GET /api/v1/files/<sha1>``)."""

    sha1: str
    name: str
    """Path below the root, such as ``2026/11/20261122_185412_82F63B78.jpg``."""
    root: str
    """``/`` for originals; ``sidecar`` and ``import`` are others."""
    size: int
    missing: bool
    error: str
    photo_uid: str
    sidecar: bool

    @property
    def in_originals(self) -> bool:
        """Whether PhotoPrism takes the file to stand in originals, whole and readable. It may be wrong about that."""
        return self.root == "/" and not self.missing and not self.error


@dataclass(frozen=True, slots=True)
class ImportAnswer:
    """What an import was answered with. It says neither what was imported nor whether anything was.

    PhotoPrism answers 200 also where another job held its lock, where the folder was not there, and where every file
    failed; only looking the files up tells.
    """

    message: str
    """As PhotoPrism words it, in its own language; for the log only."""
    seconds: float
    """How long it took, as measured here."""


@dataclass(frozen=True, slots=True)
class Probe:
    """How PhotoPrism is doing, and what the token may do. ``None`` stands for "could not be found out"."""

    reachable: bool = False
    ready: bool = False
    version: str = ""
    edition: str = ""
    public: bool = False
    """Whether PhotoPrism asks nobody for a token (authentication is off)."""
    token_ok: bool = False
    """Whether the token may look files up: it is known, and its scope and role suffice for that."""
    token_ends_in: float | None = None
    """Seconds until the token ends, infinite where it never does; ``None`` where its scope does not let us ask."""
    search_allowed: bool | None = None
    import_allowed: bool | None = None
    """Whether the account behind the token may import: in the community edition only an admin may."""
    import_enabled: bool | None = None
    readonly: bool | None = None
    originals_used_percent: int | None = None
    """Of the quota or the disk; ``None`` where PhotoPrism does not count it."""
    faults: tuple[RelayError, ...] = ()
    """What stands in the way of relaying, the most important first; empty = nothing."""


def seconds_left(data: Any) -> float:
    """Read how long a session lasts: ``expires_in``, 0 or -1 for one that never ends (internal/api/session_get.go)."""
    left = _typed(an_object(data), "expires_in", int, 0)
    return float(left) if left > 0 else math.inf


def an_object(data: Any) -> dict[str, Any]:
    """Give ``data`` if it is a JSON object."""
    if not isinstance(data, dict):
        raise OddAnswerError("not an object")
    return data


def _typed(data: dict[str, Any], key: str, kind: type[T], empty: T) -> T:
    value = data.get(key)
    if value is None:
        return empty
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise OddAnswerError(f"{key} is no {kind.__name__}")
    return value


def known_file(data: Any, sha1: str) -> KnownFile:
    """Read a row; fields that are zero are left out of it. A row of another content is refused."""
    row = an_object(data)
    file = KnownFile(
        sha1=_typed(row, "Hash", str, "").lower(),
        name=_typed(row, "Name", str, ""),
        root=_typed(row, "Root", str, ""),
        size=_typed(row, "Size", int, 0),
        missing=_typed(row, "Missing", bool, False),
        error=_typed(row, "Error", str, ""),
        photo_uid=_typed(row, "PhotoUID", str, ""),
        sidecar=_typed(row, "Sidecar", bool, False),
    )
    if file.sha1 != sha1 or not file.name:
        raise OddAnswerError("a row of another file")
    return file


def shown_hashes(data: Any) -> set[str]:
    """Give the SHA-1 of every file in a search result: of each picture, and of the files stacked with it."""
    if data is None:
        return set()
    if not isinstance(data, list):
        raise OddAnswerError("not a list")
    hashes: set[str] = set()
    for picture in data:
        files = an_object(picture).get("Files") or []
        if not isinstance(files, list):
            raise OddAnswerError("Files is no list")
        for each in [picture, *files]:
            hashes.add(_typed(an_object(each), "Hash", str, "").lower())
    return hashes - {""}


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """The parts of ``GET /api/v1/config`` that matter here."""

    version: str
    edition: str
    public: bool
    known: bool
    """Whether PhotoPrism knew the token: without a session it gives only its public settings."""
    readonly: bool
    import_enabled: bool | None
    import_allowed: bool | None
    download_token: str
    preview_token: str
    used_percent: int | None


def client_config(data: Any) -> ClientConfig:
    """Read PhotoPrism's settings for clients; everything in them is optional, versions differ."""
    said = an_object(data)
    public = _typed(said, "public", bool, False)
    known = public or _typed(said, "mode", str, "") not in {"", "public"}
    features = _typed(_typed(said, "settings", dict, {}), "features", dict, {})
    rights = _typed(_typed(said, "acl", dict, {}), "files", dict, {})
    percent = _typed(_typed(said, "usage", dict, {}), "filesUsedPct", int, 0)
    return ClientConfig(
        version=_typed(said, "version", str, ""),
        edition=_typed(said, "edition", str, ""),
        public=public,
        known=known,
        readonly=_typed(said, "readonly", bool, False),
        import_enabled=_typed(features, "import", bool, False) if known and "import" in features else None,
        import_allowed=bool(rights.get("manage") or rights.get("full_access")) if known and rights else None,
        download_token=_typed(said, "downloadToken", str, "") if known else "",
        preview_token=_typed(said, "previewToken", str, "") if known else "",
        used_percent=percent if percent > 0 else None,
    )
