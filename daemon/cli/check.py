"""``photon-relay check``."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import anyio

from daemon.checks.check import exit_code
from daemon.checks.lines import lines
from daemon.checks.run import Surroundings, run_checks
from daemon.clock import Clock
from daemon.docker.engine import Engine
from daemon.nextcloud.make import make_occ
from daemon.photoprism.client import PhotoPrism
from daemon.settings_file import load

if TYPE_CHECKING:
    from argparse import Namespace

    from daemon.checks.check import Check
    from daemon.settings import Settings


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
