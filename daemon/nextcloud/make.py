"""Making the way to ``occ`` that the settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.nextcloud.container import DockerRunner
from daemon.nextcloud.occ import Occ
from daemon.nextcloud.runner import CommandRunner

if TYPE_CHECKING:
    from daemon.clock import Clock
    from daemon.docker.engine import Engine
    from daemon.nextcloud.runner import Runner
    from daemon.settings import Occ as OccSettings


def make_occ(settings: OccSettings, clock: Clock, engine: Engine) -> Occ | None:
    """Give the door to ``occ``, or ``None`` where it is off. Nothing is connected or run yet.

    ``engine`` is used with ``via: docker``; who made it closes it.
    """
    runner: Runner
    if settings.via == "off":
        return None
    if settings.via == "command":
        runner = CommandRunner(list(settings.command))
    else:
        command = settings.command if isinstance(settings.command, str) else list(settings.command)
        runner = DockerRunner(engine, settings.container, user=settings.user, command=command)
    return Occ(runner, timeout=settings.timeout, clock=clock)
