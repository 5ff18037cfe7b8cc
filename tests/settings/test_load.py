"""The loader: every fault at once, with file, line and key, and never a traceback."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from daemon.cli.which_file import default_config_path
from daemon.errors import ConfigError
from daemon.settings import Settings, default_file
from daemon.settings_file import Loaded, config_check, ensure_default, load, parse

HERE = Path("/etc/relay/photon-relay.yaml")


def faults(text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text.encode(), HERE, environ or {})
    return [line.removeprefix(f"{HERE}:") for line in caught.value.faults]


def faults_or_none(content: bytes) -> list[str] | None:
    try:
        parse(content, HERE, {})
    except ConfigError as error:
        return error.faults
    return None


def fine(text: str, environ: dict[str, str] | None = None) -> Loaded:
    return parse(text.encode(), HERE, environ or {})


def test_all_faults_come_at_once_each_with_line_and_key() -> None:
    found = faults(
        """\
nextcloud:
  data: nextcloud-data
  occ:
    via: of
  memoris: on
users:
  include:
    alice:
    "o'neil@x y": {after: burn, folders: [../x]}
watch:
  settle: 10
  sweep: sometimes
settle: 3s
notify: {ntfy: {url: "https://ntfy.sh/topic", topic: x}}
"""
    )
    starts = [
        "2: nextcloud.data: must be an absolute path",
        "4: nextcloud.occ.via: must be docker, command or off, not `of`",
        "5: nextcloud.memoris: unknown key; did you mean memories?",
        '9: users.include."o\'neil@x y".folders[0]: must not contain `..`',
        '9: users.include."o\'neil@x y".after: must be trash, delete, archive, tag or keep, not `burn`',
        "11: watch.settle: must be a length of time",
        "12: watch.sweep: must be `every`",
        "13: settle: unknown key; did you mean watch.settle?",
        "14: notify.ntfy.url: must be the server alone",
    ]
    assert len(found) == len(starts)
    for line, start in zip(found, starts, strict=True):
        assert line.startswith(start)


def test_a_missing_key_is_named_at_its_parent() -> None:
    assert faults("watch: {}\nhooks:\n  - url: http://x\n") == ["3: hooks[0].on: is required"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("- a\n", "1: must hold keys with values"),
        ("a\n", "1: must hold keys with values"),
        ("watch: 5\n", "1: watch: must be a section with keys below it"),
        ("watch: [a]\n", "1: watch: must be a section with keys below it"),
        ("users: {folders: Photos}", "1: users.folders: must be a list"),
        ("users: {include: alice}", "1: users.include: must be a section with a key for each item"),
        ("users: {include: {a: [b]}}", "1: users.include.a: must be a section"),
        ("users: {existing: maybe}", "1: users.existing: must be true or false"),
        ("watch: {batch: many}", "1: watch.batch: must be a whole number"),
        ("watch: {batch: 0}", "1: watch.batch: must be at least 1"),
        ("watch: {batch: 999999}", "1: watch.batch: must be at most 100000"),
        ("watch: {settle: }", "1: watch.settle: is empty"),
        ("watch:\n  settle: 1s\n  settle: 2s\n", "3: watch.settle: stands twice; first in line 2"),
        ("ui: {tls: {cert: a}}", "1: ui.tls.key: must not be empty"),
        ("users: {tag: [a]}", "1: users.tag: must be a single text"),
        ("users: {tag: true}", "1: users.tag: must be a single text"),
        ("nextcloud: {occ: {command: php occ}}", "1: nextcloud.occ.command: must be auto, or a list"),
        ("nextcloud: {occ: {also: [a]}}", "1: nextcloud.occ.also: must be a list of commands"),
        ("relay: {workers: 65}", "1: relay.workers: must be auto or a whole number"),
        ("hooks: [a]", "1: hooks[0]: must be a section"),
        ("zzzzzzzzzz: 1", "1: zzzzzzzzzz: unknown key"),
        ("ui: {timezone: Mars}", "1: ui.timezone: must be a time zone"),
        ("ui: {password_hash: geheim}", "1: ui.password_hash: must be the hash"),
        ("watch: {extensions: [../x]}", "1: watch.extensions: must hold file name endings"),
    ],
)
def test_single_faults(text: str, fault: str) -> None:
    (line,) = faults(text)
    assert line.startswith(fault)


def test_sections_and_empty_defaults_may_be_left_empty() -> None:
    text = "nextcloud:\nusers:\n  include:\n  exclude:\nphotoprism:\n  token:\n  albums:\nhooks:\nnotify: {ntfy: }\n"
    assert fine(text).settings == Settings().below(HERE.parent)


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "---\n", "\ufeff", "~"])
def test_an_empty_file_means_the_defaults(text: str) -> None:
    assert fine(text).settings == Settings().below(HERE.parent)


def test_text_and_etag_are_those_of_the_bytes() -> None:
    content = "\ufeff# ä\r\nwatch: {settle: 15s}\r\n".encode()
    loaded = parse(content, HERE, {})
    assert loaded.text.encode() == content
    assert loaded.etag == hashlib.sha256(content).hexdigest()
    assert loaded.settings.watch.settle == 15


def test_the_document_holds_the_file_alone() -> None:
    loaded = fine("watch: {settle: 15s}", {"PHOTON_RELAY__WATCH__SETTLE": "20s"})
    assert loaded.document.data == {"watch": {"settle": "15s"}}
    assert loaded.settings.watch.settle == 20


def test_state_and_certificates_are_relative_to_the_file() -> None:
    settings = fine("state: s\nui: {tls: {cert: c.pem, key: /k.pem}}").settings
    assert settings.state == "/etc/relay/s"
    assert (settings.ui.tls.cert, settings.ui.tls.key) == ("/etc/relay/c.pem", "/k.pem")
    assert fine("state: /state").settings.state == "/state"


@pytest.mark.parametrize(
    "text",
    [
        "photoprism: {token: geheim geheim}",
        "photoprism: {token: [geheim]}",
        "photoprism: {token: {geheim: 1}}",
        "ui: {password_hash: geheim}",
        "notify: {ntfy: {token: 'geheim\n\n  x'}}",
        "photoprism: {token: geheim: geheim}",
        "photoprism: {url: 'http://a:geheim@b'}",
        "photoprism: {token: a}\nnotify: {ntfy: {token: geheim}}\nx: 1",
    ],
)
def test_no_fault_shows_a_secret(text: str) -> None:
    assert "geheim" not in "\n".join(faults(text))


def test_only_in_a_sweep_may_the_settle_time_be_nothing() -> None:
    (fault,) = faults("watch:\n  settle: 0s\n")
    assert fault.startswith("2: watch.settle: must be at least 300ms")
    assert parse(b"watch: {settle: 0s}", HERE, {}, sweep=True).settings.watch.settle == 0


def test_warnings_are_handed_back_with_their_lines() -> None:
    loaded = fine("archive: {via: folder}\nwatch:\n  settle: 300ms\n")
    (warning,) = loaded.warnings
    assert warning.startswith(f"{HERE}:3: watch.settle: 300ms is very short")


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    missing = tmp_path / "none.yaml"
    assert config_check(missing, {}) == ([f"{missing}:1: cannot be read: No such file or directory"], 2)
    assert config_check(tmp_path, {}) == ([f"{tmp_path}:1: is not a file"], 2)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert config_check(pipe, {}) == ([f"{pipe}:1: is not a file"], 2)
    large = tmp_path / "large.yaml"
    large.write_bytes(b"#" * ((1 << 20) + 1))
    assert config_check(large, {}) == ([f"{large}:1: is larger than 1 MiB"], 2)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"a: 1\nb: \xe4\n")
    assert config_check(latin, {}) == ([f"{latin}:2: is not UTF-8 text; save it as UTF-8"], 2)
    assert config_check(Path("a\0b"), {})[1] == 2


def test_a_strange_file_name_forges_no_line(tmp_path: Path) -> None:
    strange = tmp_path / os.fsdecode(b"a\nb\xff.yaml")
    strange.write_text("x: 1")
    ((line,), code) = config_check(strange, {})
    assert code == 2
    assert "\n" not in line
    line.encode()


def test_config_check_says_that_all_is_well(tmp_path: Path) -> None:
    file = tmp_path / "photon-relay.yaml"
    file.write_text("archive: {via: folder}\n")
    assert config_check(file, {}) == ([f"{file}: valid"], 0)


def test_the_default_is_written_where_there_is_none(tmp_path: Path) -> None:
    file = tmp_path / "photon-relay.yaml"
    assert ensure_default(file) is True
    assert file.read_text(encoding="utf-8") == default_file()
    assert [entry.name for entry in tmp_path.iterdir()] == [file.name]
    assert load(file, {}).settings.state == str(tmp_path / "state")


def test_the_default_is_never_written_over_anything(tmp_path: Path) -> None:
    file = tmp_path / "photon-relay.yaml"
    file.write_text("mine")
    assert ensure_default(file) is False
    assert file.read_text() == "mine"
    link = tmp_path / "link.yaml"
    link.symlink_to(tmp_path / "nowhere")
    assert ensure_default(link) is False
    assert ensure_default(tmp_path / "none" / "photon-relay.yaml") is False
    assert not (tmp_path / "none").exists()


def test_the_default_stays_back_where_somebody_was_faster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "photon-relay.yaml"

    def faster() -> str:
        file.write_text("mine")
        return default_file()

    monkeypatch.setattr("daemon.settings_file.default_file", faster)
    assert ensure_default(file) is False
    assert file.read_text() == "mine"
    assert [entry.name for entry in tmp_path.iterdir()] == [file.name]


def test_where_no_hard_links_are_known_the_default_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_self: Path, _target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    file = tmp_path / "photon-relay.yaml"
    assert ensure_default(file) is True
    assert file.read_text(encoding="utf-8") == default_file()


def test_which_file_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_config_path({"PHOTON_RELAY_CONFIG": "/x/y.yaml"}) == Path("/x/y.yaml")
    if not Path("/config/photon-relay.yaml").exists():
        assert default_config_path({}) == Path("config/photon-relay.yaml")


@given(st.binary() | st.text().map(str.encode))
@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_the_bytes_only_words_come_out(content: bytes) -> None:
    found = faults_or_none(content)
    assert found != []
    for line in found or []:
        assert line.startswith(f"{HERE}:")
        assert "\n" not in line
        line.encode()


_KEYS = st.sampled_from(
    ["nextcloud", "occ", "users", "include", "folders", "watch", "settle", "hooks", "on", "photoprism", "token", "ui",
     "allow", "token_file", "notify", "ntfy", "levels", "state", "archive", "via", "template", "sweep", "albums", "x"]
)  # fmt: skip
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["off", "every 1s", "{x", "a_file"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS | st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_KEYS, st.dictionaries(_KEYS, _VALUES, max_size=4) | _VALUES, max_size=5))
@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_stands_at_known_keys_only_words_come_out(data: dict[str, object]) -> None:
    found = faults_or_none(json.dumps(data, ensure_ascii=False).encode(errors="surrogatepass"))
    assert found != []
    assert all("\n" not in line for line in found or [])


@given(st.data())
@hypothesis_settings(deadline=None)
def test_the_default_file_with_something_torn_out_gives_words_too(data: st.DataObject) -> None:
    text = default_file()
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 200)))
    put = data.draw(st.text(alphabet="\n\t :-[]{}'\"*&!x0", max_size=4))
    assert faults_or_none((text[:start] + put + text[end:]).encode()) != []
