"""The stand-in for ``occ`` run in this process: for runs of many thousand calls, where a new Python each would count.

The program's own runner, with a real process, has its tests in `tests/nextcloud` and wherever a `World` is not told
otherwise.
"""

from __future__ import annotations

import contextlib
import io
import json
import threading
from typing import TYPE_CHECKING

import anyio.to_thread

from daemon.nextcloud.runner import Answer, timed_out
from tests.standins.occ import Failure, Occ, Server, StandInOcc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.relay.world import Time

_ONE = threading.Lock()


class SwiftOcc:
    """A runner over the stand-in's own classes; a call that hangs takes its whole time limit, by the given clock."""

    def __init__(self, cloud: StandInOcc, clock: Time) -> None:
        self._cloud = cloud
        self._clock = clock
        self.count = 0

    async def run(self, argv: Sequence[str], *, timeout: float) -> Answer:  # noqa: ASYNC109 - a runner's form
        """Run ``occ`` once."""
        self.count += 1
        answer = await anyio.to_thread.run_sync(self._run, list(argv))
        if answer is None:
            self._clock.time += timeout
            raise timed_out(argv, timeout)
        return answer

    def _run(self, argv: list[str]) -> Answer | None:
        cloud, code = self._cloud, 1
        albums = {str(folder): mount for folder, mount in cloud.albums.items()}
        server = Server(str(cloud.data), str(cloud.state), albums, None)
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8", "replace"), io.StringIO()
        with _ONE, contextlib.closing(server.open()):
            if server.meets("hang"):
                return None
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    code = Occ(server).run(argv)
                except Failure as failure:
                    err.write(str(failure))
                    code = failure.code
            line = json.dumps({"argv": argv, "exit": code})
            with open(f"{cloud.state}.calls", "a") as calls:  # noqa: PTH123 - as the stand-in writes it
                calls.write(line + "\n")
        out.seek(0)
        return Answer(code, out.read(), err.getvalue())
