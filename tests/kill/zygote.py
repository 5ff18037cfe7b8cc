"""Two small processes that fork instead of starting anew: one for the program, one for the stand-in ``occ``.

A start costs most of a second of imports, and a kill test starts the program a thousand times. ``occ`` runs in a
process of its own that outlives the killed program, as it does in Nextcloud's container.

``python -m tests.kill.zygote program`` reads one JSON request a line and answers each with a line; ``… occ SOCKET``
serves calls on a Unix socket.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.kill.killer import Plan, Point

ROOT = Path(__file__).parents[2]
PATIENCE = 240.0


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of the program: its exit code (-9 where it was killed), what it said, the points it met, seconds."""

    code: int
    said: str
    points: list[Point]
    took: float

    @property
    def killed(self) -> bool:
        """Tell whether the kill was carried out."""
        return self.code == -signal.SIGKILL


class Program:
    """The program's zygote, as the test sees it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kill.zygote", "program"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, folder: Path, *argv: str, plan: Plan | None = None, roots: Sequence[Path] = ()) -> Ran:
        """Run a command of the program over the world in ``folder``, to its end or to its death.

        What lies below ``roots`` is named from there in the points.
        """
        from tests.kill.killer import Point

        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # Only a sweep may take what stands, without waiting for it to be quiet.
        settle = "0s" if argv[0] == "sweep" else "300ms"
        request = {
            "argv": ["--config", str(folder / f"settle-{settle}.yaml"), *argv],
            "folder": str(folder),
            "roots": [str(root) for root in {folder, *roots}],
            "plan": None if plan is None else [str(plan.point or ""), plan.when, plan.late],
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        points = folder / "points"
        met = points.read_text(errors="surrogateescape").splitlines() if points.exists() else []
        return Ran(
            answer["code"],
            (folder / "out").read_text(errors="replace"),
            [Point.read(one) for one in met],
            answer["took"],
        )

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        assert self._process.stdout is not None
        self._process.stdout.close()


class OccServer:
    """The stand-in's zygote, as the test sees it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kill.zygote", "occ", str(path)], cwd=ROOT, stdin=subprocess.DEVNULL
        )
        until = time.monotonic() + PATIENCE
        while not path.exists():
            if time.monotonic() > until or self._process.poll() is not None:
                raise RuntimeError("the zygote of occ does not come up")
            time.sleep(0.02)

    def command(self, data: Path, state: Path, archive: Path) -> list[str]:
        """Give what stands in the configuration as ``nextcloud.occ.command``."""
        return [str(self.path), "--data", str(data), "--state", str(state), "--album", f"{archive}=/Album", "--"]

    def wait_idle(self) -> None:
        """Wait until no call is under way, those of a killed program included."""
        self.ask({"idle": True})

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Ask it something and give its answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(str(self.path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as answer:
                found: dict[str, Any] = json.loads(answer.readline())
        return found

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(PATIENCE)


# -- the program's side -----------------------------------------------------------------------------------------


def _program() -> None:
    from tests.kill import killer
    from tests.kill.syscalls import listener_of

    killer.warm_up()
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        folder, began = Path(request["folder"]), time.monotonic()
        (folder / "points").unlink(missing_ok=True)
        plan = None
        if request["plan"]:
            point, when, late = request["plan"]
            plan = killer.Plan(killer.Point.read(point) if point else None, when, late)
        heard, say = os.pipe()
        child = os.fork()
        if not child:
            _child(lambda: killer.run(request["argv"]), folder / "out", say)  # noqa: B023
        listener = listener_of(child, heard)
        os.close(heard)
        os.close(say)
        watching = killer.Killer(child, listener, plan, request["roots"], {str(folder / "out")})
        code = watching.watch(PATIENCE)
        (folder / "points").write_text("".join(f"{point}\n" for point in watching.points), errors="surrogateescape")
        print(json.dumps({"code": code, "took": time.monotonic() - began}), flush=True)


def _child(what: Callable[[], int], out: Path, say: int) -> None:
    """Do something, watched, with its output in a file, and end; nothing of the parent is cleaned up."""
    from tests.kill.syscalls import listen_in_child

    code = 70
    try:
        os.setsid()
        out.with_name("pid").write_text(f"{os.getpid()}\n")
        target = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, fd in ((nothing, 0), (target, 1), (target, 2)):
            os.dup2(source, fd)
        listen_in_child(say)
        code = what()
    except BaseException:  # noqa: BLE001  nothing may come out of a forked child
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


# -- occ's side -------------------------------------------------------------------------------------------------


def _occ(path: str) -> None:
    from tests.standins import occ

    children: set[int] = set()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    # linux/prctl.h: PR_SET_PDEATHSIG. A test that is killed leaves nothing behind.
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(16)
        gc.freeze()
        while True:
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as lines:
                try:
                    request = json.loads(lines.readline())
                except ValueError:  # the caller was killed between connecting and asking
                    continue
                children -= {child for child in children if os.waitpid(child, os.WNOHANG)[0]}
                if "idle" in request:
                    for child in children:
                        os.waitpid(child, 0)
                    children.clear()
                    connection.sendall(b"{}\n")
                    continue
                child = os.fork()
                if not child:
                    _serve(connection, request["argv"], occ.main)
                children.add(child)


def _serve(connection: socket.socket, argv: list[str], main: Callable[[], int]) -> None:
    try:
        said = [os.memfd_create("out"), os.memfd_create("err")]
        for number, fd in enumerate(said, 1):
            os.dup2(fd, number)
        sys.argv = ["occ", *argv]
        try:
            code = main()
        except SystemExit as error:
            code = int(error.code or 0)
        sys.stdout.flush()
        sys.stderr.flush()
        out, err = (os.pread(fd, 1 << 24, 0).decode(errors="surrogateescape") for fd in said)
        with contextlib.suppress(OSError):  # the caller is dead
            connection.sendall(json.dumps({"code": code, "out": out, "err": err}).encode() + b"\n")
    finally:
        os._exit(0)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["program"]:
            _program()
        case ["occ", path]:
            _occ(path)
