"""The two zygotes, and programs enough to let several worlds go on side by side."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.files.conftest import mounted  # noqa: F401  the fixture
from tests.kill.trials import AT_ONCE, Trials
from tests.kill.zygote import OccServer, Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

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


class Make(Protocol):
    """Gives what makes the trials of a configuration."""

    def __call__(self, configuration: Configuration, *, on: str = "", archive_on: str = "") -> Trials: ...


@pytest.fixture
def trials(
    programs: list[Program],
    occ: OccServer,
    mounted: Callable[[str], Path],  # noqa: F811
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Make:
    """Give what makes the trials of a configuration; how many points were tried is told at the end of the test.

    ``on`` and ``archive_on`` name file systems (``btrfs``, ``xfs``, ``tmpfs``, ``ext4``) for all, and for the archive.
    """

    def make(configuration: Configuration, *, on: str = "", archive_on: str = "") -> Trials:
        folder = tmp_path_factory.mktemp("kill")
        place = mounted(on) / folder.name if on else folder
        shelf = mounted(archive_on) / folder.name / "shelf" if archive_on else None
        made = Trials(place, configuration, programs, occ, shelf)
        request.addfinalizer(lambda: print(f"\n{request.node.name}: {made.tally.said()}"))
        return made

    return make
