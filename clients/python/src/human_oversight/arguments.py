"""The arguments of a call, by name and with defaults, without what is a framework's own."""

import sys
import types
import typing
from collections.abc import Callable, Collection
from importlib import metadata
from pathlib import Path
from typing import Any

from .parameters import Parameters
from .signatures import what_runs

_INJECTED = {"InjectedState", "InjectedStore", "InjectedToolArg", "InjectedToolCallId", "Runtime", "ToolRuntime"}

_CONTEXTS = {
    "agent_framework": ("agent-framework-core", {"FunctionInvocationContext", "RunContext"}),
    "agents": ("openai-agents", {"RunContextWrapper", "ToolContext"}),
    "autogen_core": ("autogen-core", {"CancellationToken"}),
    "google.adk": ("google-adk", {"CallbackContext", "Context", "ToolContext"}),
    "langchain": ("langchain", _INJECTED),
    "langchain_core": ("langchain-core", _INJECTED | {"RunnableConfig"}),
    "langgraph": ("langgraph", _INJECTED),
    "mcp": ("mcp", {"Context"}),
    "pydantic_ai": ("pydantic-ai-slim", {"CancellationToken", "RunContext"}),
    "semantic_kernel": ("semantic-kernel", {"FunctionInvocationContext"}),
}
"""By package: the distribution that installs it, and those of its classes that are context, and no argument of a tool.
Its other classes are arguments."""


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
    return any(map(_is_of_framework, kind.__mro__))


def _is_of_framework(kind: type) -> bool:
    """Whether the class is a framework's: not one of the same name in a package of the user's own, such as `agents`."""
    return any(
        kind.__name__ in names
        and f"{kind.__module__}.".startswith(f"{package}.")
        and _is_installed(kind, package, distribution)
        for package, (distribution, names) in _CONTEXTS.items()
    )


def _is_installed(kind: type, package: str, distribution: str) -> bool:
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None)
    if file is None or getattr(module, kind.__name__, None) is not kind:
        return False
    try:
        folder = metadata.distribution(distribution).locate_file(package.replace(".", "/"))
    except metadata.PackageNotFoundError:
        return False
    # Some installers link each file to a cache, and some the whole folder.
    of_module = Path(file).parent.resolve()
    return Path(str(folder)).resolve() in (of_module, *of_module.parents)
