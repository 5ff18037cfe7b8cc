"""The whole daemon in this process over a playground: real files, a folder archive, a real page on loopback."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import aiohttp
import anyio
import yaml

from daemon.demo.playground import Playground
from daemon.lifetime import run_daemon
from daemon.settings_file import load
from tests.e2e.world import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from daemon.front import Front
    from daemon.ledger.ledger import Ledger

PATIENCE = 20.0


class House:
    """A running daemon and a browser's worth of calls to it."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.playground = Playground(folder)
        self.playground.make(self.port)
        self.front: Front
        self.ledger: Ledger
        self.session: aiohttp.ClientSession
        self.csrf = ""

    def configure(self, **sections: dict[str, Any]) -> None:
        """Change sections of the configuration file."""
        settings = self.playground.settings(self.port)
        for section, values in sections.items():
            settings[section] = {**settings.get(section, {}), **values}
        head = self.playground.config.read_text().splitlines(keepends=True)[0]
        fresh = self.playground.config.with_suffix(".new")
        fresh.write_text(head + yaml.safe_dump(settings))
        fresh.replace(self.playground.config)

    @asynccontextmanager
    async def open(self, *, ready: bool = True) -> AsyncIterator[House]:
        """Run it; with ``ready`` wait until it answers and relays."""
        loaded = await asyncio.to_thread(load, self.playground.config, {})

        async def beside(front: Front, ledger: Ledger) -> None:
            self.front, self.ledger = front, ledger

        # Addresses get no cookies from a jar that is not told to take them.
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(self.url, cookie_jar=jar) as self.session:
            # A task, not a task group: a fixture begins and ends in two different tasks.
            running = asyncio.create_task(run_daemon(loaded, {}, beside))
            try:
                if ready:
                    await self.until_ready()
                    await self.log_in()
                yield self
            finally:
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running

    async def until_ready(self) -> None:
        """Wait until ``/readyz`` says so."""
        with anyio.fail_after(PATIENCE):
            while True:
                try:
                    async with self.session.get("/readyz") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientConnectionError:
                    pass
                await anyio.sleep(0.05)

    async def log_in(self) -> None:
        """Get the session's CSRF token."""
        self.csrf = (await self.get("/session"))["csrf"]

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        """Ask something below ``/api/v1``; give the status and the JSON."""
        headers = {"X-CSRF-Token": self.csrf, **more.pop("headers", {})}
        async with self.session.request(method, f"/api/v1{path}", headers=headers, **more) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    async def get(self, path: str) -> Any:
        """Get something that is there."""
        status, found = await self.ask("GET", path)
        assert status == 200, found
        return found

    async def until(self, wanted: Any, what: str) -> None:
        """Wait until ``wanted()`` holds."""
        with anyio.move_on_after(PATIENCE):
            while True:
                if wanted():
                    return
                await anyio.sleep(0.02)
        raise AssertionError(f"waited in vain for {what}")
