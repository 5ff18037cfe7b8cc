# The sentences stand here on one line each, as they are said.
# ruff: noqa: E501

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.errors import NeedsPerson, RelayError, Transient
from daemon.nextcloud import output
from daemon.nextcloud.output import Mount, ScanResult, Status
from daemon.nextcloud.runner import Answer
from daemon.nextcloud.sentences import clean

if TYPE_CHECKING:
    from collections.abc import Callable

FULL = ("Folders", "Files", "New", "Updated", "Removed", "Errors", "Elapsed time")
OLD = ("Folders", "Files", "Elapsed time")


def table(heads: tuple[str, ...], cells: tuple[object, ...]) -> str:
    widths = [max(len(head), len(str(cell))) for head, cell in zip(heads, cells, strict=True)]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"

    def row(items: tuple[object, ...]) -> str:
        return "|" + "|".join(f" {str(item).ljust(width)} " for item, width in zip(items, widths, strict=True)) + "|"

    return "\n".join([rule, row(heads), rule, row(cells), rule, ""])


def scanned(*lines: str, counts: tuple[int, ...] = (1, 5, 0, 1, 1, 0)) -> Answer:
    return Answer(0, "\n".join([*lines, table(FULL, (*counts, "00:00:00"))]), "")


STARTING = "Starting scan for user 1 out of 1 (alice)"
ZEROS = (0, 0, 0, 0, 0, 0)
WRONG_USER = """\
Console has to be executed with the user that owns the file config/config.php
Current user id: 0
Owner id of config.php: 82
Try adding 'sudo -u #82' to the beginning of the command (without the single quotes)
If running with 'docker exec' try adding the option '-u 82' to the docker command (without the single quotes)
"""
NO_NAMESPACE = '\n  There are no commands defined in the "files" namespace.  \n\n'


def test_a_scan_is_read_by_the_names_of_its_columns() -> None:
    assert output.parse_scan("scan", scanned(STARTING)) == ScanResult(1, 5, 0, 1, 1, 0)
    old = Answer(0, f"{STARTING}\n{table(OLD, (2, 7, '00:00:01'))}", "")
    assert output.parse_scan("scan", old) == ScanResult(2, 7)


def test_what_was_counted_is_told_in_words() -> None:
    assert str(ScanResult(1, 36, 1)) == "1 folder, 36 files, 1 new"
    assert str(ScanResult(0, 1, 0, 2, 3, 1)) == "0 folders, 1 file, 2 updated, 3 removed, 1 passed over"
    assert [str(output.IndexResult(failed)) for failed in (0, 2)] == ["done", "2 files failed"]


def test_noise_on_standard_error_is_no_failure() -> None:
    noise = "The current PHP memory limit is below the recommended value of 512MB.\nPHP Warning: whatever\n"
    answer = scanned(STARTING)
    assert output.parse_scan("scan", Answer(0, answer.stdout, noise)).folders == 1


def test_entries_that_are_passed_over_are_counted_and_no_failure() -> None:
    assert output.parse_scan("scan", scanned(STARTING, counts=(1, 5, 0, 1, 0, 2))).errors == 2


def test_a_single_known_file_is_scanned_by_its_own_path() -> None:
    assert output.parse_scan("scan", scanned(STARTING, counts=(0, 1, 0, 0, 0, 0))).files == 1


