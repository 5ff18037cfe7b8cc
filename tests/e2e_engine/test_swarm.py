"""``docker stack deploy`` of this repository's file: Nextcloud's task is replaced and the relay killed meanwhile."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e_engine import burglary, page
from tests.e2e_engine.engine import (
    PRISM_PORT,
    ROOT,
    TOKEN,
    Ground,
    docker,
    expected,
    occ_calls,
    prism_command,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(600)]

PASSWORD = "a password for the page"
SETTINGS = {
    "users": {"include": {"alice": {}, "bob": {}}, "exclude": ["admin"], "after": "delete"},
    "watch": {"settle": "1s", "partner": "2s", "batch": 20},
    "relay": {"min_free": "1MiB"},
}


class Stack:
    """One stack, its secret, its node's label; the stand-ins are further services of it."""

    def __init__(self, ground: Ground) -> None:
        self.ground, self.name = ground, ground.name
        here = ground.folder
        for made in (here / "state", here / "standin"):
            made.mkdir()
        ground.own("standin", 33)
        # The one line of swarm-config.yaml's head that makes owners and rights right on the node.
        mounts = ["--volume", f"{here}/state:/state", "--volume", f"{here}/photoprism/import:/photoprism/import"]
        as_root = ["--user", "0", "--env", "PHOTOPRISM_GID=1000", "--entrypoint", "photon-relay-folders"]
        docker("run", "--rm", "--network", "none", *as_root, *mounts, ground.image)
        (here / "settings.yaml").write_text(yaml.safe_dump(SETTINGS))
        (here / "token").write_text(TOKEN)
        docker("secret", "create", self.name, str(here / "token"))
        words = ["run", "--rm", "--interactive", "--network", "none", ground.image, "password", "--print"]
        (here / "hash").write_text(docker(*words, text=PASSWORD))
        docker("secret", "create", f"{self.name}-password", str(here / "hash"))
        self.node = docker("node", "ls", "--filter", "role=manager", "--quiet").splitlines()[0]
        docker("node", "update", "--label-add", f"photon-relay={self.name}", self.node)
        self.override = here / "override.yaml"
        constraints = {"placement": {"constraints": [f"node.labels.photon-relay == {self.name}"]}}
        services = {
            "nextcloud": {
                "image": ground.standins,
                "init": True,
                "volumes": [
                    f"{here}/nextcloud:/data",
                    f"{here}/photoprism/originals:/album:ro",
                    f"{here}/standin:/standin",
                ],
                "stop_grace_period": "1s",
                "deploy": constraints,
            },
            "prism": {
                "image": ground.standins,
                "init": True,
                "user": "1000:1000",
                "command": prism_command(),
                "volumes": [f"{here}/photoprism:/photoprism"],
                "networks": ["photos"],
                # Reached directly: kernels without ip_vs have no virtual addresses for services.
                "deploy": {**constraints, "endpoint_mode": "dnsrr"},
            },
        }
        self.override.write_text(yaml.safe_dump({"version": "3.9", "services": services}))

    def deploy(self) -> None:
        """Deploy as an administrator would, with what differs in the environment."""
        here = self.ground.folder
        environment = {
            "IMAGE": self.ground.image,
            "NODE_LABEL": self.name,
            "NEXTCLOUD_DATA": f"{here}/nextcloud",
            "PHOTOPRISM_FOLDER": f"{here}/photoprism",
            "PHOTOPRISM_GID": "1000",
            "PHOTOPRISM_URL": f"http://prism:{PRISM_PORT}",
            "NEXTCLOUD_SERVICE": f"{self.name}_nextcloud",
            "STATE": f"{here}/state",
            "TOKEN_SECRET": self.name,
            "PASSWORD_SECRET": f"{self.name}-password",
            "CONFIG_FILE": f"{here}/settings.yaml",
            "CONFIG_VERSION": self.name,
            "PORT": str(self.ground.port),
        }
        files = ["--compose-file", str(ROOT / "swarm-config.yaml"), "--compose-file", str(self.override)]
        docker("stack", "deploy", "--resolve-image", "never", *files, self.name, environment=environment)

    def task(self, service: str) -> str:
        """Give the id of the service's running container, empty while it has none."""
        label = f"label=com.docker.swarm.service.name={self.name}_{service}"
        found = docker("ps", "--quiet", "--no-trunc", "--filter", label, "--filter", "status=running").splitlines()
        return found[0] if found else ""

    def logs(self, service: str = "relay") -> str:
        """Give what all tasks of a service have said."""
        return docker("service", "logs", "--raw", f"{self.name}_{service}", check=False)

    def told(self) -> str:
        """Give everything that helps to see why something did not happen."""
        tasks = docker("stack", "ps", "--no-trunc", self.name, check=False)
        return "\n".join([self.logs("gate"), self.logs("prism"), self.logs(), tasks])

    def remove(self) -> None:
        """Take everything away again, and wait until it is gone."""
        docker("stack", "rm", self.name, check=False)
        mine = ["--all", "--quiet", "--filter", f"label=com.docker.stack.namespace={self.name}"]
        until(lambda: not docker("ps", *mine), "the stack gone", 60)
        docker("secret", "rm", self.name, f"{self.name}-password", check=False)
        docker("config", "rm", f"photon-relay-settings-{self.name}", check=False)
        docker("node", "update", "--label-rm", "photon-relay", self.node, check=False)
        until(
            lambda: "Error" not in docker("volume", "rm", "--force", f"{self.name}_gate", check=False), "no volume", 20
        )
        until(lambda: self.name not in docker("network", "ls"), "the networks gone", 30)


