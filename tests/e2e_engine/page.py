"""The page as the machine's own browser reaches it: through the published port."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from typing import Any

CODE = re.compile(r"one-time code: ([A-Z0-9-]+)", re.IGNORECASE)


class Page:
    """A visitor with a cookie jar; ``port`` is that of this machine."""

    def __init__(self, port: int | str) -> None:
        self._origin = f"http://127.0.0.1:{port}"
        self._open = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar())).open
        self._csrf = ""

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Give the status and the answer, as an object where it is JSON; status 0 where nobody answers."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "X-CSRF-Token": self._csrf}
        request = urllib.request.Request(f"{self._origin}{path}", data, headers, method=method)
        try:
            with self._open(request, timeout=10) as answer:
                return answer.status, _read(answer)
        except urllib.error.HTTPError as error:
            return error.code, _read(error)
        except OSError:
            return 0, None

    def session(self) -> dict[str, Any]:
        """Ask who one is, and remember the token that deeds need."""
        status, found = self.ask("GET", "/api/v1/session")
        assert status == 200, found
        self._csrf = found["csrf"]
        given: dict[str, Any] = found
        return given


def _read(answer: Any) -> Any:
    text = answer.read().decode()
    return json.loads(text) if answer.headers.get_content_type() == "application/json" else text


def shows_and_changes_nothing_until_it_has_a_password(port: int | str, log: str) -> None:
    """Visit a page that nothing protects; set a password with the code in the log; then only that one opens it."""
    visitor = Page(port)
    status, found = visitor.ask("GET", "/")
    assert (status, "Photon Relay" in found) == (200, True)
    session = visitor.session()
    assert (session["protection"], session["scope"], session["can_set_password"]) == ("none", "read", True), session
    status, found = visitor.ask("GET", "/api/v1/status")
    assert (status, found["paused"]) == (200, False)
    assert visitor.ask("POST", "/api/v1/pause")[0] in {401, 403}
    codes = CODE.findall(log)
    assert codes, log[-3000:]
    new = "a password for the page"
    status, found = visitor.ask("PUT", "/api/v1/password", {"password": new, "code": codes[-1]})
    assert status in {200, 204}, found
    assert Page(port).ask("GET", "/api/v1/status")[0] == 401
    opens_with(port, new)


def opens_with(port: int | str, password: str) -> None:
    """Log in with a wrong password and with the right one, and set something going."""
    visitor = Page(port)
    assert visitor.ask("GET", "/api/v1/status")[0] == 401
    visitor.session()
    assert visitor.ask("POST", "/api/v1/session", {"password": "another password"})[0] == 401
    assert visitor.ask("POST", "/api/v1/session", {"password": password})[0] == 200
    session = visitor.session()
    assert (session["authenticated"], session["scope"]) == (True, "admin"), session
    assert visitor.ask("POST", "/api/v1/pause") == (200, {"paused": True})
    assert visitor.ask("POST", "/api/v1/resume") == (200, {"paused": False})
    assert visitor.ask("GET", "/api/v1/summary")[0] == 200
