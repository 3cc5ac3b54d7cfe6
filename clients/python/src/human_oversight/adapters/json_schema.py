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


def check(schema: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Checks arguments by a JSON schema of an object, of which the outermost level counts. Its defaults are the tool's
    own matter: one that the schema names need not be what the tool takes.

    Raises:
        ValueError: if they are not those of the schema.
    """
    refuse_unknown(schema, given)
    known: Mapping[str, Any] = schema.get("properties") or {}
    required = (it for it in schema.get("required") or () if it not in given)
    if missing := [it for it in required if not _has_default(known.get(it))]:
        raise ValueError(f"the argument {', '.join(missing)} is missing")
    for name, value in given.items():
        _check(name, value, known.get(name))


def refuse_unknown(schema: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raises:
    ValueError: if a schema neither names an argument nor says that it takes others (as a schema without the member
        `additionalProperties` does not). Who approves would take it for one that has an effect.
    """
    may_have = schema.get("additionalProperties", False) is not False or not _ELSEWHERE.isdisjoint(schema)
    unknown = [] if may_have else [name for name in given if name not in (schema.get("properties") or {})]
    if unknown:
        raise ValueError(f"there is no argument {', '.join(unknown)}")


def _has_default(schema: Any) -> bool:
    return isinstance(schema, dict) and "default" in schema


def _check(name: str, value: Any, schema: Any) -> None:
    if not isinstance(schema, dict):
        return
    types = schema.get("type", [])
    checks = [_TYPES.get(it, lambda _: True) for it in ([types] if isinstance(types, str) else types)]
    if checks and not any(it(value) for it in checks):
        raise ValueError(f"the argument {name} must be of the type {types}")
    if "enum" in schema and value not in schema["enum"]:
        raise ValueError(f"the argument {name} must be one of {schema['enum']}")
