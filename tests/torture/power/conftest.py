"""Programs, each with a disk of its own that forgets what was not synced."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.kill.conftest import occ  # noqa: F401  the fixture
from tests.kill.trials import AT_ONCE
from tests.kill.zygote import OccServer, Program
from tests.torture.fuse.mount import Mount
from tests.torture.power.cuts import Bench, PowerTrials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kill.world import Configuration


class Make(Protocol):
    """Gives what makes the trials of a configuration."""

    def __call__(
        self, configuration: Configuration, *, ledger_too: bool = True, traps: dict[str, object] | None = None
    ) -> PowerTrials: ...


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Bench]]:
    with ExitStack() as stack:
        made = []
        for _ in range(AT_ONCE):
            folder = tmp_path_factory.mktemp("disk")
            mount = stack.enter_context(Mount(folder / "backing", folder / "mount", record=True))
            program = Program()
            stack.callback(program.close)
            made.append(Bench(program, mount))
        yield made


@pytest.fixture
def trials(
    benches: list[Bench],
    occ: OccServer,  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Make:
    """Give what makes the trials; what was tried is told at the end of the test."""

    def make(
        configuration: Configuration, *, ledger_too: bool = True, traps: dict[str, object] | None = None
    ) -> PowerTrials:
        made = PowerTrials(
            tmp_path_factory.mktemp("desk"), configuration, benches, occ, ledger_too=ledger_too, traps=traps
        )
        request.addfinalizer(lambda: print(f"\n{request.node.name}: {made.tally.said()}"))
        return made

    return make
