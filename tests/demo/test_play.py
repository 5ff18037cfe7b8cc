"""The playground as people start it: the installed command, as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("photon-relay")
# What holds on this machine must not hold in a playground.
ENVIRONMENT = {**os.environ, "PHOTON_RELAY__ARCHIVE__VIA": "photoprism", "PHOTON_RELAY_CONFIG": "/nowhere.yaml"}


def once(folder: Path | None, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    place = ["--dir", str(folder)] if folder else []
    return subprocess.run(
        [PROGRAM, "demo", "--once", "--port", "0", *place],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**ENVIRONMENT, "TMPDIR": str(tmp_path)},
        timeout=90,
    )


def inodes(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_ino for path in folder.joinpath("archive").rglob("*.*")}


def test_once_relays_everything_and_cleans_up(tmp_path: Path) -> None:
    done = once(None, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "9 files relayed" in done.stdout
    assert "1 duplicate, 0 failed." in done.stdout
    # The same bytes came from two users; on a busy machine either may be first.
    names = ("IMG_0001.jpg", "from alice.jpg")
    twins = [
        f"{one} is in the archive already as 2026/05/20260517_140320_{other}" for one, other in (names, names[::-1])
    ]
    assert any(words in done.stdout for words in twins), done.stdout
    assert "VID_0003.mp4 → 2026/05/20260520_142420_VID_0003.mp4, original in Nextcloud's bin" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_once_again_in_the_same_folder_finds_duplicates_alone(tmp_path: Path) -> None:
    folder = tmp_path / "ground"
    assert once(folder, tmp_path).returncode == 0
    archived = inodes(folder)
    assert len(archived) == 9
    again = once(folder, tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "0 files relayed" in again.stdout
    assert "10 duplicates" in again.stdout
    assert inodes(folder) == archived


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    done = once(tmp_path, tmp_path)
    assert done.returncode == 1
    assert "not empty" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["holiday.jpg"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_trickles_until_it_is_told_to_stop(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "ground"
    command: list[str | Path] = [PROGRAM, "demo", "--port", "0", "--dir", folder]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT
    ) as process:
        assert process.stdout is not None
        guard = threading.Timer(60, process.kill)
        guard.start()
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "→" in line:
                break
        beside = subprocess.run(
            [PROGRAM, "--config", folder / "photon-relay.yaml", "status"], capture_output=True, text=True, check=False
        )
        process.send_signal(number)
        rest = process.stdout.read()
        guard.cancel()
    assert process.returncode == 0, "".join(lines) + rest
    assert any("uploads a photo" in line for line in lines)
    assert beside.returncode == 0, beside.stderr
    assert "Traceback" not in rest
