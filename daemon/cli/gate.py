"""``photon-relay gate``."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from argparse import Namespace


def add_to(commands: Any) -> None:
    """Describe the command; it takes no configuration file, since the daemon can write that one."""
    what = "the exec gate: occ in Nextcloud's container and nothing else of Docker, on a socket of its own"
    made = commands.add_parser(
        "gate", help=what, description=what, epilog=_epilog(), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--rules", type=Path, metavar="FILE", help="the rules as TOML, in place of the environment")
    made.add_argument("--check", action="store_true", help="ask the running gate whether it is well, and end")
    made.set_defaults(command=_gate)


def _epilog() -> str:
    from daemon.gate.place import VARIABLES
    from daemon.gate.rules import PREFIX

    lines = ["Set by the environment alone:"]
    for name, words in VARIABLES.items():
        lines.append(f"  {PREFIX}{name}")
        lines += textwrap.wrap(words, 92, initial_indent="      ", subsequent_indent="      ", break_on_hyphens=False)
    return "\n".join(lines)


def _gate(arguments: Namespace) -> int:
    from daemon.gate.place import check, read_place, read_rules

    place = read_place(os.environ)
    if arguments.check:
        if wrong := check(place.listen):
            print(f"photon-relay: {wrong}", file=sys.stderr)
            return 1
        return 0
    rules = read_rules(os.environ, arguments.rules)
    import anyio

    from daemon.gate.run import serve
    from daemon.logs import set_up

    set_up("info", place.log)
    anyio.run(partial(serve, place, rules))
    return 0
