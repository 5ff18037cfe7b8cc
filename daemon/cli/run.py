"""``photon-relay run`` and ``check``."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING

import anyio

from daemon.checks.check import exit_code
from daemon.checks.lines import lines
from daemon.checks.run import Surroundings, run_checks
from daemon.clock import Clock
from daemon.docker.engine import Engine
from daemon.lifetime import Locked, run_daemon
from daemon.logs import set_up
from daemon.nextcloud.make import make_occ
from daemon.photoprism.client import PhotoPrism
from daemon.settings.beside import keep_schema
from daemon.settings_file import ensure_default, load
from daemon.settings_torn import load_at_start
from daemon.text import shown

if TYPE_CHECKING:
    from argparse import Namespace

    from daemon.checks.check import Check
    from daemon.settings import Settings


def run(arguments: Namespace) -> int:
    """Run the daemon until it is told to stop."""
    # Until the daemon listens to it itself: told to stop while it starts, it ends well too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    made = ensure_default(arguments.config)
    loaded = load_at_start(arguments.config, os.environ)
    keep_schema(arguments.config)
    set_up(loaded.settings.log.level, loaded.settings.log.format)
    if made:
        logging.getLogger("daemon").warning(
            "first start: %s was made, with every setting explained; `photon-relay check` says what is to be filled in",
            shown(str(arguments.config)),
        )
    for warning in loaded.warnings:
        logging.getLogger("daemon").warning("%s", warning)
    try:
        anyio.run(partial(run_daemon, loaded, os.environ))
    except Locked:
        print(f"photon-relay: another daemon runs over {loaded.settings.state} already", file=sys.stderr)
        return 1
    return 0


def check(arguments: Namespace) -> int:
    """Look at everything a start needs, a line each."""
    loaded = load(arguments.config, os.environ)
    found = anyio.run(_check, loaded.settings)
    if arguments.json:
        print(json.dumps([one.as_dict() for one in found], indent=2, ensure_ascii=False))
    else:
        for line in [*loaded.warnings, *lines(found, colour=sys.stdout.isatty())]:
            print(line)
    return exit_code(found)


async def _check(settings: Settings) -> list[Check]:
    clock = Clock()
    engine = Engine()
    prism = None
    if settings.archive.via == "photoprism":
        prism = PhotoPrism(settings.photoprism.url, settings.photoprism.token.get_secret_value(), clock=clock)
    try:
        occ = make_occ(settings.nextcloud.occ, clock, engine)
        return await run_checks(Surroundings(settings, occ, prism, clock))
    finally:
        await engine.aclose()
        if prism is not None:
            await prism.close()
