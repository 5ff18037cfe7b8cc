"""Rows to work on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.fingerprint import Fingerprint

if TYPE_CHECKING:
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo, State

NOW = 1_795_000_000.0
FINGERPRINT = Fingerprint(11, 2000, 3_000_000_000, 4_000_000_001)


def add(ledger: Ledger, path: str = "Camera/x.jpg", *, user: str = "alice", role: str = "main", at: float = NOW) -> int:
    return ledger.photos.add(user, "Camera", path, role, FINGERPRINT, at)


def put(ledger: Ledger, state: State, path: str = "Camera/x.jpg", **columns: Any) -> int:
    """Enter a photo and move it straight to ``state``."""
    user = columns.pop("user", "alice")
    identity = add(ledger, path, user=user)
    ledger.photos.advance([identity], state, NOW, **columns)
    return identity


def get(ledger: Ledger, identity: int) -> Photo:
    photo = ledger.photos.get(identity)
    assert photo is not None
    return photo
