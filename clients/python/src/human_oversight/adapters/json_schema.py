"""Arguments by a JSON schema, where a framework has no more to say of a tool."""

from collections.abc import Callable, Mapping
from typing import Any

_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda it: isinstance(it, str),
    "integer": lambda it: isinstance(it, int | float) and not isinstance(it, bool) and float(it).is_integer(),
    "number": lambda it: isinstance(it, int | float) and not isinstance(it, bool),
    "boolean": lambda it: isinstance(it, bool),
    "array": lambda it: isinstance(it, list),
    "object": lambda it: isinstance(it, dict),
    "null": lambda it: it is None,
}

_ELSEWHERE = frozenset({"$ref", "allOf", "anyOf", "oneOf", "patternProperties"})
"""Members of a schema that may name more arguments."""


def by_schema(schema: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with the defaults of a JSON schema of an object, of which the outermost level counts.

    Raises:
        ValueError: if they are not those of the schema.
    """
    refuse_unknown(schema, given)
    known: Mapping[str, Any] = schema.get("properties") or {}
    defaults = {name: it["default"] for name, it in known.items() if isinstance(it, dict) and "default" in it}
    arguments = {**{name: it for name, it in defaults.items() if name not in given}, **given}
    if missing := [name for name in schema.get("required") or () if name not in arguments]:
        raise ValueError(f"the argument {', '.join(missing)} is missing")
    for name, value in given.items():
        _check(name, value, known.get(name))
    return arguments


def refuse_unknown(schema: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raises:
    ValueError: if a schema neither names an argument nor says that it takes others (as a schema without the member
        `additionalProperties` does not). Who approves would take it for one that has an effect.
    """
    may_have = schema.get("additionalProperties", False) is not False or not _ELSEWHERE.isdisjoint(schema)
    unknown = [] if may_have else [name for name in given if name not in (schema.get("properties") or {})]
    if unknown:
        raise ValueError(f"there is no argument {', '.join(unknown)}")


def _check(name: str, value: Any, schema: Any) -> None:
    if not isinstance(schema, dict):
        return
    types = schema.get("type", [])
    checks = [_TYPES.get(it, lambda _: True) for it in ([types] if isinstance(types, str) else types)]
    if checks and not any(check(value) for check in checks):
        raise ValueError(f"the argument {name} must be of the type {types}")
    if "enum" in schema and value not in schema["enum"]:
        raise ValueError(f"the argument {name} must be one of {schema['enum']}")
