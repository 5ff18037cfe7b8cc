"""The users' desk: who is there, what is relayed of theirs, what a change would do, and making it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
from pydantic import ValidationError

from daemon.clock import iso
from daemon.errors import ConfigError, NeedsPerson, Transient
from daemon.ledger.model import State
from daemon.nextcloud.homes import is_home_name
from daemon.service.folders import Bounds, candidates, folders_of
from daemon.service.forecast import Forecast, in_words, warnings_for
from daemon.settings import UserRules, format_duration
from daemon.settings.words import faults_of
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.ledger.homes import Home
    from daemon.ledger.ledger import Ledger
    from daemon.service.config import Config
    from daemon.settings import EffectiveRules, Users

OWN: Final = ("folders", "after", "existing", "release_after")
"""What may be set for one user from here."""
KEPT: Final = 30.0
"""Seconds for which counts of files on the disk are given again without a look."""
IN_A_LIST: Final = 1.5
"""Seconds that a list of all users may look into their folders, for all of them together."""
_RANK: Final = {"ask": 0, "include": 1, "exclude": 2}
_RELAYED: Final = ("archived", "released", "done")
_WAITING: Final = ("found", "settled", "examined", "placed", "imported", "waiting")


class UserDesk:
    """What a front end may ask about users, and change. A user's id is only ever looked up, never made a path."""

    def __init__(self, ledger: Ledger, current: Current, config: Callable[[], Config | None], clock: Clock) -> None:
        self._ledger = ledger
        self._current = current
        self._config = config
        self._clock = clock
        self._standing: dict[tuple[str, tuple[str, ...]], tuple[float, int]] = {}
        self._baselines: tuple[float, dict[str, int]] = (float("-inf"), {})

    # -- asking -------------------------------------------------------------------------------------------------

    async def list(self) -> dict[str, Any]:
        """Give everyone who was found or is named in the settings; who asks to be included comes first."""
        return {"users": await anyio.to_thread.run_sync(self._list)}

    def _list(self) -> Any:
        homes = self._ledger.homes.all()
        users = self._current.settings.users
        names = {*homes, *users.include, *users.exclude}
        counts = self._ledger.photos.counts_of_users()
        baselines = self._baseline_sizes()
        bounds = Bounds(seconds=IN_A_LIST)
        found = [
            self._row(name, homes.get(name), counts.get(name, {}), baselines.get(name, 0), bounds) for name in names
        ]
        return sorted(found, key=lambda row: (row["home"] == "gone", _RANK[row["decision"]], row["id"]))

    async def get(self, user: str) -> dict[str, Any]:
        """Give one user with the folders that are really there. Raises ``NeedsPerson`` ``user.unknown``."""
        return await anyio.to_thread.run_sync(self._get, user)

    def _get(self, user: str) -> dict[str, Any]:
        home = self._known(user)
        counts = self._ledger.photos.counts_of_users(user).get(user, {})
        row = self._row(user, home, counts, self._baseline_sizes().get(user, 0), Bounds())
        if _may_be_looked_into(user, home):
            settings = self._current.settings
            rules = settings.users.rules_for(user)
            bounds = Bounds()
            data, only = settings.nextcloud.data, settings.watch.only
            row["folders"] = folders_of(data, user, rules.folders, only, rules.archived, bounds)
            row["folders_cut"] = bounds.cut
        return row

    def _known(self, user: str) -> Home | None:
        """Give a user's home as the ledger has it, ``None`` for one who is only named in the settings."""
        home = self._ledger.homes.all().get(user)
        users = self._current.settings.users
        if home is None and user not in users.include and user not in users.exclude:
            raise NeedsPerson(
                "user.unknown",
                f"{shown(user)} is no user that was ever found in Nextcloud's data directory",
                hint="a new user appears after the first log-in to Nextcloud",
            )
        return home

    def _row(
        self, user: str, home: Home | None, counts: Mapping[str, int], baseline: int, bounds: Bounds
    ) -> dict[str, Any]:
        users = self._current.settings.users
        decision, rules = users.decision(user), users.rules_for(user)
        there = home is not None and home.gone_since is None
        return {
            "id": user,
            "decision": decision,
            "asking": there and decision == "ask",
            "home": "there" if there else "gone",
            "first_seen": iso(home.first_seen) if home else None,
            "gone_since": iso(home.gone_since) if home else None,
            "rules": _rules(rules),
            "own": own_of(users, user),
            "folders": [],
            "folders_cut": False,
            "photos": {
                "relayed": sum(counts.get(state, 0) for state in _RELAYED),
                "waiting": sum(counts.get(state, 0) for state in _WAITING),
                "held": counts.get("held", 0),
                "standing": self._count(user, rules, bounds) if _may_be_looked_into(user, home) else 0,
                "baseline": baseline,
            },
            "last_photo_at": iso(self._ledger.photos.last_found(user)),
        }

    def _count(self, user: str, rules: EffectiveRules, bounds: Bounds) -> int:
        """Count what stands in a user's watched folders; what was counted just now is not counted again."""
        key, now = (user, rules.folders), time.monotonic()
        before = self._standing.get(key)
        if before is not None and now - before[0] < KEPT:
            return before[1]
        if bounds.cut:
            return before[1] if before else 0
        settings = self._current.settings
        files = candidates(settings.nextcloud.data, user, rules.folders, settings.watch.only, rules.archived, bounds)
        count = sum(1 for _ in files)
        self._standing = {old: value for old, value in self._standing.items() if now - value[0] < KEPT}
        self._standing[key] = now, count
        return count

    def _baseline_sizes(self) -> dict[str, int]:
        at, sizes = self._baselines
        if time.monotonic() - at > KEPT:
            sizes = self._ledger.homes.baseline_sizes()
            self._baselines = time.monotonic(), sizes
        return sizes

    # -- what a change would do ---------------------------------------------------------------------------------

    async def preview(self, user: str, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Say in plain words and counts what including this user with these rules would do; changes nothing.

        Raises ``NeedsPerson`` ``user.unknown``, ``ConfigError`` for rules that cannot be.
        """
        return await anyio.to_thread.run_sync(self._preview, user, dict(changes or {}))

    def _preview(self, user: str, changes: dict[str, Any]) -> dict[str, Any]:
        home = self._known(user)
        settings = self._current.settings
        own = {key: value for key, value in own_of(settings.users, user).items() if changes.get(key, value) is not None}
        own |= {key: changes[key] for key in OWN if changes.get(key) is not None}
        rules = settings.users.model_copy(
            update={"include": {**settings.users.include, user: checked(user, own)}, "exclude": ()}
        ).rules_for(user)
        taking = _taking(changes, settings.users.decision(user))
        forecast = Forecast(user, taking)
        if _may_be_looked_into(user, home):
            forecast.gone = False
            bounds = Bounds()
            data = settings.nextcloud.data
            for file in candidates(data, user, rules.folders, settings.watch.only, rules.archived, bounds):
                stays = not rules.existing and self._stood_before(home, file)
                if stays or not self._is_done_with(file):
                    forecast.count(file.path, file.fingerprint.size, stays=stays)
            forecast.cut = bounds.cut
        return {
            "sentence": in_words(forecast, rules),
            "counts": forecast.counts(),
            "folders": forecast.folders(),
            "warnings": warnings_for(forecast, rules, settings),
            "cut": forecast.cut,
        }

    def _stood_before(self, home: Home | None, file: Any) -> bool:
        if home is None or home.baseline_at is None:
            return True  # what is listed only now is written down as old
        mark = file.fingerprint
        return self._ledger.homes.in_baseline(file.user, file.path, mark.inode, mark.size) and (
            self._ledger.photos.latest(file.user, file.path) is None
        )

    def _is_done_with(self, file: Any) -> bool:
        """Tell whether the relay has dealt with this very file already (kept, tagged, refused, put back)."""
        latest = self._ledger.photos.latest(file.user, file.path)
        if latest is None or latest.state in {State.FOUND, State.SETTLED}:
            return False
        if latest.state in {State.RELEASED, State.DONE} and latest.after not in {"keep", "tag"}:
            return False  # what was let go and stands there again is a new upload
        return latest.fingerprint.renamed(file.fingerprint)

    # -- changing -----------------------------------------------------------------------------------------------

    async def patch(self, user: str, changes: Mapping[str, Any], who: str) -> dict[str, Any]:
        """Include, exclude or ask about a user, and set rules; ``None`` goes back to what is common to all.

        Written into the settings file. Raises ``NeedsPerson`` ``user.unknown``, ``user.not_asked``, ``ConfigError``,
        and what ``Config.patch`` raises.
        """
        config = self._config()
        if config is None:
            raise Transient("run.not_ready", "the daemon is just starting", hint="try it again in a few seconds")
        await anyio.to_thread.run_sync(self._known, user)
        users = self._current.settings.users
        rules = {key: changes[key] for key in OWN if key in changes}
        own = own_of(users, user) | {key: value for key, value in rules.items() if value is not None}
        checked(user, {key: value for key, value in own.items() if rules.get(key, value) is not None})
        wanted = self._wanted(user, users, changes.get("decision"), rules)
        if wanted:
            # The list of those left out is written as a whole: nobody may have changed it since it was read.
            etag = config.state()["etag"] if "exclude" in wanted else None
            await config.patch({"users": wanted}, etag, who)
        return await self.get(user)

    def _wanted(self, user: str, users: Users, decision: str | None, rules: dict[str, Any]) -> dict[str, Any]:
        """Give the merge patch for ``users`` in the settings."""
        decided = decision or users.decision(user)
        wanted: dict[str, Any] = {}
        if rules and decided != "include" and decision is None:
            # An entry with rules would include the user by the way.
            raise NeedsPerson(
                "user.not_included",
                f"{shown(user)} is not included, so there is nothing that rules could be for",
                hint="include the user, with these rules",
            )
        if decision == "ask" and users.new != "ask":
            raise NeedsPerson(
                "user.not_asked",
                f"{shown(user)} cannot be left undecided: users.new is {users.new}, which then holds for them",
                hint="include or exclude the user, or set users.new to ask",
            )
        if decision in {"ask", "exclude"}:
            # Nobody may stand in both lists: what was set for the user goes, and stands in the file's versions.
            if user in users.include:
                wanted["include"] = {user: None}
        elif rules or (decision == "include" and user not in users.include):
            wanted["include"] = {user: rules}
        excluded = [one for one in users.exclude if one != user]
        if decision == "exclude":
            excluded.append(user)
        if decision and tuple(excluded) != tuple(users.exclude):
            wanted["exclude"] = excluded
        return wanted


def own_of(users: Users, user: str) -> dict[str, Any]:
    """Give only what is set for this user, as it stands in the file."""
    own = users.include.get(user)
    return own.model_dump(mode="json", by_alias=True, exclude_none=True) if own is not None else {}


def checked(user: str, own: Mapping[str, Any]) -> UserRules:
    """Read a user's own rules. Raises ``ConfigError`` with a line for each thing that cannot be."""
    try:
        return UserRules.model_validate(dict(own))
    except ValidationError as error:
        faults = faults_of(error, UserRules)
        raise ConfigError(
            [f"users.include.{shown(user)}.{'.'.join(map(str, fault.path))}: {fault.message}" for fault in faults]
        ) from None


def _rules(rules: EffectiveRules) -> dict[str, Any]:
    return {
        "folders": list(rules.folders),
        "after": rules.after,
        "existing": rules.existing,
        "release_after": format_duration(rules.release_after),
    }


def _taking(changes: Mapping[str, Any], decision: str) -> bool:
    if changes.get("decision") is not None:
        return bool(changes["decision"] == "include")
    if changes.get("include") is not None:
        return bool(changes["include"])
    return decision != "exclude"


def _may_be_looked_into(user: str, home: Home | None) -> bool:
    """Tell whether there is a home of that name: only those that a listing of the data directory has given."""
    return home is not None and home.gone_since is None and is_home_name(user)
