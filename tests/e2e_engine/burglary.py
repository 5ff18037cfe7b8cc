"""Somebody has taken over the daemon: what do they find in its container, and what can they do at the gate?

The gate's own tests have the whole table of attacks; these few come from where they would come from.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.e2e_engine.engine import PYTHON, docker

HERE = Path(__file__).parent


def _run(container: str, script: str, *words: str) -> Any:
    """Run a script in a container where no file can be put."""
    done = subprocess.run(
        ["docker", "exec", "--interactive", container, PYTHON, "-", *words],
        input=(HERE / script).read_text(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _containers() -> set[str]:
    return set(docker("ps", "--all", "--quiet", "--no-trunc").split())


def nothing_is_found(relay: str, *, groups: list[int]) -> None:
    """Look for what would help: a Docker socket, a capability, a place to write, root."""
    found = _run(relay, "look_around.py")
    assert found["uid"] == 33
    assert found["groups"] == groups
    assert not any(found["capabilities"].values()), found
    assert set(found["no_new_privileges"]) == {"1"}
    assert found["sockets"] == ["/gate/docker.sock", "/state/control.sock"]
    assert not any("docker.sock" in mount for mount in found["mounts"]), found["mounts"]
    mounted = ("/config", "/state", "/tmp", "/nextcloud-data", "/photoprism/import")
    assert [folder for folder in found["writable"] if not folder.startswith(mounted)] == []


def all_is_refused(relay: str, gate: str, nextcloud: str) -> None:
    """Try some thirty requests at the gate; not one may be carried out, and the gate must serve on."""
    before = _containers()
    answers: dict[str, str] = _run(relay, "at_the_gate.py", nextcloud, gate)
    good = {name for name in answers if name.startswith("good:")}
    assert {name: answers[name] for name in good} == dict.fromkeys(good, "201"), answers
    slow = {said for name, said in answers.items() if name.startswith("slow:")}
    assert slow == {"408"}, answers
    let_in = {name: said for name, said in answers.items() if name not in good and said not in REFUSALS}
    assert let_in == {}
    assert len(answers) - len(good) >= 30
    # One that goes away meanwhile is an earlier test's; one that comes would be ours.
    assert _containers() - before == set()
    docker("exec", gate, "photon-relay", "gate", "--check")
    assert docker("logs", gate, check=False).count("refused") >= 30


REFUSALS = frozenset({"400", "403", "404", "405", "408", "411", "413", "414", "417", "429", "431", "501", "closed"})
