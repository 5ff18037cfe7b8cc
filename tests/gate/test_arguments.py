"""Each argument by its own pattern: what the daemon asks for passes, and nothing unexplained."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from daemon.clock import Clock
from daemon.errors import NeedsPerson, RelayError
from daemon.gate.arguments import FORMS, check_occ
from daemon.gate.denied import Denied
from daemon.nextcloud.occ import Occ
from daemon.nextcloud.runner import Answer

if TYPE_CHECKING:
    from collections.abc import Sequence

ALLOWED = [
    ["status"],
    ["status", "--output=json"],
    ["app:list", "--output=json"],
    ["files_external:list", "--output=json"],
    ["files:scan", "--help"],
    ["memories:index", "--help"],
    ["files:scan", "--path=/alice/files"],
    ["files:scan", "--path=/-x/files/a b", "--shallow"],
    ["files:scan", "--path=/o'neil @home/files/$(reboot); rm -rf --no-preserve-root", "--generate-metadata"],
    ["files:scan", "--path=/a/files/new\nline", "--shallow", "--generate-metadata"],
    ["memories:index", "--user=-alice", "--path=/Album/2026/11", "--skip-cleanup"],
    ["memories:index", "--user=alice", "--folder=/"],
    ["memories:index", "--user=alice"],
    ["files:delete", "--force", "alice/files/..x/...jpg"],
    ["files:delete", "--force", "--", "-alice/files/x.jpg"],
    ["files:delete", "--force", "alice/files/a\\b.jpg"],
    ["info:file", "--", "alice/files"],
    ["tag:files:add", "alice/files/x.jpg", "relayed, seen", "public"],
    ["tag:files:add", "--", "-alice/files/x.jpg", "-relayed", "invisible"],
]

REFUSED = [
    [],
    [""],
    ["config:system:set", "trusted_domains", "1"],
    ["config:list", "--private"],
    ["user:resetpassword", "admin"],
    ["maintenance:mode", "--on"],
    ["app:install", "terminal"],
    ["db:execute"],
    ["fi:sc", "--path=/alice/files"],
    ["FILES:SCAN", "--path=/alice/files"],
    ["--version"],
    ["status", "-e"],
    ["status", "--output=xml"],
    ["status", "--output=json", "--output=json"],
    ["status", "--output", "json"],
    ["status", "x"],
    ["status", "--"],
    ["files_external:list", "--show-password"],
    ["app:list", "--output=json", "--help"],
    ["files:scan"],
    ["files:scan", "--all"],
    ["files:scan", "alice"],
    ["files:scan", "--path=/alice/files", "--all"],
    ["files:scan", "--path=/alice/files", "alice"],
    ["files:scan", "--path=/alice/files", "--path=/bob/files"],
    ["files:scan", "--path=/alice/files", "--shallow", "--shallow"],
    ["files:scan", "--path=/alice/files", "--shallow=1"],
    ["files:scan", "--path", "/alice/files"],
    ["files:scan", "-p/alice/files"],
    ["files:scan", "--pat=/alice/files"],
    ["files:scan", "--path=alice/files"],
    ["files:scan", "--path=/"],
    ["files:scan", "--path=/alice"],
    ["files:scan", "--path=/alice/uploads/x"],
    ["files:scan", "--path=/alice/filesystem"],
    ["files:scan", "--path=/alice/files/"],
    ["files:scan", "--path=/alice/files//x"],
    ["files:scan", "--path=/alice/files/../../bob"],
    ["files:scan", "--path=/alice/files/x/.."],
    ["files:scan", "--path=/alice/files/./x"],
    ["files:scan", "--path=/alice/files/..\\..\\bob"],
    ["files:scan", "--path=/../files/x"],
    ["files:scan", "--path=/al\\ice/files/x"],
    ["files:scan", "--path=//files/x"],
    ["files:scan", "--path=/alice/files/a\0b"],
    ["files:scan", "--path=/" + "u" * 256 + "/files/x"],
    ["files:scan", "--path=/alice/files/" + "x" * 256],
    ["files:scan", "--path=/alice/files/" + "/".join(["x" * 200] * 30)],
    ["files:scan", "--path=/alice/files/x", "; rm"],
    ["files:scan", "--path=/alice/files/x", ";", "rm"],
    ["files:scan", "--path=/alice/files/x", "--"],
    ["files:scan", "--help", "--path=/alice/files"],
    ["memories:index"],
    ["memories:index", "--user=alice", "--clear"],
    ["memories:index", "--user=alice", "--force"],
    ["memories:index", "--user=a/b"],
    ["memories:index", "--user="],
    ["memories:index", "--user=.."],
    ["memories:index", "--user=alice", "--path=/../bob"],
    ["memories:index", "--user=alice", "--path=Album"],
    ["memories:index", "--user=alice", "--path=/a", "--folder=/a"],
    ["files:delete", "alice/files/x.jpg"],
    ["files:delete", "--force"],
    ["files:delete", "--force", "alice/files"],
    ["files:delete", "--force", "alice"],
    ["files:delete", "--force", "4711"],
    ["files:delete", "--force", "/alice/files/x.jpg"],
    ["files:delete", "--force", "alice/files_trashbin/files/x.jpg"],
    ["files:delete", "--force", "alice/files/x.jpg", "bob/files/y.jpg"],
    ["files:delete", "--force", "-alice/files/x.jpg"],
    ["files:delete", "alice/files/x.jpg", "--force"],
    ["files:delete", "--force", "--", "--", "alice/files/x.jpg"],
    ["info:file", "4711"],
    ["info:file", "--storage-tree", "alice/files/x"],
    ["tag:files:add", "alice/files/x.jpg", "relayed"],
    ["tag:files:add", "alice/files/x.jpg", "relayed", "secret"],
    ["tag:files:add", "alice/files/x.jpg", "", "public"],
    ["tag:files:add", "alice/files/x.jpg", "-relayed", "public"],
    ["tag:files:add", "alice/files/x.jpg", "x" * 257, "public"],
    ["status", *["--output=json"] * 20],
]


@pytest.mark.parametrize("words", ALLOWED, ids=" ".join)
def test_what_the_daemon_needs_passes(words: list[str]) -> None:
    check_occ(words)


@pytest.mark.parametrize("words", REFUSED, ids=lambda words: " ".join(words)[:80].replace("\0", "0"))
def test_everything_else_is_refused(words: list[str]) -> None:
    with pytest.raises(Denied) as caught:
        check_occ(words)
    assert caught.value.status == 403


def test_what_is_listed_passes_word_for_word() -> None:
    also = [["preview:pre-generate", "-n"]]
    check_occ(["preview:pre-generate", "-n"], also=also)
    for other in (["preview:pre-generate"], ["preview:pre-generate", "-n", "x"], ["preview:pre-generate", "-v"]):
        with pytest.raises(Denied):
            check_occ(other, also=also)


def test_what_is_not_wanted_is_refused() -> None:
    words = ["files:delete", "--force", "alice/files/x.jpg"]
    check_occ(words, without=["tag:files:add"])
    with pytest.raises(Denied, match="files:delete is not allowed"):
        check_occ(words, without=["files:delete"])


# What an attacker would try to put together, beside what is allowed.
PIECES = st.one_of(
    st.sampled_from([word for words in ALLOWED + REFUSED for word in words]),
    st.sampled_from(
        ["--", "-", "--path=", "--user=", "--force", "--help", "--path=/a/files/b", "a/files/b", "..", "\\"]
    ),
    st.builds("{}{}".format, st.sampled_from(["--path=/", "--user=", "", "/", "--folder=/", "-"]), st.text(max_size=8)),
)

# The grammar once more, in one expression and words joined by zero bytes: another way to say the same.
_NAME = r"(?!\.{1,2}(?:[/\0]|\Z))[^/\0]+"
_USER = r"(?!\.{1,2}/)[^/\\\0]+"
_WHOLE_USER = r"(?!\.{1,2}(?:\0|\Z))[^/\\\0]+"
_BELOW = rf"{_USER}/files(?:/{_NAME})*"
_IN = rf"{_USER}/files(?:/{_NAME})+"
_TAG = r"[^-\0][^\0]*"
_GRAMMAR = re.compile(
    r"(?:(?:status|app:list|files_external:list)(?:\0--output=json)?"
    r"|(?:files:scan|memories:index)\0--help"
    rf"|files:scan(?:\0--shallow|\0--generate-metadata|\0--path=/{_BELOW}){{1,3}}"
    rf"|memories:index(?:\0--skip-cleanup|\0--user={_WHOLE_USER}|\0--(?:path|folder)=/(?:{_NAME}(?:/{_NAME})*)?){{1,3}}"
    rf"|files:delete\0--force\0(?:(?!-){_IN}|--\0{_IN})"
    rf"|info:file\0(?:(?!-){_BELOW}|--\0{_BELOW})"
    rf"|tag:files:add\0(?:(?!-){_IN}\0{_TAG}|--\0{_IN}\0[^\0]+)\0(?:public|restricted|invisible))",
    re.DOTALL,
)


@given(st.sampled_from([*FORMS, "config:list", ""]), st.lists(PIECES, max_size=5))
@example("files:delete", ["--force", "--", "a/files/b"])
def test_whatever_passes_is_explained(command: str, arguments: list[str]) -> None:
    words = [command, *arguments]
    try:
        check_occ(words)
    except Denied:
        return
    line = "\0".join(words)
    assert _GRAMMAR.fullmatch(line)
    names = [word.partition("=")[0] for word in words if word.startswith("--")]
    assert len(names) == len(set(names))
    assert not {"--path", "--folder"} <= set(names)
    assert not any(
        part in {".", ".."} for word in words for part in word.partition("=")[2].replace("\\", "/").split("/")
    )


class Recorder:
    """Stands where `occ` is, and lets the gate's check look at each call."""

    def __init__(self) -> None:
        self.seen: list[list[str]] = []

    async def run(self, argv: Sequence[str], *, timeout: float) -> Answer:  # noqa: ASYNC109
        del timeout
        self.seen.append(list(argv))
        check_occ(argv)
        if argv[0] == "app:list":
            return Answer(0, '{"enabled": {"memories": "7.8.2", "photos": "1"}, "disabled": {}}', "")
        return Answer(0, "  --path=PATH\n  --generate-metadata\n  --skip-cleanup\n", "")


