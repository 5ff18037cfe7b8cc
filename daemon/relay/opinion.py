"""What an inspector says of a photo."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Opinion:
    """Something to say about one photo; all of it may be empty."""

    note: str = ""
    """For people, and for hooks: told as ``photo.noted``, and shown with the photo. Names in it are to be ``shown``."""
    value: str = ""
    """For the inspector itself: found again with ``ledger.inspections.values``."""
    hold: str = ""
    """A sentence why the whole group is held until a person lets it go on; empty: it goes on."""
    hint: str = ""
    """What the person can do where the group is held."""
