"""Run inside the daemon's container by `tests.e2e_engine.burglary`: what is there to find? Standard library only."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

KERNEL = {"/proc", "/sys", "/dev"}

status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
# Those of the container's start; this script came by `docker exec`, for which the container's own options hold.
started = [
    (process / "status").read_text()
    for process in Path("/proc").iterdir()
    if process.name.isdigit() and b"daemon" in (process / "cmdline").read_bytes().split(b"\0")
]
writable, sockets = [], []
for folder, folders, names in os.walk("/"):
    if folder in KERNEL:
        folders.clear()
        continue
    if os.access(folder, os.W_OK):
        writable.append(folder)
    for name in names:
        path = Path(folder, name)
        if stat.S_ISSOCK(path.lstat().st_mode):
            sockets.append(str(path))
print(
    json.dumps(
        {
            "uid": os.getuid(),
            "groups": sorted(os.getgroups()),
            "capabilities": {key: int(status[key], 16) for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")},
            "no_new_privileges": [
                line.split()[1] for text in started for line in text.splitlines() if "NoNewPrivs" in line
            ],
            "mounts": [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()],
            "sockets": sorted(sockets),
            "writable": writable,
        }
    )
)
