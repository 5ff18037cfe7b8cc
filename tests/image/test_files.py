"""Dockerfile, lock, Compose and stack file: what can be read without an engine."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def _yaml(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return found


def _locked() -> dict[str, str]:
    text = (ROOT / "requirements.lock").read_text()
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def _name(requirement: str) -> str:
    return re.split(r"[<>=!~;\[ ]", requirement)[0].lower().replace("_", "-")


def test_everything_that_is_needed_is_locked_with_hashes() -> None:
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {_name(one) for one in needed} <= set(_locked())
    text = (ROOT / "requirements.lock").read_text()
    blocks = re.split(r"\n(?=[a-z0-9-]+==)", text)[1:]
    assert len(blocks) == len(_locked())
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in text, "an index does not belong into the lock"


def test_hadolint_has_nothing_to_say() -> None:
    program = Path(sys.executable).with_name("hadolint")
    if not program.exists():
        pytest.skip("needs hadolint, which has no package for this machine's processor")
    files = [ROOT / "Dockerfile", *ROOT.glob("tests/*/images/Dockerfile")]
    assert len(files) == 3
    done = subprocess.run([program, "--no-color", *files], check=False, capture_output=True, text=True)
    assert (done.stdout + done.stderr, done.returncode) == ("", 0)


def test_the_dockerfile_holds_what_no_linter_asks() -> None:
    text = (ROOT / "Dockerfile").read_text()
    lines = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    words = [line.split(maxsplit=1) for line in lines if line.strip()]
    assert [rest for word, rest in words if word == "USER"][-1] == "33:33"
    assert all("--require-hashes" in rest for word, rest in words if word == "RUN" and "/bin/pip" in rest)
    assert all(rest.split()[0] in {"${BASE}", "system", "libraries"} for word, rest in words if word == "FROM")


def test_only_what_the_image_needs_is_sent_to_the_engine() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    copied = set(re.findall(r"^COPY (?!--from)(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert {source.split("/")[0] for source in copied} == kept


def test_compose_services_are_hardened_and_the_relay_never_has_the_socket() -> None:
    found = _yaml("docker-compose.yaml")
    services = {name: one for name, one in found["services"].items() if "profiles" not in one}
    assert set(services) == {"relay", "gate", "folders"}
    for name, one in services.items():
        assert one["read_only"] is True, name
        assert one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert one["mem_limit"], name
        assert one["pids_limit"], name
        has_socket = any("/var/run/docker.sock" in str(volume) for volume in one["volumes"])
        assert has_socket == (name == "gate"), name
    assert services["gate"]["network_mode"] == "none"
    assert len(services["gate"]["volumes"]) == 2
    assert all(port.startswith("127.0.0.1:") for one in found["services"].values() for port in one.get("ports", []))
    assert services["relay"]["stop_grace_period"] == "30s"


def test_stack_services_are_hardened_too() -> None:
    found = _yaml("swarm-config.yaml")
    assert set(found["services"]) == {"relay", "gate"}
    for name, one in found["services"].items():
        assert one["read_only"] is True, name
        assert one["cap_drop"] == ["ALL"], name
        assert one["deploy"]["replicas"] == 1
        assert one["deploy"]["update_config"]["order"] == "stop-first"
        assert one["deploy"]["update_config"]["failure_action"] == "rollback"
        assert one["deploy"]["placement"]["constraints"]
        assert ("/var/run/docker.sock" in str(one["volumes"])) == (name == "gate")
        assert not one["user"].startswith("0") or name == "gate"
    # Only what has a network that leads out can publish a port; the gate has none.
    leads_out = {name for name, one in found["networks"].items() if not one.get("internal")}
    assert leads_out == {"page"}
    assert leads_out & set(found["services"]["gate"]["networks"]) == set()
    assert [port["mode"] for port in found["services"]["relay"]["ports"]] == ["host"]


def test_what_is_written_is_never_what_git_tracks() -> None:
    mounted = re.findall(r"\$\{\w+:-(\./[\w-]+)", (ROOT / "docker-compose.yaml").read_text())
    mounted += re.findall(r"^(?:CONFIG_DIR|SECRETS_DIR|NEXTCLOUD_DATA|PHOTOPRISM_FOLDER)=(\./[\w/-]+)",
                          (ROOT / "docker/demo.env").read_text(), re.MULTILINE)  # fmt: skip
    assert mounted
    for folder in mounted:
        done = subprocess.run(
            ["git", "check-ignore", "--quiet", "--no-index", f"{folder}/x"], cwd=ROOT, check=False, capture_output=True
        )
        assert done.returncode in {0, 128}, f"{folder} is not ignored"


def test_three_lines_are_enough_for_env() -> None:
    lines = [line for line in (ROOT / ".env.example").read_text().splitlines() if line and not line.startswith("#")]
    assert [line.split("=")[0] for line in lines] == ["NEXTCLOUD_DATA", "PHOTOPRISM_FOLDER", "PHOTOPRISM_GID"]
    text = (ROOT / "docker-compose.yaml").read_text()
    assert set(re.findall(r"\$\{(\w+):\?", text)) <= {"NEXTCLOUD_DATA", "PHOTOPRISM_FOLDER"}
