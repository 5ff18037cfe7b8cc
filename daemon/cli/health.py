"""``photon-relay health``: for a HEALTHCHECK every half minute, so it imports as little as it can."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import TYPE_CHECKING

import anyio

from daemon.control import ask

if TYPE_CHECKING:
    from argparse import Namespace


def health(arguments: Namespace) -> int:
    """Ask the running daemon whether it is well."""
    end = anyio.run(partial(ask, _state(arguments), {"do": "health"}, print, within=10.0))
    if end is None:
        print("no daemon is running", file=sys.stderr)
        return 1
    print("ok" if end["exit"] == 0 else f"not well: {end['end']}")
    return int(end["exit"])


def _state(arguments: Namespace) -> str:
    """Give the state folder, from the environment where it is there, as it is in the image.

    Then the file is not read: that takes most of the time, and a daemon is well though its file has a fault, since the
    last good one stays in force.
    """
    named = os.environ.get("PHOTON_RELAY__STATE", "")
    if named.startswith("/"):
        return named
    from daemon.settings_file import load

    return load(arguments.config, os.environ).settings.state
