"""``photon-relay demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace


def add_to(commands: Any, common: ArgumentParser) -> None:
    """Describe the command."""
    what = "a playground on this machine: two users, photos trickling in, a folder as the archive"
    made = commands.add_parser("demo", help=what, description=what, parents=[common])
    made.add_argument("--dir", type=Path, metavar="DIR", help="where to play (default: a folder that is removed)")
    made.add_argument("--port", type=int, default=8080, metavar="N", help="the page's port on 127.0.0.1")
    made.add_argument("--once", action="store_true", help="relay what is there and end")
    made.set_defaults(command=_demo)


def _demo(arguments: Namespace) -> int:
    from daemon.demo.play import play

    return play(arguments.dir, port=arguments.port, once=arguments.once)
