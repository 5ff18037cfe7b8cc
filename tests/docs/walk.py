"""A newcomer's walk: the README's commands in an empty folder, one after the other, each timed: ``make walk``.

Nextcloud and PhotoPrism are the tests' stand-ins in containers; all else is what a reader types. Prints the table of
docs/walk.md, and takes away what it made. Needs a Docker engine with the image ``debian:trixie-slim``.
"""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.docs.reading import PAGES, ROOT, blocks
from tests.e2e_engine.conftest import STANDINS, image, standins
from tests.e2e_engine.engine import PRISM_PORT, TOKEN, Ground, docker, free_port, prism_command
from tests.e2e_engine.page import Page

if TYPE_CHECKING:
    from collections.abc import Callable

SAID = "".join(page.read_text(encoding="utf-8") for page in PAGES)
PASSWORD = "a walk in the park"
ENVIRONMENT = {key: value for key, value in os.environ.items() if key in {"PATH", "HOME", "LANG", "PYENV_ROOT"}}


class Walk:
    """What was done, and how long each thing took."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.here = folder / "photon-relay"
        self.rows: list[tuple[str, str, float]] = []

    def does(
        self, command: str, note: str, *, text: str = "", readme: bool = True, ends: tuple[int, ...] = (0,)
    ) -> str:
        """Run a command that a page has, and note its time."""
        if readme and command not in SAID:
            raise SystemExit(f"no page says: {command}")
        sys.stderr.write(f"$ {command}\n")
        began = time.monotonic()
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=self.here if self.here.exists() else self.folder,
            env=ENVIRONMENT,
            input=text,
            text=True,
            capture_output=True,
            timeout=900,
        )
        if ran.returncode not in ends:
            raise SystemExit(f"{command} ended with {ran.returncode}:\n{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}")
        self.rows.append((f"`{command}`", note, time.monotonic() - began))
        return ran.stdout + ran.stderr

    def waits(self, what: str, note: str, condition: Callable[[], object], seconds: float = 180) -> None:
        """Wait until something is there, and note how long that took."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > seconds:
                raise SystemExit(f"{seconds} s passed without: {what}")
            time.sleep(0.2)
        self.rows.append((what, note, time.monotonic() - began))

    def edits(self, what: str, note: str) -> None:
        """Note what a person types, which has no time here."""
        self.rows.append((what, note, float("nan")))


