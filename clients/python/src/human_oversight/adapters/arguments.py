"""What a tool's function gets that no call names."""

import inspect
from collections.abc import Callable
from typing import Any

from human_oversight.arguments import contexts


def defaults(function: Callable[..., Any]) -> dict[str, Any]:
    """What a function takes where a call does not name it, without a framework's context."""
    parameters = inspect.signature(function).parameters.values()
    left_out = contexts(function)
    return {it.name: it.default for it in parameters if it.default is not it.empty and it.name not in left_out}


def is_made(factory: Any) -> bool:
    """Whether a factory makes a default that may be another one for the same call: a time, for example, or an id.

    People are not shown it, as they are not shown what the function's own code computes: a call that is repeated would
    be another request.
    """
    return factory is not None and factory not in (list, dict, set, tuple)
