"""Where the rules come from, and what they may not be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daemon.errors import ConfigError
from daemon.gate.place import VARIABLES, read_place, read_rules
from daemon.gate.rules import COMMANDS, PREFIX, USERS, Rules, from_environment, from_file
from daemon.nextcloud.container import CANDIDATES


def environment(**values: str) -> dict[str, str]:
    return {PREFIX + name: value for name, value in values.items()}


def test_what_the_daemon_tries_by_itself_is_allowed() -> None:
    rules = from_environment(environment(CONTAINER="nextcloud"))
    assert rules == Rules("nextcloud")
    assert {user for user, _ in CANDIDATES} == set(USERS)
    assert {command for _, command in CANDIDATES} == set(COMMANDS)


def test_both_ways_to_write_lists() -> None:
    words = environment(
        CONTAINER="a=b",
        USERS=" 33, 82:82 ,",
        COMMANDS="php occ; php8.3 /srv/occ",
        ALSO="a:b -n; c:d",
        WITHOUT="files:delete",
    )
    same = environment(
        CONTAINER="a=b", USERS='["33", "82:82"]', COMMANDS='[["php", "occ"], ["php8.3", "/srv/occ"]]',
        ALSO='[["a:b", "-n"], ["c:d"]]', WITHOUT='["files:delete"]',
    )  # fmt: skip
    expected = Rules(
        "a=b", ("33", "82:82"), (("php", "occ"), ("php8.3", "/srv/occ")), (("a:b", "-n"), ("c:d",)), ("files:delete",)
    )
    assert from_environment(words) == from_environment(same) == expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[("USERS", user) for user in (
            "0", "00", "033", "root", "root:33", "0:33", "0:0", ":33", "33:", "-1", "+1", "4294967296", "2147483648",
            "33:4294967296", "a b", "www-data:", "\uff57", "a\x7f", '[""]', "[33]", '["33", null]', "{}", "[",
        )],
        *[("COMMANDS", command) for command in (
            "sh -c", "bash -c occ", "php -r", "perl -e", '["php"]', "[[]]", '[[""]]', "[1]", "[",
        )],
        *[("ALSO", also) for also in ("[[]]", '[[""]]', "[1]", '["a"]', "[")],
        ("WITHOUT", "files:dele"),
        ("CONTAINER", "a\nb"),
        ("CONTAINER", "x" * 300),
        ("CONTAINER", ""),
    ],
)  # fmt: skip
def test_rules_that_cannot_be(key: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_environment(environment(CONTAINER="nextcloud") | environment(**{key: value}))
    assert [line for line in caught.value.faults if line.startswith(PREFIX + key)]


def test_a_slip_in_a_name_is_not_overlooked() -> None:
    with pytest.raises(ConfigError, match="PHOTON_RELAY_GATE_USER: is not known"):
        read_place(environment(CONTAINER="nextcloud", USER="33"))
    for name in VARIABLES:
        with pytest.raises(ConfigError) as caught:
            read_place(environment(**{name: "x/y"}) | environment(NONE="x"))
        assert not any(line.startswith(f"{PREFIX}{name}: is not known") for line in caught.value.faults)


@pytest.mark.parametrize(
    "values",
    [
        {"LISTEN": "gate.sock"},
        {"LISTEN": "/gate/docker.sock", "ENGINE": "unix:///gate/docker.sock"},
        {"LOG": "xml"},
        {"GROUP": "no such group"},
    ],
)
def test_places_that_cannot_be(values: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        read_place(environment(**values))


def test_places() -> None:
    place = read_place({"DOCKER_HOST": "tcp://engine:1"} | environment(GROUP="33", LOG="json"))
    assert (str(place.listen), place.engine, place.gid, place.log) == (
        "/gate/docker.sock",
        "tcp://engine:1",
        33,
        "json",
    )
    assert read_place(environment(ENGINE="unix:///x") | {"DOCKER_HOST": "y"}).engine == "unix:///x"
    assert read_place(environment(GROUP="root")).gid == 0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    path = tmp_path / "rules.toml"
    path.write_text('container = "nextcloud"\nusers = ["33"]\nalso = [["preview:pre-generate"]]\n')
    path.chmod(0o644)
    return path


NOBODY = 54321


def test_a_file(file: Path) -> None:
    expected = Rules("nextcloud", ("33",), also=(("preview:pre-generate",),))
    assert from_file(file, daemon_uid=NOBODY) == expected
    assert read_rules(environment(DAEMON_UID=str(NOBODY)), file) == expected
    assert read_rules(environment(DAEMON_UID=str(NOBODY), RULES=str(file)), None) == expected
    with pytest.raises(ConfigError, match="one place only"):
        read_rules(environment(DAEMON_UID=str(NOBODY), USERS="33"), file)
    with pytest.raises(ConfigError, match="must be a number"):
        read_rules(environment(DAEMON_UID="www-data"), file)


def test_a_file_of_the_daemons(file: Path) -> None:
    with pytest.raises(ConfigError, match="belongs to the daemon"):
        from_file(file, daemon_uid=os.getuid())


@pytest.mark.parametrize("mode", [0o664, 0o646])
@pytest.mark.parametrize("folder", [False, True])
def test_a_file_that_others_can_write(file: Path, mode: int, folder: bool) -> None:
    (file.parent if folder else file).chmod(mode | 0o111 * folder)
    with pytest.raises(ConfigError, match="others than its owner"):
        from_file(file, daemon_uid=NOBODY)


def test_a_link_to_a_file(file: Path) -> None:
    (file.parent / "link").symlink_to(file)
    (file.parent / "folder").symlink_to(file.parent)
    for link in (file.parent / "link", file.parent / "folder" / file.name):
        with pytest.raises(ConfigError, match="is reached by a link"):
            from_file(link, daemon_uid=NOBODY)


def test_a_file_below_the_daemons_configuration(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    monkeypatch.setattr("daemon.gate.rules._FROM_DAEMON", file.parent)
    with pytest.raises(ConfigError, match="cannot lie below"):
        from_file(file, daemon_uid=NOBODY)


@pytest.mark.parametrize(
    "text",
    [
        "", "users = ['33']", "container = 1", "container = 'a'\ncontainer = 'b'", "container = 'a'\nuser = ['33']",
        "container = 'a'\nusers = '33'", "container = 'a'\nusers = ['root']", "container = 'a'\nalso = ['x']", "[",
        "\0",
        "container = 'a'\ncommands = [['sh', '-c']]",
    ],
)  # fmt: skip
def test_files_that_cannot_be(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        from_file(file, daemon_uid=NOBODY)
    assert all(line.isprintable() and str(file) in line for line in caught.value.faults)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        from_file(tmp_path / "none", daemon_uid=NOBODY)


def test_the_documentation_has_every_variable() -> None:
    table = (Path(__file__).parents[2] / "docs" / "gate.md").read_text("utf-8")
    assert all(f"| `{PREFIX}{name}` | {words} |\n" in table for name, words in VARIABLES.items())
