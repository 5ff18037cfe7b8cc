"""Messages, as a front end may ask for them: a test, what a button does, how it is with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio.to_thread

from daemon.errors import NeedsPerson, RelayError
from daemon.notify.form import send_test
from daemon.notify.messages import Messages
from daemon.text import count_in_words, shown

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.events import Bus
    from daemon.issues import Issues
    from daemon.ledger.ledger import Ledger
    from daemon.notify.buttons import Deed
    from daemon.service.service import Service
    from daemon.settings import Settings


async def test_alone(settings: Settings) -> dict[str, Any]:
    """Send a message as a test where no daemon runs; give what ``service.notify.test`` gives."""
    return await _tried(send_test(settings), settings)


async def _tried(sending: Awaitable[dict[str, Any]], settings: Settings) -> dict[str, Any]:
    server = shown(settings.notify.ntfy.url)
    try:
        answer = await sending
    except RelayError as error:
        return {"sent": False, "server": server, **error.as_dict()}
    words = f"taken, as message {shown(str(answer.get('id', '')), 40)}"
    return {"sent": True, "server": server, "message": words, "code": "", "hint": ""}


class NotifyRoom:
    """``service.notify``."""

    def __init__(
        self,
        service: Service,
        ledger: Ledger,
        current: Current,
        issues: Issues,
        bus: Bus,
        clock: Clock,
    ) -> None:
        self._service = service
        self._messages = Messages(ledger, current, issues, bus, clock)
        self._current = current
        self._clock = clock

    async def run(self) -> None:
        """Listen to what happens and tell it, for ever."""
        await self._messages.run()

    async def test(self, who: str = "") -> dict[str, Any]:
        """Send a message now and give what the server said; a refusal is an answer, in the server's own words."""
        return await _tried(self._messages.test(), self._current.settings)

    async def status(self) -> dict[str, Any]:
        """Give the lamp: ``state`` (ok, warning, error, off or unknown), message, hint, code, since and detail."""
        return await self._messages.status()

    async def act(self, token: str, address: str) -> str:
        """Do what a message's button stands for, once, and say in a sentence what was done.

        Raises:
            NeedsPerson: ``act.unknown``, ``act.used``, ``act.expired``, ``user.unknown``.

        """
        deed = await anyio.to_thread.run_sync(self._messages.buttons.redeem, token, self._clock.wall())
        try:
            said = await self._do(deed, f"ntfy button {address}")
        except BaseException:
            # What was not done may be pressed again.
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._messages.buttons.not_done, token)
            raise
        await anyio.to_thread.run_sync(self._messages.buttons.done, deed, self._clock.wall())
        return said

    async def _do(self, deed: Deed, who: str) -> str:
        if deed.deed == "retry":
            count = await self._service.retry_code(deed.subject, who)
            return f"{count_in_words(count, 'photo')} {'is' if count == 1 else 'are'} tried again now."
        if deed.deed in {"include", "exclude"}:
            return await self._decide(deed.subject, deed.deed, who)
        raise NeedsPerson("act.unknown", "this button is not known here", hint="open the page instead")

    async def _decide(self, user: str, decision: str, who: str) -> str:
        await self._service.users.patch(user, {"decision": decision}, who)
        if decision == "include":
            return f"{shown(user)} is included: new photos are relayed from now on."
        return f"{shown(user)} is excluded: nothing of theirs is touched."