@pytest.fixture
def stack(ground: Ground) -> Iterator[Stack]:
    if json.loads(docker("info", "--format", "{{json .Swarm.ControlAvailable}}")) is not True:
        pytest.skip("needs a Swarm: docker swarm init --advertise-addr 127.0.0.1")
    made = Stack(ground)
    yield made
    made.remove()


def test_a_task_is_replaced_and_the_relay_killed(stack: Stack, ground: Ground) -> None:
    stack.deploy()
    until(lambda: stack.task("nextcloud"), "Nextcloud's task", 120, stack.told)
    until(lambda: "sweep (start)" in stack.logs(), "the relay's first sweep", 150, stack.told)
    first = ground.upload(8, seed=3)
    until(lambda: ground.archived() == expected(first), "the first photos in the archive", 120, stack.told)
    until(lambda: occ_calls(stack.task("nextcloud")), "occ's first call", 120, stack.told)

    later: list[dict[str, Any]] = []
    hands = threading.Thread(target=lambda: later.extend(ground.upload(40, seed=4, pause=0.2)))
    hands.start()
    before = stack.task("nextcloud")
    docker("service", "update", "--force", "--detach", f"{stack.name}_nextcloud")
    until(lambda: len(ground.archived()) > len(first) + 3, "some of the later ones", 120, stack.told)
    killed = stack.task("relay")
    docker("kill", "--signal", "KILL", killed)
    hands.join()

    # The Swarm starts the relay again by itself, in a new container; so is Nextcloud's.
    relay = until(lambda: (now := stack.task("relay")) != killed and now, "the relay again", 120, stack.told)
    after = until(lambda: (now := stack.task("nextcloud")) != before and now, "a new task", 120, stack.told)
    everything = expected([*first, *later])
    until(lambda: ground.archived() == everything, "all photos in the archive, each once", 150, stack.told)
    until(lambda: ground.left() == [], "no originals and import empty", 120, lambda: f"{ground.left()}\n{stack.told()}")
    last = max(call["at"] for call in occ_calls(after))
    last_of_all = ground.upload(4, seed=5)
    everything |= expected(last_of_all)
    until(lambda: ground.archived() == everything, "photos after the change", 120, stack.told)
    until(lambda: max(call["at"] for call in occ_calls(after)) > last, "occ in the new task", 120, stack.told)
    assert {call["uid"] for call in occ_calls(after)} == {33}

    # Each line of the log is JSON and goes with the node's and the task's name.
    lines = [json.loads(line) for line in stack.logs().splitlines() if line.startswith("{")]
    assert all(line["task"].startswith(f"{stack.name}_relay.1.") and line["node"] for line in lines)
    details = docker("logs", "--details", relay, check=False)
    assert f"TASK={stack.name}_relay.1" in details.replace("%3D", "="), details[:2000]
    assert "NODE=" in details
    until(lambda: page.Page(ground.port).ask("GET", "/")[0] == 200, "the page", 30, stack.told)
    page.opens_with(ground.port, PASSWORD)
    burglary.nothing_is_found(relay, groups=[1000])
    gate = stack.task("gate")
    networks = json.loads(docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", gate))
    assert list(networks) == [f"{stack.name}_alone"]
    until(lambda: docker("inspect", "--format", "{{.State.Health.Status}}", relay) == "healthy", "healthy", 120)

    # One that hangs is unhealthy, and the Swarm puts another in its place. (Looked at more often than in the file, by
    # which it takes a minute and a half.)
    often = ["--health-interval", "2s", "--health-timeout", "5s", "--health-retries", "2", "--stop-grace-period", "2s"]
    docker("service", "update", "--detach", *often, f"{stack.name}_relay")
    hung = until(lambda: (now := stack.task("relay")) not in ("", relay) and now, "the updated relay", 120, stack.told)
    until(lambda: docker("inspect", "--format", "{{.State.Health.Status}}", hung) == "healthy", "healthy", 120)
    init = docker("inspect", "--format", "{{.State.Pid}}", hung)
    daemon = Path(f"/proc/{init}/task/{init}/children").read_text().split()[0]
    os.kill(int(daemon), signal.SIGSTOP)
    until(lambda: stack.task("relay") not in ("", hung), "another in place of the one that hangs", 120, stack.told)
    at_last = ground.upload(2, seed=6)
    everything |= expected(at_last)
    until(lambda: ground.archived() == everything, "photos after it hung", 120, stack.told)
