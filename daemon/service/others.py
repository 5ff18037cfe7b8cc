"""Other relays, where the storage is spread over several nodes: one page shows how each of them is.

Each runs by itself, with a ledger of its own; this one asks the others for their summaries, nothing else, and never
changes anything there.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import aiohttp
import anyio

from daemon.clock import iso
from daemon.text import shown

if TYPE_CHECKING:
    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.settings import Other

WITHIN = 5.0
"""Seconds for one of them to answer."""
LARGEST = 64 << 10
"""Bytes of an answer at most."""
KEPT = 10.0
"""Seconds for which an answer is good, however many look at the page."""
_WORDS = {"version": 60, "state": 20, "first_issue": 400, "last_photo_at": 40, "running_since": 40}
_NUMBERS = ("done_today", "done_total", "bytes_total", "photos_under_way", "photos_waiting", "photos_held", "issues")


class Others:
    """The summaries of the relays in ``ui.others``."""

    def __init__(self, current: Current, clock: Clock) -> None:
        self._current = current
        self._clock = clock
        self._asking = anyio.Lock()
        self._known: tuple[tuple[Other, ...], float, list[dict[str, Any]]] = ((), float("-inf"), [])

    async def list(self) -> list[dict[str, Any]]:
        """Ask all of them at once; one that does not answer is told with why, and keeps no other waiting."""
        async with self._asking:
            wanted = self._current.settings.ui.others
            others, at, found = self._known
            if others == wanted and self._clock.monotonic() - at < KEPT:
                return found
            answers: dict[int, dict[str, Any]] = {}

            async def ask(number: int, other: Other) -> None:
                answers[number] = await self._ask(session, other)

            timeout = aiohttp.ClientTimeout(total=WITHIN)
            async with aiohttp.ClientSession(timeout=timeout) as session, anyio.create_task_group() as group:
                for number, other in enumerate(wanted):
                    group.start_soon(ask, number, other)
            found = [answers[number] for number in range(len(wanted))]
            self._known = wanted, self._clock.monotonic(), found
            return found

    async def _ask(self, session: aiohttp.ClientSession, other: Other) -> dict[str, Any]:
        told: dict[str, Any] = {"name": shown(other.name, 60), "url": other.url, "at": iso(self._clock.wall())}
        headers = (
            {"Authorization": f"Bearer {other.token.get_secret_value()}"} if other.token.get_secret_value() else {}
        )
        try:
            # A redirect would take the token somewhere else.
            async with session.get(
                f"{other.url.rstrip('/')}/api/v1/summary", headers=headers, allow_redirects=False
            ) as answer:
                content = await answer.content.read(LARGEST + 1)
                while len(content) <= LARGEST and (more := await answer.content.read(LARGEST)):
                    content += more
                if answer.status != 200:
                    return {**told, "summary": None, "trouble": _refused(answer.status)}
            return {**told, "summary": _summary(content), "trouble": ""}
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            words = "does not answer" if isinstance(error, TimeoutError) else "cannot be reached"
            return {**told, "summary": None, "trouble": words}
        except (ValueError, TypeError, RecursionError):
            return {**told, "summary": None, "trouble": "answered something that is no summary of a relay"}


def _refused(status: int) -> str:
    if status in {401, 403}:
        return f"wants an API token that may read (status {status}): make one there, and put it into ui.others here"
    return f"answered with status {status}"


def _summary(content: bytes) -> dict[str, Any]:
    """Take out of another machine's answer what is shown, each in the form that it must have."""
    if len(content) > LARGEST:
        raise ValueError("too long")
    given = json.loads(content)
    if not isinstance(given, dict):
        raise TypeError("no object")
    return {
        **{name: shown(str(given.get(name) or ""), most) for name, most in _WORDS.items()},
        **{name: int(given.get(name) or 0) for name in _NUMBERS},
    }
