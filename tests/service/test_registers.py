"""The registers of sessions: a new password and the end of the old sessions are one, whatever comes in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from daemon.clock import Clock
from daemon.events import Bus
from daemon.ledger.ledger import Ledger
from daemon.service.doors import Registers

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_password_whose_sessions_were_not_ended_is_not_taken_note_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(str(tmp_path))
    registers = Registers(ledger, Bus(), Clock())
    await registers.password_is("first")

    def killed(_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ledger.doors, "end_sessions", killed)
        with pytest.raises(KeyboardInterrupt):
            registers._new_epoch("second")
    again = Registers(ledger, Bus(), Clock())
    assert await again.password_is("second"), "after the restart it counts as new, and ends the sessions"
    assert not await again.password_is("second")
    ledger.close()
