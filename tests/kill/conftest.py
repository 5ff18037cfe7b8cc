"""The two zygotes, and programs enough to let several worlds go on side by side."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.kill.trials import AT_ONCE, Trials
from tests.kill.zygote import OccServer, Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kill.world import Configuration


@pytest.fixture(scope="module")
def programs() -> Iterator[list[Program]]:
    with ExitStack() as stack:
        made = [Program() for _ in range(AT_ONCE)]
        for program in made:
            stack.callback(program.close)
        yield made


@pytest.fixture(scope="module")
def occ(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OccServer]:
    server = OccServer(tmp_path_factory.mktemp("occ") / "occ.sock")
    yield server
    server.close()


@pytest.fixture
def trials(
    programs: list[Program], occ: OccServer, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[[Configuration], Trials]:
    """Give what makes the trials of a configuration; how many points were tried is told at the end of the run."""

    def make(configuration: Configuration) -> Trials:
        made = Trials(tmp_path_factory.mktemp("kill"), configuration, programs, occ)
        request.addfinalizer(lambda: print(f"\n{request.node.name}: {made.tally}"))
        return made

    return make
