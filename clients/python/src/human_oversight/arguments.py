"""The arguments of a call, by name and with defaults, without what is a framework's own."""

import types
import typing
from collections.abc import Callable, Collection
from typing import Any

from .parameters import Parameters, ParametersError
from .signatures import what_runs

_FRAMEWORKS = (
    "agent_framework",
    "agents",
    "autogen_core",
    "crewai",
    "google.adk",
    "langchain",
    "langchain_core",
    "langgraph",
    "mcp",
    "pydantic_ai",
    "semantic_kernel",
)

_CONTEXTS = frozenset(
    {
        "CallbackContext",
        "CancellationToken",
        "Context",
        "FunctionInvocationContext",
        "InjectedState",
        "InjectedStore",
        "InjectedToolArg",
        "InjectedToolCallId",
        "RunContext",
        "RunContextWrapper",
        "RunnableConfig",
        "Runtime",
        "ToolContext",
        "ToolRuntime",
    }
)
"""Classes of these frameworks that are context, and no argument of a tool. Their other classes are arguments."""


class Signature:
    """How the arguments of a function become parameters."""

    def __init__(self, function: Callable[..., Any], skip: Collection[str]) -> None:
        """Raises:
        TypeError: if what the function runs cannot be known, or `skip` names what is no argument.
        """
        self._function = function
        runs = what_runs(function)
        names = list(runs.signature.parameters)
        if unknown := sorted(set(skip) - set(names)):
            name = getattr(function, "__qualname__", repr(function))
            raise TypeError(f"skip names {', '.join(unknown)}, which is no argument of {name}")
        self._left_out = {*skip, *(contexts(runs.function) if runs.is_annotated else ())}
        self._object = next((name for name in names[:1] if name in ("self", "cls")), None)
        self._class = getattr(runs.function, "__qualname__", "").rpartition(".")[0]

    def parameters(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Parameters:
        """The parameters that people are shown.

        Raises:
            TypeError: if these are no arguments of the function.
            ParametersError: if JSON cannot carry one of them.
        """
        return Parameters(
            {
                name: value
                for name, value in what_runs(self._function).arguments(args, kwargs).items()
                if name not in self._left_out
                and not self._is_object(name, value)
                and not _is_context_class(type(value))
            }
        )

    def _is_object(self, name: str, value: Any) -> bool:
        """Whether an argument is the object, or the class, whose method is called."""
        kinds = type(value).__mro__ + (value.__mro__ if isinstance(value, type) else ())
        return name == self._object and any(kind.__qualname__ == self._class for kind in kinds)


def contexts(function: Callable[..., Any]) -> set[str]:
    """The arguments that a framework gives to the function, by their annotations."""
    return {name for name, hint in _hints(function).items() if _is_context(hint)}


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError):  # a name that exists for type checkers only
        return {}


def _is_context(hint: Any) -> bool:
    """Whether a type, a member of a union, or what annotates it, is a framework's context."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(map(_is_context, typing.get_args(hint)))
    marks = getattr(hint, "__metadata__", ())
    kinds = [typing.get_origin(hint) or hint, *(mark if isinstance(mark, type) else type(mark) for mark in marks)]
    if marks:
        kinds.append(typing.get_origin(hint.__origin__) or hint.__origin__)
    return any(isinstance(kind, type) and _is_context_class(kind) for kind in kinds)


def _is_context_class(kind: type) -> bool:
    return any(base.__name__ in _CONTEXTS and _is_of_framework(base) for base in kind.__mro__)


def _is_of_framework(kind: type) -> bool:
    return f"{kind.__module__}.".startswith(tuple(f"{name}." for name in _FRAMEWORKS))


__all__ = ["ParametersError", "Signature", "contexts"]
