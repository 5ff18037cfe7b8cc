"""Turns events into parcels: what is told to people by ntfy, like things gathered, and what goes to hooks.

The first trouble of its kind goes out after a few seconds (what passes by itself in that time is never told), further
ones are gathered for ``notify.ntfy.quiet``. What has been told is remembered in the ledger: a restart does not tell
it again, and "all well again" comes also if the daemon was not running when it became well.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from typing import TYPE_CHECKING, Any

from daemon.clock import iso
from daemon.notify import hooks
from daemon.notify.kinds import STALE, STALE_ELSE, kind_of_issue, loudness, worth_telling
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.events import Event
    from daemon.issues import Issues
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.outbox import Parcel
    from daemon.settings.messages import Hook, Ntfy

NTFY = "ntfy"
SOON = 4.0
"""Seconds that the first message of its kind waits for others."""
BRIEF = 60.0
"""An untold trouble that lasted no longer than this is not worth a message."""
ATTEMPTS = 3
"""Failed log-ins in a while that are worth a message: one is a slip of the finger."""
_NAMED = 5
_MOST_TOLD = 500
_MOST_ITEMS = 200
_TOLD = "told"


class Teller:
    """Writes parcels. Blocking; one call at a time."""

    def __init__(self, ledger: Ledger, current: Current, issues: Issues, clock: Clock) -> None:
        self._ledger = ledger
        self._current = current
        self._issues = issues
        self._clock = clock
        self._last: dict[str, float] = {}
        self._logins: deque[tuple[float, str]] = deque(maxlen=1000)

    @property
    def _ntfy(self) -> Ntfy:
        return self._current.settings.notify.ntfy

    @property
    def on(self) -> bool:
        """Tell whether messages go anywhere."""
        return bool(self._ntfy.url and self._ntfy.topic)

    @property
    def listens(self) -> bool:
        """Tell whether anybody is to be told anything."""
        return self.on or bool(self._current.settings.hooks)

    def take(self, events: Iterable[Event]) -> None:
        """Write down what is to be told of these events, all of it or nothing."""
        if not self.listens:
            return
        with self._ledger.write():
            for event in events:
                if event.type == "lost":
                    self._catch_up()
                    continue
                self._to_hooks(event)
                if self.on:
                    self._to_people(event)

    def start(self) -> None:
        """Take note of what was wrong before anybody listened, and forget what nobody is to be told any more."""
        wanted = {NTFY} if self.on else set()
        wanted |= {hooks.channel_of(hook) for hook in self._current.settings.hooks}
        with self._ledger.write():
            for channel in self._ledger.outbox.channels():
                if channel not in wanted:
                    self._ledger.outbox.clear(channel)
            self._catch_up()

    # -- to people ----------------------------------------------------------------------------------------------

    def _to_people(self, event: Event) -> None:
        data = event.data
        match event.type:
            case "issue.opened":
                self._opened(data)
            case "issue.closed":
                self._closed(data)
            case "photo.held" | "photo.refused":
                self._photo(event.type, data)
            case "photo.noted":
                self._noted(data)
            case "batch.ended":
                self._batch(int(data["id"]))
            case "sweep.ended" if data.get("missed") and data.get("reason") != "start":
                self._gather("sweep.missed", "sweep.missed", {"count": int(data["missed"])}, _summed)
            case "login.failed":
                self._login(data)
            case _:
                pass

    def _gather(
        self, kind: str, key: str, body: dict[str, Any], join: Callable[[dict[str, Any], dict[str, Any]], None]
    ) -> None:
        """Tell something, together with what waits already under the same key."""
        if loudness(self._ntfy, kind) == "off":
            return
        outbox, now = self._ledger.outbox, self._clock.wall()
        waiting = outbox.waiting(NTFY, key)
        if waiting is not None:
            joined = waiting.body
            join(joined, body)
            outbox.rewrite(waiting.id, kind, joined)
            return
        body["sequence"] = hashlib.sha256(f"{key} {now}".encode()).hexdigest()[:24]
        not_before = max(now + SOON, min(self._last.get(key, 0.0), now) + self._ntfy.quiet)
        if len(self._last) > _MOST_TOLD:
            self._last.clear()
        self._last[key] = not_before
        stale = now + STALE.get(kind, STALE_ELSE)
        outbox.put(NTFY, kind, body, now, about=key, not_before=not_before, stale_at=stale)

    def _opened(self, issue: dict[str, Any]) -> None:
        about, code = str(issue["about"]), str(issue["code"])
        if about == NTFY:
            return
        told = self._told().get(about)
        if told and told["code"] == code:
            return
        kind = kind_of_issue(issue)
        if kind == "user.new":
            self._gather(kind, kind, {"users": [_user_of(issue)]}, _more_users)
            return
        item = {key: issue.get(key) for key in ("about", "code", "message", "hint", "since")}
        key = f"issue {code}"
        parcel = self._ledger.outbox.untold(NTFY, key)
        if parcel is not None and about in parcel.body.get("items", {}):
            # It goes out, or is being tried, already: after a restart everything shows anew.
            _more_items(parcel.body, {"items": {about: item}})
            self._ledger.outbox.rewrite(parcel.id, kind, parcel.body)
            return
        self._gather(kind, key, {"items": {about: item}}, _more_items)

    def _closed(self, issue: dict[str, Any]) -> None:
        about, code, kind = str(issue["about"]), str(issue["code"]), kind_of_issue(issue)
        if kind == "user.new":
            self._decided(about, _user_of(issue))
            return
        told = self._told()
        before = told.pop(about, None)
        if before and before["code"] == code:
            self._keep_told(told)
            self._well_again(about, before, issue)
            return
        parcel = self._ledger.outbox.untold(NTFY, f"issue {code}")
        if parcel is not None and about in parcel.body.get("items", {}):
            self._over(parcel, about)

    def _over(self, parcel: Parcel, about: str) -> None:
        """Leave out what is well again before it was told; where that took long (no network), tell it as over."""
        body, now = parcel.body, self._clock.wall()
        if parcel.attempts == 0 and now - parcel.created_at < max(BRIEF, self._ntfy.quiet):
            del body["items"][about]
            if not body["items"]:
                self._ledger.outbox.gone(parcel.id)
                return
        else:
            body["items"][about]["ended"] = iso(now)
            if all(item.get("ended") for item in body["items"].values()):
                body["ended"] = iso(now)
        self._ledger.outbox.rewrite(parcel.id, parcel.kind, body)

    def _well_again(self, about: str, before: dict[str, Any], issue: dict[str, Any]) -> None:
        kind = before.get("kind", "issue.error")
        if loudness(self._ntfy, "issue.closed", kind) == "off":
            return
        item = {key: issue.get(key) for key in ("about", "code", "message", "hint", "since")}
        item["sequence"] = before.get("sequence")
        body = {"items": {about: item}, "of": kind}
        # The settings file alone has words of its own for being right again.
        key = f"closed {kind}" if kind == "config.invalid" else "closed"
        self._last.pop(key, None)
        self._gather("issue.closed", key, body, _more_items)

    def _decided(self, about: str, user: str) -> None:
        told = self._told()
        if told.pop(about, None):
            self._keep_told(told)
        parcel = self._ledger.outbox.untold(NTFY, "user.new")
        if parcel is not None and user in parcel.body.get("users", []):
            parcel.body["users"].remove(user)
            if parcel.body["users"]:
                self._ledger.outbox.rewrite(parcel.id, parcel.kind, parcel.body)
            else:
                self._ledger.outbox.gone(parcel.id)

    def _photo(self, kind: str, data: dict[str, Any]) -> None:
        code, user = str(data.get("code", "")), str(data.get("user", ""))
        if not worth_telling(kind, code):
            return
        photo = self._ledger.photos.get(int(data["id"]))
        body = {
            "user": user,
            "code": code,
            "id": data["id"],
            "count": 1,
            "names": [str(data.get("name", ""))],
            "message": photo.message if photo else "",
            "hint": photo.hint if photo else "",
        }
        self._gather(kind, f"{kind} {code} {user}", body, _more_photos)

    def _noted(self, data: dict[str, Any]) -> None:
        user, inspector = str(data.get("user", "")), str(data.get("inspector", ""))
        note = f"{data.get('name', '')}: {data.get('note', '')}"
        body = {"user": user, "inspector": inspector, "count": 1, "notes": [note]}
        self._gather("photo.noted", f"photo.noted {inspector} {user}", body, _more_notes)

    def _batch(self, number: int) -> None:
        if loudness(self._ntfy, "batch.ended") == "off":
            return
        body = self._ledger.outbox.arrived(number)
        if body["photos"]:
            self._gather("batch.ended", "batch.ended", body | {"batches": 1}, _more_arrived)

    def _login(self, data: dict[str, Any]) -> None:
        now = self._clock.wall()
        self._logins.append((now, shown(str(data.get("address", "?")), 45)))
        while self._logins and now - self._logins[0][0] > max(self._ntfy.quiet, BRIEF):
            self._logins.popleft()
        waiting = self._ledger.outbox.waiting(NTFY, "login.failed")
        if waiting is None and len(self._logins) < ATTEMPTS:
            return
        addresses: dict[str, int] = {}
        for _, address in self._logins:
            addresses[address] = addresses.get(address, 0) + 1
        since = iso(self._logins[0][0])
        self._logins.clear()
        self._gather("login.failed", "login.failed", {"addresses": addresses, "since": since}, _more_logins)

    # -- what has been told -------------------------------------------------------------------------------------

    def sent(self, parcel: Parcel) -> None:
        """Take note that people have been told this now."""
        with self._ledger.write():
            told = self._told()
            if parcel.kind == "user.new":
                for user in parcel.body["users"]:
                    told[f"user {shown(user)}"] = {"subject": user, "code": "user.new", "kind": parcel.kind}
            elif parcel.kind != "issue.closed":
                for about, item in parcel.body.get("items", {}).items():
                    if not item.get("ended"):
                        told[about] = {
                            "kind": parcel.kind,
                            "sequence": parcel.body.get("sequence"),
                            **{key: item.get(key) for key in ("code", "message", "hint", "since")},
                        }
            self._keep_told(told)
            now = self._ledger.outbox.get(parcel.id)
            ended = now.body.get("items", {}) if now else {}
            for about, item in ended.items():
                # It became well while the message was under way.
                if item.get("ended") and about in told and not parcel.body["items"].get(about, {}).get("ended"):
                    self._closed({**item, "about": about})

    def forget_over(self) -> None:
        """Tell what has become well while the daemon was not running. Not before all had time to show again."""
        with self._ledger.write():
            open_now = {issue.about for issue in self._issues.all()}
            for about, item in self._told().items():
                if about not in open_now and (
                    item["code"] == "user.new" or not self._ledger.outbox.stuck(item["code"])
                ):
                    self._closed({**item, "about": about})

    def _catch_up(self) -> None:
        for issue in self._issues.all():
            if self.on:
                self._opened(issue.as_dict())

    def _told(self) -> dict[str, dict[str, Any]]:
        text = self._ledger.marks.get(_TOLD)
        return dict(json.loads(text)) if text else {}

    def _keep_told(self, told: dict[str, dict[str, Any]]) -> None:
        kept = dict(list(told.items())[-_MOST_TOLD:])
        if kept != self._told():
            self._ledger.marks.put(_TOLD, json.dumps(kept))

    # -- to hooks -----------------------------------------------------------------------------------------------

    def _to_hooks(self, event: Event) -> None:
        name = hooks.event_name(event.type)
        if name is None or (name.startswith("issue.") and str(event.data.get("about", "")).startswith("hook")):
            return
        hearing = [hook for hook in self._current.settings.hooks if hooks.hears(hook, name)]
        if hearing:
            self._put_hooks(hearing, name, self._more(name, event.data))

    def _put_hooks(self, hearing: list[Hook], name: str, data: dict[str, Any]) -> None:
        now = self._clock.wall()
        # A hook that is in the list twice is called once.
        for channel in dict.fromkeys(map(hooks.channel_of, hearing)):
            self._ledger.outbox.put(channel, name, data, now, stale_at=now + hooks.STALE, limit=hooks.WAITING)

    def _more(self, name: str, data: dict[str, Any]) -> dict[str, Any]:
        """Give what a hook wants to know besides what the event itself tells."""
        if name == "batch.done":
            return {**data, **self._ledger.outbox.arrived(int(data["id"]))}
        photo = self._ledger.photos.get(int(data["id"])) if name.startswith("photo.") and "id" in data else None
        if photo is None:
            return data
        return {
            **data,
            "path": shown(photo.path, 4096),
            "archived_as": shown(photo.archived_as, 4096),
            "size": photo.fingerprint.size,
            "kind": photo.kind,
            "blake3": photo.blake3.hex() if photo.blake3 else None,
            "sha1": photo.sha1.hex() if photo.sha1 else None,
            "duplicate": photo.duplicate_of is not None,
            "batch": photo.batch_id,
            "message": photo.message,
        }


def _user_of(issue: dict[str, Any]) -> str:
    """Give whom an issue is about, as they are."""
    return str(issue.get("subject") or str(issue["about"]).removeprefix("user "))


def _summed(into: dict[str, Any], body: dict[str, Any]) -> None:
    into["count"] += body["count"]


def _more_users(into: dict[str, Any], body: dict[str, Any]) -> None:
    into["users"] = list(dict.fromkeys([*into["users"], *body["users"]]))


def _more_items(into: dict[str, Any], body: dict[str, Any]) -> None:
    for about, item in body["items"].items():
        if len(into["items"]) < _MOST_ITEMS or about in into["items"]:
            into["items"][about] = item
    into.pop("ended", None)


def _more_photos(into: dict[str, Any], body: dict[str, Any]) -> None:
    into["count"] += body["count"]
    into["names"] = [*into["names"], *body["names"]][:_NAMED]


def _more_notes(into: dict[str, Any], body: dict[str, Any]) -> None:
    into["count"] += body["count"]
    into["notes"] = [*into["notes"], *body["notes"]][:_NAMED]


def _more_arrived(into: dict[str, Any], body: dict[str, Any]) -> None:
    for key in ("photos", "bytes", "duplicates", "held", "batches"):
        into[key] += body[key]
    for user, count in body["users"].items():
        into["users"][user] = into["users"].get(user, 0) + count


def _more_logins(into: dict[str, Any], body: dict[str, Any]) -> None:
    for address, count in body["addresses"].items():
        if len(into["addresses"]) < 100 or address in into["addresses"]:
            into["addresses"][address] = into["addresses"].get(address, 0) + count