# Homes and folders as Linux has them; occ.py sends nothing but UTF-8 through an engine.
UTF8 = st.characters(exclude_categories=["Cs"], exclude_characters="/\0")
USER = st.text(UTF8.filter(lambda char: char != "\\"), min_size=1, max_size=60).filter(
    lambda text: text not in {".", ".."}
)
NAME = st.one_of(
    st.text(UTF8, min_size=1, max_size=60),
    st.sampled_from(
        ["-rf", "--all", "a b", "o'neil @home", '"', "new\nline", "Übung", "é", "…", "..x", "$(reboot)", ";"]
    ),
).filter(lambda text: not {".", ".."} & set(text.replace("\\", "/").split("/")))


@given(user=USER, names=st.lists(NAME, max_size=6), tag=st.text(UTF8, min_size=1, max_size=60))
@example(user="-alice", names=["-x"], tag="relayed")
@example(user="--all", names=["--all"], tag="relayed")
async def test_every_call_that_the_daemon_makes_passes(user: str, names: list[str], tag: str) -> None:
    assume(not tag.startswith("-"))
    recorder = Recorder()
    occ = Occ(recorder, timeout=5, clock=Clock())
    # Nextcloud reads a backslash as a slash, so nothing with one in it is asked for.
    path = "/".join(names).replace("\\", "_")
    calls = [
        occ.status(), occ.apps(), occ.external_mounts(), occ.features(), occ.scan(user, path),
        occ.scan(user, path, shallow=False, generate_metadata=True), occ.memories_index(user, path),
        occ.memories_index(user, None), occ.knows(user, path),
    ]  # fmt: skip
    if names:
        calls += [occ.delete(user, path), occ.tag(user, path, tag), occ.tag(user, path, tag, access="restricted")]
    for call in calls:
        try:
            await call
        except (RelayError, NeedsPerson):
            # Recorder's answers are not those of occ; that the question passed is what counts.
            continue
    assert {words[0] for words in recorder.seen} >= {"status", "files:scan", "memories:index", "info:file"}
