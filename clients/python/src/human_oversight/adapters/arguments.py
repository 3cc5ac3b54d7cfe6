"""What a tool's function gets that no call names."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from human_oversight.arguments import contexts
from human_oversight.parameters import Parameters, ParametersError

_CONSTANT = (None, list, dict, set, tuple)


def defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """What a function takes where a call does not name it, without a framework's context."""
    parameters = inspect.signature(function).parameters.values()
    left_out = contexts(function)
    return {it.name: it.default for it in parameters if it.default is not it.empty and it.name not in left_out}


def made(model: Any, given: Mapping[str, Any]) -> set[str]:
    """The arguments that a call does not name, and of which a factory of a model of Pydantic makes the default: a time,
    for example, or an id.

    People are not shown them, as they are not shown what the function's own code computes: each repetition of the call
    would be another request.
    """
    fields = getattr(model, "model_fields", {}).items()
    names = {name: (name, it.alias, it.validation_alias) for name, it in fields if it.default_factory not in _CONSTANT}
    # An alias that is no text may be any name.
    return {name for name, those in names.items() if all(_is_other(it, given) for it in those)}


def _is_other(name: Any, given: Mapping[str, Any]) -> bool:
    return isinstance(name, str | None) and name not in given


def read_twice(read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The arguments, as a tool reads them for its function each time.

    Raises:
        ValueError: if it reads others the next time, which the function would get instead.
    """
    shown = read()
    if _digest(shown) != _digest(read()):
        raise ValueError("the tool makes other values of the same arguments each time, which people cannot approve")
    return shown


def _digest(arguments: dict[str, Any]) -> str | None:
    try:
        return Parameters(arguments).digest
    except ParametersError:
        return None  # no one is asked
