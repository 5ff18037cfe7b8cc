"""A house for messages: a real ledger, a bus, issues, settings that a test may change, and an ntfy server."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from daemon.clock import Clock
from daemon.current import Current
from daemon.errors import NeedsPerson, Transient
from daemon.events import Bus
from daemon.fingerprint import Fingerprint
from daemon.issues import Issues
from daemon.ledger.ledger import Ledger
from daemon.ledger.model import State
from daemon.notify import courier, messages, teller
from daemon.notify.messages import Messages
from daemon.settings import Settings
from tests.standins.ntfy import NtfyStandIn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path


class House:
    """Everything that messages need, without the relay."""

    def __init__(self, root: Path, url: str) -> None:
        self.url = url
        self.clock = Clock()
        self.ledger = Ledger(str(root))
        self.current = Current(Settings())
        self.bus = Bus()
        self.issues = Issues(self.bus, self.clock)
        self.set()
        self.messages = self.anew()

    def anew(self) -> Messages:
        return Messages(self.ledger, self.current, self.issues, self.bus, self.clock)

    def set(self, *, ui: dict[str, Any] | None = None, hooks: list[dict[str, Any]] | None = None, **ntfy: Any) -> None:
        """Put settings in force; what is not given has a default for tests."""
        told = {"url": self.url, "topic": "photos", "quiet": "0", **ntfy}
        page = {"url": "https://relay.example", "timezone": "Europe/Berlin"} if ui is None else ui
        self.current.settings = Settings.model_validate({"notify": {"ntfy": told}, "ui": page, "hooks": hooks or []})

    @asynccontextmanager
    async def running(self, parts: Messages | None = None) -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon((parts or self.messages).run)
            await anyio.sleep(0.1)  # until it listens
            yield
            group.cancel_scope.cancel()

    def trouble(self, about: str = "archive", code: str = "photoprism.unreachable", **words: str) -> None:
        told = {"message": "PhotoPrism does not answer", "hint": "is it running?"} | words
        kind = NeedsPerson if code.startswith(("user.", "config.")) else Transient
        self.issues.report(about, kind(code, told["message"], hint=told["hint"]))

    def photo(self, name: str, user: str = "alice", state: State = State.WAITING, **columns: Any) -> int:
        now = self.clock.wall()
        path = f"InstantUpload/{name}"
        number = self.ledger.photos.add(user, "InstantUpload", path, "main", Fingerprint(1, 1000, 1, 1), now)
        if state is State.WAITING:
            error = Transient(columns.pop("code", "photoprism.unreachable"), "PhotoPrism does not answer")
            self.ledger.photos.wait([number], State.SETTLED, error, now, now + 60)
        elif state is State.HELD:
            error_held = NeedsPerson(columns.pop("code", "archive.hidden"), columns.pop("message", "It is hidden."))
            self.ledger.photos.hold([number], error_held, now)
        else:
            self.ledger.photos.advance([number], state, now, **columns)
        return number


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    with anyio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110  the server's side has no event of ours
            await anyio.sleep(0.01)


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teller, "SOON", 0.2)
    monkeypatch.setattr(courier, "GAP", 0.0)
    monkeypatch.setattr(courier, "pause", lambda attempts, wanted=None: 0.1)
    monkeypatch.setattr(messages, "EVERY", 1.0)


@pytest.fixture
async def server() -> AsyncIterator[NtfyStandIn]:
    async with NtfyStandIn() as found:
        yield found


@pytest.fixture
def house(tmp_path: Path, server: NtfyStandIn) -> Iterator[House]:
    found = House(tmp_path, server.url)
    yield found
    found.ledger.close()
