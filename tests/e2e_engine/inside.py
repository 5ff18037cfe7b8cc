"""What tests do inside containers: make the ground, upload as people do, and count what an archive holds.

``python -m tests.e2e_engine.inside WHAT …``; the answer is one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from tests import uploads


def ground(root: Path, users: list[str]) -> dict[str, Any]:
    """Make a data directory of www-data's, and import and originals of a PhotoPrism that runs as 1000:1000."""
    uploads.make_data_dir(root / "nextcloud", [*users, "admin"], samples_too=False)
    for folder in ("import", "originals"):
        (root / "photoprism" / folder).mkdir(parents=True)
    for top, owner in ((root / "nextcloud", 33), (root / "photoprism", 1000)):
        for path in [top, *top.rglob("*")]:
            os.chown(path, owner, owner)
    return {}


def upload(root: Path, users: list[str], count: int, seed: int, pause: float) -> list[dict[str, Any]]:
    """Upload ``count`` files as phones do, and tell what they were."""
    made = anyio.run(partial(uploads.trickle, root, users, count, seed=seed, pause=pause, size=60_000))
    return [asdict(one) for one in made]


def clear(root: Path) -> dict[str, Any]:
    """Remove everything below, whoever it belongs to."""
    for path in root.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return {}


def main() -> None:
    """Do one thing and say what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["ground", "upload", "contents", "clear"])
    parser.add_argument("root", type=Path)
    parser.add_argument("--users", nargs="*", default=["alice", "bob"])
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pause", type=float, default=0.0)
    given = parser.parse_args()
    match given.what:
        case "ground":
            said: Any = ground(given.root, given.users)
        case "upload":
            os.umask(0o022)
            said = upload(given.root, given.users, given.count, given.seed, given.pause)
        case "contents":
            said = uploads.contents(given.root)
        case _:
            said = clear(given.root)
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
