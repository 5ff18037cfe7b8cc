"""A world on the real engine: folders on disk, stand-ins beside the program, and the docker client to drive them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).resolve().parents[2]
PYTHON = "/opt/photon-relay/bin/python"
TOKEN = "eNgInE-tOkEn-aBcDeF-gHiJkL"
PRISM_PORT = "2342"
PASSED_ON = {"PATH", "HOME", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "XDG_RUNTIME_DIR"}
"""Of this process's environment; anything else could fill in a ${…} of the files that are tested."""


def docker(
    *words: str,
    check: bool = True,
    within: float = 300,
    environment: Mapping[str, str] | None = None,
    text: str = "",
) -> str:
    """Run Docker's client, with ``text`` on its standard input, and give what it says."""
    done = subprocess.run(
        ["docker", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=within,
        input=text,
        env={**{key: value for key, value in os.environ.items() if key in PASSED_ON}, **(environment or {})},
    )
    if check and done.returncode:
        raise AssertionError(f"docker {' '.join(words)}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout.strip() if check else done.stdout + done.stderr


def until(condition: Callable[[], Any], what: str, seconds: float, told: Callable[[], str] = str) -> Any:
    """Wait until something is true and give it, or fail with what is known by then."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.25)
    raise AssertionError(f"{seconds} s passed without {what}\n{told()[-12000:]}")


def free_port() -> int:
    """Give a port of this machine's that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Ground:
    """The folders of one world and its images; what runs on it is started by the tests."""

    def __init__(self, folder: Path, image: str, standins: str) -> None:
        self.name = f"photon-relay-e2e-{uuid.uuid4().hex[:8]}"
        self.folder, self.image, self.standins = folder, image, standins
        self.port = free_port()
        # One container for all that the tests themselves do and look at: a new one each time would cost a second.
        self.hands = f"{self.name}-hands"
        run = ["run", "--detach", "--init", "--network", "none", "--user", "0:0", "--name", self.hands]
        docker(*run, "--volume", f"{folder}:/world", standins)
        self._do("ground", "/world")

    # -- what is done in containers beside ----------------------------------------------------------------------

    def _do(self, what: str, *words: str) -> Any:
        """Do one of the things of `tests.e2e_engine.inside`."""
        return json.loads(docker("exec", self.hands, PYTHON, "-m", "tests.e2e_engine.inside", what, *words))

    def upload(self, count: int, *, seed: int, pause: float = 0.0) -> list[dict[str, Any]]:
        """Upload as Nextcloud would, from a container that has nothing but the data volume."""
        run = ["run", "--rm", "--network", "none", "--user", "33:33", "--volume", f"{self.folder}/nextcloud:/data"]
        words = ["/data", "--count", str(count), "--seed", str(seed), "--pause", str(pause)]
        said = docker(*run, self.standins, PYTHON, "-m", "tests.e2e_engine.inside", "upload", *words)
        uploaded: list[dict[str, Any]] = json.loads(said)
        return uploaded

    def archived(self) -> dict[str, int]:
        """Count what the archive holds, by BLAKE3."""
        counted: dict[str, int] = self._do("contents", "/world/photoprism/originals")
        return counted

    def left(self) -> list[str]:
        """Name what stands in the import folder and in the folders that were uploaded to."""
        found = "find /world/photoprism/import -mindepth 1; find /world/nextcloud/*/files -type f"
        return sorted(docker("exec", self.hands, "sh", "-c", found).splitlines())

    def configure(self, content: dict[str, Any]) -> None:
        """Write the configuration file as somebody at the machine would: by renaming."""
        fresh = self.folder / "config" / ".new"
        fresh.write_text(yaml.safe_dump(content))
        fresh.chmod(0o644)
        fresh.replace(self.folder / "config" / "photon-relay.yaml")

    def own(self, folder: str, owner: int) -> None:
        """Give a folder of this world to somebody."""
        docker("exec", self.hands, "chown", f"{owner}:{owner}", f"/world/{folder}")

    def clear(self) -> None:
        """Remove the folders, whoever they belong to, and the hands."""
        self._do("clear", "/world")
        docker("rm", "--force", self.hands)
        shutil.rmtree(self.folder, ignore_errors=True)


def prism_command() -> list[str]:
    """Give the command of the PhotoPrism stand-in's container."""
    words = [PYTHON, "-m", "tests.standins.photoprism", "--import", "/photoprism/import"]
    words += ["--originals", "/photoprism/originals", "--token", TOKEN]
    return [*words, "--host", "0.0.0.0", "--port", PRISM_PORT]


def ask(container: str, *code: str) -> Any:
    """Run Python code in a container, as the user that it was started as, and give the JSON that it prints."""
    return json.loads(docker("exec", container, PYTHON, "-c", "\n".join(code)))


def prism_state(container: str) -> dict[str, Any]:
    """Give what the PhotoPrism stand-in knows and was asked."""
    said: dict[str, Any] = ask(
        container,
        "import urllib.request",
        f"print(urllib.request.urlopen('http://127.0.0.1:{PRISM_PORT}/_control', timeout=5).read().decode())",
    )
    return said


def occ_calls(container: str) -> list[dict[str, Any]]:
    """Give the occ stand-in's log."""
    said = docker("exec", container, "sh", "-c", "cat /standin/occ.json.calls 2>/dev/null || true")
    return [json.loads(line) for line in said.splitlines()]


def expected(uploaded: list[dict[str, Any]]) -> dict[str, int]:
    """Give what an archive holds that has each upload exactly once."""
    return {one["blake3"]: 1 for one in uploaded}
