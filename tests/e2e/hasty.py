"""The program as it is, with its long pauses made short: ``python -m tests.e2e.hasty run …``.

Only for what would else take minutes: how long to wait between tries, until another index is asked for, until the
kernel has written back, until a disk counts as silent or hanging. Which tries are made, and what follows from them, is
the program's own.
"""

from __future__ import annotations

import os
import sys

from daemon import ledgerkeeper, pauses
from daemon.photoprism import transport
from daemon.photoprism.client import PhotoPrism
from daemon.relay import confirm, photoprism_archive, photoprism_proof, slow, stalled
from daemon.watch import questions


def shorten() -> None:
    """Make the pauses short; ``HASTY_UNSYNCED`` says how many seconds unsynced files take."""
    pauses.FIRST = 0.3
    pauses.LONGEST = 2.0
    transport.FIRST_PAUSE = 1.0
    transport.LONGEST_PAUSE = 2.0
    confirm.BETWEEN_INDEXINGS = 0.5
    photoprism_proof.LOOK = 0.1
    if os.environ.get("HASTY_SILENCE"):
        stalled.STEP, stalled.AFTER = 0.5, float(os.environ["HASTY_SILENCE"])
    if os.environ.get("HASTY_HUNG"):
        slow.HUNG = questions.HUNG = float(os.environ["HASTY_HUNG"])
    (PhotoPrism.__init__.__kwdefaults__ or {})["timeout"] = 5.0
    if os.environ.get("HASTY_LEDGER"):
        # A day of the ledger's lasts two seconds: it is looked through and copied that often.
        ledgerkeeper.STEP, ledgerkeeper.DAY = 0.5, 2.0
    photoprism_archive.UNSYNCED = float(os.environ.get("HASTY_UNSYNCED", "1"))


if __name__ == "__main__":
    shorten()
    from daemon.__main__ import main

    sys.exit(main())
