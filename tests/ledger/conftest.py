from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from daemon.ledger.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(str(tmp_path / "state"))
    yield ledger
    ledger.close()
