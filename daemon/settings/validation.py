"""From plain data to settings, with everything that is wrong at once."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from daemon.settings.findings import findings
from daemon.settings.model import Settings
from daemon.settings.origins import Fault
from daemon.settings.words import faults_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from daemon.settings.document import KeyPath


def validate(
    data: Any, folder: Path, *, already: Iterable[Fault] = (), sweep: bool = False
) -> tuple[Settings | None, list[Fault], list[Fault]]:
    """Give the settings (nothing if a fault was found), the faults, and the warnings.

    ``already`` are faults found before: the keys they name are not blamed again. Where single keys are wrong, the
    rest is looked at with those keys left out, so that nobody mends one fault only to meet the next.
    """
    faults = list(already)
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        found = faults_of(error, Settings)
        faults += found
        try:
            settings = Settings.model_validate(_without(data, [fault.path for fault in found]))
        except ValidationError:
            return None, faults, []
    settings = settings.below(folder)
    blamed = [path for fault in faults for path in (fault.path, *fault.about) if path]
    more = [
        finding
        for finding in findings(settings, sweep=sweep)
        if not any(_touch(path, other) for path in finding.about for other in blamed)
    ]
    faults += [Fault(finding.about[0], finding.message, finding.about[1:]) for finding in more if finding.fault]
    warnings = [Fault(finding.about[0], finding.message, finding.about[1:]) for finding in more if not finding.fault]
    return (None if faults else settings), faults, warnings


def _touch(path: KeyPath, other: KeyPath) -> bool:
    shorter = min(len(path), len(other))
    return path[:shorter] == other[:shorter]


def _without(data: Any, paths: list[KeyPath]) -> Any:
    """Give the data without what stands at these paths; a list loses the whole list, for its items have no names."""
    left = copy.deepcopy(data)
    for path in paths:
        first = next((place for place, part in enumerate(path) if isinstance(part, int)), len(path))
        *above, last = path[:first] or ("",)
        target = left
        for part in above:
            target = target.get(part) if isinstance(target, dict) else None
        if isinstance(target, dict):
            target.pop(last, None)
    return left if isinstance(left, dict) else {}
