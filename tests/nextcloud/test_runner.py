from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import anyio
import pytest

from daemon.errors import NeedsPerson, Transient
from daemon.nextcloud import runner
from daemon.nextcloud.runner import CommandRunner

if TYPE_CHECKING:
    from pathlib import Path

    from tests.nextcloud.conftest import Cloud

PYTHON = (sys.executable, "-S", "-c")


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as handle:  # noqa: PTH123
            return handle.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def gone(pid: int) -> bool:
    for _ in range(100):
        if not alive(pid):
            return True
        await anyio.sleep(0.02)
    return False


async def pid_in(path: Path) -> int:
    while not path.exists() or not path.read_text().endswith("\n"):  # noqa: ASYNC110 - another process writes it
        await anyio.sleep(0.01)
    return int(path.read_text())


async def test_arguments_arrive_as_they_are() -> None:
    argv = ["--path=/alice/files/My Photos/$HOME;`id`' \"", "", "ü", os.fsdecode(b"not\xffutf8")]
    said = await CommandRunner(
        [*PYTHON, "import sys, os; os.write(1, b'\\0'.join(map(os.fsencode, sys.argv[1:])))"]
    ).run(argv, timeout=20)
    assert said.stdout == "\0".join(["--path=/alice/files/My Photos/$HOME;`id`' \"", "", "ü", "not\ufffdutf8"])


async def test_both_streams_and_the_exit_code() -> None:
    said = await CommandRunner([*PYTHON, "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"]).run(
        [], timeout=20
    )
    assert (said.exit_code, said.stdout, said.stderr) == (3, "out\n", "err\n")


async def test_standard_input_is_empty() -> None:
    said = await CommandRunner([*PYTHON, "import sys; print(repr(sys.stdin.read()))"]).run([], timeout=20)
    assert said.stdout == "''\n"


async def test_our_secrets_are_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTON_RELAY__PHOTOPRISM__TOKEN", "secret")
    monkeypatch.setenv("SOME_OTHER", "kept")
    said = await CommandRunner([*PYTHON, "import os; print(sorted(os.environ))"]).run([], timeout=20)
    assert "PHOTON" not in said.stdout
    assert "SOME_OTHER" in said.stdout


async def test_a_flood_is_kept_within_bounds_with_both_its_ends() -> None:
    script = "import sys; print('first'); [print('x' * 1000) for _ in range(20000)]; print('last')"
    said = await CommandRunner([*PYTHON, script]).run([], timeout=60)
    assert len(said.stdout) < 1_100_000
    assert said.stdout.startswith("first\n")
    assert said.stdout.endswith("last\n")
    assert "bytes left out" in said.stdout


CHILD = """
import os, signal, subprocess, sys, time
if {stubborn}: signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(300)"])
with open({pid!r}, "w") as handle: print(child.pid, file=handle)
time.sleep({seconds})
"""


@pytest.mark.parametrize("stubborn", [False, True])
async def test_at_the_time_limit_the_whole_group_is_ended(
    tmp_path: Path, stubborn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "GRACE", 0.2)
    script = CHILD.format(stubborn=stubborn, pid=str(tmp_path / "pid"), seconds=300)
    with pytest.raises(Transient, match=r"did not answer within 1 s") as caught:
        await CommandRunner([*PYTHON, script]).run(["files:scan"], timeout=1)
    assert caught.value.code == "occ.timeout"
    assert await gone(await pid_in(tmp_path / "pid"))


async def test_a_grandchild_that_keeps_the_pipes_open_does_not_keep_us(tmp_path: Path) -> None:
    script = CHILD.format(stubborn=False, pid=str(tmp_path / "pid"), seconds=0)
    with pytest.raises(Transient, match=r"occ\.timeout"):
        await CommandRunner([*PYTHON, script]).run([], timeout=1)
    assert await gone(await pid_in(tmp_path / "pid"))


@pytest.mark.parametrize("stubborn", [False, True])
async def test_cancelled_it_ends_the_group_and_soon(
    tmp_path: Path, stubborn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "GRACE", 0.2)
    parent: list[int] = []
    script = CHILD.format(stubborn=stubborn, pid=str(tmp_path / "pid"), seconds=300)
    async with anyio.create_task_group() as tasks:

        async def ask() -> None:
            await CommandRunner([*PYTHON, script]).run([], timeout=300)

        tasks.start_soon(ask)
        pid = await pid_in(tmp_path / "pid")
        parent.append(os.getpgid(pid))
        began = time.monotonic()
        tasks.cancel_scope.cancel()
    assert time.monotonic() - began < 2
    assert await gone(pid)
    assert await gone(parent[0])


async def test_a_signal_ends_with_a_negative_code() -> None:
    said = await CommandRunner([*PYTHON, "import os; os.kill(os.getpid(), 9)"]).run([], timeout=20)
    assert said.exit_code == -signal.SIGKILL


@pytest.mark.parametrize("command", ["/nowhere/php", "/etc/passwd"])
async def test_no_such_command(command: str) -> None:
    with pytest.raises(NeedsPerson) as caught:
        await CommandRunner([command, "occ"]).run(["status"], timeout=20)
    assert caught.value.code == "occ.no_occ"
    assert command in caught.value.message


async def test_a_zero_byte_is_refused() -> None:
    with pytest.raises(NeedsPerson, match=r"occ\.bad_argument"):
        await CommandRunner(["true"]).run(["a\0b"], timeout=20)
    with pytest.raises(ValueError, match="empty"):
        CommandRunner([])


async def test_an_argument_that_is_too_long_passes_by_itself() -> None:
    with pytest.raises(Transient, match=r"occ\.cannot_start"):
        await CommandRunner(["true"]).run(["x" * 3_000_000], timeout=20)


async def test_occ_that_hangs_and_does_not_listen(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "GRACE", 0.2)
    cloud.server.switch(hang=1)
    with pytest.raises(Transient, match=r"occ\.timeout"):
        await CommandRunner(cloud.server.command).run(["status"], timeout=1.5)
    assert cloud.server.log()[0]["exit"] is None
    said = await CommandRunner(cloud.server.command).run(["status"], timeout=20)
    assert said.exit_code == 0
