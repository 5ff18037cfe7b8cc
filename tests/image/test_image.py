"""The image itself: who it runs as in every way that people start it, and what is not in it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from daemon import __version__
from tests.conftest import ENGINE_IMAGE
from tests.e2e_engine.engine import PYTHON, ROOT, docker

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(900)]
WHO = """
import json, os
status = [line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapEff", "CapBnd", "NoNewPrivs"))]
print(json.dumps([os.getuid(), os.getgid(), sorted(os.getgroups()), status]), flush=True)
"""
NONE, ALL_DROPPED = "0" * 16, ["--cap-drop", "ALL"]
FAKE = "/opt/photon-relay/app/daemon"


def _who(image: str, tmp_path: Path, *options: str, command: str = "run") -> tuple[list[Any], str]:
    """Start the image with a program in the program's place that tells who it is."""
    stub = tmp_path / "daemon"
    stub.mkdir(exist_ok=True)
    (stub / "__init__.py").touch()
    (stub / "__main__.py").write_text(WHO)
    tmp_path.chmod(0o755)
    said = docker("run", "--rm", "--volume", f"{stub}:{FAKE}:ro", *options, image, command, check=False, within=60)
    lines = said.splitlines()
    found: list[Any] = next((json.loads(line) for line in lines if line.startswith("[")), [])
    return found, "\n".join(line for line in lines if not line.startswith("["))


def test_not_root_by_default(image: str, tmp_path: Path) -> None:
    who, said = _who(image, tmp_path, *ALL_DROPPED)
    assert who == [33, 33, [33], [NONE, NONE, "1"]]
    assert said == ""


def test_any_user(image: str, tmp_path: Path) -> None:
    who, said = _who(image, tmp_path, "--user", "4321:8765", "--env", "PUID=5")
    assert who[:2] == [4321, 8765]
    assert said.count("PUID and PGID are ignored") == 1
    assert 'user: "5:8765"' in said
    assert _who(image, tmp_path, "--user", "4321:8765", "--env", "PUID=5", command="health")[1] == ""
    assert _who(image, tmp_path, "--user", "4321:8765", "--env", "PUID=4321")[1] == ""


def test_root_is_left(image: str, tmp_path: Path) -> None:
    who, _ = _who(image, tmp_path, "--user", "0", "--env", "PUID=1001", "--env", "PGID=1002", "--group-add", "44")
    assert who == [1001, 1002, [44, 1002], [NONE, NONE, "1"]]
    who, _ = _who(image, tmp_path, "--user", "0")
    assert who == [33, 33, [33], [NONE, NONE, "1"]]


def test_root_that_cannot_be_left_is_told_how(image: str, tmp_path: Path) -> None:
    who, said = _who(image, tmp_path, "--user", "0", *ALL_DROPPED)
    assert who == []
    assert 'user: "33:33"' in said
    who, said = _who(image, tmp_path, "--user", "0", "--env", "PUID=me")
    assert who == []
    assert "must be numbers" in said


def test_the_gate_stays_the_sockets_owner_without_rights(image: str, tmp_path: Path) -> None:
    for options in (["--user", "0:33"], ["--user", "0:33", *ALL_DROPPED]):
        who, _ = _who(image, tmp_path, *options, command="gate")
        assert who[:2] == [0, 33]
        assert who[3] == [NONE, NONE, "1"]


def test_a_fresh_volume_works_read_only(image: str) -> None:
    volume = docker("volume", "create")
    try:
        options = ["--read-only", "--network", "none", *ALL_DROPPED, "--security-opt", "no-new-privileges"]
        options += ["--volume", f"{volume}:/state", "--entrypoint", "sh", image]
        assert docker("run", "--rm", *options, "-c", "echo kept > /state/a && cat /state/a && umask") == "kept\n0022"
        options[-3:] = [image]
        assert docker("run", "--rm", *options, "--version") == f"photon-relay {__version__}"
        assert json.loads(docker("run", "--rm", *options, "config", "schema"))
    finally:
        docker("volume", "rm", volume)


def test_no_compiler_no_pip_no_strangers(image: str) -> None:
    look = (
        "import shutil, importlib.util as u; "
        "print([n for n in ('gcc','cc','make','pip','pip3','curl','wget','git') if shutil.which(n)], "
        "[n for n in ('pip','ensurepip','setuptools','hatchling') if u.find_spec(n)])"
    )
    assert docker("run", "--rm", "--entrypoint", PYTHON, image, "-c", look) == "[] []"
    assert docker("run", "--rm", "--entrypoint", "exiftool", image, "-ver")
    sh = ["run", "--rm", "--user", "0", "--entrypoint", "sh", image, "-c"]
    ours = docker(*sh, "find /opt/photon-relay /usr/local/bin \\( -perm -o+w -o ! -user 0 \\) ! -type l")
    assert ours == ""
    assert docker(*sh, "find /opt/photon-relay/app -name '*.pyc' | wc -l") != "0"
    lock = (ROOT / "requirements.lock").read_text()
    names = "import importlib.metadata as m; [print(f'{d.name.lower()}=={d.version}') for d in m.distributions()]"
    inside = docker("run", "--rm", "--entrypoint", PYTHON, image, "-c", names)
    assert all(one.replace("_", "-") in lock for one in inside.splitlines()), inside


def test_the_published_size_is_true(image: str) -> None:
    whole, base = (int(docker("image", "inspect", "--format", "{{.Size}}", one)) for one in (image, ENGINE_IMAGE))
    for page, behind in (("README.md", "more"), ("docs/docker.md", "unpacked")):
        [quoted] = re.findall(rf"(\d+) MB {behind}", (ROOT / page).read_text())
        assert int(quoted) == pytest.approx((whole - base) / 1e6, rel=0.05), page


def test_exiftool_reads_dates(image: str) -> None:
    media = ROOT / "daemon/demo/media"
    run = ["run", "--rm", "--volume", f"{media}:/m:ro", "--entrypoint", "exiftool", image, "-q", "-s3", "-FileType"]
    names = ("dawn.jpg", "dawn.heic", "dawn.dng", "lake.mp4", "night.png")
    assert docker(*run, *(f"/m/{name}" for name in names)).split() == ["JPEG", "HEIC", "DNG", "MP4", "PNG"]


def test_labels_and_signals(image: str) -> None:
    found = json.loads(docker("image", "inspect", image))[0]["Config"]
    assert found["Labels"]["org.opencontainers.image.version"] == __version__
    assert found["Labels"]["org.opencontainers.image.title"] == "Photon Relay"
    assert found["User"] == "33:33"
    assert found["StopSignal"] == "SIGTERM"
    assert found["Healthcheck"]["Test"] == ["CMD", "photon-relay", "health"]
    assert not found.get("Volumes")


def test_time_zones_are_there(image: str) -> None:
    run = ["run", "--rm", "--env", "TZ=Europe/Berlin", "--entrypoint", "date", image]
    assert docker(*run, "-d", "2026-01-01T12:00Z", "+%H:%M %Z") == "13:00 CET"


def test_compose_and_stack_files_are_valid() -> None:
    compose = ["compose", "--file", str(ROOT / "docker-compose.yaml")]
    demo = docker(*compose, "--env-file", str(ROOT / "docker/demo.env"), "--profile", "demo", "config", "--services")
    assert set(demo.split()) == {"relay", "gate", "folders", "nextcloud", "photoprism", "mariadb"}
    plain = docker(*compose, "--env-file", str(ROOT / ".env.example"), "config", "--services")
    assert set(plain.split()) == {"relay", "gate", "folders"}
    missing = docker(*compose, "--env-file", "/dev/null", "config", check=False)
    assert "see .env.example" in missing
    needed = {"NEXTCLOUD_DATA": "/a", "PHOTOPRISM_FOLDER": "/b", "CONFIG_FILE": str(ROOT / "config/photon-relay.yaml")}
    stack = docker("stack", "config", "--compose-file", str(ROOT / "swarm-config.yaml"), environment=needed)
    assert "node.labels.photon-relay == yes" in stack
