"""Commands that never end: a few are started beside one another, and then no more before one has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from daemon.docker.engine import Engine
from daemon.errors import RelayError, Transient
from daemon.nextcloud.container import MOST_OVERDUE, DockerRunner
from tests.gate.engine_standin import StandinEngine

if TYPE_CHECKING:
    from pathlib import Path


async def test_where_nextcloud_hangs_no_process_is_left_at_each_try(tmp_path: Path) -> None:
    docker = StandinEngine(hang=True, running=True)
    server = await docker.serve(tmp_path / "s")
    engine = Engine(f"unix://{tmp_path}/s")
    runner = DockerRunner(engine, "nextcloud", user="www-data", command=["php", "occ"])
    try:
        for number in range(MOST_OVERDUE + 4):
            with pytest.raises(Transient) as caught:
                await runner.run(["files:scan", "--path=/alice/files"], timeout=0.2)
            assert caught.value.code == "occ.timeout"
            assert ("was not started: 3 earlier calls" in str(caught.value)) is (number >= MOST_OVERDUE)
        assert len(docker.execs) == MOST_OVERDUE
        # The engine has been restarted and knows of none; or its processes have ended.
        docker.hang = docker.running = False
        assert (await runner.run(["status"], timeout=5)).exit_code == 7
        docker.fault = (404, "no such exec")
        with pytest.raises(RelayError):
            await runner.run(["status"], timeout=5)
        docker.fault = None
        assert (await runner.run(["status"], timeout=5)).exit_code == 7
    finally:
        await engine.aclose()
        server.close()