def looks(walk: Walk) -> None:
    """Just look: the demo."""
    walk.does(f"git clone --quiet {ROOT} photon-relay", "from a local copy", readme=False)
    said = walk.does("make demo ARGS=--once", "makes `.venv` first: libraries are fetched")
    if "The archive holds every content once" not in said:
        raise SystemExit(f"the demo told of no photos: {said[-2000:]}")
    walk.does("make demo ARGS=--once", "the second time")
    port = free_port()
    demo = subprocess.Popen(
        ["make", "demo", f"ARGS=--port {port}"],
        cwd=walk.here, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    page = Page(port)
    try:
        walk.waits("`make demo`: the page answers", "", lambda: page.ask("GET", "/")[0] == 200)
        walk.waits("`make demo`: the first photo has arrived", "", lambda: _done(page) > 0)
    finally:
        os.killpg(demo.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            demo.wait(30)


def installs(walk: Walk) -> None:
    """Without containers, as docs/installation.md has it, below a folder of its own."""
    [block] = [one for one in blocks("sh") if one.text.startswith("python3 -m venv /opt")]
    (walk.folder / "etc").mkdir()
    for line in block.text.splitlines():
        here = line.replace("/opt/", f"{walk.folder}/opt/").replace("/etc/", f"{walk.folder}/etc/")
        last = here.endswith(" check")
        said = walk.does(
            here, "says that nothing is mounted yet" if last else "", readme=False, ends=(1,) if last else (0,)
        )
        walk.rows[-1] = (f"`{line}`", *walk.rows[-1][1:])
        if last and "nextcloud.mount_missing" not in said:
            raise SystemExit(f"check said something else: {said}")


def _backs_up(walk: Walk, project: str) -> None:
    """Copy the state away as docs/backup.md has it."""
    [block] = [one for one in blocks("sh") if "photon-relay_state:/state" in one.text]
    for line in block.text.replace("\\\n", " ").splitlines():
        walk.does(line.replace("photon-relay_state:", f"{project}_state:"), "", readme=False)
        walk.rows[-1] = (f"`{line}`", *walk.rows[-1][1:])


def _done(page: Page) -> int:
    status, found = page.ask("GET", "/api/v1/summary")
    return int(found["done_total"]) if status == 200 else 0


def composes(walk: Walk, ground: Ground) -> None:
    """With Compose, beside a Nextcloud and a PhotoPrism that run already: here stand-ins."""
    walk.does("make image", "the base image is there, and what of the layers was built before")
    walk.does("cp .env.example .env", "")
    nextcloud = f"{ground.name}-nextcloud"
    settings = {
        "NEXTCLOUD_DATA": ground.folder / "nextcloud",
        "PHOTOPRISM_FOLDER": ground.folder / "photoprism",
        "PHOTOPRISM_GID": 1000,
        "NEXTCLOUD_CONTAINER": nextcloud,
        "PHOTOPRISM_URL": f"http://host.docker.internal:{PRISM_PORT}",
        "PROJECT": ground.name,
        "PORT": ground.port,
    }
    (walk.here / ".env").write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    walk.edits("edit `.env`", "three lines; here also the names of the stand-ins")
    try:
        walk.does("docker compose up -d", "")
        page = Page(ground.port)
        walk.waits("the page answers", "", lambda: page.ask("GET", "/")[0] == 200)
        walk.does("docker compose run --rm relay password", "typed twice", text=f"{PASSWORD}\n{PASSWORD}\n")
        (walk.here / "secrets-mine" / "photoprism_token").write_text(f"{TOKEN}\n")
        walk.edits("PhotoPrism's app password into `secrets-mine/photoprism_token`", "")
        walk.does("docker compose restart relay", "")
        walk.waits("the page answers", "", lambda: page.ask("GET", "/readyz")[0] in {200, 401, 503})
        print(walk.does("docker compose exec relay photon-relay check", "all well, or it says what is not"))
        page.session()
        status, said = page.ask("POST", "/api/v1/session", {"password": PASSWORD})
        if status != 200:
            raise SystemExit(f"the password was not taken: {status} {said}")
        page.session()
        status, said = page.ask("PATCH", "/api/v1/users/alice", {"decision": "include"})
        if status != 200:
            raise SystemExit(f"alice could not be included: {status} {said}")
        walk.edits("*Users*: include alice", "one click; here through the API")
        uploaded = [one for one in ground.upload(4, seed=1) if one.get("user", "alice") == "alice"]
        walk.waits("the photos uploaded now are in the archive", "10 s of it is `watch.settle`",
                   lambda: len(ground.archived()) >= len(uploaded))  # fmt: skip
        _backs_up(walk, ground.name)
    finally:
        subprocess.run(["docker", "compose", "down", "--volumes", "--timeout", "5"], cwd=walk.here, env=ENVIRONMENT,
                       capture_output=True)  # fmt: skip


def main() -> None:
    """Walk, and print the table."""
    with tempfile.TemporaryDirectory(prefix="photon-relay-walk-") as folder:
        walk = Walk(Path(folder))
        looks(walk)
        installs(walk)
        standins.__wrapped__(image.__wrapped__())  # type: ignore[attr-defined]
        world = Path(tempfile.mkdtemp(prefix="photon-relay-walk-world-"))
        world.chmod(0o755)
        ground = Ground(world, "photon-relay:latest", STANDINS)
        beside = [f"{ground.name}-nextcloud", f"{ground.name}-prism"]
        try:
            docker("run", "--detach", "--init", "--name", beside[0], "--volume", f"{world}/nextcloud:/data",
                   "--volume", f"{world}/photoprism/originals:/album:ro", STANDINS)  # fmt: skip
            docker("run", "--detach", "--init", "--name", beside[1], "--user", "1000:1000", "--publish",
                   f"{PRISM_PORT}:{PRISM_PORT}", "--volume", f"{world}/photoprism:/photoprism", STANDINS,
                   *prism_command())  # fmt: skip
            composes(walk, ground)
        finally:
            docker("rm", "--force", *beside, check=False)
            ground.clear()
    system = f"Python {platform.python_version()}, Linux {platform.release()}, {os.cpu_count()} cores"
    print(f"{system}, load {os.getloadavg()[1]:.0f}\n\n| what | | seconds |\n| --- | --- | ---: |")
    for what, note, seconds in walk.rows:
        print(f"| {what} | {note} | {'' if seconds != seconds else f'{seconds:.1f}'} |")


if __name__ == "__main__":
    main()
