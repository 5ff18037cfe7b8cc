"""Messages: listens to the bus, writes parcels, and keeps a courier for ntfy and one for each hook.

The relay never waits for any of it: events are put into a bounded list here and written down in a thread, many in one
transaction; what is sent is sent from the ledger.
"""

from __future__ import annotations

import logging
import math
import os
from collections import deque
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import anyio
import anyio.to_thread

from daemon.clock import iso
from daemon.errors import NeedsPerson, RelayError
from daemon.events import Event
from daemon.notify import hooks, ntfy
from daemon.notify.buttons import Buttons
from daemon.notify.courier import Courier
from daemon.notify.form import in_form, send_test
from daemon.notify.kinds import loudness, priority
from daemon.notify.teller import NTFY, Teller
from daemon.notify.words import Known, words
from daemon.schedule import zone_name
from daemon.text import count_in_words
from daemon.wake import Wake

if TYPE_CHECKING:
    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.events import Bus
    from daemon.issues import Issues
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.outbox import Parcel
    from daemon.notify.buttons import Deed
    from daemon.settings.messages import Hook, Ntfy

log = logging.getLogger(__name__)

HEARD = 2000
"""Events that wait to be written down at most."""
AT_ONCE = 200
"""Events that are written down in one transaction at most: the relay's own steps wait no longer than for one."""
PATIENCE = 600.0
"""Seconds after a start until what has not shown again counts as over: longer than any pause between two tries."""
LATE = 6 * 3600.0
"""Seconds by which a digest may be late, because the daemon did not run at its time."""
EVERY = 20.0
"""Seconds between two looks at the clock, where a summary of the day is wanted."""
_DIGEST = "digest"


