"""The one container: looked for anew each time, so that it follows Swarm's tasks as they are replaced."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from daemon.docker.find import COMPOSE_SERVICE, SWARM_SERVICE, choose
from daemon.errors import RelayError
from daemon.gate.denied import Denied

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.docker.engine import Container


def visible(wanted: str, containers: Sequence[Container]) -> list[Container]:
    """Give the containers that a client may see: the one that is meant.

    Where none is (it does not run, or there are two), those that could be, so that the daemon can say what is wrong.
    """
    try:
        return [choose(wanted, containers)]
    except RelayError:
        return [container for container in containers if _could_be(wanted, container)]


def entry(wanted: str, container: Container) -> dict[str, Any]:
    """Give a container as the engine lists it, cut to what it takes to find it."""
    keys = {SWARM_SERVICE, COMPOSE_SERVICE, wanted.partition("=")[0]}
    return {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "State": container.state,
        "Labels": {key: value for key, value in container.labels.items() if key in keys},
    }


def resolve(wanted: str, named: str, containers: Sequence[Container]) -> Container:
    """Give the container that is meant, if ``named`` (its id or its name) is it.

    Raises:
        Denied: 404 where it is gone, or was replaced since it was listed, as the engine itself would say; 409 where
            several are meant; 403 where another container is named.

    """
    others = [container for container in containers if named in {container.id, container.name}]
    if any(not _could_be(wanted, container) for container in others):
        raise Denied("that container is not the one that is allowed")
    try:
        found = choose(wanted, containers)
    except RelayError as error:
        raise Denied(error.message, status=409 if error.code == "docker.ambiguous" else 404) from None
    if named not in {found.id, found.name}:
        raise Denied("no such container: it is gone, or was replaced", status=404)
    return found


def _could_be(wanted: str, container: Container) -> bool:
    """Tell whether it would be the one if it ran and were alone."""
    try:
        choose(wanted, [replace(container, state="running")])
    except RelayError:
        return False
    return True