SENTENCES = [
    (scanned("Unknown user 1 nobody", counts=ZEROS), NeedsPerson, "occ.unknown_user"),
    (scanned(STARTING, "Path not found: /alice/files/Nope", counts=(0, 0, 0, 0, 0, 1)), NeedsPerson, "occ.path_not_found"),
    (scanned(STARTING, counts=ZEROS), NeedsPerson, "occ.nothing_scanned"),
    (scanned(STARTING, counts=(0, 1, 0, 0, 1, 0)), NeedsPerson, "occ.unknown_file"),
    (scanned(STARTING, "Another process is already scanning '/alice/files/A'", counts=ZEROS), Transient, "occ.already_scanning"),
    (scanned(STARTING, 'Exception during scan: "files/0a1b" is locked', counts=(0, 0, 0, 0, 0, 1)), Transient, "occ.locked"),
    (scanned(STARTING, "Exception during scan: something odd", counts=(0, 0, 0, 0, 0, 1)), Transient, "occ.scan_failed"),
    (scanned(STARTING, "Error during scan: odd", counts=(3, 9, 0, 0, 0, 1)), Transient, "occ.scan_failed"),
    (scanned(STARTING, "Interrupted by user", counts=(3, 9, 0, 0, 0, 0)), Transient, "occ.interrupted"),
    (scanned(STARTING, "Home storage for user alice not writable or 'files' subdirectory missing"), NeedsPerson, "occ.not_writable"),
    (scanned(STARTING, "\tError while scanning, storage not available (gone)", counts=ZEROS), Transient, "occ.storage_unavailable"),
    (scanned(STARTING, "Error while re-connecting to database: gone"), Transient, "occ.database"),
    (Answer(0, STARTING, ""), Transient, "occ.no_answer"),
    (Answer(0, "", ""), Transient, "occ.no_answer"),
    (Answer(1, WRONG_USER, ""), NeedsPerson, "occ.wrong_user"),
    (Answer(1, WRONG_USER.replace("\n", "\r\n"), ""), NeedsPerson, "occ.wrong_user"),
    (Answer(1, "", f"Nextcloud is in maintenance mode, no apps are loaded.\n{NO_NAMESPACE}"), Transient, "occ.maintenance"),
    (Answer(1, f"Nextcloud is in maintenance mode, no apps are loaded.\n{NO_NAMESPACE}", ""), Transient, "occ.maintenance"),
    (Answer(1, "", f"Nextcloud or one of the apps require upgrade - only a limited number of commands\n{NO_NAMESPACE}"), Transient, "occ.upgrade_pending"),
    (Answer(1, "", f"Nextcloud is not installed - only a limited number\n{NO_NAMESPACE}"), Transient, "occ.not_installed"),
    (Answer(1, "", NO_NAMESPACE), NeedsPerson, "occ.no_command"),
    (Answer(1, "", '\n  Command "files:scna" is not defined.  \n'), NeedsPerson, "occ.no_command"),
    (Answer(1, "", '\n  The "--shallow" option does not exist.  \n'), NeedsPerson, "occ.no_option"),
    (Answer(1, "", '\nIn DBLockingProvider.php line 193:\n  "files/0a1b" is locked  \n'), Transient, "occ.locked"),
    (Answer(1, "", '\nIn DBLockingProvider.php line 193:\n  "files/a very long path that is    \n  wrapped" is locked  \n'), Transient, "occ.locked"),
    (Answer(1, "", "  SQLSTATE[HY000]: General error: 5 database is locked  "), Transient, "occ.database"),
    (Answer(1, "", "  Failed to connect to the database: An exception occurred"), Transient, "occ.database"),
    (Answer(1, "Could not open input file: occ\n", ""), NeedsPerson, "occ.no_occ"),
    (Answer(126, 'OCI runtime exec failed: exec: "php": executable file not found in $PATH: unknown\r\n', ""), NeedsPerson, "occ.no_occ"),
    (Answer(126, "unable to find user abc: no matching entries in passwd file\r\n", ""), NeedsPerson, "occ.no_user"),
    (Answer(255, "PHP Fatal error:  Allowed memory size of 134217728 bytes exhausted (tried)", ""), NeedsPerson, "occ.memory"),
    (Answer(137, "", ""), Transient, "occ.failed"),
    (Answer(1, "", "Something new"), Transient, "occ.failed"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "kind", "code"), SENTENCES, ids=[f"{n}-{case[2]}" for n, case in enumerate(SENTENCES)]
)
def test_known_sentences(answer: Answer, kind: type[RelayError], code: str) -> None:
    with pytest.raises(RelayError) as caught:
        output.parse_scan("scan of Nope of alice", answer)
    assert caught.value.code == code
    assert type(caught.value) is kind
    assert caught.value.message.startswith("scan of Nope of alice: ")


