"""What a tool's function gets that no call names."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from human_oversight.arguments import contexts
from human_oversight.parameters import Parameters, ParametersError

T = TypeVar("T")

_CONSTANT = (None, list, dict, set, tuple)


def defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """What a function takes where a call does not name it, without a framework's context."""
    parameters = inspect.signature(function).parameters.values()
    left_out = contexts(function)
    return {it.name: it.default for it in parameters if it.default is not it.empty and it.name not in left_out}


def made(model: Any) -> set[str]:
    """The fields of a validated model of Pydantic that no call sets, and of which a factory makes the default: a time,
    for example, or an id.

    People are not shown them, as they are not shown what the function's own code computes: each repetition of the call
    would be another request.
    """
    return {name for name in factories(type(model)) if name not in model.model_fields_set}


def factories(model: Any) -> set[str]:
    """The fields of a class of models of which a factory makes the default."""
    fields = getattr(model, "model_fields", {}).items()
    return {name for name, it in fields if it.default_factory not in _CONSTANT}


def read_twice(read: Callable[[], tuple[T, dict[str, Any]]]) -> tuple[T, dict[str, Any]]:
    """What a tool's function gets, and what people are shown of it. A repeated call reads it again.

    Raises:
        ValueError: if people are shown something else the next time, which would be another request.
    """
    values, shown = read()
    if _digest(shown) != _digest(read()[1]):
        raise ValueError("the tool makes other values of the same arguments each time, which people cannot approve")
    return values, shown


def _digest(arguments: dict[str, Any]) -> str | None:
    try:
        return Parameters(arguments).digest
    except ParametersError:
        return None  # no one is asked
