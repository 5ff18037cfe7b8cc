"""``make audit``: a finding fails, a service that cannot be asked is said loudly and fails nothing."""

from __future__ import annotations

import importlib.machinery
import importlib.util
from pathlib import Path
from typing import Any

import pytest

TOOL = Path(__file__).parent.parent / "tools" / "audit"


def tool() -> Any:
    loader = importlib.machinery.SourceFileLoader("audit_tool", str(TOOL))
    spec = importlib.util.spec_from_loader("audit_tool", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


VULN = {"id": "CVE-1", "fix_versions": ["2"]}


@pytest.mark.parametrize(
    ("found", "code", "said"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], 0, "no known vulnerability in 1"),
        ([{"name": "a", "version": "1", "vulns": [VULN]}], 1, "CVE-1"),
        ([{"name": "a", "version": "1", "vulns": [VULN]}, {"name": "b", "skip_reason": "x"}], 1, "CVE-1"),
        ([{"name": "b", "skip_reason": "x"}, {"name": "a", "version": "1", "vulns": []}], 0, "NOT AUDITED"),
        ([], 0, "NOT AUDITED"),
    ],
)
def test_what_is_made_of_an_answer(
    found: list[dict[str, Any]], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tool().judge(found) == code
    assert said in "".join(capsys.readouterr())