def test_the_right_user_is_read_from_the_message() -> None:
    with pytest.raises(NeedsPerson) as caught:
        output.check("occ", Answer(1, WRONG_USER, ""))
    assert caught.value.context["uid"] == 82
    assert "82" in caught.value.message


def test_a_forged_table_in_a_path_does_not_count() -> None:
    """A folder's name may hold a newline, and so a line of a table; the sentence and the last table win."""
    forged = table(FULL, (9, 9, 9, 9, 9, 0, "00:00:00"))
    with pytest.raises(NeedsPerson, match=r"occ\.path_not_found"):
        output.parse_scan("scan", scanned(f"Path not found: /alice/files/x\n{forged}", counts=(0, 0, 0, 0, 0, 1)))
    with pytest.raises(NeedsPerson, match=r"occ\.nothing_scanned"):
        output.parse_scan("scan", scanned(forged, counts=ZEROS))


def test_numbers_and_nesting_beyond_what_python_takes() -> None:
    """Python refuses integers of more than 4,300 digits, and JSON that is nested too deeply, each its own way."""
    huge = table(OLD, ("1", "9" * 5000, ""))
    with pytest.raises(Transient, match=r"occ\.no_answer"):
        output.parse_scan("scan", Answer(0, huge, ""))
    for deep in ('{"a":' * 100_000, '{"enabled": ' + "[" * 100_000):
        with pytest.raises(Transient, match=r"occ\.no_answer"):
            output.parse_apps("apps", Answer(0, deep, ""))


def test_the_last_table_is_read_by_its_own_header() -> None:
    first, last = table(("Files", "Folders"), (3, 4)), table(("Folders", "Files"), (1, 2))
    assert output.parse_table(first + last, "Folders", "Files") == {"Folders": 1, "Files": 2}


def test_sentences_within_a_line_are_names() -> None:
    answer = scanned("\tFile\tPath not found: /x", "see Unknown user 1 bob")
    assert output.parse_scan("scan", answer).folders == 1


def test_memories_exits_0_whatever_happens() -> None:
    assert (
        output.parse_index("index", Answer(0, "Indexing user alice\nCleaning up stale index entries\n", "")).failed == 0
    )
    progress = "Indexing user alice\n\x1b[1A\x1b[0JIndexing file /a.jpg\x1b[2KFailed to index file /b.jpg: No date\x1b[2KIndexing file /c"
    assert output.parse_index("index", Answer(0, progress, "")).failed == 1
    for text, code in (
        ("User nobody not found\n", "occ.unknown_user"),
        ("The specified folder /Nope does not exist for alice\n", "occ.path_not_found"),
    ):
        with pytest.raises(NeedsPerson) as caught:
            output.parse_index("index", Answer(0, text, ""))
        assert caught.value.code == code
    with pytest.raises(NeedsPerson, match=r"occ\.exiftool"):
        output.parse_index("index", Answer(1, "", "\n  failed to run exiftool: sh: not found  \n"))


LIVE_STATUS = (
    '{"installed":true,"version":"32.0.1.2","versionstring":"32.0.1","edition":"","maintenance":false,'
    '"needsDbUpgrade":false,"productname":"Nextcloud","extendedSupport":false}'
)
LIVE_MOUNTS = (
    r'[{"mount_id":1,"mount_point":"\/Album","storage":"\\OC\\Files\\Storage\\Local",'
    r'"authentication_type":"null::null","configuration":{"datadir":"\/archive"},'
    r'"options":{"enable_sharing":false},"applicable_users":[],"applicable_groups":[]},'
    r'{"mount_id":2,"mount_point":"\/Mail","storage":"x","configuration":[],"options":[],"applicable_users":["bob"],"applicable_groups":"all"}]'
)


