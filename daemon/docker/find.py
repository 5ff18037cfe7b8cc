"""Which container is meant: a name, a Swarm service, a Compose service, or ``label=value``.

Names of Swarm tasks end in a random id and change with every update, so it is looked for each time anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.docker.engine import missing
from daemon.errors import NeedsPerson
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.docker.engine import Container

SWARM_SERVICE: Final = "com.docker.swarm.service.name"
COMPOSE_SERVICE: Final = "com.docker.compose.service"


def choose(wanted: str, containers: Iterable[Container]) -> Container:
    """Choose the one running container that ``wanted`` means.

    A container's own name goes before a Swarm service, and that before a Compose service; ``label=value`` is taken
    as such, since ``=`` is in no name. A label without a value is ``label=``.

    Raises:
        Transient: ``docker.container_missing``, none is there, or it does not run.
        NeedsPerson: ``docker.ambiguous``, several are meant.

    """
    known = list(containers)
    stopped: list[Container] = []
    for candidates in _ways(wanted, known):
        running = [container for container in candidates if container.state == "running"]
        if len(running) == 1:
            return running[0]
        if running:
            names = ", ".join(sorted(shown(container.name, 80) for container in running))
            raise NeedsPerson(
                "docker.ambiguous",
                f"{shown(wanted)} means more than one running container: {names}. occ is not asked until one is left.",
                hint="Set nextcloud.occ.container to the name of one of them, or to a label=value that only one has.",
                containers=[container.name for container in running],
            )
        stopped += candidates
    if stopped:
        raise missing(f"The container {shown(stopped[0].name, 80)} is there but {shown(stopped[0].state, 20)}.")
    raise missing(f"There is no container {shown(wanted, 80)} on this machine.")


def _ways(wanted: str, known: list[Container]) -> list[list[Container]]:
    """Give what each way to read ``wanted`` finds, the most exact way first."""
    if "=" in wanted:
        label, _, value = wanted.partition("=")
        return [[container for container in known if container.labels.get(label) == value]]
    ways = [[container for container in known if container.name == wanted]]
    ways += [
        [container for container in known if container.labels.get(label) == wanted]
        for label in (SWARM_SERVICE, COMPOSE_SERVICE)
    ]
    return ways
