"""Run inside the daemon's container by `tests.e2e_engine.burglary`: what does the gate let through?

Raw bytes, since no honest client would send some of them. Prints what each was answered. Standard library only.
"""

from __future__ import annotations

import json
import socket
import sys
import threading

NEXTCLOUD, GATE = sys.argv[1:]
GOOD = {"AttachStdout": True, "AttachStderr": True, "User": "www-data", "Cmd": ["php", "occ", "status"]}


def send(raw: bytes, *, seconds: float = 15.0) -> bytes:
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(seconds)
        door.connect("/gate/docker.sock")
        said = b""
        try:
            door.sendall(raw)
            while len(said) < 100_000 and (more := door.recv(65536)):
                said += more
        except (ConnectionError, TimeoutError):
            pass
        return said


def request(method: str, path: str, body: object = None, *extra: str) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    head = [f"{method} {path} HTTP/1.1", "Host: docker", "Content-Type: application/json", "Connection: close"]
    head += [f"Content-Length: {len(content)}", *extra]
    return "\r\n".join([*head, "", ""]).encode() + content


listed = send(request("GET", "/containers/json?all=1"))
found = json.loads(listed[listed.index(b"[") : listed.rindex(b"]") + 1])
assert [one["Names"] for one in found] == [[f"/{NEXTCLOUD}"]], found
ID = found[0]["Id"]
EXEC = f"/containers/{ID}/exec"


def create(**changes: object) -> bytes:
    return request("POST", EXEC, GOOD | changes)


def occ(*words: str) -> bytes:
    return create(Cmd=["php", "occ", *words])


box = {"Image": "photon-relay:latest", "HostConfig": {"Privileged": True, "Binds": ["/:/host"]}}
hidden = request("POST", "/containers/create", box)
good = request("POST", EXEC, GOOD)
attacks = {
    "create a container": request("POST", "/containers/create", box),
    "create, with a version": request("POST", "/v1.41/containers/create?name=x", box),
    "create, with dots": request("POST", f"{EXEC}/../../create", box),
    "create, with escapes": request("POST", f"/containers/{ID}/%2e%2e/create", box),
    "create, with slashes": request("POST", "//containers//create", box),
    "create, absolute": request("POST", "http://docker/containers/create", box),
    "start": request("POST", f"/containers/{ID}/start"),
    "stop": request("POST", f"/containers/{ID}/stop"),
    "remove": request("DELETE", f"/containers/{ID}?force=1"),
    "attach": request("POST", f"/containers/{ID}/attach?stream=1&stdin=1"),
    "copy out": request("GET", f"/containers/{ID}/archive?path=/var/www/html/config/config.php"),
    "copy in": request("PUT", f"/containers/{ID}/archive?path=/", {}),
    "read another container": request("GET", f"/containers/{GATE}/json"),
    "list images": request("GET", "/images/json"),
    "list secrets": request("GET", "/secrets"),
    "a service": request("POST", "/services/create", {}),
    "exec elsewhere": request("POST", f"/containers/{GATE}/exec", GOOD),
    "as root": create(User="root"),
    "as 0": create(User="0"),
    "as nobody said": create(User=""),
    "with root's group": create(User="33:0"),
    "privileged": create(Privileged=True),
    "with an environment": create(Env=["LD_PRELOAD=/data/alice/files/x.so"]),
    "in another folder": create(WorkingDir="/data/alice/files"),
    "with input": create(AttachStdin=True),
    "a shell": create(Cmd=["sh", "-c", "id"]),
    "php code": create(Cmd=["php", "-r", "system('id');"]),
    "another occ": create(Cmd=["php", "/data/alice/files/occ", "status"]),
    "maintenance": occ("maintenance:mode", "--on"),
    "a password": occ("user:resetpassword", "admin"),
    "settings": occ("config:system:set", "datadirectory", "--value=/"),
    "an option more": occ("status", "--help", "; id"),
    "a path with dots": occ("files:scan", "--path=/alice/files/../../admin"),
    "start what is not mine": request("POST", f"/exec/{'0' * 64}/start", {"Detach": False, "Tty": False}),
    "two lengths": good.replace(b"Connection: close", b"Content-Length: 0\r\nConnection: keep-alive") + hidden,
    "length and chunks": good.replace(b"Connection: close", b"Transfer-Encoding: chunked") + b"0\r\n\r\n" + hidden,
    "a huge head": request("GET", "/_ping", None, "X: " + "x" * 100_000),
    "a huge body": request("POST", EXEC, GOOD | {"Cmd": ["php", "occ", "x" * 1_000_000]}),
}
slow = {
    "slow: nothing": b"",
    "slow: half a head": good[:30],
    "slow: half a body": good[:-20],
    "slow: a body that never comes": request("POST", EXEC, GOOD).partition(b"\r\n\r\n")[0] + b"\r\n\r\n",
}


def status(said: bytes) -> str:
    """Give the status; of several answers the best, since one request must not carry a second inside."""
    found = [line.split()[1].decode() for line in said.splitlines() if line.startswith(b"HTTP/1.")]
    return min(found) if found else "closed"


answers: dict[str, str] = {}


def wait(name: str) -> None:
    answers[name] = status(send(slow[name], seconds=30))


# They hold their connections for as long as they are let, while the others are tried.
waiting = [threading.Thread(target=wait, args=(name,)) for name in slow]
for one in waiting:
    one.start()
for name, raw in attacks.items():
    answers[name] = status(send(raw))
for one in waiting:
    one.join()
# Many that say nothing: who is honest must still be served once they have been sent away.
idle = []
for _ in range(40):
    door = socket.socket(socket.AF_UNIX)
    door.connect("/gate/docker.sock")
    idle.append(door)
for door in idle:
    door.close()
answers["good: once more"] = status(send(good))
print(json.dumps(answers))
