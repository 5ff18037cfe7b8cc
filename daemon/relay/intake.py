"""What the watch finds, entered into the ledger: which files are to be relayed, and which are none of our business."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from daemon.errors import Refused
from daemon.ledger.model import State
from daemon.nextcloud.homes import is_sample
from daemon.pauses import BEYOND
from daemon.relay.partners import companions
from daemon.text import shown
from daemon.watch.media import role
from daemon.watch.model import below

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.events import Bus
    from daemon.fingerprint import Fingerprint
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Photo
    from daemon.settings import EffectiveRules
    from daemon.wake import Wake
    from daemon.watch.model import Found, SettledGroup

log = logging.getLogger(__name__)

_BEFORE_THE_RELAY = frozenset({State.FOUND, State.SETTLED})
_CAME_BACK = frozenset({"file.vanished", "file.not_directory", "file.link", "media.no_main"})
"""Refusals that say nothing of a file that stands there now."""
_NO_PHOTO_YET = "waits for the photo or video that it belongs to; nothing is done with it alone"
_STAYS = frozenset({"keep", "tag"})


class Intake:
    """The watch's sink: decides what is new, and enters it.

    ``arrivals`` is rung for what has settled, of which whoever listens to ``wake`` (the default) need not know.
    """

    def __init__(
        self, ledger: Ledger, current: Current, bus: Bus, wake: Wake, clock: Clock, arrivals: Wake | None = None
    ) -> None:
        self._ledger = ledger
        self._current = current
        self._bus = bus
        self._wake = wake
        self._arrivals = wake if arrivals is None else arrivals
        self._clock = clock

    async def found(self, files: list[Found]) -> set[tuple[str, str]]:
        """Enter files that are new and give those that are to be relayed, as (user, path)."""
        wanted = await anyio.to_thread.run_sync(self._found, files)
        if wanted:
            self._bus.tell("photos.found", count=len(wanted))
        return wanted

    def _found(self, files: Sequence[Found]) -> set[tuple[str, str]]:
        users = self._current.settings.users
        included = {user for user in {file.user for file in files} if users.decision(user) == "include"}
        rules = {user: users.rules_for(user) for user in included}
        here = {(file.user, file.path): file for file in files if file.user in included}
        fresh: list[tuple[str, str, str, str, Fingerprint]] = []
        with self._ledger.write():
            latest = self._ledger.photos.latest_each(here)
            wanted = {
                place
                for place, file in here.items()
                if self._is_wanted(file, rules[file.user], latest.get(place), fresh)
            }
            self._ledger.photos.add_each(fresh, self._clock.wall())
        return wanted

    def _is_wanted(
        self,
        file: Found,
        rules: EffectiveRules,
        latest: Photo | None,
        fresh: list[tuple[str, str, str, str, Fingerprint]],
    ) -> bool:
        """Tell whether a file is to be relayed; what is not in the ledger yet is added to ``fresh``."""
        folder = below(file.path, rules.folders)
        kind = role(file.path.rpartition("/")[2], self._current.settings.watch.only)
        if folder is None or kind is None or is_sample(file.path, file.fingerprint.size):
            return False
        if latest is not None:
            if _not_begun(latest):
                if latest.fingerprint != file.fingerprint:
                    self._unsettle(latest)
                    self._ledger.photos.put(latest.id, fingerprint=file.fingerprint)
                    return True
                # What has settled, and waits for its batch, has not to settle again.
                return latest.state is not State.SETTLED
            if self._is_known(latest, file.fingerprint):
                return False
        if (
            not rules.existing
            and (latest is None or self._listed_since(latest))
            and self._ledger.homes.in_baseline(file.user, file.path, file.fingerprint.inode, file.fingerprint.size)
        ):
            return False
        fresh.append((file.user, folder, file.path, kind, file.fingerprint))
        return True

    def _unsettle(self, photo: Photo) -> None:
        """Have a file that was written to while it waited for a batch become quiet anew, and its group with it."""
        if photo.state is State.FOUND:
            return
        group = [photo] if photo.group_id is None else self._ledger.photos.of_group(photo.group_id)
        rows = {
            one.id: {"resume": None, "group_id": None, "next_try": one.next_try, **_trouble(one)}
            for one in group
            if one.state is not State.FOUND and _not_begun(one)
        }
        # Nor is it told again and again of one that changes for ever.
        note = "" if photo.code else "it changed while it waited"
        self._ledger.photos.advance_each(rows, State.FOUND, self._clock.wall(), note)

    def _listed_since(self, latest: Photo) -> bool:
        """Tell whether the home was listed after the last photo of this name came to its end.

        Only after a lost ledger is it: what stands there may have been put back on request, which nobody knows now.
        """
        home = self._ledger.homes.all().get(latest.user)
        ended = latest.ended_at if latest.ended_at is not None else latest.found_at
        return home is not None and home.baseline_at is not None and home.baseline_at > ended

    def _is_known(self, latest: Photo, now: Fingerprint) -> bool:
        """Tell whether a file is the one that the ledger has already, so that nothing begins anew."""
        before = latest.fingerprint
        if latest.state is State.DONE or latest.state is State.RELEASED:
            # What was let go and comes again is a new upload, even under a used inode number. What stayed is known;
            # where only its time is another, it is examined: an edit in place may keep inode and size.
            return latest.after in _STAYS and before.renamed(now)
        if latest.state is State.REFUSED and latest.code in _CAME_BACK:
            return False
        # Under way, waiting, held, refused or put back: the same file is not begun twice, another one is new.
        return before.renamed(now)

    async def settled(self, groups: Sequence[SettledGroup]) -> None:
        """Hand groups over to the relay."""
        ready = await anyio.to_thread.run_sync(self._settled, groups)
        if ready:
            self._bus.tell("photos.settled", count=ready)
            self._arrivals.set()

    def _settled(self, groups: Sequence[SettledGroup]) -> int:
        """Move groups' files to ``settled``, each as one group; give how many."""
        now = self._clock.wall()
        rows: dict[int, dict[str, Any]] = {}
        restless: dict[int, dict[str, Any]] = {}
        with self._ledger.write():
            latest = self._ledger.photos.latest_each(
                (member.user, member.path) for group in groups for member in group.members
            )
            for group in groups:
                photos = self._at_rest(group, latest)
                until = max((photo.next_try or 0.0 for photo in photos), default=0.0)
                if now < until <= now + BEYOND:
                    wait = {"resume": State.SETTLED.value, "next_try": until, "group_id": photos[0].id}
                    restless |= {photo.id: wait for photo in photos}
                else:
                    rows |= {photo.id: {"group_id": photos[0].id, "message": ""} for photo in photos}
            self._ledger.photos.advance_each(restless, State.WAITING, now)
            self._ledger.photos.advance_each(rows, State.SETTLED, now)
        return len(rows) + len(restless)

    def _at_rest(self, group: SettledGroup, latest: Mapping[tuple[str, str], Photo]) -> list[Photo]:
        """Give the photos of a group that is to be relayed now; ``latest`` are the newest rows of its places."""
        photos = []
        for member in group.members:
            photo = latest.get((member.user, member.path))
            if photo is None or photo.state is not State.FOUND:
                continue
            if photo.fingerprint != member.fingerprint:
                self._ledger.photos.put(photo.id, fingerprint=member.fingerprint)
            photos.append(photo)
        if photos and all(photo.role == "side" for photo in photos) and not companions(self._ledger, photos):
            # It waits for the photo that it belongs to; the watch brings it again together with that.
            log.debug("%s of %s waits for its photo", shown(photos[0].path), group.user)
            for photo in photos:
                if photo.message != _NO_PHOTO_YET:
                    self._ledger.photos.put(photo.id, message=_NO_PHOTO_YET)
            return []
        return photos

    async def gone(self, places: Sequence[tuple[str, str]]) -> None:
        """Note that nothing stands there any more: what had not begun is forgotten."""
        await anyio.to_thread.run_sync(self._gone, places)

    def _gone(self, places: Sequence[tuple[str, str]]) -> None:
        with self._ledger.write():
            self._ledger.homes.left_baseline(places)
            for (user, path), latest in self._ledger.photos.latest_each(places).items():
                if latest.state is State.FOUND:
                    self._ledger.photos.forget(latest.id)
                elif latest.state is State.HELD and not latest.hidden:
                    gone = Refused(
                        "file.vanished", f"{shown(path)} of {user} was held, and its owner has taken it away"
                    )
                    self._ledger.photos.refuse([latest.id], gone, self._clock.wall())

    def left_out(self) -> None:
        """Forget what was only found and is not to be relayed any more: other users, other folders. Blocking."""
        users = self._current.settings.users
        with self._ledger.write():
            for photo in self._ledger.photos.by_state(State.FOUND):
                included = users.decision(photo.user) == "include"
                if not included or below(photo.path, users.rules_for(photo.user).folders) is None:
                    self._ledger.photos.forget(photo.id)

    async def suspicion(self, reason: str) -> None:
        """Note that the watch may have missed something; it looks for itself."""
        log.info("the watch may have missed something (%s); it looks again", reason)
        self._bus.tell("watch.suspicion", reason=reason)
        # The clock may have jumped, or the machine have slept: what was due in an hour may be due now.
        self._wake.set()


def _not_begun(photo: Photo) -> bool:
    """Tell whether nothing is made of a photo yet, so that what stands there now takes its place in the row."""
    restless = photo.state is State.WAITING and photo.resume is State.SETTLED and photo.code == "file.changed"
    return photo.batch_id is None and (restless or photo.state in _BEFORE_THE_RELAY)


def _trouble(photo: Photo) -> dict[str, Any]:
    """Give the columns in which a photo's trouble stands, to be kept over a step that would forget them."""
    return {name: getattr(photo, name) for name in ("attempts", "since", "code", "message", "hint")}
