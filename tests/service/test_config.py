"""The settings room: what a front end may change, what not, and that a change counts at once."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from daemon.clock import Clock
from daemon.errors import ConfigError, NeedsPerson
from daemon.ledger.ledger import Ledger
from daemon.service.config import Config
from daemon.service.stated import fault_parts
from daemon.settings.secrets import MARKER
from daemon.settings.versions import Versions
from daemon.settings_file import load, watch_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

TEXT = """\
# mine
nextcloud:
  data: /nextcloud-data
  occ: {via: docker, also: [[preview:pre-generate]]}
users:
  include: [alice, bob]   # both of us
photoprism:
  url: http://photoprism:2342
  token: 'prism-token-1'
hooks:
- {on: batch.done, url: "http://a.example", secret: hook-secret-a}
- {on: batch.done, run: [/bin/true]}
ui: {password_hash: "$argon2id$v=19$old-hash"}
state: st
"""
HASH = "$argon2id$v=19$new-hash"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "config" / "photon-relay.yaml"
    file.parent.mkdir()
    file.write_text(TEXT)
    return file


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    state = tmp_path / "config" / "st"
    state.mkdir(parents=True)
    found = Ledger(str(state))
    yield found
    found.close()


@pytest.fixture
def config(file: Path, ledger: Ledger) -> Config:
    return made(file, ledger, {})


def made(file: Path, ledger: Ledger, environ: dict[str, str]) -> Config:
    return Config(load(file, environ), environ, Versions(file.parent / "st" / "versions"), ledger, Clock())


async def refused(config: Config, changes: dict[str, Any]) -> str:
    before = config.path.read_bytes()
    with pytest.raises((NeedsPerson, ConfigError)) as caught:
        await config.patch(changes, None, "page")
    assert config.path.read_bytes() == before
    return caught.value.code


async def test_what_is_read_has_everything_but_the_secrets(config: Config) -> None:
    found = await config.read()
    assert "prism-token-1" not in str(found)
    assert "old-hash" not in str(found)
    assert "hook-secret-a" not in str(found)
    assert found["settings"]["users"]["include"] == {"alice": {}, "bob": {}}
    assert found["settings"]["state"] == "st"
    assert found["secrets_set"]["photoprism.token"] is True
    assert found["secrets_set"]["notify.ntfy.token"] is False
    assert found["writable"] is True
    assert found["defaults"]["watch"]["settle"] == "10s"
    assert "nextcloud.occ.command" in found["by_hand"]
    assert found["etag"] == config.state()["etag"]


async def test_a_change_is_made_noted_and_kept(config: Config, ledger: Ledger) -> None:
    found = await config.patch({"watch": {"settle": "15s"}}, config.state()["etag"], "page 192.168.1.7")
    assert config.path.read_text() == TEXT + "watch:\n  settle: 15s\n"
    assert found["settings"]["watch"]["settle"] == "15s"
    line = ledger.audit.lines()[0]
    assert (line["deed"], line["who"], line["note"]) == ("settings changed", "page 192.168.1.7", "watch")
    versions = (await config.versions())["versions"]
    assert [one["who"] for one in versions] == ["page 192.168.1.7", "by hand"]
    assert MARKER in (await config.version(versions[0]["id"]))["yaml"]


async def test_a_user_comes_into_a_list_and_nobody_is_lost(config: Config) -> None:
    await config.patch({"users": {"include": {"carol": {}}}}, None, "page")
    assert "include: [alice, bob, carol]   # both of us" in config.path.read_text()
    await config.patch({"users": {"include": {"bob": None}}}, None, "page")
    assert "include: [alice, carol]   # both of us" in config.path.read_text()
    await config.patch({"users": {"include": {"carol": {"after": "keep"}}}}, None, "page")
    assert load(config.path, {}).settings.users.include["carol"].after == "keep"
    assert list(load(config.path, {}).settings.users.include) == ["alice", "carol"]


@pytest.mark.parametrize(
    "changes",
    [
        {"nextcloud": {"occ": {"command": ["sh", "-c", "id"]}}},
        {"nextcloud": {"occ": {"also": [["x"]]}}},
        {"nextcloud": {"occ": None}},
        {"nextcloud": {"data": "/"}},
        {"nextcloud": {"data_file": "/etc/passwd"}},
        {"nextcloud": {"occ": {"via": "command"}}},
        {"hooks": [{"on": "batch.done", "run": ["sh"]}]},
        {"hooks": []},
        {"ui": {"tls": {"cert": "/etc/x", "key": "/etc/y"}}},
        {"ui": {"password_hash": ""}},
        {"ui": {"password_hash": HASH}},
        {"ui": None},
        {"state": "/elsewhere"},
        {"archive": {"folder": {"path": "/etc"}}},
        {"photoprism": {"originals": "/"}},
    ],
)
async def test_what_runs_programs_or_names_files_is_changed_by_hand_only(
    file: Path, ledger: Ledger, changes: dict[str, Any]
) -> None:
    if changes.get("nextcloud", {}).get("data_file"):
        data = file.with_name("data")
        data.write_text("/nextcloud-data\n")
        changes = {"nextcloud": {"data": None, "data_file": str(data)}}
    if changes.get("nextcloud", {}).get("occ") == {"via": "command"}:
        file.write_text(TEXT.replace("via: docker", "via: docker, command: [php, occ]"))
    assert await refused(made(file, ledger, {}), changes) == "config.by_hand"


async def test_a_stored_secret_is_not_sent_elsewhere(config: Config) -> None:
    assert await refused(config, {"photoprism": {"url": "http://evil"}}) == "config.secret_again"
    assert await refused(config, {"photoprism": {"url": "http://evil", "token": MARKER}}) == "config.secret_again"
    with pytest.raises(NeedsPerson) as caught:
        await config.put((await config.read())["yaml"].replace("photoprism:2342", "evil"), None, "page")
    assert caught.value.code == "config.secret_again"
    await config.patch({"photoprism": {"url": "http://other:1", "token": "other-token"}}, None, "page")
    assert load(config.path, {}).settings.photoprism.token.get_secret_value() == "other-token"
    # The same address in other words is none that is new.
    await config.patch({"photoprism": {"url": "http://other:1/"}}, None, "page")


async def test_hooks_that_are_shown_without_secrets_keep_them(config: Config) -> None:
    hooks = (await config.read())["settings"]["hooks"]
    hooks[0]["on"] = "photo.done"
    await config.patch({"hooks": hooks}, None, "page")
    assert load(config.path, {}).settings.hooks[0].secret.get_secret_value() == "hook-secret-a"
    assert "hook-secret-a" in config.path.read_text()
    hooks[0]["url"] = "http://evil.example"
    await config.patch({"hooks": hooks}, None, "page")
    assert load(config.path, {}).settings.hooks[0].secret.get_secret_value() == ""


async def test_what_comes_from_elsewhere_cannot_be_changed_here(file: Path, ledger: Ledger) -> None:
    token = file.with_name("token")
    token.write_text("from-a-file\n")
    file.write_text(TEXT.replace("token: 'prism-token-1'", f"token_file: {token}"))
    config = made(file, ledger, {"PHOTON_RELAY__WATCH__SETTLE": "20s"})
    found = await config.read()
    assert found["overridden"] == {
        "watch.settle": "environment variable PHOTON_RELAY__WATCH__SETTLE",
        "photoprism.token": f"file {token}",
    }
    assert await refused(config, {"watch": {"settle": "15s"}}) == "config.overridden"
    assert await refused(config, {"photoprism": {"token": "x-y-z-1"}}) == "config.overridden"
    # A form that sends everything back says nothing new.
    await config.patch({"watch": {"settle": "20s", "batch": 7}}, None, "page")
    assert "settle" not in file.read_text()
    assert await refused(config, {"photoprism": {"url": "http://evil"}}) == "config.secret_again"


async def test_somebody_else_s_change_is_shown_not_overwritten(config: Config, file: Path) -> None:
    etag = config.state()["etag"]
    file.write_text(TEXT + "log: {level: debug}\n")
    with pytest.raises(NeedsPerson) as caught:
        await config.patch({"watch": {"settle": "15s"}}, f'"{etag}"', "page")
    assert caught.value.code == "config.conflict"
    assert "level: debug" in caught.value.context["theirs"]
    assert "prism-token-1" not in caught.value.context["theirs"]
    await config.patch({"watch": {"settle": "15s"}}, f'W/"{caught.value.context["etag"]}"', "page")
    assert load(file, {}).settings.log.level == "debug"


async def test_what_is_wrong_is_told_by_line_and_changes_nothing(config: Config) -> None:
    assert await refused(config, {"watch": {"settle": "soon"}}) == "config.invalid"
    assert await refused(config, {"nonsense": 1}) == "config.invalid"
    found = await config.validate((await config.read())["yaml"] + "watch: {settle: soon}\n")
    assert not found["valid"]
    assert found["faults"][0]["line"] == 15
    assert found["faults"][0]["key"] == "watch.settle"
    assert (await config.validate((await config.read())["yaml"]))["valid"]
    asked = await config.validate((await config.read())["yaml"].replace("st\n", "elsewhere\n"))
    assert asked["refused"]["code"] == "config.by_hand"


async def test_a_guard_may_refuse_what_would_lock_out(config: Config) -> None:
    def guard(settings: Any) -> None:
        if settings.ui.allow:
            raise NeedsPerson("ui.locked_out", "you would not come in any more")

    config.guard = guard
    assert await refused(config, {"ui": {"allow": ["10.0.0.1"]}}) == "ui.locked_out"


async def test_the_whole_text_can_be_saved_with_its_secrets_untouched(config: Config) -> None:
    shown = (await config.read())["yaml"]
    await config.put(shown.replace("# mine", "# ours"), None, "page")
    assert config.path.read_text() == TEXT.replace("# mine", "# ours")
    with pytest.raises(ConfigError):
        await config.put(shown.replace("# mine", f'log: {{level: "{MARKER}"}}'), None, "page")


async def test_a_difference_is_shown_before_it_is_made(config: Config) -> None:
    found = await config.diff(changes={"photoprism": {"token": "new-token-2"}, "watch": {"batch": 7}})
    assert "+  batch: 7" in found["diff"]
    assert "token" not in found["diff"].replace("  token: ", "").replace(MARKER, "")
    shown = await config.diff(yaml=(await config.read())["yaml"].replace("# mine", "# ours"))
    assert "-# mine" in shown["diff"]
    assert "+# ours" in shown["diff"]
    assert config.path.read_text() == TEXT


async def test_an_earlier_version_comes_back_with_today_s_password(config: Config) -> None:
    await config.patch({"watch": {"settle": "15s"}}, None, "page")
    await config.set_password_hash(HASH, "page")
    await config.restore_version("1", None, "page")
    assert config.path.read_text() == TEXT.replace("$argon2id$v=19$old-hash", HASH)
    with pytest.raises(NeedsPerson) as caught:
        await config.restore_version("77", None, "page")
    assert caught.value.code == "version.unknown"


async def test_a_broken_file_can_be_seen_and_mended(config: Config, file: Path) -> None:
    file.write_text(TEXT.replace("# mine", "mine: ["))
    found = await config.read()
    assert found["valid"] is False
    assert found["faults"][0]["line"]
    assert "prism-token-1" not in found["yaml"]
    assert await refused(config, {"log": {"level": "debug"}}) == "config.invalid"
    await config.put(found["yaml"].replace("mine: [", "# mine"), None, "page")
    assert load(file, {}).settings.photoprism.token.get_secret_value() == "prism-token-1"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
async def test_a_file_that_cannot_be_written_says_so(config: Config, file: Path) -> None:
    folder = file.parent
    if subprocess.run(["mount", "--bind", str(folder), str(folder)], check=False).returncode:
        pytest.skip("no mounts here")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        found = await config.read()
        assert found["writable"] is False
        assert "read-only" in found["why_not"]
        assert await refused(config, {"watch": {"batch": 7}}) == "config.read_only"
        assert config.state()["writable"] is False
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_faults_are_taken_apart() -> None:
    assert fault_parts('/c: d.yaml:12: users.include."o: x".after: is wrong: so', "/c: d.yaml") == {
        "line": 12,
        "key": 'users.include."o: x".after',
        "message": "is wrong: so",
    }
    assert fault_parts("environment variable X: leads to no key", "/c")["line"] is None
    assert fault_parts("/c:3: not valid YAML: a tab", "/c")["key"] == ""


# In force


async def until(there: Callable[[], bool]) -> None:
    with anyio.fail_after(2):
        while not there():  # noqa: ASYNC110 - what is waited for has no event
            await anyio.sleep(0.02)


@asynccontextmanager
async def following(config: Config, file: Path) -> AsyncIterator[list[float]]:
    """Take what is saved in force as the daemon's loop does; give what `watch.settle` was each time."""
    seen: list[float] = []

    async def follow() -> None:
        config.followed = True
        async for found in watch_settings(file, {}, known=config.state()["etag"], hurry=config.hurry):
            if isinstance(found, ConfigError):
                config.wrong(found)
            else:
                config.taken(found)
                seen.append(found.settings.watch.settle)

    async with anyio.create_task_group() as group:
        group.start_soon(follow)
        await anyio.sleep(0.1)
        yield seen
        group.cancel_scope.cancel()


