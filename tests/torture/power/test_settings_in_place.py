"""The power goes while a settings file that is mounted by itself is saved: the next start has one text, whole.

No renaming leads over a mount, so the file is written in place, and of what was not synced any page may survive. Such a
mixture may well be valid: half of a change would be in force, of which nobody knows.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from daemon.errors import ConfigError, RelayError
from daemon.settings.storing import etag_of, is_mounted, store
from daemon.settings.versions import Versions
from daemon.settings_torn import load_at_start
from tests.kill.trials import SEED
from tests.torture.counts import COUNTS
from tests.torture.fuse.mount import Mount
from tests.torture.needs import LONG, many, needs_fuse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [needs_fuse, pytest.mark.timeout(900)]


def text(first: str, last: str, lines: int, filling: str = "nothing") -> bytes:
    """Give settings of several pages: what matters stands on the first and on the last."""
    comments = "".join(f"# line {number:05} says {filling} {500 * '.'}\n" for number in range(lines))
    return f"users: {{after: {first}}}\n{comments}relay: {{dry_run: {last}}}\nstate: state\n".encode()


OLD = text("keep", "true ", 40)
NEW = {
    "as long": text("keep", "false", 40, "Nothing"),
    "longer": text("archive", "false", 90),
    "shorter": text("delete", "false", 15),
}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Mount]:
    with Mount(tmp_path / "back", tmp_path / "disk", record=True) as mount:
        yield mount


@pytest.fixture
def file(disk: Mount, tmp_path: Path) -> Iterator[Path]:
    """Give a settings file that alone is mounted; it and the state folder lie on the disk that forgets."""
    there = disk.path / "settings.yaml"
    there.write_bytes(OLD)
    (disk.path / "state").mkdir()
    target = tmp_path / "in the container/photon-relay.yaml"
    target.parent.mkdir()
    target.touch()
    (target.parent / "state").symlink_to(disk.path / "state")
    subprocess.run(["mount", "--bind", there, target], check=True)
    yield target
    subprocess.run(["umount", "-l", target], check=True)


def save(file: Path, new: bytes, during: list[int], disk: Mount) -> None:
    """Save as the page does; noted is how many calls had been made before and after the writing in place."""
    versions = Versions(file.parent / "state/versions")
    versions.note(OLD, "by hand", 1.0)

    @contextmanager
    def keep(before: bytes, after: bytes) -> Iterator[None]:
        with versions.written_over(before, after):
            during.append(disk.points())
            yield
            during.append(disk.points())

    assert store(file, new, etag_of(OLD), keep) == "in place"
    versions.note(new, "page", 2.0)


def started_with(file: Path) -> bytes:
    """Give the text that is in force after a start, without empty lines at its end; nothing where that was refused."""
    try:
        return load_at_start(file, {}).text.encode().rstrip(b"\n")
    except ConfigError as error:
        return b"" if "can be put back" in error.faults[-1] else b"without a word of what can be done"


@pytest.mark.parametrize("kind", NEW)
def test_the_next_start_has_the_old_text_or_the_new_one(disk: Mount, file: Path, kind: str) -> None:
    new = NEW[kind]
    wanted = {OLD.rstrip(b"\n"): "old", new.rstrip(b"\n"): "new"}
    assert is_mounted(file)
    disk.settle()
    during: list[int] = []
    save(file, new, during, disk)
    inside = range(during[0] + 1, during[1] + 2)
    calls = range(1, disk.points() + 1) if LONG else inside
    # A short form has few cuts: always the same ones, of which some are known to leave a mixture.
    dice = random.Random(f"{SEED if LONG else 1} {kind}")
    ends: Counter[str] = Counter()
    for at in calls:
        for _ in range(many(3, 40)):
            seed = dice.randrange(1 << 30)
            shutil.rmtree(disk.path / "state/versions", ignore_errors=True)
            file.write_bytes(OLD)
            disk.settle()
            disk.cut(at=at)
            with suppress(OSError, RelayError):
                save(file, new, during, disk)
            disk.power_on(seed, "random" if at in inside else "")
            COUNTS.cuts += 1
            ends["mixtures"] += file.read_bytes().rstrip(b"\n") not in wanted
            found = started_with(file)
            assert found in wanted, f"cut at call {at}, seed {seed}: started with {found[:200]!r}"
            ends[wanted[found]] += 1
            assert file.read_bytes().rstrip(b"\n") == found
            assert started_with(file) == found
    print(f"\n{kind}: cut at {len(calls)} calls: {dict(ends)}, seed {SEED}")
    assert ends["mixtures"]
