"""The command, as a process: its socket, its health, its end."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
import pytest

from daemon.gate.place import VARIABLES
from tests.gate.engine_standin import StandinEngine

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from pathlib import Path

GATE = [sys.executable, "-W", "error", "-m", "daemon", "gate"]


def environment(tmp_path: Path, **values: str) -> dict[str, str]:
    chosen = {"CONTAINER": "nextcloud", "LISTEN": f"{tmp_path}/gate.sock", "ENGINE": f"unix://{tmp_path}/engine.sock"}
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PHOTON_RELAY")}
    return plain | {f"PHOTON_RELAY_GATE_{name}": value for name, value in (chosen | values).items()}


@contextmanager
def running(env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as handle, subprocess.Popen(GATE, env=env, stderr=handle) as process:
        try:
            deadline = time.monotonic() + 30
            while b"listens" not in log.read_bytes() and process.poll() is None:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield process
        finally:
            process.kill()


def run(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*GATE, *arguments], env=env, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_listens_and_ends(tmp_path: Path, how: signal.Signals) -> None:
    # Another group than the process's own, which needs to be root, or to be in one.
    gid = 54321 if os.geteuid() == 0 else next(iter({*os.getgroups()} - {os.getegid()}), os.getegid())
    listen = tmp_path / "gate.sock"
    # One that a killed gate left behind.
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(listen))
    with running(environment(tmp_path, GROUP=str(gid)), tmp_path / "log") as process:
        found = listen.stat()
        assert stat.S_ISSOCK(found.st_mode)
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, gid)
        began = time.monotonic()
        # A connection that hangs does not keep it.
        with socket.socket(socket.AF_UNIX) as hanging:
            hanging.connect(str(listen))
            process.send_signal(how)
            assert process.wait(10) == 0
        assert time.monotonic() - began < 5
    assert not listen.exists()
    text = (tmp_path / "log").read_text()
    assert "Traceback" not in text
    assert "the engine" in text


async def test_its_health(tmp_path: Path) -> None:
    env = environment(tmp_path)
    assert (await anyio.to_thread.run_sync(run, env, "--check")).returncode == 1
    with running(env, tmp_path / "log"):
        sick = await anyio.to_thread.run_sync(run, env, "--check")
        assert (sick.returncode, "cannot be reached" in sick.stderr or "Cannot connect" in sick.stderr) == (1, True)
        server: asyncio.Server = await StandinEngine().serve(tmp_path / "engine.sock")
        well = await anyio.to_thread.run_sync(run, env, "--check")
        assert (well.returncode, well.stdout, well.stderr) == (0, "", "")
        server.close()


def test_another_gate_or_file_is_not_taken_away(tmp_path: Path) -> None:
    env = environment(tmp_path)
    with running(env, tmp_path / "log"):
        second = run(env)
        assert second.returncode == 1
        assert "another gate listens there" in second.stderr
        assert (tmp_path / "gate.sock").is_socket()
    (tmp_path / "gate.sock").unlink()
    (tmp_path / "gate.sock").write_text("mine")
    assert run(env).returncode == 1
    assert (tmp_path / "gate.sock").read_text() == "mine"
    (tmp_path / "gate.sock").unlink()
    (tmp_path / "gate.sock").symlink_to(tmp_path / "elsewhere")
    assert run(env).returncode == 1
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "values", [{"CONTAINER": ""}, {"USERS": "root"}, {"CONTAINERS": "x"}, {"RULES": "/nowhere"}, {"LOG": "loud"}]
)
def test_wrong_rules(tmp_path: Path, values: dict[str, str]) -> None:
    done = run(environment(tmp_path, **values))
    assert done.returncode == 2
    assert done.stderr.startswith(("PHOTON_RELAY_GATE_", "/nowhere"))
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "gate.sock").exists()


def test_help_names_every_variable(tmp_path: Path) -> None:
    said = run(environment(tmp_path), "--help").stdout
    assert all(f"PHOTON_RELAY_GATE_{name}\n" in said for name in VARIABLES)
