"""Values from the environment and from files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import ConfigError
from daemon.settings_file import parse

if TYPE_CHECKING:
    from daemon.settings import Settings

HERE = Path("/etc/relay/photon-relay.yaml")


def read(text: str, environ: dict[str, str], path: Path = HERE) -> Settings:
    return parse(text.encode(), path, environ).settings


def faults(text: str, environ: dict[str, str], path: Path = HERE) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text.encode(), path, environ)
    return caught.value.faults


def faults_or_none(environ: dict[str, str]) -> list[str] | None:
    try:
        read("", environ)
    except ConfigError as error:
        return error.faults
    return None


@pytest.mark.parametrize(
    "name", ["PHOTON_RELAY__WATCH__SETTLE", "photon_relay__watch__settle", "Photon_Relay__Watch__Settle"]
)
def test_the_environment_wins_whatever_its_case(name: str) -> None:
    assert read("watch: {settle: 15s, batch: 7}", {name: "20s"}).watch.settle == 20


def test_values_of_every_kind() -> None:
    settings = read(
        "users: {include: {Bob: {tag: x}}}",
        {
            "PHOTON_RELAY__PHOTOPRISM__TOKEN": "12345",
            "PHOTON_RELAY__PHOTOPRISM__IMPORT": "/i",
            "PHOTON_RELAY__USERS__EXISTING": "yes",
            "PHOTON_RELAY__USERS__FOLDERS": "[A, 'B C']",
            "PHOTON_RELAY__USERS__INCLUDE__BOB__AFTER": "keep",
            "PHOTON_RELAY__USERS__INCLUDE__carol__FOLDERS": "- X\n- Y\n",
            "PHOTON_RELAY__WATCH__BATCH": "9",
            "PHOTON_RELAY__NEXTCLOUD__OCC__COMMAND": "[php, occ]",
            "PHOTON_RELAY__NEXTCLOUD__MEMORIES": "off",
            "PHOTON_RELAY__NOTIFY__NTFY__LEVELS": "{success: low}",
            "PHOTON_RELAY__HOOKS": '[{"on": "batch.done", "url": "http://x"}]',
            "PHOTON_RELAY__NEXTCLOUD__ALBUM__FOLDER": '""',
            "PHOTON_RELAY__ARCHIVE__FOLDER__TEMPLATE": "{taken:%Y}/{name}{ext}",
            "PHOTON_RELAY__STATE": "/state",
            "PHOTON_RELAY__LOG": "{level: debug}",
            "PHOTON_RELAY__LOG__FORMAT": "json",
            "PHOTON_RELAY_CONFIG": "/elsewhere",
            "TZ": "UTC",
        },
    )
    assert settings.photoprism.token.get_secret_value() == "12345"
    assert settings.photoprism.import_ == "/i"
    assert settings.users.existing is True
    assert settings.users.folders == ("A", "B C")
    assert settings.users.rules_for("Bob")[2:] == ("keep", 0.0, "Archived", "x")
    assert settings.users.rules_for("carol").folders == ("X", "Y")
    assert settings.watch.batch == 9
    assert settings.nextcloud.occ.command == ("php", "occ")
    assert settings.nextcloud.memories == "off"
    assert (settings.notify.ntfy.levels.success, settings.notify.ntfy.levels.error) == ("low", "high")
    assert settings.hooks[0].url == "http://x"
    assert settings.nextcloud.album.folder == ""
    assert settings.archive.folder.template == "{taken:%Y}/{name}{ext}"
    assert settings.state == "/state"
    assert (settings.log.level, settings.log.format) == ("debug", "json")


@pytest.mark.parametrize(
    "token", ["*abc", "&abc", "[abc", "{abc}", "a#b", "a:b", "!x", "true", "007", "null", "%x", "'a"]
)
def test_a_secret_is_taken_as_it_stands(token: str) -> None:
    settings = read("", {"PHOTON_RELAY__PHOTOPRISM__TOKEN": token})
    assert settings.photoprism.token.get_secret_value() == token


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1))
def test_any_secret_without_quotes_around_it_is_taken_as_it_stands(token: str) -> None:
    if token[0] in "'\"":
        token = "x" + token
    assert read("", {"PHOTON_RELAY__NOTIFY__NTFY__TOKEN": token}).notify.ntfy.token.get_secret_value() == token


@given(
    st.text(max_size=30),
    st.sampled_from(["USERS__FOLDERS", "HOOKS", "NOTIFY", "USERS__INCLUDE__X__TAG", "WATCH__BATCH"]),
)
def test_any_value_is_taken_or_refused_with_words(value: str, key: str) -> None:
    found = faults_or_none({f"PHOTON_RELAY__{key}": value})
    assert found != []
    for line in found or []:
        assert line.startswith(f"environment variable PHOTON_RELAY__{key}: ")
        assert "\n" not in line


@given(
    st.lists(
        st.sampled_from(["", "WATCH", "settle", "X", "USERS", "INCLUDE", "a b", "TOKEN_FILE", "NTFY", "ä"]), max_size=5
    )
)
def test_any_name_leads_somewhere_or_is_refused_with_words(parts: list[str]) -> None:
    assert faults_or_none({"PHOTON_RELAY__" + "__".join(parts): "1s"}) != []


_LENGTHS = st.dictionaries(st.sampled_from(["settle", "max_wait", "partner"]), st.integers(1000, 10**6), max_size=3)


@given(_LENGTHS, _LENGTHS)
def test_the_merge_is_file_below_environment(file: dict[str, int], environ: dict[str, int]) -> None:
    merged = {"settle": 10_000, "max_wait": 600_000, "partner": 120_000} | file | environ
    text = "watch: {" + ", ".join(f"{key}: {value}ms" for key, value in file.items()) + "}"
    variables = {f"PHOTON_RELAY__WATCH__{key.upper()}": f"{value}ms" for key, value in environ.items()}
    if merged["max_wait"] < merged["settle"]:
        assert "watch.max_wait" in faults(text, variables)[0]
        return
    watch = read(text, variables).watch
    assert {key: round(getattr(watch, key) * 1000) for key in merged} == merged


def test_an_empty_variable_counts_as_not_set() -> None:
    assert (
        read("photoprism: {token: a}", {"PHOTON_RELAY__PHOTOPRISM__TOKEN": ""}).photoprism.token.get_secret_value()
        == "a"
    )


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("PHOTON_RELAY__WATCH__SETLE", "1s", "watch.setle: unknown key; did you mean settle?"),
        ("PHOTON_RELAY__FOO__BAR", "1", "foo: unknown key"),
        ("PHOTON_RELAY__WATCH__SETTLE", "x", "watch.settle: must be a length of time"),
        ("PHOTON_RELAY__WATCH__SETTLE__X", "x", "watch.settle has no keys below it"),
        ("PHOTON_RELAY__HOOKS__0__URL", "x", "hooks has no keys below it"),
        ("PHOTON_RELAY__USERS__FOLDERS", "[a", "not valid YAML"),
        ("PHOTON_RELAY__USERS__FOLDERS", "a", "users.folders: must be a list"),
        ("PHOTON_RELAY__USERS__FOLDERS_FILE", "a", "users.folders_file: unknown key"),
        ("PHOTON_RELAY__STATE", os.fsdecode(b"a\xff"), "is not UTF-8 text"),
        ("PHOTON_RELAY__", "a", "leads to no key"),
        (
            "PHOTON_RELAY__PHOTOPRISM__TOKEN_FILE",
            "/none/x",
            "photoprism.token_file: /none/x cannot be read: No such file",
        ),
    ],
)
def test_faults_name_the_variable(name: str, value: str, fault: str) -> None:
    (line,) = faults("watch: {settle: 11s}", {name: value})
    assert line.startswith(f"environment variable {name}: {fault}")


def test_what_a_variable_replaced_in_the_file_is_not_blamed() -> None:
    (line,) = faults("users:\n  folders:\n    - a\n", {"PHOTON_RELAY__USERS__FOLDERS": "[..]"})
    assert line.startswith("environment variable PHOTON_RELAY__USERS__FOLDERS: users.folders[0]: ")


def test_two_variables_for_one_key_are_a_fault() -> None:
    (line,) = faults("", {"PHOTON_RELAY__LOG__LEVEL": "info", "photon_relay__log__level": "debug"})
    assert "PHOTON_RELAY__LOG__LEVEL is set too" in line


def secret_file(folder: Path, content: bytes) -> Path:
    file = folder / "token"
    file.write_bytes(content)
    return file


@pytest.mark.parametrize("content", [b"geheim", b"geheim\n", b"geheim\r\n"])
def test_a_value_comes_from_a_file_without_its_last_newline(tmp_path: Path, content: bytes) -> None:
    file = secret_file(tmp_path, content)
    text = f"photoprism: {{token_file: {file}, url_file: {file}x}}"
    (tmp_path / "tokenx").write_text("http://pp:1\n")
    settings = read(text, {})
    assert settings.photoprism.token.get_secret_value() == "geheim"
    assert settings.photoprism.url == "http://pp:1"
    settings = read("", {"PHOTON_RELAY__PHOTOPRISM__TOKEN_FILE": str(file)})
    assert settings.photoprism.token.get_secret_value() == "geheim"


def test_files_beside_values_deep_below_and_of_every_kind(tmp_path: Path) -> None:
    for name, content in (("a", "keep"), ("b", "http://x"), ("c", "12"), ("d", "true")):
        (tmp_path / name).write_text(content)
    settings = read(
        "users: {include: {bob: {after_file: a}}, existing_file: d}\n"
        "hooks: [{on: x, url_file: b}]\nwatch: {batch_file: c}",
        {},
        tmp_path / "photon-relay.yaml",
    )
    assert settings.users.rules_for("bob").after == "keep"
    assert settings.users.existing is True
    assert settings.hooks[0].url == "http://x"
    assert settings.watch.batch == 12


def test_a_user_may_be_called_like_a_file_key(tmp_path: Path) -> None:
    settings = read("users: {include: {new_file: {}}}", {}, tmp_path / "photon-relay.yaml")
    assert settings.users.decision("new_file") == "include"


def test_the_environment_wins_over_both_of_the_file(tmp_path: Path) -> None:
    file = secret_file(tmp_path, b"fromfile")
    environ = {"PHOTON_RELAY__PHOTOPRISM__TOKEN": "fromenv"}
    assert read(f"photoprism: {{token_file: {file}}}", environ).photoprism.token.get_secret_value() == "fromenv"
    environ = {"PHOTON_RELAY__PHOTOPRISM__TOKEN_FILE": str(file)}
    assert read("photoprism: {token: x}", environ).photoprism.token.get_secret_value() == "fromfile"


def test_a_value_and_its_file_are_a_fault(tmp_path: Path) -> None:
    file = secret_file(tmp_path, b"x")
    (line,) = faults(f"photoprism:\n  token: geheim\n  token_file: {file}\n", {})
    assert line == f"{HERE}:3: photoprism.token_file: stands beside token; only one of them can be"
    names = ("PHOTON_RELAY__PHOTOPRISM__TOKEN", "PHOTON_RELAY__PHOTOPRISM__TOKEN_FILE")
    (line,) = faults("", {names[0]: "geheim", names[1]: str(file)})
    assert f"{names[0]} is set too" in line or f"{names[1]} is set too" in line


def test_an_empty_value_beside_its_file_is_as_the_default_file_leaves_it(tmp_path: Path) -> None:
    file = secret_file(tmp_path, b"geheim\n")
    settings = read(f'photoprism:\n  token: ""\n  token_file: {file}\n', {})
    assert settings.photoprism.token.get_secret_value() == "geheim"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"geheim geheim", "must not have blanks"),
        (b"geheim\n\n", "must not have blanks"),
        (b"\xff", "is not UTF-8 text"),
        (b"geheim\0", "is not text"),
        (b"x" * 65537, "is larger than 64 KiB"),
    ],
)
def test_faults_of_a_value_from_a_file_name_the_line_of_its_key(tmp_path: Path, content: bytes, fault: str) -> None:
    file = secret_file(tmp_path, content)
    (line,) = faults(f"photoprism:\n  url: http://x\n  token_file: {file}\n", {})
    assert line.startswith(f"{HERE}:3: photoprism.token")
    assert fault in line
    assert str(file) in line
    assert "geheim" not in line


def test_files_that_are_none_are_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, fault in (("none", "No such file"), ("", ""), ("pipe", "is not a file"), (".", "is not a file")):
        text = f"photoprism:\n  token_file: {name}\n"
        if not fault:
            assert read(text, {}, tmp_path / "c.yaml").photoprism.token.get_secret_value() == ""
            continue
        (line,) = faults(text, {}, tmp_path / "c.yaml")
        assert line.startswith(f"{tmp_path}/c.yaml:2: photoprism.token_file: ")
        assert fault in line
    (line,) = faults("photoprism: {token_file: [a]}", {})
    assert line.endswith("photoprism.token_file: must be the name of a file")
