"""Everything that can go wrong with the PhotoPrism stand-in, as switches that may be set while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


@dataclass
class Traps:
    """The switches. Lists hold shell patterns (``fnmatch``) for base names in the import folder."""

    outage: str = ""
    """``reset``: connections are dropped; ``503``, ``502``, ``504``, ``500``: so answered; ``hang``: no answer;
    ``html``: 200 and a page. The control route is spared."""
    throttle: int = 0
    """The next n calls are answered 429 (with ``Retry-After: 7``)."""
    busy: bool = False
    """Import and index find the lock taken: 200, "completed in 0 s", nothing done."""
    busy_next: int = 0
    """The same for the next n calls only."""
    seconds_per_photo: float = 0.0
    proxy_cuts_after: float | None = None
    """A proxy answers 504 after so many seconds; the import goes on."""
    crash_after: int | None = None
    """The process "restarts" when so many files were moved: connections drop, what was just moved is not indexed."""
    crash_at: list[str] = field(default_factory=list)
    """The same, once, when a file of such a name was moved."""
    unindexed: list[str] = field(default_factory=list)
    """Moved, but no row is made."""
    never_indexed: list[str] = field(default_factory=list)
    """The same, and ``POST /index`` does not mend it. Patterns for the original or the destination's base name."""
    row_error: list[str] = field(default_factory=list)
    """A row is made, but it carries an error."""
    hide: list[str] = field(default_factory=list)
    """The photo gets quality -1: a row, but no search shows it."""
    altered: list[str] = field(default_factory=list)
    """A byte of the file is changed after it was moved and indexed."""
    swallowed: list[str] = field(default_factory=list)
    """Removed from import and not to be found anywhere: what must never happen, and must be noticed."""
    move_fails: list[str] = field(default_factory=list)
    """The file cannot be moved and stays."""
    mkdir_denied: bool = False
    """No folder can be made in originals: everything stays, 200."""
    import_allow: list[str] = field(default_factory=list)
    """Extensions allowed; empty = all. Others stay."""
    skip_raw: bool = False
    exdev: bool = False
    """Import and originals are different mounts: every move copies and deletes."""
    copy_pause: float = 0.0
    """With ``exdev``: the half-written copy stands under its final name for so many seconds."""
    keeps_unproved: bool = False
    """As in 2026: a source whose contents no row holds is not deleted as "already exists"."""
    import_dest: str = ""
    """A folder prefix for what is imported."""
    readonly: bool = False
    import_disabled: bool = False
    library_disabled: bool = False
    quota_full: bool = False
    public: bool = False
    websocket: str = "on"
    """``on``; ``off``: 404; ``mute``: never a frame; ``odd``: frames that are not what they should be first."""
    dl_damaged: bool = False
    """``/dl`` hands out other bytes than the file's."""
    dl_cut: bool = False
    """``/dl`` breaks off half way."""
    thumbnail: str = ""
    """``svg``: the icon that stands for "none", with 200; ``html``: a page; ``endless``: more than anybody wants;
    ``hang``: no answer."""
    odd_answers: bool = False
    """Answers are JSON, but not of the expected form."""
    language: str = "en"

    def set(self, values: dict[str, Any]) -> None:
        """Set several switches; an unknown name is an error."""
        known = {each.name for each in fields(self)}
        if unknown := set(values) - known:
            raise KeyError(f"no such trap: {', '.join(sorted(unknown))}")
        for name, value in values.items():
            setattr(self, name, value)

    def clear(self) -> None:
        """Switch everything off."""
        self.set({each.name: getattr(Traps(), each.name) for each in fields(self)})
