"""Each command in the pages is tried: run here, or held to what it names, or it is said who runs it and why not we."""

from __future__ import annotations

import asyncio
import configparser
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from daemon.demo.playground import fixed
from tests.docs.reading import PAGES, ROOT, Block, blocks
from tests.ui.house import House

if TYPE_CHECKING:
    from pathlib import Path

KINDS = {
    "sh": "here, and tests/docs/test_api_page.py",
    "env": "here",
    "ini": "here",
    "yaml": "tests/docs/test_pages.py",
    "json": "tests/docs/test_pages.py",
    "toml": "tests/docs/test_pages.py",
    "python": "tests/docs/test_api_page.py, test_forking.py, tests/notify",
    "diff": "tests/docs/test_forking.py",
    "nginx": "tests/docs/test_proxies.py",
    "caddy": "tests/docs/test_proxies.py",
    "mermaid": "a drawing: GitHub draws it",
    "": "a drawing in letters",
}
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
SUBCOMMANDS = {"up", "down", "run", "exec", "restart", "logs", "stop", "start", "build", "config", "ps"}

HELD = {
    # what stands for itself, held to what it names
    r"make ": "make",
    r"docker compose ": "compose",
    r"cp ": "copy",
    r"\.venv/bin/pytest ": "pytest",
    # what is run by another test, or cannot be run here
    r"(RELAY=|etag=|curl )": "test_api_page runs it",
    r"(chgrp|chmod) ": "runs below",
    r"(cd /srv/photoprism/originals|b3sum )": "runs below",
    r"docker node update ": "needs a second node; tests/e2e_engine labels one",
    r"NODE_LABEL=\w+ +… docker stack deploy ": "a synopsis; tests/e2e_engine deploys the same file",
    r"docker run --rm -v photon-relay_state:": "needs a state volume; the walk makes one",
    r"docker exec -u www-data nextcloud php occ ": "needs a real Nextcloud; were typed by hand into Nextcloud 32",
    r"(alias demo=|demo exec |sudo )": "needs the images of Nextcloud and PhotoPrism",
    r"(python3 -m venv|/opt/photon-relay/bin/)": "fetches and installs; the walk runs them in another folder",
}


def _lines(block: Block) -> list[str]:
    joined = re.sub(r"\\\n\s*", " ", block.text)
    return [re.sub(r"\s+#.*", "", line).strip() for line in joined.splitlines() if line.strip()]


def _how(line: str) -> str:
    found = [how for pattern, how in HELD.items() if re.match(pattern, line)]
    assert len(found) == 1, f"nobody tries {line!r}: run it in a test, or say in HELD why not"
    return found[0]


def test_each_kind_of_block_is_tried_somewhere() -> None:
    for page in PAGES:
        inside = False
        for line in page.read_text().splitlines():
            if match := re.match(r" *```([\w-]*)", line):
                assert inside or match[1] in KINDS, f"{page.name}: {line}"
                inside = not inside


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_commands_can_be_followed(block: Block) -> None:
    parsed = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)
    assert parsed.returncode == 0, parsed.stderr
    for line in _lines(block):
        how = _how(line)
        words = shlex.split(line)
        if how == "make":
            assert words[1] in TARGETS, line  # make -n would run what calls make itself
        elif how == "compose":
            _compose(words[2:])
        elif how in {"copy", "pytest"}:
            assert (ROOT / words[1]).exists(), line


def _compose(words: list[str]) -> None:
    """Hold a call to the file: its profiles, its other files and its services are there."""
    while words[0].startswith("--"):
        option, value = words[:2]
        words = words[2:]
        if option == "--profile":
            assert any(value in service.get("profiles", []) for service in COMPOSE["services"].values())
        else:
            assert option == "--env-file"
            assert (ROOT / value).exists()
    assert words[0] in SUBCOMMANDS, words
    named = [word for word in words[1:] if not word.startswith("-")]
    many = named if words[0] in {"logs", "stop", "start", "restart", "up"} else named[:1]
    assert set(many) <= COMPOSE["services"].keys(), words


@pytest.mark.parametrize("block", blocks("env"), ids=str)
def test_variables_are_those_of_the_compose_file(block: Block) -> None:
    known = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yaml").read_text()))
    for line in _lines(block):
        name, is_there, value = line.partition("=")
        assert name in known, line
        assert is_there, line
        assert value, line


def test_the_demo_runs_as_the_readme_says(tmp_path: Path) -> None:
    assert "`make demo ARGS=--once`" in (ROOT / "README.md").read_text()
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "TMPDIR": str(tmp_path)}
    words = ["make", "demo", "ARGS=--once", f"VENV={sys.prefix}"]
    ran = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "The archive holds every content once" in ran.stdout, ran.stdout
    assert [path.name for path in tmp_path.iterdir()] == [], "nothing stays"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: gives a folder to another group")
def test_the_import_folder_gets_its_group(tmp_path: Path) -> None:
    [block] = [one for one in blocks("sh") if one.text.startswith("chgrp ")]
    script = block.text.replace("/srv/photoprism", str(tmp_path))
    (tmp_path / "import").mkdir()
    subprocess.run(["bash", "-euc", script], check=True)
    status = (tmp_path / "import").stat()
    assert (status.st_gid, stat.S_IMODE(status.st_mode) & 0o2070) == (1000, 0o2070)


@pytest.mark.skipif(not shutil.which("b3sum"), reason="needs b3sum: apt-get install b3sum")
async def test_the_exported_list_is_checked_as_the_page_says(tmp_path: Path) -> None:
    [block] = [one for one in blocks("sh") if "b3sum --check" in one.text]
    async with House(tmp_path / "playground").open() as house:
        house.playground.upload(fixed()[0])
        await house.until(lambda: house.ledger.photos.counts()["done"] == 1, "the photo")
        async with house.session.get("/api/v1/photos/export?format=b3sum") as answer:
            assert answer.status == 200
            (tmp_path / "photos.b3sum").write_bytes(await answer.read())
        root = house.front.settings().archive.folder.path
    script = block.text.replace("/tmp/photos", f"{tmp_path}/photos").replace("/srv/photoprism/originals", root)

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(["bash", "-euc", script], capture_output=True, text=True)

    ran = await asyncio.to_thread(run)
    assert (ran.returncode, ran.stdout) == (0, ""), ran
    [photo] = [path for path in (tmp_path / "playground").rglob("*.jpg") if str(path).startswith(root)]
    photo.chmod(0o644)
    photo.write_bytes(b"damaged")
    ran = await asyncio.to_thread(run)
    assert (ran.returncode, photo.name in ran.stdout) == (1, True), ran


def test_the_systemd_unit_is_one(tmp_path: Path) -> None:
    [block] = blocks("ini")
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(block.text)
    assert unit["Service"]["ExecStart"].split()[-1] == "run"
    if shutil.which("systemd-analyze"):
        # Its program is there on the reader's machine, not here.
        text = block.text.replace("/opt/photon-relay/bin/photon-relay", "/bin/true")
        file = tmp_path / "photon-relay.service"
        file.write_text(text)
        ran = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True)
        told = [line for line in ran.stderr.splitlines() if "photon-relay.service" in line]
        assert told == []
