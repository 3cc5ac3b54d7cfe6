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


def by_schema(schema: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with the defaults of a JSON schema of an object, of which the outermost level counts.

    Raises:
        ValueError: if they are not those of the schema. An argument that it does not name, and does not say it takes,
            is none: who approves it would take it for one that has an effect.
    """
    known: Mapping[str, Any] = schema.get("properties") or {}
    if not schema.get("additionalProperties") and (unknown := [name for name in given if name not in known]):
        raise ValueError(f"there is no argument {', '.join(unknown)}")
    defaults = {name: it["default"] for name, it in known.items() if isinstance(it, dict) and "default" in it}
    arguments = {**{name: it for name, it in defaults.items() if name not in given}, **given}
    if missing := [name for name in schema.get("required") or () if name not in arguments]:
        raise ValueError(f"the argument {', '.join(missing)} is missing")
    for name, value in given.items():
        _check(name, value, known.get(name))
    return arguments


def _check(name: str, value: Any, schema: Any) -> None:
    if not isinstance(schema, dict):
        return
    types = schema.get("type", [])
    checks = [_TYPES.get(it, lambda _: True) for it in ([types] if isinstance(types, str) else types)]
    if checks and not any(check(value) for check in checks):
        raise ValueError(f"the argument {name} must be of the type {types}")
    if "enum" in schema and value not in schema["enum"]:
        raise ValueError(f"the argument {name} must be one of {schema['enum']}")
