from daemon.checks.check import Check, Level, exit_code, failed, ok, warning
from daemon.checks.lines import lines

CHECKS = [
    ok("occ", "answers"),
    warning("users", "nobody", "name one", "users.none"),
    failed("originals", "gone", "", "d.e"),
]


def test_only_a_failure_ends_with_1() -> None:
    assert exit_code([]) == 0
    assert exit_code(CHECKS[:2]) == 0
    assert exit_code(CHECKS) == 1


def test_as_dict() -> None:
    given = {"name": "users", "level": "warning", "message": "nobody", "hint": "name one", "code": "users.none"}
    assert CHECKS[1].as_dict() == given
    assert Check("a", Level.OK, "b").as_dict()["hint"] == ""


def test_lines_for_a_terminal() -> None:
    assert lines(CHECKS, colour=False) == [
        "ok    occ        answers",
        "warn  users      nobody [users.none]",
        "                 name one",
        "FAIL  originals  gone [d.e]",
    ]
    assert lines([], colour=True) == []


def test_colour_is_only_where_it_is_wanted() -> None:
    plain, coloured = lines(CHECKS, colour=False), lines(CHECKS, colour=True)
    assert not any("\x1b" in line for line in plain)
    assert all(line.count("\x1b[") == 2 and "\x1b[0m" in line for line in coloured)


def test_what_a_message_carries_stays_one_line() -> None:
    [line] = lines([ok("x", "a\nFAIL\x1b[2J b\udcff")], colour=False)
    assert line == "ok    x  a\\u000aFAIL\\u001b[2J b\\xff"
