"""The data directory, who is in it, and rights proved by doing."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from daemon.checks import data, doing
from daemon.checks.check import Check, Level
from daemon.errors import RelayError
from daemon.files.names import name_of_hidden
from daemon.watch.media import is_temporary
from tests.checks.conftest import House, snapshot
from tests.checks.watched_folder import WatchedFolder

if TYPE_CHECKING:
    from daemon.settings import Settings


def levels(checks: list[Check]) -> list[Level]:
    return [check.level for check in checks]


def only(checks: list[Check]) -> Check:
    [check] = checks
    return check


def codes(checks: list[Check]) -> list[str]:
    return [check.code for check in checks]


def test_homes_are_counted(house: House) -> None:
    assert "3 homes" in only(data.data_directory(house.settings())).message


def test_no_marker_is_raised(house: House) -> None:
    (house.data / ".ncdata").unlink()
    for look in (data.data_directory, data.users, data.rights):
        with pytest.raises(RelayError) as caught:
            look(house.settings())
        assert caught.value.code == "nextcloud.mount_missing"
    (house.data / ".ocdata").touch()
    assert levels(data.data_directory(house.settings())) == [Level.OK]


def test_no_homes(house: House, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / ".ncdata").touch()
    settings = house.settings(nextcloud={"data": str(empty)})
    found = only(data.data_directory(settings))
    assert (found.level, found.code) == (Level.WARNING, "nextcloud.no_homes")
    assert codes(data.users(settings)) == ["users.none_included", "users.no_home"]
    assert data.rights(settings) == []


def test_who_is_who(house: House) -> None:
    house.folder("carol")
    users = {"include": {"alice": {}, "bob": {}, "gone": {}}, "exclude": ["admin"]}
    found = data.users(house.settings(users=users))
    assert levels(found) == [Level.OK, Level.WARNING]
    assert found[0].message == "included: alice, bob; waiting for your decision: carol; excluded: admin"
    assert "users.include" in found[0].hint
    assert (found[1].code, found[1].message.rpartition(" ")[2]) == ("users.no_home", "gone")


def test_nobody_included_is_a_warning(house: House) -> None:
    found = only(data.users(house.settings(users={"include": {}, "new": "exclude"})))
    assert (found.level, found.code) == (Level.WARNING, "users.none_included")
    assert only(data.users(house.settings(users={"include": {}, "new": "include"}))).level is Level.OK


def test_long_lists_are_cut(house: House) -> None:
    for number in range(14):
        house.folder(f"user{number:02}")
    found = data.users(house.settings(users={"new": "include"}))
    assert "and 7 more" in found[0].message


def test_rights_are_tried_by_doing_and_hidden(house: House) -> None:
    watched = {name: WatchedFolder(house.folder(name)) for name in ("alice", "bob")}
    beside = WatchedFolder(house.data / "bob/files")
    before = snapshot(house.data)
    found = only(data.rights(house.settings()))
    assert found.level is Level.OK
    assert "originals can be taken away in 2 of them" in found.message
    assert snapshot(house.data) == before
    for events in (watched["alice"].events(), watched["bob"].events(), beside.events()):
        assert [what for what, _ in events] == ["create", "from", "to", "delete"]
        for _, name in events:
            assert name.startswith(".photon-relay-check")
            assert name.endswith(".part")
            assert is_temporary(name)
            assert name_of_hidden(name) is None  # no original that wants its name back


def test_an_archived_folder_that_stands_is_tried_itself(house: House) -> None:
    archived = house.folder("bob", "Archived")
    watched, above = WatchedFolder(archived), WatchedFolder(house.data / "bob/files")
    assert only(data.rights(house.settings())).level is Level.OK
    assert len(watched.events()) == 4
    assert above.events() == []


@pytest.mark.parametrize("after", ["trash", "tag", "keep"])
def test_nothing_is_made_where_nothing_is_taken_away(house: House, after: str) -> None:
    watched = WatchedFolder(house.folder("alice"))
    settings = house.settings(users={"include": {"alice": {"after": after}}})
    assert only(data.rights(settings)).message == "1 watched folder can be read"
    assert watched.events() == []


def test_a_dry_run_touches_nothing(house: House) -> None:
    watched = WatchedFolder(house.folder("alice"))
    found = only(data.rights(house.settings(relay={"dry_run": True})))
    assert "dry run" in found.message
    assert watched.events() == []


def test_only_included_users_are_touched(house: House) -> None:
    watched = WatchedFolder(house.folder("admin"))
    data.rights(house.settings())
    assert watched.events() == []


def test_a_user_without_any_watched_folder(house: House) -> None:
    found = data.rights(house.settings(users={"include": {"alice": {}, "admin": {}}}))
    assert levels(found) == [Level.OK, Level.WARNING]
    assert found[1].code == "users.no_folder"
    assert "admin" in found[1].message


def test_a_link_is_not_followed(house: House, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.mkdir()
    watched = WatchedFolder(target)
    (house.data / "alice/files/Photos").symlink_to(target)
    found = data.rights(house.settings())
    assert [(check.level, check.code) for check in found[1:]] == [(Level.FAILED, "file.link")]
    assert watched.events() == []


def test_many_faults_are_cut_the_worst_first(house: House, tmp_path: Path) -> None:
    users: dict[str, Any] = {"include": {f"user{number}": {} for number in range(8)}}
    for number in range(8):
        (house.data / f"user{number}/files").mkdir(parents=True)
    (house.data / "user7/files/Photos").symlink_to(tmp_path)
    found = data.rights(house.settings(users=users))
    assert len(found) == 6
    assert found[0].level is Level.FAILED
    assert found[-1].message == "and 3 more of the kind"


AS_NOBODY = """
import encodings.ascii, json, os, sys
from daemon.checks import data, places, state, watching
from daemon.clock import Clock
from daemon.errors import RelayError
from daemon.settings import Settings
settings = Settings.model_validate(json.loads(sys.argv[1]))
if os.getuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)
out = {}
for look in (data.data_directory, data.rights, places.import_folder, places.originals, state.state_folder):
    try: out[look.__name__] = [one.as_dict() for one in look(settings)]
    except RelayError as error: out[look.__name__] = [{"level": "raised", "code": error.code, "message": error.message}]
