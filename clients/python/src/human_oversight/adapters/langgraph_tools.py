"""What a tool of a `ToolNode` gets as its arguments, by the tool's own schema and function."""

import inspect
from typing import Any

from langgraph.prebuilt.tool_node import ToolInvocationError
from pydantic import ValidationError

from .arguments import defaults, made
from .json_schema import by_schema


def complete(tool: Any, given: dict[str, Any]) -> dict[str, Any]:
    """The defaults of a JSON schema, by which a tool does not validate.

    Raises:
        ValueError: if the arguments are not those of the schema.
    """
    schema = tool.args_schema
    return by_schema(schema, tool._filter_injected_args(given)) if isinstance(schema, dict) else {}


def parse(tool: Any, arguments: dict[str, Any], id_: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What the tool's function is called with.

    Raises:
        ValueError, TypeError: if it cannot be.
    """
    args, kwargs = tool._to_args_and_kwargs(arguments.copy(), id_)  # which adds the call's id
    if tool.args_schema is None and not args:  # the tool does not look at them
        tool.get_input_schema().model_validate(kwargs)
    inspect.signature(_function(tool)).bind_partial(*args, **kwargs)
    return args, kwargs


def visible(
    tool: Any, given: dict[str, Any], injected: set[str], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """What people are shown of it: all but what is injected, by the node or the tool, and what a factory makes."""
    placed = dict(zip(tool.args, args, strict=False)) if args else {}
    arguments = tool._filter_injected_args(defaults(_function(tool)) | placed | kwargs)
    left_out = injected | made(tool.args_schema, given)
    return {name: it for name, it in arguments.items() if name not in left_out}


def invalid(tool: Any, given: dict[str, Any], error: Exception) -> Exception:
    """The error, as the node says it of an invalid call that it makes itself."""
    is_known = isinstance(error, ValidationError) or not isinstance(error, TypeError | ValueError)
    return error if is_known else ToolInvocationError(tool.name, error, given)


def _function(tool: Any) -> Any:
    return getattr(tool, "func", None) or getattr(tool, "coroutine", None) or tool._run
