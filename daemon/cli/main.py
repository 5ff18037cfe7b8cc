"""Reading the command line and choosing the command; no traceback reaches a user from here."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from daemon import __version__
from daemon.cli import demo, gate
from daemon.cli.which_file import default_config_path
from daemon.errors import ConfigError, RelayError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command and give the exit code: 0 all well, 1 something failed, 2 the configuration is wrong."""
    arguments = parser().parse_args(argv)
    if arguments.config is None:
        arguments.config = default_config_path(os.environ)
    try:
        code: int = arguments.command(arguments)
    except ConfigError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        return 2
    except RelayError as error:
        print(f"photon-relay: {error.message} [{error.code}]", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Who read our lines has gone (``| head``); nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _later(module: str, function: str) -> Callable[[argparse.Namespace], int]:
    """Give a command whose module is imported only when it is carried out: a second of imports, mostly for others."""

    def command(arguments: argparse.Namespace) -> int:
        code: int = getattr(importlib.import_module(f"daemon.cli.{module}"), function)(arguments)
        return code

    return command


def parser() -> argparse.ArgumentParser:
    """Describe every command."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="the configuration file")
    top = argparse.ArgumentParser(
        prog="photon-relay", description="Photos uploaded to Nextcloud reach the shared archive by themselves."
    )
    top.add_argument("--config", type=Path, metavar="FILE", default=None, help="the configuration file")
    top.add_argument("--version", action="version", version=f"photon-relay {__version__}")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, what: str, function: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=what, description=what, parents=[common])
        made.set_defaults(command=function)
        return made

    add("run", "run the daemon", _later("run", "run"))
    sweep = add("sweep", "look through all watched folders once and relay what is there", _later("control", "sweep"))
    sweep.add_argument("--dry-run", action="store_true", help="only say what would be done, and why")
    sweep.add_argument("--user", action="append", default=[], metavar="ID", help="only this user (may be repeated)")
    check = add("check", "look at everything that a start needs", _later("check", "check"))
    check.add_argument("--json", action="store_true", help="as JSON")
    status = add("status", "counts by state, the last batch, the next sweep", _later("control", "status"))
    status.add_argument("--json", action="store_true", help="as JSON")
    restore = add("restore", "copy originals back where they came from", _later("control", "restore"))
    what = restore.add_mutually_exclusive_group(required=True)
    numbers = "photos by their numbers, as the page shows them"
    what.add_argument("photos", nargs="*", type=int, default=[], metavar="PHOTO_ID", help=numbers)
    what.add_argument("--batch", type=int, metavar="ID", help="all photos of a batch")
    add("health", "ask the running daemon whether it is well", _later("health", "health"))
    configure = commands.add_parser("config", help="check the configuration, or print its schema")
    which = configure.add_subparsers(required=True, metavar="WHAT")
    checked = which.add_parser("check", help="validate the configuration file", parents=[common])
    checked.set_defaults(command=_later("config", "check"))
    schema = which.add_parser("schema", help="print the JSON schema of the configuration file", parents=[common])
    schema.set_defaults(command=_later("config", "schema"))
    secret = add(
        "password", "set the page's password (asks twice, or reads standard input)", _later("password", "password")
    )
    secret.add_argument("--print", action="store_true", help="only print the hash, for a secret of Docker's")
    messages = commands.add_parser("notify", help="send a message as a test")
    message = messages.add_subparsers(required=True, metavar="WHAT")
    tried = message.add_parser("test", help="send a message and say what the ntfy server said", parents=[common])
    tried.set_defaults(command=_later("notify", "test"))
    demo.add_to(commands, common)
    gate.add_to(commands)
    return top