out["watching"] = [one.as_dict() for one in watching.watching(settings, Clock())]
print(json.dumps(out))
"""


def as_nobody(settings: Settings) -> dict[str, list[dict[str, str]]]:
    given = json.dumps(settings.model_dump(mode="json", by_alias=True))
    done = subprocess.run([sys.executable, "-c", AS_NOBODY, given], stdout=subprocess.PIPE, check=True, text=True)
    found: dict[str, list[dict[str, str]]] = json.loads(done.stdout)
    return found


def test_what_another_user_may_not_do(house: House) -> None:
    # Not below pytest's own folder, into which only its owner may look.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        house.root = house.root.rename(Path(folder) / "house")
        for path in [house.root, *house.root.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        settings = house.settings()
        if os.geteuid() != 0:  # the owner of all this: take away what root's absence takes from others
            for path in (house.imports, house.root / "state", house.folder("alice"), house.folder("bob")):
                path.chmod(0o555)
        before = snapshot(house.root)
        found = as_nobody(settings)
        assert [one["code"] for one in found["data_directory"]] == [""]
        assert [one["code"] for one in found["rights"]] == ["disk.permission"] * 2  # read, but not taken away
        assert "uid 65534" in found["rights"][0]["message"] or os.geteuid() != 0
        assert "alice/files/InstantUpload" in found["rights"][0]["message"]
        assert [one["code"] for one in found["import_folder"]] == ["disk.permission"]
        assert [one["code"] for one in found["originals"]] == [""]
        assert [one["code"] for one in found["state_folder"]] == ["disk.permission"]
        assert snapshot(house.root) == before

        (house.folder("alice") / "x.jpg").chmod(0)
        (house.folder("bob") / "closed").mkdir(mode=0)
        (house.originals / "2026/11/a.jpg").chmod(0)
        (house.data / "admin").chmod(0)
        found = as_nobody(settings)
        assert [one["code"] for one in found["data_directory"]] == ["", "nextcloud.no_access"]
        assert found["data_directory"][1]["level"] == "warning"  # nobody wants admin's photos
        assert "x.jpg" in found["rights"][0]["message"]
        assert [one["code"] for one in found["originals"]] == ["disk.permission"]
        assert [one["code"] for one in found["watching"]] == ["", "watch.unreadable"]
        assert "bob/files/InstantUpload/closed" in found["watching"][1]["message"]

        (house.data / "alice").chmod(0)
        found = as_nobody(settings)
        assert found["data_directory"][1]["level"] == "failed"
        for path in house.root.rglob("*"):
            path.chmod(0o755)


KILLED = """
import os, signal, sys
from daemon.checks import doing
def killed(*_): os.kill(os.getpid(), signal.SIGKILL)
doing.rename_noreplace = killed
if sys.argv[1] == "take":
    doing.take_away(os.open(sys.argv[2], os.O_RDONLY | os.O_DIRECTORY))
else:
    doing.make_and_remove(sys.argv[2], sys.argv[3])
"""


def test_what_a_killed_check_left_stays_and_disturbs_nobody(house: House) -> None:
    watched = house.folder("alice")
    for arguments in (["take", str(watched)], ["make", str(house.imports), str(house.data)]):
        done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False)
        assert done.returncode == -9
    (watched / ".photon-relay-check.of.others.part").write_text("theirs")
    (house.imports / ".photon-relay-check-others").mkdir()
    [left] = {path.name for path in watched.iterdir()} - {"x.jpg", ".photon-relay-check.of.others.part"}
    assert left.endswith(".part")
    assert len(list(house.imports.iterdir())) == 2
    before = snapshot(house.root)
    assert only(data.rights(house.settings())).level is Level.OK
    doing.make_and_remove(str(house.imports), str(house.data))
    assert snapshot(house.root) == before


@pytest.mark.parametrize("code", [errno.EIO, errno.EROFS, errno.ENOSPC])
def test_what_fails_half_way_leaves_nothing(house: House, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def fails(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    before = snapshot(house.root)
    monkeypatch.setattr(doing, "rename_noreplace", fails)
    found = data.rights(house.settings())
    assert levels(found) == [Level.FAILED] * 2
    with pytest.raises(RelayError):
        doing.make_and_remove(str(house.imports), str(house.data))
    assert snapshot(house.root) == before


def test_the_sticky_bit_keeps_others_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o1777)
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    doing.others_may_go(fd)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(RelayError, match="sticky bit"):
        doing.others_may_go(fd)
    tmp_path.chmod(0o777)
    doing.others_may_go(fd)
    os.close(fd)
