"""What all parts of the settings share: frozen, strict about unknown keys, forgiving about keys left empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo


class Section(BaseModel):
    """A group of keys in the file. Never changes once made: a change of the file makes a new one."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        # A user id or a folder may be all digits; the loader hands such numbers over as they stand.
        coerce_numbers_to_str=True,
        # A refused value may be a secret.
        hide_input_in_errors=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_is_default(cls, data: Any) -> Any:
        """Take `key:` with nothing behind it as not given, where its default is empty or it is a section."""
        if data is None:
            return {}
        if not isinstance(data, dict):
            return data
        fields = keyed(cls)
        return {
            key: value for key, value in data.items() if value is not None or not _may_be_empty(fields.get(str(key)))
        }


def _may_be_empty(info: FieldInfo | None) -> bool:
    if info is None:
        return False
    default = info.get_default(call_default_factory=True, validated_data={})
    return isinstance(default, Section) or (isinstance(default, SecretStr) and not default) or default in ("", (), {})


def keyed(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Give a model's fields by the keys they have in the file."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def key(default: Any, description: str, example: Any, *, alias: str | None = None, unit: str = "") -> Any:
    """Describe one key for people: what it does, an example as it stands in the file, and its unit."""
    return Field(
        default=default,
        alias=alias,
        description=description,
        examples=[example],
        json_schema_extra={"x-unit": unit} if unit else None,
    )


def secret(description: str, example: str) -> Any:
    """Describe one secret: kept out of every dump and every repr."""
    return Field(
        default=SecretStr(""),
        description=description,
        examples=[example],
        exclude=True,
        repr=False,
        json_schema_extra={"x-secret": True},
    )
