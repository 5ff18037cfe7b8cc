"""A real Docker engine, images like those of Nextcloud's packagers, and containers that go when the test ends."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import pytest_asyncio

from daemon.docker.engine import Engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

BASE = "debian:trixie-slim"
FLAVOURS = ("official", "alpine", "linuxserver", "nameless", "empty")
HOW = (
    "install Docker (Debian: apt-get install docker.io), start it, and let this user open its socket; "
    f"the base image is {BASE}"
)
HERE = Path(__file__).parent


def docker(*arguments: str, check: bool = True) -> str:
    """Run Docker's own client."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=300)
    if check and done.returncode:
        raise AssertionError(f"docker {' '.join(arguments)}: {done.stderr}")
    return done.stdout.strip()


def why_not() -> str:
    """Say what is missing for tests with a real engine; empty if nothing is."""
    if not shutil.which("docker"):
        return "there is no docker here"
    info = subprocess.run(
        ["docker", "info", "--format", "{{.ServerVersion}}"], capture_output=True, text=True, check=False
    )
    if info.returncode or not info.stdout.strip():
        return "docker info fails: no engine answers"
    if subprocess.run(["docker", "image", "inspect", BASE], capture_output=True, check=False).returncode:
        pulled = subprocess.run(["docker", "pull", "--quiet", BASE], capture_output=True, check=False)
        return f"the image {BASE} is not there and cannot be pulled" if pulled.returncode else ""
    return ""


@pytest.fixture(scope="session")
def engine() -> None:
    """Make sure that there is an engine, else skip; where nothing may be left out (PHOTON_RELAY_TEST_ALL=1), fail."""
    if missing := why_not():
        if os.environ.get("PHOTON_RELAY_TEST_ALL") == "1":
            pytest.fail(f"{missing}; {HOW}")
        pytest.skip(f"{missing}; {HOW}")


@pytest.fixture(scope="session")
def images(engine: None) -> dict[str, str]:
    """Build the images, once for each content of theirs; gives their names by flavour."""
    sources = [*sorted((HERE / "images").iterdir()), HERE.parent / "standins" / "occ.py"]
    system = "photon-relay-test-system"
    made = docker("build", "--quiet", "--target", "system", "--tag", system, str(HERE.parents[1]))
    content = b"\0".join([made.encode(), *(path.read_bytes() for path in sources)])
    tag = hashlib.sha256(content).hexdigest()[:12]
    names = {flavour: f"photon-relay-test-{flavour}:{tag}" for flavour in FLAVOURS}
    lock = Path(tempfile.gettempdir()) / f"photon-relay-test-images-{os.getuid()}"
    with lock.open("w") as handle, tempfile.TemporaryDirectory() as context:
        fcntl.flock(handle, fcntl.LOCK_EX)
        for path in sources:
            shutil.copy(path, context)
        for flavour, name in names.items():
            if not docker("image", "ls", "--quiet", name):
                docker("build", "--quiet", "--build-arg", f"BASE={system}", "--target", flavour, "--tag", name, context)
    return names


class Start(Protocol):
    def __call__(self, flavour: str, *options: str, name: str = "") -> str: ...


@pytest.fixture
def start(images: dict[str, str]) -> Iterator[Start]:
    """Start a container of a flavour with options of ``docker run``; gives its name."""
    started: list[str] = []

    def run(flavour: str, *options: str, name: str = "") -> str:
        name = name or unique()
        started.append(docker("run", "--detach", "--stop-timeout", "0", "--name", name, *options, images[flavour]))
        return name

    yield run
    for container in started:
        docker("rm", "--force", container, check=False)


def unique() -> str:
    """Give a name that no other test has."""
    return f"photon-relay-test-{uuid.uuid4().hex[:12]}"


def calls(container: str) -> list[dict[str, Any]]:
    """Give the stand-in's call log in a container."""
    return [json.loads(line) for line in docker("exec", container, "cat", "/state/occ.json.calls").splitlines()]


@pytest_asyncio.fixture(loop_scope="function")
async def api() -> AsyncIterator[Engine]:
    """Our side of the Docker API."""
    made = Engine()
    yield made
    await made.aclose()
