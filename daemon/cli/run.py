"""``photon-relay run``."""

from __future__ import annotations

import logging
import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING

from daemon.cli.garbage import look_seldom
from daemon.logs import set_up
from daemon.settings.beside import keep_schema
from daemon.settings_file import ensure_default
from daemon.settings_torn import load_at_start
from daemon.text import shown
from daemon.watch.early import Early

if TYPE_CHECKING:
    from argparse import Namespace

_AT_ONCE = 5.0
"""Seconds for which nothing is loaded that would keep the first watch waiting; a slow disk takes longer anyway."""


def run(arguments: Namespace) -> int:
    """Run the daemon until it is told to stop."""
    # Until the daemon listens to it itself: told to stop while it starts, it ends well too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    made = ensure_default(arguments.config)
    loaded = load_at_start(arguments.config, os.environ)
    set_up(loaded.settings.log.level, loaded.settings.log.format)
    if made:
        logging.getLogger("daemon").warning(
            "first start: %s was made, with every setting explained; `photon-relay check` says what is to be filled in",
            shown(str(arguments.config)),
        )
    for warning in loaded.warnings:
        logging.getLogger("daemon").warning("%s", warning)
    settings = loaded.settings
    early = Early(settings.nextcloud.data, settings.users.included, settings.watch.mode)
    early.wait(_AT_ONCE)
    keep_schema(arguments.config)
    # The whole program, most of which takes its time to load: that the folders are watched need not wait for it.
    import anyio

    from daemon.lifetime import Locked, run_daemon

    look_seldom()
    try:
        anyio.run(partial(run_daemon, loaded, os.environ, early=early))
    except Locked:
        print(f"photon-relay: another daemon runs over {settings.state} already", file=sys.stderr)
        return 1
    return 0
