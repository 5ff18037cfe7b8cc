"""What many shapes are made of."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""ISO 8601 in UTC."""
Bytes = Annotated[int, Field(ge=0, description="in bytes")]
Count = Annotated[int, Field(ge=0)]
_NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"


class Shape(BaseModel):
    """Something that the API gives; more keys may come with later versions."""

    model_config = ConfigDict(extra="ignore")


class Wish(BaseModel):
    """Something that the API takes: keys it does not know are refused, and nothing is taken for what it is not."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Query(BaseModel):
    """The parameters behind a question mark: text that must read as what is wanted, and no others."""

    model_config = ConfigDict(extra="forbid")


def _digits(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"-?[0-9]{1,18}", value):
        raise ValueError("a whole number is wanted")
    return value


_READ = BeforeValidator(_digits)
Whole = Annotated[int, Field(ge=0, lt=10**18), _READ]
"""A whole number as query text: digits and nothing else."""
Limit = Annotated[int, Field(ge=1, le=200, description="how many at most"), _READ]
Words = Annotated[str, Field(max_length=200, pattern=_NO_CONTROLS)]
"""Text to look for or to name something by: short, and without control characters."""
Cursor = Annotated[int, Field(ge=0, lt=10**18, description="where to go on: `next` of the answer before"), _READ]


def _moment(value: Any) -> Any:
    if isinstance(value, str):
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]{5,15}(Z|[+-][0-9]{2}:[0-9]{2})?)?", value):
            raise ValueError("a date such as 2026-11-22, or a date and time, is wanted")
        datetime.fromisoformat(value)
    return value


Moment = Annotated[
    str,
    BeforeValidator(_moment),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]}),
]
"""A date, or a date and time, in ISO 8601."""


class ErrorBody(Shape):
    """What went wrong."""

    code: str = Field(description="stable, `area.fault`")
    message: str = Field(description="what happened, for people")
    hint: str = Field(description="what to do; may be empty")


class ErrorAnswer(Shape):
    """How every error is told."""

    error: ErrorBody


class Run(Shape):
    """Work in the background: ask for it by its id, or hear of its end over `/live`."""

    id: int
    kind: str
    state: str
    began_at: Time | None
    ended_at: Time | None
    who: str
    lines: list[str]
    line_count: Count
    result: dict[str, Any] | None
    error: ErrorBody | None


class RunAnswer(Shape):
    """A run that has begun."""

    run: Run


class RunsAnswer(Shape):
    """The runs of this daemon, newest first."""

    runs: list[Run]
