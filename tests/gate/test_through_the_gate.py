"""The daemon's own ways through the gate, to a real engine and containers like the usual ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest

from daemon.clock import Clock
from daemon.docker.engine import Engine
from daemon.errors import NeedsPerson, RelayError, Transient
from daemon.gate.rules import Rules
from daemon.nextcloud.container import DockerRunner
from daemon.nextcloud.occ import Occ
from tests.docker.conftest import calls, docker, unique
from tests.docker.test_containers import running, trap
from tests.gate.conftest import Scene, gate_before
from tests.gate.engine_standin import StandinEngine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.docker.conftest import Start

pytestmark = pytest.mark.engine

HOST = "unix:///var/run/docker.sock"
PLACES = [
    ("alice", "In"),
    ("o'neil @home", "In; touch /tmp/pwned"),
    ("-dash", "-rf/--all"),
    ("Zoë Übung", 'a "b" $(reboot)\nnew\tline'),
]


class Through:
    """Makes gates, and engines that reach the real one through them."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "gate.sock"
        self.engine = Engine(f"unix://{self.path}")


@pytest.fixture
async def through(tmp_path: Path) -> AsyncIterator[Through]:
    made = Through(tmp_path)
    yield made
    await made.engine.aclose()


@pytest.mark.parametrize(
    ("flavour", "places"), [("official", PLACES), ("alpine", PLACES[:1]), ("linuxserver", PLACES[1:2])]
)
async def test_every_call_of_the_daemon(
    through: Through, start: Start, flavour: str, places: list[tuple[str, str]]
) -> None:
    name = start(flavour)
    for user, path in places:
        make = 'mkdir -p "$1" && touch "$1/x y.jpg" "$1/z" && chmod -R a+rwX /data'
        docker("exec", "--user", "0", name, "sh", "-c", make, "sh", f"/data/{user}/files/{path}")
    async with gate_before(HOST, through.path, Rules(name)):
        runner = DockerRunner(through.engine, name)
        occ = Occ(runner, timeout=60, clock=Clock())
        assert (await occ.status()).version == "32.0.1"
        assert "memories" in await occ.apps()
        assert (await occ.features()).generate_metadata
        await occ.external_mounts()
        for user, path in places:
            scanned = await occ.scan(user, path)
            assert (scanned.folders, scanned.files) == (1, len(docker_files(name, user, path)))
            await occ.memories_index(user, path)
            assert await occ.knows(user, f"{path}/x y.jpg")
            await occ.tag(user, f"{path}/x y.jpg", "relayed")
            await occ.delete(user, f"{path}/x y.jpg")
            assert not await occ.knows(user, f"{path}/x y.jpg")
        with pytest.raises(RelayError) as caught:
            await occ.scan("nobody", "In")
        assert caught.value.code == "occ.unknown_user"
    assert docker("exec", name, "sh", "-c", "ls /tmp") == ""
    assert 0 not in {entry["uid"] for entry in calls(name)}


def docker_files(name: str, user: str, path: str) -> list[str]:
    found = docker(
        "exec", name, "find", f"/data/{user}/files/{path}", "-maxdepth", "1", "-type", "f", "-printf", "x\\n"
    )
    return found.split()


async def test_attacks_by_the_daemons_own_client(through: Through, start: Start) -> None:
    name, other = start("official"), start("official")
    direct = Engine(HOST)
    theirs = next(item for item in await direct.containers() if item.name == other)
    await direct.aclose()
    async with gate_before(HOST, through.path, Rules(name)):
        [ours] = await through.engine.containers()
        assert ours.name == name
        for container, argv, user in (
            (theirs, ["php", "occ", "status"], "www-data"),
            (ours, ["php", "occ", "status"], "0"),
            (ours, ["php", "occ", "status"], "root"),
            (ours, ["php", "occ", "status"], ""),
            (ours, ["sh", "-c", "id"], "www-data"),
            (ours, ["php", "occ", "config:list"], "www-data"),
        ):
            with pytest.raises(NeedsPerson) as caught:
                await through.engine.exec(container, argv, user=user, seconds=20)
            assert caught.value.code == "docker.forbidden"
    assert not docker("exec", name, "sh", "-c", "cat /state/* 2>/dev/null || true")


async def test_a_name_that_became_root(through: Through, start: Start) -> None:
    name = start("linuxserver")
    docker("exec", "--user", "0", name, "usermod", "--non-unique", "--uid", "0", "abc")
    async with gate_before(HOST, through.path, Rules(name, users=("abc",))):
        with pytest.raises(NeedsPerson, match="abc is root in that container"):
            await DockerRunner(through.engine, name, user="abc").run(["status"], timeout=20)


