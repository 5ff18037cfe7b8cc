"""``occ`` in real containers that are built like the usual images."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import anyio
import pytest

from daemon.clock import Clock
from daemon.docker.find import choose
from daemon.errors import NeedsPerson, RelayError, Transient
from daemon.nextcloud.container import CANDIDATES, DockerRunner
from daemon.nextcloud.occ import Occ
from tests.docker.conftest import calls, docker, unique

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

    from daemon.docker.engine import Engine
    from tests.docker.conftest import Start

pytestmark = pytest.mark.engine


def trap(container: str, **traps: object) -> None:
    docker("exec", container, "sh", "-c", f"cat >/state/occ.json <<'X'\n{json.dumps(traps)}\nX")


async def code_of(work: Awaitable[object]) -> str:
    with pytest.raises(RelayError) as caught:
        await work
    return caught.value.code


@pytest.mark.parametrize(
    ("flavour", "user", "command", "uid"),
    [
        ("official", "www-data", ("php", "occ"), 33),
        ("alpine", "www-data", ("php", "occ"), 82),
        ("linuxserver", "abc", ("php", "/app/www/public/occ"), 911),
        ("nameless", "1234", ("php", "occ"), 1234),
    ],
)
async def test_user_and_command_are_found_by_themselves(
    api: Engine, start: Start, flavour: str, user: str, command: tuple[str, ...], uid: int
) -> None:
    name = start(flavour)
    runner = DockerRunner(api, name)
    occ = Occ(runner, timeout=60, clock=Clock())
    assert (await occ.status()).version == "32.0.1"
    place = await runner.find()
    assert (place.user, place.command, place.container.name) == (user, command, name)
    # A name that a shell would run, through the whole way.
    assert (await occ.scan("o'neil @home", "In; touch /tmp/pwned")).folders == 1
    assert (await occ.scan("alice", "In")).files == 1
    await occ.delete("alice", "In/a.jpg")
    assert await code_of(occ.delete("alice", "In/a.jpg")) == "occ.unknown_file"
    assert docker("exec", name, "sh", "-c", "ls /tmp") == ""
    # Once it is known, it is not looked for again.
    log = calls(name)
    assert sum(entry["argv"][0] == "status" and entry["uid"] == uid for entry in log) == 2
    assert {entry["uid"] for entry in log if entry["exit"] == 0} == {uid}


async def test_an_official_image_that_runs_as_another_user(api: Engine, start: Start) -> None:
    name = start("official", "--user", "0")
    docker("exec", name, "chown", "1000", "/config/config.php")
    runner = DockerRunner(api, name)
    assert (await runner.run(["status"], timeout=60)).exit_code == 0
    assert (await runner.find()).user == "1000"
    # The owner changes while it runs: the next call says so, the one after that finds it.
    docker("exec", name, "chown", "33", "/config/config.php")
    assert (await runner.run(["status"], timeout=60)).exit_code == 1
    assert (await runner.run(["status"], timeout=60)).exit_code == 0
    assert (await runner.find()).user == "www-data"


async def test_root_is_never_chosen(api: Engine, start: Start) -> None:
    name = start("official")
    docker("exec", "--user", "0", name, "chown", "0", "/config/config.php")
    with pytest.raises(NeedsPerson) as caught:
        await DockerRunner(api, name).run(["status"], timeout=60)
    assert (caught.value.code, caught.value.context["uid"]) == ("occ.wrong_user", 0)
    assert all(entry["uid"] != 0 for entry in calls(name))


async def test_what_was_set_by_hand_is_taken(api: Engine, start: Start) -> None:
    name = start("official")
    fixed = DockerRunner(api, name, user="33", command=["php", "/var/www/html/occ"])
    assert (await fixed.run(["status"], timeout=60)).exit_code == 0
    assert [entry["argv"] for entry in calls(name)] == [["status"]]
    half = DockerRunner(api, name, user="33")
    assert (await half.run(["status"], timeout=60)).exit_code == 0
    assert (await half.find()).command == ("php", "occ")
    other = DockerRunner(api, name, command=["php", "/var/www/html/occ"])
    assert (await other.run(["status"], timeout=60)).exit_code == 0
    assert (await other.find()).user == "www-data"
    wrong = Occ(DockerRunner(api, name, user="34"), timeout=60, clock=Clock())
    assert await code_of(wrong.status()) == "occ.wrong_user"
    nobody = Occ(DockerRunner(api, name, user="nosuch", command=["php", "occ"]), timeout=60, clock=Clock())
    assert await code_of(nobody.status()) == "occ.no_user"


async def test_no_occ_passes_by_itself(api: Engine, start: Start) -> None:
    name = start("empty")
    runner = DockerRunner(api, name)
    with pytest.raises(Transient, match=r"php /app/www/public/occ as abc") as caught:
        await runner.run(["status"], timeout=60)
    assert caught.value.code == "occ.not_found"
    docker("exec", name, "sh", "-c", "mkdir -p /var/www/html; touch /var/www/html/occ; chown 33 /config/config.php")
    assert (await runner.run(["status"], timeout=60)).exit_code == 0
    assert (await runner.find()).command == ("php", "/var/www/html/occ")


async def test_a_server_in_trouble_is_found_all_the_same(api: Engine, start: Start) -> None:
    name = start("official")
    trap(name, not_installed=True)
    assert await code_of(DockerRunner(api, name).run(["status"], timeout=60)) == "occ.not_installed"
    trap(name, database=True)
    assert await code_of(DockerRunner(api, name).run(["status"], timeout=60)) == "occ.database"
    trap(name, maintenance=True)
    runner = DockerRunner(api, name)
    assert (await runner.run(["status"], timeout=60)).exit_code == 0
    assert await code_of(Occ(runner, timeout=60, clock=Clock()).scan("alice", "In")) == "occ.maintenance"


async def test_a_replaced_container_is_found_anew(api: Engine, start: Start) -> None:
    name = start("official")
    runner = DockerRunner(api, name)
    await runner.run(["status"], timeout=60)
    first = (await runner.find()).container.id
    docker("rm", "--force", name)
    assert await code_of(runner.run(["status"], timeout=60)) == "docker.container_missing"
    start("alpine", name=name)
    assert (await runner.run(["status"], timeout=60)).exit_code == 0
    assert (await runner.find()).container.id != first
    # Replaced between two calls, so that what is known is stale: one call, no error.
    docker("rm", "--force", name)
    start("linuxserver", name=name)
    assert (await runner.run(["status"], timeout=60)).exit_code == 0
    assert (await runner.find()).user == "abc"


async def test_stopped_and_paused(api: Engine, start: Start) -> None:
    name = start("official")
    runner = DockerRunner(api, name)
    await runner.run(["status"], timeout=60)
    docker("pause", name)
    with pytest.raises(Transient, match=r"there but paused"):
        await runner.run(["status"], timeout=60)
    docker("unpause", name)
    assert (await runner.run(["status"], timeout=60)).exit_code == 0
    docker("stop", "--time", "0", name)
    with pytest.raises(Transient, match=r"there but exited"):
        await runner.run(["status"], timeout=60)


async def test_killed_meanwhile(api: Engine, start: Start) -> None:
    name = start("official")
    occ = Occ(DockerRunner(api, name), timeout=60, clock=Clock())
    await occ.status()
    trap(name, slow=30)
    async with anyio.create_task_group() as tasks:

        async def kill() -> None:
            await anyio.sleep(0.7)
            await anyio.to_thread.run_sync(docker, "kill", name)

        tasks.start_soon(kill)
        began = time.monotonic()
        assert await code_of(occ.scan("alice", "In")) in {"occ.failed", "docker.failed", "docker.container_missing"}
    assert time.monotonic() - began < 20


async def test_one_that_never_ends(api: Engine, start: Start) -> None:
    name = start("official")
    runner = DockerRunner(api, name)
    await runner.run(["status"], timeout=60)
    trap(name, hang=1)
    with pytest.raises(Transient, match=r"may still be running in the container") as caught:
        await runner.run(["files:scan"], timeout=1)
    assert caught.value.code == "occ.timeout"
    assert (await runner.run(["status"], timeout=60)).exit_code == 0


async def test_a_flood_and_both_streams(api: Engine, start: Start) -> None:
    name = start("official")
    [container] = [item for item in await api.containers() if item.name == name]
    script = "echo first; head -c 5000000 /dev/zero | tr '\\0' x; echo; echo last; echo oops >&2; exit 7"
    said = await api.exec(container, ["sh", "-c", script], user="www-data", seconds=60)
    assert said.exit_code == 7
    assert said.stdout.startswith("first\n")
    assert said.stdout.endswith("last\n")
    assert len(said.stdout) < 1_100_000
    assert said.stderr == "oops\n"


async def test_arguments_arrive_as_they_are(api: Engine, start: Start) -> None:
    name = start("official")
    [container] = [item for item in await api.containers() if item.name == name]
    argv = ["a b", "$HOME", "`id`;'\"", "", "ü", "new\nline", "-x"]
    script = "import sys; print(sys.argv[1:])"
    said = await api.exec(container, ["python3", "-c", script, *argv], user="33", seconds=60)
    assert said.stdout.strip() == str(argv)


async def test_by_label_and_two_of_a_kind(api: Engine, start: Start) -> None:
    label = f"org.example.gallery={unique()}"
    name = start("official", "--label", label)
    assert (await DockerRunner(api, label).find()).container.name == name
    second = start("official", "--label", label)
    with pytest.raises(NeedsPerson) as caught:
        await DockerRunner(api, label).find()
    assert caught.value.code == "docker.ambiguous"
    assert name in caught.value.message
    assert second in caught.value.message


async def test_a_compose_service(api: Engine, images: dict[str, str], tmp_path: Path) -> None:
    if not docker("compose", "version", check=False):
        pytest.skip("there is no Compose plugin: apt-get install docker-compose-plugin or docker-compose")
    service, project = unique(), unique()
    file = tmp_path / "compose.yaml"
    file.write_text(json.dumps({"services": {service: {"image": images["official"], "stop_grace_period": "0s"}}}))
    try:
        docker("compose", "--project-name", project, "--file", str(file), "up", "--detach", "--pull", "never")
        runner = DockerRunner(api, service)
        assert (await runner.run(["status"], timeout=60)).exit_code == 0
        assert (await runner.find()).container.name == f"{project}-{service}-1"
    finally:
        docker("compose", "--project-name", project, "--file", str(file), "down", "--timeout", "0", check=False)


async def test_a_swarm_service_and_its_update(api: Engine, images: dict[str, str]) -> None:
    if docker("info", "--format", "{{.Swarm.LocalNodeState}}") != "active":
        pytest.skip("this engine is in no swarm: docker swarm init --advertise-addr 127.0.0.1")
    service = unique()
    docker(
        "service", "create", "--detach", "--name", service, "--no-resolve-image", "--stop-grace-period", "0s",
        "--update-delay", "0s", images["official"],
    )  # fmt: skip
    try:
        first = await running(api, service, but="")
        runner = DockerRunner(api, service)
        assert (await runner.run(["status"], timeout=60)).exit_code == 0
        assert (await runner.find()).container.name == first
        assert first.startswith(f"{service}.1.")
        docker("service", "update", "--detach", "--force", service)
        second = await running(api, service, but=first)
        assert (await runner.run(["status"], timeout=60)).exit_code == 0
        assert (await runner.find()).container.name == second
    finally:
        docker("service", "rm", service, check=False)


async def running(api: Engine, service: str, *, but: str) -> str:
    """Wait until another task of the service runs, and give its container's name."""
    for _ in range(300):
        try:
            found = choose(service, await api.containers())
        except RelayError:
            pass
        else:
            if found.name != but:
                return found.name
        await anyio.sleep(0.1)
    raise AssertionError(f"no new task of {service}")


def test_the_dangerous_wrapper_is_no_candidate() -> None:
    assert all(command[0] == "php" and user not in {"", "0", "root"} for user, command in CANDIDATES)
