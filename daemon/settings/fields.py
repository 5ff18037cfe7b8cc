"""The shape of the settings, read from the models: which keys there are at a path, and of what kind."""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr

from daemon.settings.base import keyed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

    from daemon.settings.document import KeyPath

Kind = Literal["section", "map", "list", "text", "scalar"]
"""``map``: a section under each of the user's own names; ``text``: anything written is meant as it stands."""


@dataclass(frozen=True)
class Shape:
    """What stands at a key: its kind, and the model of a section, of a map's values or of a list's items."""

    kind: Kind
    model: type[BaseModel] | None = None
    secret: bool = False
    names_file: bool = False


def shape_of(info: FieldInfo) -> Shape:
    """Tell what a field holds."""
    return _shape(info.annotation)


def _shape(annotation: Any) -> Shape:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _shape(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        shapes = [_shape(part) for part in get_args(annotation) if part is not type(None)]
        return next((shape for shape in shapes if shape.kind in {"list", "map", "section"}), shapes[0])
    if origin is tuple:
        return Shape("list", _shape(get_args(annotation)[0]).model)
    if origin is dict:
        return Shape("map", _shape(get_args(annotation)[1]).model)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return Shape("section", annotation)
    if annotation is SecretStr:
        return Shape("text", secret=True)
    return Shape("text" if annotation is str else "scalar")


def model_at(root: type[BaseModel], path: KeyPath) -> type[BaseModel] | None:
    """Give the section that a path leads to, through maps and lists, or nothing where it leads to no section."""
    model: type[BaseModel] | None = root
    waiting = False
    for part in path:
        if waiting:
            waiting = False
            continue
        info = keyed(model).get(str(part)) if model else None
        if info is None:
            return None
        shape = shape_of(info)
        model, waiting = shape.model, shape.kind in {"map", "list"}
    return None if waiting else model


def walk(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    """Give every key with its path, sections before their keys, without what stands below a user's own names."""
    for key, info in keyed(model).items():
        yield (*path, key), info
        shape = shape_of(info)
        if shape.kind == "section" and shape.model:
            yield from walk(shape.model, (*path, key))