class Messages:
    """What the daemon tells by itself: one loop, ``run``, and how it is, ``status``."""

    def __init__(self, ledger: Ledger, current: Current, issues: Issues, bus: Bus, clock: Clock) -> None:
        self._ledger = ledger
        self._current = current
        self._issues = issues
        self._bus = bus
        self._clock = clock
        self._teller = Teller(ledger, current, issues, clock)
        self.buttons = Buttons(ledger)
        self._wake = Wake()
        self._couriers: dict[str, anyio.CancelScope] = {}
        self._trouble: RelayError | None = None
        self._trouble_since: float | None = None
        self._sent_at: float | None = None
        self._unwell: dict[str, str] = {}

    @property
    def _ntfy(self) -> Ntfy:
        return self._current.settings.notify.ntfy

    # -- the loops ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Listen and tell, for ever."""
        heard: deque[Event] = deque()
        bell = Wake()
        with self._bus.listen(HEARD) as events:
            async with anyio.create_task_group() as group:
                await anyio.to_thread.run_sync(self._teller.start)
                group.start_soon(self._write, heard, bell)
                group.start_soon(self._keep_couriers)
                group.start_soon(self._digests)
                group.start_soon(self._well_meanwhile)
                async for event in events:
                    if len(heard) >= HEARD:
                        heard.clear()
                        heard.append(Event("lost"))
                    heard.append(event)
                    bell.set()

    async def _write(self, heard: deque[Event], bell: Wake) -> None:
        while True:
            seen = bell.count
            if not heard:
                await bell.wait(seen, math.inf)
                continue
            taken = [heard.popleft() for _ in range(min(len(heard), AT_ONCE))]
            if self._teller.listens:
                await anyio.to_thread.run_sync(self._teller.take, taken)
                self._wake.set()

    async def _keep_couriers(self) -> None:
        """Have a courier for each channel that the settings name, and none else."""
        async with anyio.create_task_group() as group:
            while True:
                seen = self._current.changed.count
                wanted: dict[str, Hook | None] = {hooks.channel_of(hook): hook for hook in self._current.settings.hooks}
                if self._teller.on:
                    wanted[NTFY] = None
                for channel in self._couriers.keys() - wanted.keys():
                    self._couriers.pop(channel).cancel()
                    await anyio.to_thread.run_sync(self._ledger.outbox.clear, channel)
                    self._well(channel)
                for channel in wanted.keys() - self._couriers.keys():
                    self._couriers[channel] = anyio.CancelScope()
                    group.start_soon(self._carry, channel, self._couriers[channel])
                await self._current.changed.wait(seen, math.inf)

    async def _carry(self, channel: str, scope: anyio.CancelScope) -> None:
        if channel == NTFY:
            courier = Courier(
                NTFY,
                ledger=self._ledger,
                clock=self._clock,
                wake=self._wake,
                deliver=self._tell,
                hopeless=lambda parcel, error: error.code == "ntfy.refused",
                told=self._how_it_went,
                address=lambda: self._ntfy,
            )
        else:
            courier = Courier(
                channel,
                ledger=self._ledger,
                clock=self._clock,
                wake=self._wake,
                deliver=self._call,
                hopeless=lambda parcel, error: (
                    error.code == "hook.refused"
                    or (error.code == "hook.failed" and parcel.attempts >= hooks.MOST_TRIES)
                ),
                told=lambda error: self._how_the_hook_went(channel, error),
                address=lambda: self._hook(channel),
            )
        with scope:
            try:
                await courier.run()
            finally:
                # A loop that is begun anew begins with none.
                if self._couriers.get(channel) is scope:
                    del self._couriers[channel]

    async def _well_meanwhile(self) -> None:
        await self._clock.sleep(PATIENCE)
        if self._teller.on:
            await anyio.to_thread.run_sync(self._teller.forget_over)
            self._wake.set()

    # -- ntfy ---------------------------------------------------------------------------------------------------

    async def _tell(self, parcel: Parcel) -> None:
        loud = priority(loudness(self._ntfy, parcel.kind, str(parcel.body.get("of", ""))))
        if not loud:
            return  # switched off meanwhile
        message, dropped = await anyio.to_thread.run_sync(self._message, parcel, loud)
        await ntfy.publish(self._ntfy, message)
        self._sent_at = self._clock.wall()
        await anyio.to_thread.run_sync(self._sent, parcel, dropped)

    def _message(self, parcel: Parcel, loud: int) -> tuple[dict[str, Any], int]:
        """Put a parcel into ntfy's form, and tell how many dropped ones it owns up to."""
        now = self._clock.wall()
        items = list(parcel.body.get("items", {}).values())
        code = str(items[0].get("code", "")) if items and parcel.kind != "issue.closed" else ""
        known = Known(self.zone, now, self._ledger.outbox.stuck(code) if code else {})
        said = words(parcel.kind, parcel.body, known)
        dropped = self._ledger.outbox.dropped(NTFY)
        if dropped:
            were = "was" if dropped == 1 else "were"
            note = f"({count_in_words(dropped, 'earlier message')} could not be told and {were} dropped.)"
            said = replace(said, text=f"{said.text}\n{note}" if said.text else note)
        sequence = parcel.body.get("sequence")
        if parcel.kind == "issue.closed" and len({item.get("sequence") for item in items}) == 1:
            sequence = items[0].get("sequence") or sequence
        page = self._current.settings.ui.url

        def token(deed: Deed) -> str:
            return self.buttons.offer(parcel.id, deed, now)

        return in_form(said, loud, page, sequence=sequence, token=token), dropped

    def _sent(self, parcel: Parcel, dropped: int) -> None:
        if dropped:
            self._ledger.outbox.told_dropped(NTFY, dropped)
        self._teller.sent(parcel)

    def _how_it_went(self, error: RelayError | None) -> None:
        if error is None:
            self._trouble = self._trouble_since = None
            self._issues.clear(NTFY)
            return
        if self._trouble is None or self._trouble.code != error.code:
            self._trouble_since = self._clock.wall()
        self._trouble = error
        self._issues.report(NTFY, error)

    async def test(self) -> dict[str, Any]:
        """Send a message now, past the outbox; raises what the server refused it with, in its own words."""
        answer = await send_test(self._current.settings)
        self._how_it_went(None)
        self._sent_at = self._clock.wall()
        await anyio.to_thread.run_sync(self._ledger.outbox.try_now, NTFY)
        self._wake.set()
        return answer

    async def status(self) -> dict[str, Any]:
        """Tell how it is with messages, in the form of a lamp."""
        waiting = await anyio.to_thread.run_sync(self._ledger.outbox.count, NTFY)
        dropped = await anyio.to_thread.run_sync(self._ledger.outbox.dropped, NTFY)
        detail = {"waiting": waiting, "dropped": dropped, "last_sent": iso(self._sent_at)}
        found = {"id": NTFY, "name": "ntfy", "hint": "", "code": "", "since": None, "detail": detail}
        if not self._teller.on:
            return found | {"state": "off", "message": "no messages are sent: notify.ntfy.url is empty"}
        if self._trouble is None:
            state = "ok" if self._sent_at is not None else "unknown"
            return found | {"state": state, "message": "messages arrive" if state == "ok" else "nothing was sent yet"}
        trouble = self._trouble
        told = {"message": trouble.message, "hint": trouble.hint, "code": trouble.code}
        state = "error" if isinstance(trouble, NeedsPerson) else "warning"
        return found | told | {"state": state, "since": iso(self._trouble_since)}

    # -- hooks --------------------------------------------------------------------------------------------------

    def _hook(self, channel: str) -> Hook | None:
        return next((hook for hook in self._current.settings.hooks if hooks.channel_of(hook) == channel), None)

    async def _call(self, parcel: Parcel) -> None:
        hook = self._hook(parcel.channel)
        if hook is not None:
            await hooks.call(hook, parcel, self._clock.wall())

    def _how_the_hook_went(self, channel: str, error: RelayError | None) -> None:
        if error is None:
            self._well(channel)
            return
        hook = self._hook(channel)
        if hook is not None:
            self._unwell[channel] = hooks.name_of(hook)
            self._issues.report(self._unwell[channel], error)

    def _well(self, channel: str) -> None:
        if channel == NTFY:
            self._trouble = self._trouble_since = None
        self._issues.clear(NTFY if channel == NTFY else self._unwell.pop(channel, ""))

    # -- the digest ---------------------------------------------------------------------------------------------

    @property
    def zone(self) -> ZoneInfo:
        """Give the time zone in which people read times."""
        return ZoneInfo(zone_name(self._current.settings.ui.timezone, os.environ))

    async def _digests(self) -> None:
        while True:
            seen = self._current.changed.count
            wanted = bool(self._ntfy.digest) and self._teller.on
            if wanted and await anyio.to_thread.run_sync(self.digest):
                self._wake.set()
            await self._current.changed.wait(seen, EVERY if wanted else math.inf)

    def digest(self) -> bool:
        """Write down the day's summary where it is time for it and it has not been; tell whether. Blocking."""
        now = self._clock.wall()
        here = datetime.fromtimestamp(now, self.zone)
        hour, minute = map(int, self._ntfy.digest.split(":"))
        due = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
        if due > here:
            due = (due - timedelta(days=1)).replace(hour=hour, minute=minute)
        moment = due.timestamp()
        last = float(self._ledger.marks.get(_DIGEST) or 0.0)
        if last >= moment or now - moment > LATE:
            return False
        # The first one, and one after a long time, tell of a day and no more.
        start = last if 0 < moment - last < 2 * 86400 else moment - 86400
        with self._ledger.write():
            self._ledger.marks.put(_DIGEST, str(moment))
            if loudness(self._ntfy, "digest") == "off":
                return False
            body = self._ledger.outbox.day(start, moment)
            body["issues"] = [issue.message for issue in self._issues.all() if issue.code != "user.new"]
            self._ledger.outbox.put(NTFY, "digest", body, now, stale_at=now + LATE)
        return True
