"""Signs of loss, limits and file systems: decisions on plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.fingerprint import Fingerprint
from daemon.watch import filesystems, limits
from daemon.watch.heard import Heard
from daemon.watch.model import Found, below
from daemon.watch.rules import Rules
from daemon.watch.users import normal, outermost
from daemon.watch.watchdog import Pauses, Watchdog

if TYPE_CHECKING:
    from pathlib import Path


def test_the_watchdog_names_stalls_and_jumps() -> None:
    dog = Watchdog(1.0)
    assert dog.tick(100, 1000) is None
    assert dog.tick(101, 1001) is None
    assert dog.tick(103.9, 1003.9) is None
    assert "stood still for 2.1 s" in (dog.tick(107, 1007) or "")
    assert "+3600.0 s" in (dog.tick(108, 4608) or "")
    assert "-3600.0 s" in (dog.tick(109, 1009) or "")
    assert dog.tick(110, 1010) is None


def test_pauses_grow_and_start_again_after_calm() -> None:
    pauses = Pauses(first=1, longest=5, calm=60)
    assert [pauses.after_failure(now) for now in (0, 1, 2, 4, 8, 13)] == [0, 1, 2, 4, 5, 5]
    assert pauses.after_failure(100) == 0


def test_mounts_are_read_and_the_last_at_the_longest_point_counts() -> None:
    table = (
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "2 1 0:5 / /mnt/my\\040photos rw shared:1 - nfs4 server:/x rw\n"
        "3 1 0:6 / /mnt/my\\040photos/local rw - xfs /dev/sdb rw\n"
        "4 1 0:7 / /data rw - ext4 /dev/sdc rw\n"
        "5 1 0:8 / /data rw - fuse.mergerfs a:b rw\n"
        "broken line\n"
    )
    mounts = filesystems.parse_mounts(table)
    assert len(mounts) == 5
    for path, kind in {
        "/mnt/my photos/x": "nfs4",
        "/mnt/my photos/local/x": "xfs",
        "/mnt/my photos2": "ext4",
        "/data/a": "fuse.mergerfs",
    }.items():
        assert filesystems.kind_at(path, mounts) == kind
    silent = ("nfs", "nfs4", "cifs", "smb3", "9p", "vboxsf", "fuse.sshfs", "fuse", "virtiofs")
    assert all(filesystems.is_silent(kind) for kind in silent)
    assert not any(filesystems.is_silent(kind) for kind in ("ext4", "btrfs", "overlay", "fuseblk", "tmpfs", "zfs", ""))


def test_here_events_come(tmp_path: Path) -> None:
    assert filesystems.silent_kind(str(tmp_path)) is None


def test_limits_warn_before_they_are_reached_with_the_line_to_type() -> None:
    allowed = limits.Limits(8192, 128, 16384)
    assert limits.assess(3000, allowed) is None
    near = limits.assess(3500, allowed)
    assert near is not None
    assert not near.full
    assert "sysctl -w fs.inotify.max_user_watches=524288" in near.remedy
    full = limits.assess(5000, allowed)
    assert full is not None
    assert full.full
    assert limits.assess(10**9, limits.Limits(None, None, None)) is None
    assert (limits.read_limits().watches or 0) > 0


def test_the_longest_folder_counts_and_only_whole_components() -> None:
    assert below("a/b/c", ["a", "a/b", "a/bc"]) == "a/b"
    assert below("ab", ["a"]) is None
    assert below("anything", [""]) == ""
    assert below("a", ["a"]) == "a"


def test_folders_are_made_normal_and_nested_ones_walked_once() -> None:
    assert normal({"u": ["/A//b/", "A/b", "../x", ".", "c"]}) == {"u": ("A/b", "", "c")}
    assert outermost(["A", "A/b", "AB", "c/d"]) == ["A", "AB", "c/d"]
    assert outermost(["", "A"]) == [""]


def test_the_folder_for_released_originals_is_passed_over() -> None:
    rules = Rules(archived="Archived", folders={"u": ("Photos/Phone", "Camera")})
    assert rules.passes_over("u/files/Photos/Archived")
    assert rules.passes_over("u/files/Archived")
    assert not rules.passes_over("u/files/Photos/Phone/Archived")
    assert not rules.passes_over("v/files/Archived")
    assert rules.passes_over("u/files/Photos/.thumbnails")
    on_purpose = Rules(archived="Archived", folders={"u": ("Photos", "Archived")})
    assert not on_purpose.passes_over("u/files/Archived")


def test_what_the_watch_owed() -> None:
    heard = Heard(grace=2)
    heard.watched(["u/files/A"], 100)

    def found(path: str, changed: float) -> Found:
        return Found("u", path, Fingerprint(1, 1, 1, int(changed * 1e9)))

    assert heard.owed(found("A/x.jpg", 110), 120)
    assert not heard.owed(found("A/x.jpg", 101), 120)
    assert not heard.owed(found("A/x.jpg", 119), 120)
    assert not heard.owed(found("B/x.jpg", 110), 120)
    heard.told(found("A/x.jpg", 110))
    assert not heard.owed(found("A/x.jpg", 110), 120)
    heard.keep([])
    assert not heard.owed(found("A/y.jpg", 110), 120)
