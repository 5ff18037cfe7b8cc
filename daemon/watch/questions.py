"""Questions to people's disks: one that takes long to answer, or never does, holds up its owner only.

A call into a hanging disk (a network share that is away) ends when that disk answers, or never, and no limit ends it.
So each question has a thread of its own. It may only look: who asked has long gone on when the answer comes.
"""

from __future__ import annotations

import asyncio
import errno
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

HUNG = 30.0
"""Seconds after which a disk is no longer waited for, by its owner either."""
SOON = 2.0
"""The same where others wait."""


class Question(Generic[T]):
    """One call in a thread of its own; from the event loop only."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = anyio.Event()
        self._answer: tuple[T] | None = None
        self._error: BaseException | None = None
        # The program ends without it.
        threading.Thread(target=self._ask, args=(call,), name="question", daemon=True).start()

    @property
    def over(self) -> bool:
        """Tell whether the disk has answered."""
        return self._over.is_set()

    async def wait(self, seconds: float) -> bool:
        """Wait for the answer for so long at most; tell whether it is there."""
        with anyio.move_on_after(seconds):
            await self._over.wait()
        return self.over

    def answer(self) -> T:
        """Give what the call gave, or raise what it raised; once, when it is over."""
        if self._error is not None:
            raise self._error
        assert self._answer is not None  # noqa: S101  it is over
        (found,), self._answer = self._answer, None
        return found

    def _ask(self, call: Callable[[], T]) -> None:
        try:
            self._answer = (call(),)
        except BaseException as error:  # noqa: BLE001 - raised where the answer is asked for
            self._error = error
        del call
        with suppress(RuntimeError):  # the program has ended meanwhile
            self._loop.call_soon_threadsafe(self._over.set)


class Questions:
    """At most one open question for each user (or whatever ``whose`` names): none more hangs at each try."""

    def __init__(self) -> None:
        self._open: dict[str, Question[Any]] = {}

    def ask(self, whose: str, call: Callable[[], T]) -> Question[T]:
        """Ask; raises ``OSError`` (``ETIMEDOUT``) where the question before has no answer yet."""
        before = self._open.get(whose)
        if before is not None and not before.over:
            raise no_answer()
        question = self._open[whose] = Question(call)
        return question

    async def answer(self, whose: str, call: Callable[[], T], within: float) -> T:
        """Ask, and wait for the answer, and for that of a question before it; raises as ``ask`` does."""
        until = time.monotonic() + within
        # Others may wait for it too, and ask first.
        while (before := self._open.get(whose)) is not None and not before.over:
            if not await before.wait(until - time.monotonic()):
                raise no_answer()
        question = self.ask(whose, call)
        if not await question.wait(within):
            raise no_answer()
        return question.answer()


class Asking:
    """Whose disk one call that looks at many people's is at; ``hanging`` are those that it passes over."""

    def __init__(self, hanging: frozenset[str]) -> None:
        self.hanging = hanging
        self.given_up = False
        """Nobody waits for this look any more: it ends as soon as the disk answers that it hangs at."""
        self.whose = ""
        """Empty while it is nobody's in particular."""
        self._since = time.monotonic()

    def passes_over(self, path: str) -> bool:
        """Say that this path (relative to the data root) comes next; tell whether it is passed over."""
        self._since, self.whose = time.monotonic(), path.partition("/")[0]
        return self.given_up or self.whose in self.hanging

    def hangs(self) -> str:
        """Give whose disk has not answered for too long; empty for nobody's."""
        return self.whose if time.monotonic() - self._since > SOON else ""


def no_answer() -> OSError:
    """Give the error of a disk that does not answer."""
    return OSError(errno.ETIMEDOUT, "its disk does not answer")