async def test_the_answer_comes_when_the_change_is_in_force(config: Config, file: Path) -> None:
    async with following(config, file) as seen:
        began = time.monotonic()
        found = await config.patch({"watch": {"settle": "15s"}}, None, "page")
        assert found["in_force"] is True
        assert time.monotonic() - began < 1.5
        assert seen == [15.0]
        assert config.state()["etag"] == found["etag"]


def _in_place(file: Path, text: str) -> None:
    file.write_text(text)


def _by_renaming(file: Path, text: str) -> None:
    new = file.with_name("new~")
    new.write_text(text)
    new.rename(file)


def _with_backup(file: Path, text: str) -> None:
    file.rename(file.with_name("photon-relay.yaml~"))
    file.write_text(text)


def _in_parts(file: Path, text: str) -> None:
    with file.open("w") as opened:
        opened.write(text[: len(text) // 2])
        opened.flush()
        time.sleep(0.2)
        opened.write(text[len(text) // 2 :])


def _by_sed(file: Path, _: str) -> None:
    subprocess.run(["sed", "-i", "s/^# mine$/watch: {settle: 17s}/", str(file)], check=True)


@pytest.mark.parametrize("save", [_in_place, _by_renaming, _with_backup, _in_parts, _by_sed])
@pytest.mark.parametrize("mounted", [False, True])
async def test_however_an_editor_saves_it_is_in_force_within_two_seconds(
    config: Config, file: Path, tmp_path: Path, save: Any, mounted: bool
) -> None:
    where = file
    if mounted:
        folder = tmp_path / "mounted"
        folder.mkdir()
        if subprocess.run(["mount", "--bind", str(file.parent), str(folder)], check=False).returncode:
            pytest.skip("no mounts here")
        where = folder / file.name
    try:
        async with following(config, where) as seen:
            await anyio.to_thread.run_sync(save, file, TEXT.replace("# mine", "watch: {settle: 17s}"))
            await until(lambda: seen == [17.0])
            assert config.state()["valid"]
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(where.parent)], check=True)


async def test_a_wrong_save_is_told_with_its_line_until_it_is_right(config: Config, file: Path) -> None:
    async with following(config, file) as seen:
        file.write_text(TEXT + "watch: {settle: soon}\n")
        await until(lambda: not config.state()["valid"])
        state = config.state()
        assert state["faults"][0]["line"] == 15
        assert state["etag"] == (await config.read())["etag"]
        assert seen == []
        file.write_text(TEXT)
        await until(lambda: bool(config.state()["valid"]))


async def test_a_new_state_folder_waits_for_a_restart_however_often_it_is_saved(config: Config, file: Path) -> None:
    for more in ("", "log: {level: debug}\n"):
        file.write_text(TEXT.replace("st\n", "elsewhere\n") + more)
        loaded = load(file, {})
        config.taken(loaded)
        assert config.restart_needed
        assert config.state()["restart_needed"]
        assert config.without_restart(loaded.settings).state == str(file.parent / "st")
    config.taken(load(file, {}))
    file.write_text(TEXT)
    config.taken(load(file, {}))
    assert not config.restart_needed


async def test_what_is_only_tried_tells_nothing_of_files(config: Config, tmp_path: Path) -> None:
    """A text that names files is refused before any of them is opened: answers would tell what there is."""
    (tmp_path / "secret").write_text("two words")
    os.mkfifo(tmp_path / "pipe")
    text = (await config.read())["yaml"]
    told = set()
    for name in ("secret", "pipe", "absent"):
        for key in ("token", "token_file"):
            value = tmp_path / name if key == "token_file" else "x"
            asked = text.replace(f"token: {MARKER!r}", f"{key}: {value}").replace(
                f'token: "{MARKER}"', f"{key}: {value}"
            )
            found = await config.validate(asked)
            if key == "token_file":
                told.add(str(found).replace(name, ""))
                assert found["refused"]["code"] == "config.by_hand"
    assert len(told) == 1


@pytest.mark.parametrize("text", ["", "\n", " \t\r\n\n", "\ufeff", "\0\0"])
async def test_a_text_that_holds_nothing_is_not_taken(config: Config, text: str) -> None:
    assert not (await config.validate(text))["valid"]
    with pytest.raises(ConfigError, match="would be empty"):
        await config.put(text, None, "page")
    assert config.path.read_text() == TEXT
    assert (await config.versions())["versions"] == []


@pytest.mark.parametrize("text", ["# nothing\n", "---\n", "{}\n", "null\n", "--- ~\n...\n", "\x85\n"])
async def test_a_text_without_settings_takes_nothing_away_that_is_changed_by_hand_only(
    config: Config, text: str
) -> None:
    """The hooks, the commands and the password's hash that stand there would be gone."""
    with pytest.raises(NeedsPerson) as caught:
        await config.put(text, None, "page")
    assert caught.value.code == "config.by_hand"
    assert ((await config.validate(text))["refused"] or {})["code"] == "config.by_hand"
    assert config.path.read_text() == TEXT


def nested(kind: type, levels: int) -> Any:
    found: Any = 1
    for _ in range(levels):
        found = {"a": found} if kind is dict else [found]
    return found


@pytest.mark.parametrize(
    "changes",
    [
        nested(dict, 900),
        nested(dict, 50_000),
        {"hooks": nested(list, 50_000)},
        {f"k{number}": 1 for number in range(60_000)},
        {"photoprism": {"albums": ["x"] * 70_000}},
    ],
    ids=["deep", "very deep", "lists", "wide", "long"],
)
async def test_changes_that_no_file_could_hold_are_refused_at_once(config: Config, changes: dict[str, Any]) -> None:
    began = time.monotonic()
    assert await refused(config, changes) == "config.invalid"
    with pytest.raises(ConfigError):
        await config.diff(changes=changes)
    assert time.monotonic() - began < 2


BOMBS = {
    "laughs": "a: &a [x, x]\n"
    + "".join(f"{b}: &{b} [{f'*{a}, ' * 9}]\n" for a, b in zip("abcdefghi", "bcdefghij", strict=True)),
    "merged": "a: &a {x: 1}\n"
    + "".join(f"{b}: &{b} {{<<: [*{a}, *{a}]}}\n" for a, b in zip("abcdefghi", "bcdefghij", strict=True)),
    "itself": "a: &a [*a]\n",
    "deep": "[" * 100_000,
    "markers": "hooks:\n" + f'- {{url: "http://a.example", secret: "{MARKER}"}}\n' * 3000,
    "number": "watch: {batch: " + "9" * 100_000 + "}\n",
}


@pytest.mark.parametrize("name", BOMBS)
async def test_a_bomb_in_a_text_is_refused_and_costs_little(config: Config, name: str) -> None:
    began = time.process_time()
    with pytest.raises((ConfigError, NeedsPerson)):
        await config.put(BOMBS[name], None, "page")
    found = await config.validate(BOMBS[name])
    assert not found["valid"] or found["refused"]
    answer = await config.diff(yaml=BOMBS[name])
    assert len(str(answer)) < 4 * len(BOMBS[name]) + 10_000
    assert time.process_time() - began < 10
    assert config.path.read_text() == TEXT
