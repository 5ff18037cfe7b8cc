"""Killed with SIGKILL before and after each call that changes something: a file is the earlier one or the new one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.settings.storing import etag_of
from daemon.settings.versions import Versions
from daemon.settings_torn import load_at_start
from tests.settings.test_storing import mount, unmount

ROOT = Path(__file__).parents[2]
OLD, NEW = b"log: {level: info}  # mine\n", b"log: {level: debug}  # mine\n"
# Runs one deed and kills itself at the n-th call; ends with 0 when there are fewer.
CHILD = """
import os, pathlib, signal, sys
from daemon.settings import storing
from daemon.settings.versions import Versions
deed, folder, when = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
count = 0
def killing(real):
    def call(*given, **named):
        global count
        for after in (False, True):
            if after:
                result = real(*given, **named)
            count += 1
            if count == when:
                os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call
for name in ("write", "pwrite", "fsync", "rename", "unlink", "ftruncate", "fchmod"):
    setattr(os, name, killing(getattr(os, name)))
new = (folder / "new").read_bytes()
old = (folder / "old").read_bytes()
if deed == "rename":
    storing.store(folder / "file", new, storing.etag_of(old))
elif deed == "in place":
    keep = Versions(folder / "state" / "versions").written_over
    assert storing.store(folder / "mounted", new, storing.etag_of(old), keep) == "in place"
elif deed == "private":
    storing.put_private(folder / "file", new)
else:
    Versions(folder / "versions").note(new, "page", 2.0)
"""


@pytest.mark.parametrize("deed", ["rename", "in place", "private", "version"])
def test_at_every_call(tmp_path: Path, deed: str) -> None:
    if deed == "in place" and os.geteuid() != 0:
        pytest.skip("only root may mount")
    killed = 0
    for when in range(1, 80):
        folder = tmp_path / str(when)
        folder.mkdir()
        (folder / "old").write_bytes(OLD)
        (folder / "new").write_bytes(NEW)
        (folder / "file").write_bytes(OLD)
        versions = Versions(folder / "versions")
        for number in range(20):
            versions.note(f"log: {{level: info}}  # {number}\n".encode(), "page", 1.0)
        if deed == "in place":
            (folder / "mounted").touch()
            mount("--bind", folder / "file", folder / "mounted")
        done = subprocess.run(
            [sys.executable, "-c", CHILD, deed, str(folder), str(when)], cwd=ROOT, check=False, timeout=60
        )
        ended = done.returncode == 0
        assert ended or done.returncode == -signal.SIGKILL
        killed += not ended
        if deed == "in place":
            try:
                started = load_at_start(folder / "mounted", {}).text.encode()
            finally:
                unmount(folder / "mounted")
            assert started.rstrip(b"\n") in {OLD.rstrip(b"\n"), NEW.rstrip(b"\n")}
            # Of a pair of texts that mends nothing the first may stay until the next one takes its place.
            left = {one.name for one in folder.glob("state/versions/[!.]*")}
            assert left <= {"written-over.yaml"}
        stands = (folder / "file").read_bytes()
        assert stands.rstrip(b"\n") in {OLD.rstrip(b"\n"), NEW.rstrip(b"\n")}
        kept = versions.all()
        assert 20 <= len(kept) <= 21
        for version in kept:
            assert etag_of(versions.content(version.id)) == version.etag
        assert json.loads((folder / "versions" / f"{kept[0].id}.json").read_text())["id"] == kept[0].id
        if ended:
            break
    else:
        raise AssertionError("it never came to its end")
    assert killed >= 4
    wanted = NEW if deed != "version" else OLD
    assert (folder / "file").read_bytes() == wanted
