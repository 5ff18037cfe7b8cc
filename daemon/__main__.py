"""``photon-relay`` and ``python -m daemon``: the command line."""

from __future__ import annotations

import sys

from daemon.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
