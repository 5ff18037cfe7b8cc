"""``docker compose up`` of this repository's very file, from nothing to photos in the archive, with a kill between."""

from __future__ import annotations

import threading
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
    prism_state,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(600)]

OURS = {"status", "files:scan", "files:delete", "memories:index", "app:list", "files_external:list", "info:file"}
SETTINGS = {
    "users": {"include": {"alice": {}, "bob": {}}, "exclude": ["admin"]},
    "watch": {"settle": "1s", "partner": "2s", "batch": 20},
    "relay": {"min_free": "1MiB"},
}


class Compose:
    """One Compose project: the repository's file, an .env of few lines, and the stand-ins as an override."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        here = ground.folder
        self.env, self.override = here / "env", here / "override.yaml"
        lines = {
            "NEXTCLOUD_DATA": here / "nextcloud",
            "PHOTOPRISM_FOLDER": here / "photoprism",
            "PHOTOPRISM_GID": 1000,
            "PHOTOPRISM_URL": f"http://prism:{PRISM_PORT}",
            "NEXTCLOUD_CONTAINER": f"{ground.name}-nextcloud-standin-1",
            "CONFIG_DIR": here / "config",
            "SECRETS_DIR": here / "secrets",
            "IMAGE": ground.image,
            "PORT": ground.port,
        }
        self.env.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))
        services = {
            "nextcloud-standin": {
                "image": ground.standins,
                "volumes": [f"{here}/nextcloud:/data", f"{here}/photoprism/originals:/album:ro"],
                "init": True,
            },
            "prism": {
                "image": ground.standins,
                "user": "1000:1000",
                "command": prism_command(),
                "volumes": [f"{here}/photoprism:/photoprism"],
                "init": True,
            },
        }
        self.override.write_text(yaml.safe_dump({"services": services}))

    def __call__(self, *words: str, check: bool = True) -> str:
        files = ["--file", str(ROOT / "docker-compose.yaml"), "--file", str(self.override)]
        return docker("compose", "--project-name", self.ground.name, "--env-file", str(self.env), *files, *words,
                      check=check)  # fmt: skip

    def container(self, service: str) -> str:
        return f"{self.ground.name}-{service}-1"

    def logs(self, *services: str) -> str:
        return self("logs", "--no-color", "--no-log-prefix", *services, check=False)

    def told(self) -> str:
        """Give everything that helps to see why something did not happen."""
        return "\n".join(
            [self.logs(), self("exec", "relay", "photon-relay", "status", check=False), *self.ground.left()]
        )

    def sees(self, service: str, text: str, seconds: float = 30) -> None:
        until(lambda: text in self.logs(service), f"“{text}” from {service}", seconds, self.logs)


@pytest.fixture
def compose(ground: Ground) -> Iterator[Compose]:
    made = Compose(ground)
    yield made
    made("down", "--volumes", "--timeout", "2", "--remove-orphans", check=False)


def test_from_nothing_to_the_archive(compose: Compose, ground: Ground) -> None:
    # Before: neither a configuration nor a secret, PhotoPrism's import folder its own.
    compose("up", "--detach", "--no-build")
    relay, gate = compose.container("relay"), compose.container("gate")
    compose.sees("relay", "first start")
    compose.sees("folders", "the import folder belongs to the group 1000 now")
    compose.sees("folders", "to be filled in: PhotoPrism's app password")
    made = (ground.folder / "config" / "photon-relay.yaml").stat()
    assert (made.st_uid, made.st_gid) == (33, 33)
    compose.sees("relay", "running; state in")
    assert docker("exec", relay, "photon-relay", "health") == "ok"

    # What the messages said is filled in, the file saved beside it, and the start is made again, as one would.
    (ground.folder / "secrets" / "photoprism_token").write_text(f"{TOKEN}\n")
    ground.configure(SETTINGS)
    compose("restart", "relay")
    compose.sees("relay", "sweep (start)")
    checked = compose("exec", "relay", "photon-relay", "check", check=False)
    assert "✗" not in checked, checked

    uploaded = ground.upload(6, seed=1)
    until(lambda: ground.archived() == expected(uploaded), "the first photos in the archive", 120, compose.told)

    # Killed in the middle of the next, while uploads go on; started again by hand.
    later: list[dict[str, Any]] = []
    hands = threading.Thread(target=lambda: later.extend(ground.upload(16, seed=2, pause=0.4)))
    hands.start()
    until(lambda: len(ground.archived()) > len(expected(uploaded)) + 3, "some of the later ones", 120, compose.told)
    docker("kill", "--signal", "KILL", relay)
    assert docker("inspect", "--format", "{{.State.Running}}", relay) == "false"
    hands.join()
    compose("up", "--detach", "--no-build")
    everything = expected([*uploaded, *later])
    until(lambda: ground.archived() == everything, "all photos in the archive, each once", 150, compose.told)
    until(lambda: ground.left() == [], "the originals in the bin and import empty", 120, compose.told)

    # occ ran in that container alone, as www-data, and only what the relay needs.
    nextcloud = compose.container("nextcloud-standin")
    until(lambda: any(call["argv"][0] == "memories:index" for call in occ_calls(nextcloud)), "an index", 30)
    calls = occ_calls(nextcloud)
    assert {call["uid"] for call in calls} == {33}
    assert {call["argv"][0] for call in calls} <= OURS
    scans = [call["argv"] for call in calls if call["argv"][0] == "files:scan"]
    folders = {word.removeprefix("--path=") for argv in scans for word in argv if word.startswith("--path=/")}
    assert any(folder.startswith("/admin/files/Album/") for folder in folders), folders
    deleted = {argv[-1] for argv in (call["argv"] for call in calls) if argv[0] == "files:delete"}
    assert deleted
    assert prism_state(compose.container("prism"))["imports"]
    assert "refused (" not in compose.logs("gate"), compose.logs("gate")

    page.shows_and_changes_nothing_until_it_has_a_password(ground.port, compose.logs("relay"))
    # This machine's own calls come through Docker's proxy: that they all look alike is said.
    assert "the gateway of this network" in compose("exec", "relay", "photon-relay", "check", check=False)
    burglary.nothing_is_found(relay, groups=[33, 1000])
    docker("exec", gate, "photon-relay", "gate", "--check")
    burglary.all_is_refused(relay, gate, nextcloud)
