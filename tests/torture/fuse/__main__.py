"""``python -m tests.torture.fuse BACKING MOUNTPOINT CONTROL [--record] [--own-inodes]``: serve until unmounted."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from tests.torture.fuse.control import serve
from tests.torture.fuse.layer import Layer, Served


def main() -> None:
    """Mount, and answer on the control socket meanwhile."""
    parser = argparse.ArgumentParser(prog="tests.torture.fuse")
    parser.add_argument("backing", type=Path)
    parser.add_argument("mountpoint", type=Path)
    parser.add_argument("control", type=Path)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--own-inodes", action="store_true")
    wanted = parser.parse_args()
    os.umask(0)  # the kernel has applied the caller's
    layer = Layer(os.fspath(wanted.backing), record=wanted.record)
    serve(wanted.control, layer)
    Served(
        layer,
        os.fspath(wanted.mountpoint),
        foreground=True,
        allow_other=True,
        default_permissions=True,
        **({} if wanted.own_inodes else {"use_ino": True}),
        hard_remove=True,
        # A power cut changes what stands here behind the kernel's back: it must ask each time.
        attr_timeout=0,
        entry_timeout=0,
        negative_timeout=0,
        fsname="photon-relay-torture",
    )


if __name__ == "__main__":
    main()