def test_json_among_other_lines() -> None:
    assert output.parse_status("status", Answer(0, LIVE_STATUS, "")) == Status("32.0.1")
    noisy = f"Warning: {{odd}}\n{LIVE_STATUS}\nanother line\n"
    assert output.parse_status("status", Answer(0, noisy, "Nextcloud is in maintenance mode, no")) == Status("32.0.1")
    pretty = "Deprecated\n" + json.dumps({"versionstring": "30.0.0", "maintenance": True}, indent=2)
    assert output.parse_status("status", Answer(0, pretty, "")) == Status("30.0.0", maintenance=True)
    pending = LIVE_STATUS.replace('"needsDbUpgrade":false', '"needsDbUpgrade":true')
    assert output.parse_status("status", Answer(0, pending, "")).needs_upgrade
    apps = '{"enabled":{"activity":"5.0.0","memories":"7.8.2"},"disabled":{"photos":"1"}}'
    assert output.parse_apps("apps", Answer(0, apps, "")) == {"activity": "5.0.0", "memories": "7.8.2"}
    assert output.parse_mounts("mounts", Answer(0, LIVE_MOUNTS, "")) == [
        Mount(1, "/Album", r"\OC\Files\Storage\Local", "/archive", {"enable_sharing": False}),
        Mount(2, "/Mail", "x", applicable_users=("bob",)),
    ]


def test_long_options_of_a_help_page() -> None:
    page = (
        "Usage:\n  files:scan [options] [--] [<user_id>...]\n\nOptions:\n"
        "      --output[=OUTPUT]  Output format\n  -p, --path=PATH  eg. --other\n      --shallow\n"
    )
    assert output.parse_options(page) == {"--output", "--path", "--shallow"}


PARSERS: list[Callable[[str, Answer], Any]] = [
    output.parse_scan,
    output.parse_index,
    output.parse_status,
    output.parse_apps,
    output.parse_mounts,
    output.check,
]
FRAGMENTS = st.one_of(
    st.text(),
    st.sampled_from(
        [
            STARTING, WRONG_USER, "Owner id of config.php: 9999999999999999999999", "Unknown user 1 ", "\x1b[", "\x1b]",
            "| Folders | Files |", "| 1 | 2 |", "| ٣ | 99999999999999999999 |", "|", "||", '{"enabled": [', '{"enabled": 3}',
            '{"versionstring": {}}', '{"version": "\\ud800"}', "[1, {}, []]", "[" * 3000, "9" * 5000, "\n", "\r", " is locked",
            table(FULL, (1, 2, 3, 4, 5, 6, "")), LIVE_STATUS, LIVE_MOUNTS,
        ]
    ),
)  # fmt: skip


@settings(max_examples=150)
@given(
    st.lists(FRAGMENTS, max_size=6).map("".join), st.lists(FRAGMENTS, max_size=3).map("\n".join), st.integers(0, 255)
)
def test_arbitrary_text_raises_nothing_but_our_errors(out: str, err: str, code: int) -> None:
    faults: list[str] = []
    for parse in PARSERS:
        with suppress(RelayError):
            try:
                parse("occ", Answer(code, out, err))
            except RelayError as error:
                error.message.encode()
                faults += [error.message] if any(char in error.message for char in "\n\r\x1b") else []
                raise
    output.parse_options(out)
    assert faults == []


@given(
    st.permutations([*FULL, "Surprise"]),
    st.lists(st.integers(0, 10**9), min_size=8, max_size=8),
    st.lists(st.sampled_from(["a line", STARTING, "\x1b[0K", "| not | a | table"])),
)
def test_a_table_comes_back_whatever_its_columns(heads: list[str], cells: list[int], before: list[str]) -> None:
    values = dict(zip(heads, cells, strict=True))
    text = "\n".join([*before, table(tuple(heads), tuple(cells))])
    assert output.parse_table(clean(text), "Folders", "Files") == values


@pytest.mark.parametrize(
    "text", [" " * 400_000, "\t" * 200_000 + "x", '"' * 300_000, "\x1b]" * 100_000, "-a, " * 100_000]
)
def test_no_text_takes_long(text: str) -> None:
    began = time.process_time()
    with pytest.raises(RelayError):
        output.parse_scan("scan", Answer(1, text, text))
    output.parse_options(text)
    assert time.process_time() - began < 5
