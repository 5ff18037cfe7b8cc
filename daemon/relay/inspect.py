"""Where an inspection step of one's own goes: between *examine* and *place*, group by group.

An inspector sees photos whose bytes are known (hashed, recognised as media, duplicates marked) before anything of
them is moved. It may note something about a photo (a tag, a likeness), which is kept in the ledger and told as the
event ``photo.noted``, and it may hold a whole group until a person lets it go on. It moves nothing itself, and it can
stop nothing but what it holds: one that fails, or takes too long, is an issue on the page, and the photos go on.

To add one: write a class with ``name`` and ``inspect`` (see :class:`Inspector`), and put it into :func:`inspectors`.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import anyio
import anyio.from_thread
import anyio.to_thread

from daemon.errors import NeedsPerson, RelayError
from daemon.relay.near_duplicates import NearDuplicates
from daemon.relay.opinion import Opinion
from daemon.text import shown, span_in_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.events import Bus
    from daemon.issues import Issues
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo

__all__ = ["Inspection", "Inspector", "Opinion", "inspectors"]

log = logging.getLogger(__name__)

LIMIT = 60.0
"""Seconds that one inspector may take for one group; then the group goes on without it."""
HELD = "held"


class Inspector(Protocol):
    """Whoever looks at photos before they move."""

    @property
    def name(self) -> str:
        """Give a short name, always the same: what is noted is kept under it."""
        ...

    @property
    def on(self) -> bool:
        """Tell whether it wants to be asked just now; one that is switched off costs nothing."""
        ...

    async def inspect(self, group: Sequence[Photo]) -> Mapping[int, Opinion]:
        """Look at a group (a photo and what belongs to it) and give what there is to say, by photo id.

        Called for one group at a time, from the event loop: what blocks belongs into a thread, what reads pictures
        into a process of its own with a limit of memory and time. Nothing may be changed or moved. It is called
        again for the same photo where a batch was interrupted.

        Files are opened by :func:`daemon.files.opening.file_below`, below the settings' ``nextcloud.data``: a path
        alone may lead anywhere by the time it is opened.
        """
        ...


def inspectors(ledger: Ledger, current: Current, clock: Clock) -> list[Inspector]:
    """Give the inspectors of this program, in the order in which they look; a fork adds its own here."""
    return [NearDuplicates(ledger, current, clock)]


@dataclass(frozen=True, slots=True)
class Inspection:
    """The step: asks all inspectors about a group, writes down what they say, and holds what they want held."""

    inspectors: Sequence[Inspector]
    ledger: Ledger
    issues: Issues
    bus: Bus
    clock: Clock

    @property
    def on(self) -> bool:
        """Tell whether there is anybody to ask."""
        return any(inspector.on for inspector in self.inspectors)

    async def group(self, group: Sequence[Photo]) -> None:
        """Have a group looked at. Returns whatever inspectors do."""
        for inspector in self.inspectors if group else ():
            if not inspector.on:
                continue
            opinions = await self._ask(inspector, group)
            held = False
            if opinions:
                held = await anyio.to_thread.run_sync(self._write, inspector.name, group, opinions)
            if held:
                return

    async def _ask(self, inspector: Inspector, group: Sequence[Photo]) -> Mapping[int, Opinion]:
        about = f"inspector {inspector.name}"
        error: RelayError
        try:
            with anyio.fail_after(LIMIT):
                opinions = await inspector.inspect(group)
        except TimeoutError:
            words = f"it took longer than {span_in_words(LIMIT)} for {shown(group[0].name)} of {group[0].user}"
            error = NeedsPerson("inspect.timeout", f"{inspector.name}: {words}; the photo goes on without it")
        except RelayError as raised:
            error = raised
        except Exception as fault:
            log.exception("the inspector %s failed", inspector.name)
            error = NeedsPerson(
                "inspect.failed",
                f"{inspector.name} failed on {shown(group[0].name)} of {group[0].user} ({type(fault).__name__}); photos"
                " go on without it",
                hint="see the lines in the log",
            )
        else:
            self.issues.clear(about)
            return opinions
        self.issues.report(about, error)
        return {}

    def _write(self, name: str, group: Sequence[Photo], opinions: Mapping[int, Opinion]) -> bool:
        """Write down what an inspector says; tell whether the group is held now."""
        now = self.clock.wall()
        mine = {photo.id: photo for photo in group}
        held = next((one for identity, one in opinions.items() if identity in mine and one.hold), None)
        with self.ledger.write():
            if held is not None and any(self._let_go(name, identity) for identity in mine):
                held = None
            for identity, opinion in opinions.items():
                if identity in mine and (opinion.value or opinion.note):
                    self.ledger.inspections.note(name, identity, now, opinion.value, opinion.note)
            if held is not None:
                error = NeedsPerson("inspect.held", f"{name}: {held.hold}", hint=held.hint or _HINT)
                for identity in mine:
                    self.ledger.inspections.note(_held_by(name), identity, now, HELD, held.hold)
                self.ledger.photos.leave_batch(mine)
                self.ledger.photos.hold(mine, error, now)
        for identity, opinion in opinions.items():
            if identity in mine and opinion.note:
                anyio.from_thread.run_sync(self._tell, name, mine[identity], opinion.note)
        return held is not None

    def _let_go(self, name: str, identity: int) -> bool:
        """Tell whether a photo was held by this inspector before: a person has let it go on, and that holds."""
        return any(one["inspector"] == _held_by(name) for one in self.ledger.inspections.of_photo(identity))

    def _tell(self, name: str, photo: Photo, note: str) -> None:
        log.info("%s of %s: %s: %s", shown(photo.path), photo.user, name, note)
        self.bus.tell(
            "photo.noted", id=photo.id, user=photo.user, name=shown(photo.name), inspector=name, note=note, code=""
        )


_HINT = "look at it, and let it go on with Try again on the page, or delete the upload"


def _held_by(name: str) -> str:
    return f"{name}: held"
