"""``photon-relay health``: for a HEALTHCHECK every half minute, so it imports as little as it can."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import TYPE_CHECKING

import anyio

from daemon.control import ask
from daemon.settings_file import load

if TYPE_CHECKING:
    from argparse import Namespace


def health(arguments: Namespace) -> int:
    """Ask the running daemon whether it is well."""
    settings = load(arguments.config, os.environ).settings
    end = anyio.run(partial(ask, settings.state, {"do": "health"}, print, within=10.0))
    if end is None:
        print("no daemon is running", file=sys.stderr)
        return 1
    print("ok" if end["exit"] == 0 else f"not well: {end['end']}")
    return int(end["exit"])
