"""Attacks, each a real request on the real socket: refused, logged, and nothing of them reaches the engine."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from daemon.gate.bodies import read_create
from daemon.gate.denied import Denied
from tests.gate.conftest import RULES, STATUS, UPGRADE, exec_body, request
from tests.gate.engine_standin import OTHER, OURS, STOPPED, container

if TYPE_CHECKING:
    from daemon.gate.rules import Rules
    from tests.gate.conftest import Scene

EXEC = f"/v1.41/containers/{OURS}/exec"


def refused(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]


REQUESTS = {
    "create a container": request("POST", "/v1.41/containers/create", {"HostConfig": {"Privileged": True}}),
    "create with a name": request("POST", "/containers/create?name=exec", {"Image": "debian"}),
    "start a container": request("POST", f"/v1.41/containers/{OURS}/start", {}),
    "stop": request("POST", f"/containers/{OURS}/stop", {}),
    "kill": request("POST", f"/containers/{OURS}/kill", {}),
    "update": request("POST", f"/containers/{OURS}/update", {"Memory": 1}),
    "rename": request("POST", f"/containers/{OTHER}/rename?name=nextcloud", {}),
    "remove": request("DELETE", f"/containers/{OURS}"),
    "inspect": request("GET", f"/containers/{OURS}/json"),
    "logs": request("GET", f"/containers/{OURS}/logs?stdout=1"),
    "top": request("GET", f"/containers/{OURS}/top"),
    "attach": request("POST", f"/containers/{OURS}/attach?stream=1&stdin=1", b"", **UPGRADE),
    "attach by WebSocket": request("GET", f"/containers/{OURS}/attach/ws", Connection="Upgrade", Upgrade="websocket"),
    "copy out": request("GET", f"/containers/{OURS}/archive?path=/etc/shadow"),
    "copy in": request("PUT", f"/containers/{OURS}/archive?path=/", b"tar"),
    "export": request("GET", f"/containers/{OURS}/export"),
    "list with a filter": request("GET", '/containers/json?all=1&filters={"name":["x"]}'),
    "images": request("GET", "/images/json"),
    "pull": request("POST", "/images/create?fromImage=debian", b""),
    "build": request("POST", "/build?remote=http://x", b""),
    "networks": request("GET", "/networks"),
    "volumes": request("GET", "/volumes"),
    "secrets": request("GET", "/secrets"),
    "swarm": request("POST", "/swarm/leave?force=1", b""),
    "services": request("POST", "/services/create", {}),
    "info": request("GET", "/info"),
    "events": request("GET", "/events"),
    "plugins": request("POST", "/plugins/pull?remote=x", b""),
    "session": request("POST", "/session", b"", Connection="Upgrade", Upgrade="h2c"),
    "resize an exec": request("POST", f"/exec/{'0' * 64}/resize?h=1&w=1", {}),
    "another method": request("PUT", "/version"),
    "a method with a body": request("POST", "/version", b""),
    "a list by POST": request("POST", "/containers/json?all=1", b""),
    "an exec by GET": request("GET", EXEC),
    "ping by HEAD": request("HEAD", "/_ping"),
    "options": request("OPTIONS", "*"),
    "connect": request("CONNECT", "docker:80"),
    "absolute form": request("GET", "http://docker/version"),
    "absolute form, authority": request("POST", "//docker" + EXEC, exec_body()),
    "two slashes": request("GET", "//version"),
    "slash at the end": request("GET", "/version/"),
    "an encoded slash": request("POST", f"/containers%2f{OURS}/exec", exec_body()),
    "an encoded letter": request("GET", "/%76ersion"),
    "dots": request("GET", "/v1.41/../version"),
    "dots in the middle": request("POST", f"/containers/{OTHER}/../{OURS}/exec", exec_body()),
    "dots as a container": request("POST", "/containers/../exec", exec_body()),
    "a dot": request("GET", "/./version"),
    "a query": request("GET", "/version?x=1"),
    "a query at an exec": request("POST", EXEC + "?x=1", exec_body()),
    "a fragment": request("GET", "/version#x"),
    "a parameter": request("GET", "/version;x=1"),
    "two versions": request("GET", "/v1.41/v1.41/version"),
    "no such version": request("GET", "/v2.0/version"),
    "an odd version": request("GET", "/v1.41x/version"),
    "a large version": request("GET", "/v1.4100/version"),
    "capital letters": request("GET", "/VERSION"),
    "a small method": request("get", "/version"),
    "an old protocol": b"GET /version HTTP/1.0\r\nHost: x\r\n\r\n",
    "a new protocol": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a protocol of tomorrow": b"GET /version HTTP/1.11\r\nHost: x\r\n\r\n",
    "a word behind the protocol": b"GET /version HTTP/1.1 x\r\nHost: x\r\n\r\n",
    "no protocol": b"GET /version\r\n\r\n",
    "two blanks": b"GET  /version HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tab": b"GET\t/version HTTP/1.1\r\nHost: x\r\n\r\n",
    "an empty line first": b"\r\nGET /version HTTP/1.1\r\nHost: x\r\n\r\n",
    "line feeds only": b"GET /version HTTP/1.1\nHost: x\n\n\r\n\r\n",
    "a line feed in a field": b"GET /version HTTP/1.1\r\nHost: x\nX: y\r\n\r\n",
    "a carriage return in a field": b"GET /version HTTP/1.1\r\nHost: x\rX: y\r\n\r\n",
    "a zero byte": b"GET /version HTTP/1.1\r\nHost: x\0\r\n\r\n",
    "a continued line": b"GET /version HTTP/1.1\r\nHost: x\r\n more\r\n\r\n",
    "a blank before the colon": b"GET /version HTTP/1.1\r\nHost : x\r\n\r\n",
    "no host": b"GET /version HTTP/1.1\r\nX: y\r\n\r\n",
    "two hosts": b"GET /version HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "a host that is none": b"GET /version HTTP/1.1\r\nHost: x/y\r\n\r\n",
    "a line that is no field": b"GET /version HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n",
    "many fields": b"GET /version HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(40)) + b"\r\n",
    "a large field": request("GET", "/version", X_Large="x" * 4000),
    "a large head": request("GET", "/version", **{f"X_{n}": "x" * 1000 for n in range(12)}),
    "a head without an end": b"GET /version HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20_000,
    "a large target": request("GET", "/version" + "x" * 4000),
    "chunks": request("POST", EXEC, Content_Type="application/json", Transfer_Encoding="chunked") + b"0\r\n\r\n",
    "chunks and a length": request("POST", EXEC, exec_body(), Transfer_Encoding="chunked"),
    "chunks, hidden": request("POST", EXEC, exec_body(), transfer_encoding="xchunked"),
    "two lengths": request("POST", EXEC, exec_body()).replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n", 1),
    "two lengths in one": request("POST", EXEC, exec_body(), Content_Length="5, 5"),
    "a length with a sign": request("POST", EXEC, exec_body(), Content_Length="+5"),
    "a length with a zero": request("POST", EXEC, exec_body(), Content_Length="05"),
    "a length below zero": request("POST", EXEC, exec_body(), Content_Length="-1"),
    "a length in hexadecimal": request("POST", EXEC, exec_body(), Content_Length="0x5"),
    "a length too short": request("POST", EXEC, exec_body(), Content_Length="5"),
    "no length": request("POST", EXEC, Content_Type="application/json") + b"{}",
    "a body at a GET": request("GET", "/version", {"a": 1}),
    "a second request behind": request("GET", "/version") + request("POST", "/containers/create", {}),
    "a second request behind a body": request("POST", EXEC, exec_body()) + request("POST", "/containers/create", {}),
    "expect": request("POST", EXEC, exec_body(), Expect="100-continue"),
    "compressed": request("POST", EXEC, exec_body(), Content_Encoding="gzip"),
    "a form": request("POST", EXEC, exec_body(), Content_Type="application/x-www-form-urlencoded"),
    "another character set": request("POST", EXEC, exec_body(), Content_Type="application/json; charset=utf-7"),
    "upgrade at an exec": request("POST", EXEC, exec_body(), **UPGRADE),
    "upgrade at a version": request("GET", "/version", **UPGRADE),
    "a huge body": request("POST", EXEC, b" " * 70_000 + json.dumps(exec_body()).encode()),
    "a huge length": request("POST", EXEC, exec_body(), Content_Length="99999999999"),
}  # fmt: skip


@pytest.mark.parametrize("name", REQUESTS)
async def test_requests_that_are_none_of_ours(name: str, scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    said = await scene.raw(REQUESTS[name], eof=name == "a huge length")
    assert said.status == 403, said
    assert said.json["message"]
    assert len(refused(caplog)) == 1
    assert scene.engine.requests == []


async def test_the_requests_of_the_table_are_those_of_ours_but_for_one_thing(scene: Scene) -> None:
    for data in (
        request("GET", "/version"), request("GET", "/_ping"), request("GET", "/v1.41/containers/json?all=1"),
        request("GET", "/containers/json"), request("GET", "/version", X="x" * 1000),
    ):  # fmt: skip
        assert (await scene.raw(data)).status == 200
    assert (await scene.raw(request("POST", EXEC, exec_body()))).status == 201
    assert (await scene.raw(request("POST", EXEC, json.dumps(exec_body(), indent=3000).encode()))).status == 201


def body(**changed: Any) -> bytes:
    return json.dumps(exec_body(**changed)).encode()


BODIES = {
    **{
        f"user {user!r}": body(User=user)
        for user in (
            "", "0", "00", "0:0", "0:33", "root", "root:root", " www-data", "www-data ", "www-data:0", "www-data:root",
            "www-data:www-data", "33:0", "33:", ":33", "+33", "033", "33\n", "-1", "4294967296", "1000", "Www-Data",
            "\uff57ww-data", "www-data\0", 33, 0, None, True, ["www-data"], {"name": "www-data"},
        )
    },
    "no user": body(drop=("User",)),
    **{
        f"command {' '.join(map(str, cmd))!r}"[:60]: body(Cmd=cmd)
        for cmd in (
            [], ["sh", "-c", "id"], ["php"], ["php", "-r", "system('id');"], ["php", "occ"], ["php", "./occ", "status"],
            ["php", "/tmp/occ", "status"], ["php", "occ ", "status"], ["php", "-d", "x=y", "occ", "status"],
            ["occ", "status"], ["/usr/bin/occ", "status"], ["env", "php", "occ", "status"], ["php occ status"],
            ["sudo", "-u", "root", "php", "occ", "status"], ["php", "occ", "php", "occ", "status"],
            ["php", "occ", "config:system:set", "x", "--value=y"], ["php", "occ", "user:resetpassword", "admin"],
            ["php", "occ", "maintenance:mode", "--on"], ["php", "occ", "app:install", "x"],
            ["php", "occ", "files:scan", "--path=/a/files/x ; rm", "; rm"],
            ["php", "occ", "files:scan", "--all"], ["php", "occ", "files:scan", "--path=/a/files/../../b"],
            ["php", "occ", "status", ""], ["php", "occ", "status", "\ud800"], ["php", "occ", "status", None],
            ["php", "occ", "files:scan", "--path=/a/files/\0"], ["php", "occ", "files:scan", "--path=/a/files/\udcff"],
            ["php", "occ", "status", ["--output=json"]], ["php", "occ"] + ["x"] * 40,
        )
    },
    "command as a text": body(Cmd="php occ status"),
    "command as an object": body(Cmd={"0": "php"}),
    "no command": body(drop=("Cmd",)),
    "privileged": body(Privileged=True),
    "privileged, as a number": body(Privileged=1),
    "privileged, as nothing": body(Privileged=None),
    "not privileged, as a number": body(Privileged=0),
    "environment": body(Env=["PHP_INI_SCAN_DIR=/tmp"]),
    "environment as an object": body(Env={}),
    "a folder": body(WorkingDir="/tmp"),
    "a terminal": body(Tty=True),
    "input": body(AttachStdin=True),
    "no output": body(AttachStdout=False),
    "no errors": body(AttachStderr=False),
    "keys to leave": body(detachKeys="ctrl-p"),
    "a key of another case": body(cmd=["sh"]),
    "privileged in another case": body(privileged=True),
    "an unknown key": body(HostConfig={}),
    "detach": body(Detach=True),
    "another container in the body": body(Container=OTHER),
    "a key twice": body()[:-1] + b', "User": "0"}',
    "a key twice, the good one last": b'{"User": "0", ' + body()[1:],
    "a key twice, escaped": body()[:-1] + b', "\\u0055ser": "0"}',
    "two objects": body() + body(),
    "a list": b"[" + body() + b"]",
    "nothing": b"",
    "null": b"null",
    "not a number": body()[:-1] + b', "Tty": NaN}',
    "not JSON": b"Cmd=php",
    "UTF-16": body().decode().encode("utf-16"),
    "a mark first": b"\xef\xbb\xbf" + body(),
    "not UTF-8": body().replace(b"www-data", b"www-data\xff"),
    "deep": b"[" * 30_000,
    "a comment": b"/**/" + body(),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
async def test_execs_that_are_not_allowed(name: str, scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    said = await scene.raw(request("POST", EXEC, BODIES[name]))
    assert said.status == 403, said
    assert len(refused(caplog)) == 1
    assert all(character.isprintable() for character in refused(caplog)[0])
    assert scene.engine.asked() == []


async def test_the_engine_gets_a_request_of_our_own(scene: Scene) -> None:
    ours = await scene.made(
        User="33:33", ConsoleSize=None, drop=("Container", "Env", "WorkingDir", "detachKeys", "Privileged")
    )
    assert (await scene.start(ours)).status == 101
    assert scene.engine.asked()[0] == ("POST", EXEC, exec_body(User="33:33"))


async def test_execs_that_are_never_started_cost_the_engine_nothing(scene: Scene) -> None:
    made = [await scene.made(User="33") for _ in range(10)]
    assert scene.engine.requests
    assert scene.engine.asked() == []
    assert (await scene.ask("GET", f"/exec/{made[0]}/json")).json == {
        "Running": False, "ExitCode": None, "ProcessConfig": {"tty": False},
    }  # fmt: skip


async def test_a_container_that_goes_between_an_exec_and_its_start(scene: Scene) -> None:
    for theirs in (404, 409):
        ours = await scene.made()
        scene.engine.fault = (theirs, "no such container")
        assert (await scene.start(ours)).status == theirs
        scene.engine.fault = None
        # It was used up by that, and counts no more.
        assert (await scene.start(ours)).status == 403
    for _ in range(10):
        assert (await scene.start(await scene.made())).status == 101


async def test_exec_elsewhere(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    for other in (OTHER, "photoprism"):
        assert (await scene.create(of=other)).status == 403
    # One that the engine does not have: in its own words, since the daemon looks for the new one then.
    for nobody in ("d" * 64, "nosuch", OURS[:12], "NEXTCLOUD"):
        assert (await scene.create(of=nobody)).status == 404
    assert len(refused(caplog)) == 6
    assert scene.engine.asked() == []
    said = await scene.create(of="nextcloud")
    assert (await scene.start(said.json["Id"])).status == 101
    assert scene.engine.asked()[0][1] == EXEC


async def test_a_replaced_container(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    assert (await scene.start(await scene.made())).status == 101
    new = "e" * 64
    scene.engine.listed[0] = container(new, "nextcloud")
    assert (await scene.create()).status == 404
    assert (await scene.start((await scene.create(of=new)).json["Id"])).status == 101
    # The old one is still there under another name: it is another container now.
    scene.engine.listed.append(container(OURS, "nextcloud-old"))
    assert (await scene.create()).status == 403
    assert len(refused(caplog)) == 2
    made = [one[1] for one in scene.engine.asked() if one[1].endswith("/exec")]
    assert made == [EXEC, EXEC.replace(OURS, new)]


async def test_all_other_containers_are_invisible(scene: Scene) -> None:
    found = (await scene.ask("GET", "/containers/json?all=1")).json
    assert found == [{"Id": OURS, "Names": ["/nextcloud"], "State": "running", "Labels": {}}]
    scene.engine.listed[0] = container(OURS, "nextcloud", "paused")
    assert [one["State"] for one in (await scene.ask("GET", "/containers/json?all=1")).json] == ["paused"]
    assert (await scene.create()).status == 404
    scene.engine.listed = [container(OTHER, "photoprism")]
    assert (await scene.ask("GET", "/containers/json?all=1")).json == []
    assert set((await scene.ask("GET", "/version")).json) == {"ApiVersion", "MinAPIVersion"}


class TestByService:
    @pytest.fixture
    def rules(self) -> Rules:
        return replace(RULES, container="cloud_nextcloud")

    async def test_the_task_that_runs_is_followed(self, scene: Scene) -> None:
        label = {"com.docker.swarm.service.name": "cloud_nextcloud"}
        scene.engine.listed = [
            container(STOPPED, "cloud_nextcloud.1.old", "exited", **label),
            container(OURS, "cloud_nextcloud.1.new", **label),
            container(OTHER, "photoprism"),
        ]
        [found] = (await scene.ask("GET", "/containers/json?all=1")).json
        assert (found["Id"], found["Labels"]) == (OURS, label)
        assert (await scene.create()).status == 201
        # The task before is a matter of being replaced, not of being another's.
        assert (await scene.create(of=STOPPED)).status == 404
        assert (await scene.create(of=OTHER)).status == 403
        scene.engine.listed.append(container("f" * 64, "cloud_nextcloud.2.new", **label))
        assert (await scene.create()).status == 409
        assert len((await scene.ask("GET", "/containers/json?all=1")).json) == 3


class TestNamesOfRoot:
    @pytest.fixture
    def rules(self) -> Rules:
        return replace(RULES, users=("toor", "abc", "www-data", "nosuch", "33"))

    @pytest.mark.parametrize(("user", "status"), [("toor", 403), ("abc", 403), ("www-data", 201), ("nosuch", 201)])
    async def test_a_name_that_is_root_there(
        self, scene: Scene, caplog: pytest.LogCaptureFixture, user: str, status: int
    ) -> None:
        assert (await scene.create(User=user)).status == status
        assert scene.engine.asked() == []
        assert len(refused(caplog)) == (status == 403)

    async def test_no_list_of_users_no_names(self, scene: Scene) -> None:
        scene.engine.passwd = ""
        assert (await scene.create()).status == 403
        assert (await scene.create(User="33")).status == 201


async def test_execs_of_others_and_twice(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    assert (await scene.start(await scene.made())).status == 101
    ours = await scene.made()
    engines = next(name for name, cmd in scene.engine.execs.items() if cmd == STATUS)
    for unknown in (engines, "0" * 64, "f" * 64):
        assert (await scene.start(unknown)).status == 403
        assert (await scene.ask("GET", f"/exec/{unknown}/json")).status == 403
    before = len(scene.engine.asked())
    said = await scene.start(ours)
    assert said.status == 101
    assert said.body.endswith(b"all well\n\x02\0\0\0\0\0\0\x0aa warning\n")
    assert (await scene.start(ours)).status == 403
    assert len(refused(caplog)) == 7
    assert len(scene.engine.asked()) == before + 2
    assert scene.engine.requests[-1][2] == {"Detach": False, "Tty": False}
    found = await scene.ask("GET", f"/v1.41/exec/{ours}/json")
    assert found.json == {"Running": False, "ExitCode": 7, "ProcessConfig": {"tty": False}}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"Detach": True, "Tty": False}, UPGRADE),
        ({"Detach": False, "Tty": True}, UPGRADE),
        ({"Detach": False, "Tty": False, "Cmd": ["sh"]}, UPGRADE),
        ({"Detach": 0}, UPGRADE),
        ({"Tty": False}, {"Connection": "Upgrade", "Upgrade": "h2c"}),
        ({"Tty": False}, {"Connection": "close", "Upgrade": "tcp"}),
        (b'{"Tty": false, "Tty": false}', UPGRADE),
        (b"{" + b" " * 2000 + b"}", UPGRADE),
        (b"", UPGRADE),
    ],
)
async def test_starts_that_ask_for_more(scene: Scene, body: Any, fields: dict[str, str]) -> None:
    ours = await scene.made()
    said = await scene.ask("POST", f"/exec/{ours}/start", body, **fields)
    assert said.status == 403
    assert scene.engine.asked() == []
    # It is not used up by that.
    assert (await scene.start(ours)).status == 101


async def test_a_start_without_an_upgrade(scene: Scene) -> None:
    said = await scene.ask("POST", f"/exec/{await scene.made()}/start", {})
    assert (said.status, said.body[8:17]) == (200, b"all well\n")


async def test_log_lines_cannot_be_forged(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "daemon.gate")
    await scene.create(Cmd=["php", "occ", "evil\n2026-01-01 INFO all is well\x1b[2J"])
    await scene.start(await scene.made(Cmd=["php", "occ", "info:file", "alice/files/a\nb\x1b[2J"]))
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert all(line.isprintable() and len(line) < 1500 for line in lines)


async def test_faults_of_the_engine_are_told_apart(scene: Scene) -> None:
    for theirs in (400, 404, 409, 500):
        scene.engine.fault = (theirs, "no\nway")
        assert (await scene.ask("GET", "/containers/json?all=1")).status == 503
    scene.engine.fault = None
    ours = await scene.made()
    assert (await scene.start(ours)).status == 101
    for theirs, expected in ((404, 404), (409, 409), (500, 502), (403, 502)):
        scene.engine.fault = (theirs, "no\nway")
        said = await scene.ask("GET", f"/exec/{ours}/json")
        assert said.status == expected
        assert "\n" not in said.json["message"]


@pytest.mark.parametrize("word", ["a\0", "\ud800"])
def test_words_that_no_command_line_can_have(word: str) -> None:
    # Even where the rules have them.
    rules = replace(RULES, also=((word,),))
    with pytest.raises(Denied, match="no text"):
        read_create(json.dumps(exec_body(Cmd=["php", "occ", word])).encode(), OURS, rules)
