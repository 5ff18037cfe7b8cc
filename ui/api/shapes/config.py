"""The configuration: read, changed, validated, and its earlier versions."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, RootModel

from ui.api.shapes.common import Query, Shape, Time, Wish, Words

Yaml = Annotated[str, Field(max_length=900_000)]


class ConfigAnswer(Shape):
    """The settings in force and the file they come from; secrets are left out."""

    settings: dict[str, Any]
    yaml: str
    etag: str
    path: str
    writable: bool
    why_not: str | None
    by_hand: list[str]
    secrets_set: dict[str, bool]
    overridden: dict[str, str]
    defaults: dict[str, Any]


class YamlWish(Wish):
    """A whole file."""

    yaml: Yaml


class DiffWish(Wish):
    """A whole file, or changes to the settings; one of both."""

    yaml: Yaml | None = None
    changes: dict[str, Any] | None = None


class Fault(Shape):
    """One thing that is wrong in a file."""

    line: int | None
    key: str | None
    message: str


class ValidAnswer(Shape):
    """Whether a file would do."""

    valid: bool
    faults: list[Fault]
    warnings: list[Any]


class DiffAnswer(Shape):
    """What would change in the file."""

    diff: str
    yaml: str


class Version(Shape):
    """An earlier version of the file."""

    id: str
    at: Time | None
    who: str
    etag: str
    size: int


class VersionsAnswer(Shape):
    """Earlier versions, newest first."""

    versions: list[Version]


class VersionAnswer(Shape):
    """One earlier version."""

    yaml: str


class ScheduleQuery(Query):
    """When sweeps are."""

    expression: Words


class ScheduleAnswer(Shape):
    """What an expression means."""

    valid: bool
    error: str | None
    words: str | None
    next: list[Time]


class Changes(RootModel[dict[str, Any]]):
    """A merge patch on the settings: `null` takes a key out of the file."""


class SchemaAnswer(Shape):
    """A JSON schema."""
