from __future__ import annotations

import pytest

from daemon.docker.engine import Container
from daemon.docker.find import COMPOSE_SERVICE, SWARM_SERVICE, choose
from daemon.errors import NeedsPerson, Transient


def container(name: str, state: str = "running", **labels: str) -> Container:
    return Container(f"id-{name}", name, state, {key.replace("_", "."): value for key, value in labels.items()})


NEXTCLOUD = container("nextcloud")
TASK = Container("1", "cloud_nextcloud.1.abcdefghijklmnopqrstuvwxy", "running", {SWARM_SERVICE: "cloud_nextcloud"})
COMPOSE = Container("2", "home-nextcloud-1", "running", {COMPOSE_SERVICE: "nextcloud", "role": "gallery=1"})


def test_a_name_goes_before_a_service() -> None:
    assert choose("nextcloud", [COMPOSE, NEXTCLOUD]) is NEXTCLOUD
    assert choose("nextcloud", [COMPOSE, TASK]) is COMPOSE
    assert choose("cloud_nextcloud", [COMPOSE, TASK]) is TASK
    assert choose("home-nextcloud-1", [NEXTCLOUD, COMPOSE]) is COMPOSE


def test_a_label_with_its_value() -> None:
    assert choose("role=gallery=1", [NEXTCLOUD, COMPOSE]) is COMPOSE
    with pytest.raises(Transient, match=r"docker\.container_missing"):
        choose("role=", [NEXTCLOUD, COMPOSE])


def test_only_whole_names_count() -> None:
    for wanted in ("next", "nextcloud-1", "ID-nextcloud", ".*"):
        with pytest.raises(Transient, match=r"There is no container"):
            choose(wanted, [NEXTCLOUD])


def test_what_does_not_run_does_not_count() -> None:
    old = Container("0", "cloud_nextcloud.1.old", "exited", {SWARM_SERVICE: "cloud_nextcloud"})
    assert choose("cloud_nextcloud", [old, TASK]) is TASK
    for state in ("exited", "paused", "restarting"):
        with pytest.raises(Transient, match=f"there but {state}") as caught:
            choose("nextcloud", [container("nextcloud", state)])
        assert caught.value.code == "docker.container_missing"
    # A service that runs goes before a name that does not.
    assert choose("nextcloud", [container("nextcloud", "exited"), COMPOSE]) is COMPOSE


def test_two_are_named_and_none_is_chosen() -> None:
    second = Container("3", "home-nextcloud-2", "running", COMPOSE.labels)
    with pytest.raises(NeedsPerson, match=r"home-nextcloud-1, home-nextcloud-2") as caught:
        choose("nextcloud", [second, COMPOSE])
    assert caught.value.code == "docker.ambiguous"
    assert caught.value.context["containers"] == ["home-nextcloud-2", "home-nextcloud-1"]
