"""Which traps a chaos run may meet, and who chooses them: one seed, one source of chance."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from tests.relay.world import World

PHOTOPRISM: dict[str, dict[str, Any]] = {
    "reset": {"outage": "reset"},
    "hang": {"outage": "hang"},
    "503": {"outage": "503"},
    "502": {"outage": "502"},
    "500": {"outage": "500"},
    "a page of somebody else": {"outage": "html"},
    "429": {"throttle": 1},
    "busy, and 200": {"busy": True},
    "cut by a proxy": {"seconds_per_photo": 0.02, "proxy_cuts_after": 0.03},
    "restarts in mid-import": {"crash_after": 1},
    "moved, not indexed": {"unindexed": ["*"]},
    "never indexed": {"never_indexed": ["*[02468].jpg"]},
    "a row with an error": {"row_error": ["*"]},
    "hidden by the import": {"hide": ["*[13].jpg"]},
    "altered after the move": {"altered": ["*"]},
    "swallowed": {"swallowed": ["*"]},
    "cannot be moved": {"move_fails": ["*"]},
    "no folder can be made": {"mkdir_denied": True},
    "not an allowed type": {"import_allow": ["mov"]},
    "copied across mounts": {"exdev": True, "copy_pause": 0.02},
    "keeps what it cannot prove": {"keeps_unproved": True},
    "read-only": {"readonly": True},
    "import is switched off": {"import_disabled": True},
    "index is switched off": {"library_disabled": True},
    "quota": {"quota_full": True},
    "public mode": {"public": True},
    "no WebSocket": {"websocket": "off"},
    "a mute WebSocket": {"websocket": "mute"},
    "odd frames": {"websocket": "odd"},
    "odd answers": {"odd_answers": True},
    "another language": {"language": "de"},
    "damaged downloads": {"dl_damaged": True},
    "cut downloads": {"dl_cut": True},
}
NEXTCLOUD: dict[str, dict[str, Any]] = {
    "maintenance": {"maintenance": True},
    "upgrade": {"needs_upgrade": True},
    "not installed": {"not_installed": True},
    "no database": {"database": True},
    "locked": {"locked": True},
    "locked, the new way": {"locked": True, "locked_style": "new"},
    "already scanning": {"already_scanning": True},
    "the wrong user": {"wrong_user": 4242},
    "not writable": {"not_writable": True},
    "nothing scanned": {"nothing": True},
    "hangs": {"hang": True},
    "noise": {"noise": True},
    "no Memories": {"no_memories": True},
    "old Memories": {"old_memories": True},
    "no exiftool": {"no_exiftool": True},
    "unindexable": {"unindexable": ["a.jpg"]},
    "no Photos": {"no_photos": True},
    "an old Nextcloud": {"old_nextcloud": True},
    "the bin has no room": {"no_trashbin": True},
    "the bin is off": {"trashbin_off": True},
    "exit 1 and no word": {"answers": {"files:scan": {"exit": 1}}},
    "exit 0 and nonsense": {"answers": {"files:scan": {"exit": 0, "stdout": "<html>"}}},
}


class Whims:
    """Chooses a trap, or none, at every call of both."""

    def __init__(self, chance: random.Random, world: World, *, often: float = 0.4) -> None:
        self._chance = chance
        self._world = world
        self._often = often
        self.met: Counter[str] = Counter()
        """How often each trap was set."""
        self.calls = 0
        self.well = False

    def photoprism(self, _method: str, _path: str) -> None:
        """Set PhotoPrism's traps for the call that is about to be answered."""
        assert self._world.pp is not None
        self.calls += 1
        self._world.pp.traps.clear()
        if name := self._one_of(list(PHOTOPRISM)):
            self.met[f"PhotoPrism: {name}"] += 1
            self._world.pp.traps.set(PHOTOPRISM[name])

    def occ(self, _argv: Sequence[str]) -> None:
        """Set the traps of the ``occ`` call that is about to be made."""
        self.calls += 1
        chosen: dict[str, Any] = {each: None for traps in NEXTCLOUD.values() for each in traps}
        if name := self._one_of(list(NEXTCLOUD)):
            self.met[f"Nextcloud: {name}"] += 1
            chosen |= NEXTCLOUD[name]
        self._world.nextcloud.switch(**chosen)

    def _one_of(self, names: list[str]) -> str:
        return self._chance.choice(names) if not self.well and self._chance.random() < self._often else ""
