"""JSON Schemas of marshmallow schemas, for events and for HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema, fields


def json_schema(schema_class: type[Schema]) -> dict[str, Any]:
    """The JSON Schema of a marshmallow schema."""
    # Without a name a nested schema is written where it is used, so that each file stands alone.
    plugin = MarshmallowPlugin(schema_name_resolver=lambda _schema: "")
    APISpec("x", "1", "3.1.0", plugins=[plugin])
    for function in (_decimal, _pattern):
        plugin.converter.add_attribute_function(function)  # type: ignore[union-attr]
    converted: dict[str, Any] = _plain(plugin.converter.schema2jsonschema(schema_class()))  # type: ignore[union-attr]
    return converted


def _decimal(_converter: Any, field: Any, ret: dict[str, Any], **_: Any) -> dict[str, Any]:
    """An amount travels as a text, since a number would lose its cents; readers take a number as well."""
    if not isinstance(field, fields.Decimal):
        return {}
    for bound in ("minimum", "maximum"):
        ret.pop(bound, None)
    nullable = ["null"] if field.allow_none else []
    return {"type": ["string", *([] if field.as_string else ["number"]), *nullable]}


def _pattern(_converter: Any, _field: Any, ret: dict[str, Any], **_: Any) -> dict[str, Any]:
    r"""An expression as JSON Schema has it (ECMA-262): Python's match begins at the start, and its ``\Z`` is ``$``."""
    if "pattern" not in ret:
        return {}
    return {"pattern": "^" + ret["pattern"].removeprefix("^").replace(r"\Z", "$")}


def _plain(value: Any) -> Any:
    # marshmallow's ordered and lazy containers become JSON's own.
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """The same for what is shown: every member that need not be there may be null."""
    shown: dict[str, Any] = dict(schema)
    if "items" in shown:
        shown["items"] = nullable(shown["items"])
    if "properties" in shown:
        needed = shown.get("required", ())
        shown["properties"] = {
            name: nullable(inner) if name in needed else _or_null(nullable(inner))
            for name, inner in shown["properties"].items()
        }
    return shown


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    kind = schema.get("type")
    if kind is None or "null" in kind:
        return schema
    listed = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [*([kind] if isinstance(kind, str) else kind), "null"], **listed}
