"""``photon-relay config check`` and ``config schema``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from daemon.settings.beside import schema_text
from daemon.settings_file import config_check

if TYPE_CHECKING:
    from argparse import Namespace


def check(arguments: Namespace) -> int:
    """Validate the file and say what is wrong, a line for each fault."""
    lines, code = config_check(arguments.config, os.environ)
    for line in lines:
        print(line)
    return code


def schema(arguments: Namespace) -> int:
    """Print the JSON schema."""
    del arguments
    print(schema_text(), end="")
    return 0
