"""``photon-relay notify test``: a message as a test, and what the server said to it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import anyio

from daemon.control import ask
from daemon.service.notify import test_alone
from daemon.settings_file import load

if TYPE_CHECKING:
    from argparse import Namespace

    from daemon.settings import Settings

WITHIN = 60.0
"""Seconds for the running daemon's answer; its own call to the server ends long before."""


def test(arguments: Namespace) -> int:
    """Send a message: the running daemon does, so that it knows that messages arrive again; else this process."""
    settings = load(arguments.config, os.environ).settings
    tried = anyio.run(_test, settings)
    if tried.get("sent"):
        print(f"{tried['server']}: {tried['message']}")
        return 0
    print(f"photon-relay: {tried['message']} [{tried['code']}]", file=sys.stderr)
    if tried.get("hint"):
        print(f"  {tried['hint']}", file=sys.stderr)
    return 1


async def _test(settings: Settings) -> dict[str, Any]:
    end = await ask(settings.state, {"do": "notify test"}, print, within=WITHIN)
    found: dict[str, Any] = end["end"] if end is not None else await test_alone(settings)
    return found
