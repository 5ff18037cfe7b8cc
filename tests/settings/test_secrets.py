"""No secret is shown, none is lost by saving what was shown, and none can be moved to where it could be read."""

from __future__ import annotations

import time

import pytest

from daemon.errors import ConfigError, NeedsPerson
from daemon.settings.document import read_document
from daemon.settings.secrets import MARKER, mask, secrets_in, unmask

FILE = "/config/photon-relay.yaml"
TEXT = """\
# the old token: tok-OLD-one, and the new one tok-ABCDEF too
photoprism:
  url: http://photoprism:2342
  token:  'tok-ABCDEF'   # made in May: tok-ABCDEF
notify: {ntfy: {url: https://ntfy.sh, topic: x, token: tk_123456789, password: ""}}
hooks:
- {on: batch.done, url: "http://a.example", secret: hook-secret-a}
- on: photo.done
  url: http://b.example
  secret: "hook-secret-b"
ui:
  password_hash: >-
    $argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA
  # secret: commented-out-one
users: {tag: relayed}
"""
SECRETS = ("tok-OLD-one", "tok-ABCDEF", "tk_123456789", "hook-secret", "argon2id", "commented-out-one")


def test_what_is_shown_holds_no_secret_and_comes_back_as_it_was() -> None:
    shown = mask(TEXT)
    for secret in SECRETS:
        assert secret not in shown
    assert shown.count("\n") >= TEXT.count("\n") - 1
    back = unmask(shown, TEXT, FILE)
    assert read_document(back).data == read_document(TEXT).data
    # A text in lines comes back on one line; all else byte for byte.
    plain = TEXT.replace(">-\n    $", "$")
    assert unmask(mask(plain), plain, FILE) == plain


def test_other_changes_beside_a_marker_are_kept() -> None:
    edited = mask(TEXT).replace("relayed", "sent").replace("made in May", "made in June")
    back = unmask(edited, TEXT, FILE)
    data = read_document(back).data
    assert data["users"]["tag"] == "sent"
    assert dict(secrets_in(data)) == dict(secrets_in(read_document(TEXT).data))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tag: relayed", f'tag: "{MARKER}"'),
        ("topic: x", f'topic: "x{MARKER}"'),
        ('password: ""', f'password: "{MARKER}"'),
        ("url: http://photoprism:2342", f'url: "http://evil/{MARKER}"'),
        ("users:", f'"{MARKER}": 1\nusers:'),
    ],
)
def test_a_marker_where_no_secret_stood_is_a_fault_with_its_line(old: str, new: str) -> None:
    shown = mask(TEXT)
    assert old in shown
    with pytest.raises(ConfigError) as caught:
        unmask(shown.replace(old, new), TEXT, FILE)
    number = caught.value.faults[0].removeprefix(f"{FILE}:").split(":")[0]
    assert MARKER in unmask_line(shown.replace(old, new), int(number))


def unmask_line(text: str, number: int) -> str:
    return text.split("\n")[number - 1]


def test_an_anchor_moves_no_secret_to_where_it_can_be_read() -> None:
    stolen = mask(TEXT).replace(f'token:  "{MARKER}"', f'token: &t "{MARKER}"').replace("tag: relayed", "tag: *t")
    with pytest.raises(ConfigError):
        unmask(stolen, TEXT, FILE)


def test_a_text_in_lines_carries_no_comment_s_secret_away() -> None:
    said = mask(TEXT).split("\n")[0]
    stolen = mask(TEXT).replace("{tag: relayed}", f"\n  tag: |\n    {said}")
    with pytest.raises(ConfigError):
        unmask(stolen, TEXT, FILE)


def test_a_hook_s_secret_stays_with_its_address() -> None:
    shown = mask(TEXT)
    swapped = shown.replace("http://a.example", "http://evil.example")
    with pytest.raises(NeedsPerson) as caught:
        unmask(swapped, TEXT, FILE)
    assert caught.value.code == "config.secret_again"
    moved = (
        shown.replace("http://a.example", "X")
        .replace("http://b.example", "http://a.example")
        .replace("X", "http://b.example")
    )
    hooks = read_document(unmask(moved, TEXT, FILE)).data["hooks"]
    assert [hook["secret"] for hook in hooks] == ["hook-secret-b", "hook-secret-a"]


def test_a_file_that_is_no_yaml_shows_no_secret_either_and_can_be_mended() -> None:
    broken = TEXT.replace("hooks:\n", "hooks: [\n").replace(">-\n    $", "$")
    shown = mask(broken)
    for secret in SECRETS[1:]:
        assert secret not in shown.replace("made in May", "")
    back = unmask(shown.replace("hooks: [\n", "hooks:\n"), broken, FILE)
    assert dict(secrets_in(read_document(back).data)) == dict(secrets_in(read_document(TEXT).data))


@pytest.mark.parametrize(
    "text",
    [
        "[token: '" * 90_000,
        "[\n" + "".join(f"token: abcdefgh{number}\n" for number in range(40_000)),
        "# token = abcdefgh\n" * 45_000,
        # Each value is a part of the marker that stands for the others.
        "[\n"
        + "".join(f'token: "{MARKER[at:end]}"\n' for at in range(11) for end in range(at + 8, 19))
        + MARKER * 1000,
    ],
    ids=["unclosed", "many", "comments", "growing"],
)
def test_a_hostile_text_costs_little_time_and_memory(text: str) -> None:
    began = time.process_time()
    assert len(mask(text[:900_000], ("a-standing-secret",))) < 4_000_000
    assert time.process_time() - began < 10
