"""A file that a power cut left empty or cut short is no settings; what can be put back is told, and works."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from daemon.errors import ConfigError
from daemon.settings.versions import BY_HAND, Versions
from daemon.settings_torn import load_at_start

if TYPE_CHECKING:
    from pathlib import Path

GOOD = b"# mine\nusers: {include: [alice]}\nstate: 'the state'\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my settings.yaml"
    path.write_bytes(GOOD)
    versions = Versions(tmp_path / "the state" / "versions")
    versions.note(b"users: {include: [old]}\n", BY_HAND, 1.0)
    versions.note(GOOD, BY_HAND, 1_700_000_000.0)
    versions.note(b"users: [", "somebody", 1_700_000_001.0)
    return path


@pytest.mark.parametrize("torn", [b"", b"\0" * len(GOOD), b"  \n\n", GOOD[:20], b"\xef\xbb\xbf"])
def test_what_is_torn_is_told_with_the_way_back(file: Path, torn: bytes) -> None:
    file.write_bytes(torn)
    environ = {"PHOTON_RELAY__STATE": str(file.parent / "the state")}
    with pytest.raises(ConfigError) as raised:
        load_at_start(file, environ)
    assert file.read_bytes() == torn, "nothing is overwritten by itself"
    last = raised.value.faults[-1]
    assert last.startswith(f"{file}:1: the version of 2023-11-14T22:13:20")
    subprocess.run(["sh", "-c", last.partition("put back: ")[2]], check=True)
    assert file.read_bytes() == GOOD
    assert list(load_at_start(file, environ).settings.users.include) == ["alice"]


def test_the_state_is_found_without_help_of_the_environment(file: Path) -> None:
    file.write_bytes(b"state: the state\nusers: {include: [al")
    with pytest.raises(ConfigError) as raised:
        load_at_start(file, {})
    assert "can be put back" in raised.value.faults[-1]


def test_where_there_was_nothing_before_nothing_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "photon-relay.yaml"
    path.write_bytes(b"")
    assert load_at_start(path, {}).settings.users.new == "ask"


def test_a_comment_alone_means_the_defaults(file: Path) -> None:
    file.write_bytes(b"# nothing\n")
    assert not load_at_start(file, {"PHOTON_RELAY__STATE": str(file.parent / "the state")}).settings.users.include