async def test_a_user_who_is_not_there_is_the_engines_matter(through: Through, start: Start) -> None:
    name = start("official")
    async with gate_before(HOST, through.path, Rules(name, users=("nosuch",))):
        occ = Occ(DockerRunner(through.engine, name, user="nosuch", command=["php", "occ"]), timeout=20, clock=Clock())
        with pytest.raises(NeedsPerson) as caught:
            await occ.status()
        assert caught.value.code == "occ.no_user"


async def test_replaced_stopped_and_gone(through: Through, start: Start) -> None:
    name = start("official")
    async with gate_before(HOST, through.path, Rules(name)):
        runner = DockerRunner(through.engine, name)
        assert (await runner.run(["status"], timeout=60)).exit_code == 0
        docker("rm", "--force", name)
        with pytest.raises(Transient) as caught:
            await runner.run(["status"], timeout=60)
        assert caught.value.code == "docker.container_missing"
        start("alpine", name=name)
        assert (await runner.run(["status"], timeout=60)).exit_code == 0
        docker("rm", "--force", name)
        start("linuxserver", name=name)
        assert (await runner.run(["status"], timeout=60)).exit_code == 0
        docker("pause", name)
        with pytest.raises(Transient, match="there but paused"):
            await runner.run(["status"], timeout=60)
        docker("unpause", name)
        assert (await runner.run(["status"], timeout=60)).exit_code == 0
    # The gate itself was replaced, and knows nothing of what it gave out before.
    docker("rm", "--force", name)
    start("official", name=name)
    async with gate_before(HOST, through.path, Rules(name)):
        assert (await runner.run(["status"], timeout=60)).exit_code == 0


async def test_a_time_limit_of_the_daemons(through: Through, start: Start) -> None:
    name = start("official")
    async with gate_before(HOST, through.path, Rules(name)):
        runner = DockerRunner(through.engine, name)
        await runner.run(["status"], timeout=60)
        trap(name, hang=1)
        with pytest.raises(Transient, match="may still be running"):
            await runner.run(["files:scan", "--path=/alice/files"], timeout=1)
        assert (await runner.run(["status"], timeout=60)).exit_code == 0


async def test_ids_of_execs_made_elsewhere(through: Through, start: Start) -> None:
    name = start("official")
    made = docker(
        "run", "--rm", "--volume", "/var/run/docker.sock:/s", "--entrypoint", "python3", docker_image(name), "-c",
        "import http.client, json, socket, sys\n"
        "c = http.client.HTTPConnection('x'); c.sock = socket.socket(socket.AF_UNIX); c.sock.connect('/s')\n"
        "b = json.dumps({'Cmd': ['id'], 'User': '0', 'AttachStdout': True})\n"
        "c.request('POST', '/containers/' + sys.argv[1] + '/exec', b, {'Content-Type': 'application/json'})\n"
        "print(json.load(c.getresponse())['Id'])",
        name,
    )  # fmt: skip
    async with gate_before(HOST, through.path, Rules(name)):
        scene = Scene(StandinEngine(), through.path)
        assert (await scene.start(made)).status == 403
        assert (await scene.ask("GET", f"/exec/{made}/json")).status == 403


def docker_image(name: str) -> str:
    return docker("inspect", "--format", "{{.Config.Image}}", name)


async def test_a_swarm_service_and_its_update(through: Through, images: dict[str, str]) -> None:
    if docker("info", "--format", "{{.Swarm.LocalNodeState}}") != "active":
        pytest.skip("this engine is in no swarm: docker swarm init --advertise-addr 127.0.0.1")
    service = unique()
    docker(
        "service", "create", "--detach", "--name", service, "--no-resolve-image", "--stop-grace-period", "0s",
        "--update-delay", "0s", images["official"],
    )  # fmt: skip
    try:
        async with gate_before(HOST, through.path, replace(Rules(service), users=("www-data",))):
            first = await running(through.engine, service, but="")
            runner = DockerRunner(through.engine, service)
            assert (await runner.run(["status"], timeout=60)).exit_code == 0
            docker("service", "update", "--detach", "--force", service)
            second = await running(through.engine, service, but=first)
            with anyio.fail_after(30):
                assert (await runner.run(["status"], timeout=60)).exit_code == 0
            assert (await runner.find()).container.name == second
    finally:
        docker("service", "rm", service, check=False)
