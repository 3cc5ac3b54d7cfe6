"""What a tool of a `ToolNode` gets as its arguments, by the tool's own schema and function."""

import copy
import inspect
from typing import Any

from langchain_core.tools import FILTERED_ARGS
from langgraph.prebuilt.tool_node import ToolInvocationError
from pydantic import ValidationError

from .arguments import defaults, factories, made
from .json_schema import check
from .langgraph_managers import refuse_managers

Got = tuple[tuple[Any, ...], dict[str, Any]]


def parse(tool: Any, given: dict[str, Any], injected: dict[str, Any], id_: str) -> tuple[Got, dict[str, Any]]:
    """What the tool's function is called with, and what people are shown of it: all but what is injected, by the node
    or the tool, and what a factory makes.

    Raises:
        ValueError, TypeError: if it cannot be called.
    """
    schema = tool.args_schema
    if isinstance(schema, dict):  # by which the tool does not validate
        check(schema, {name: it for name, it in given.items() if name not in tool._injected_args_keys})
    arguments = copy.deepcopy(given) | injected  # which validators may change
    args, kwargs = tool._to_args_and_kwargs(arguments, id_)  # which adds the call's id
    if schema is None and not args:  # the tool does not look at them
        tool.get_input_schema().model_validate(kwargs)
    refuse_managers(tool, kwargs.keys() - injected)
    inspect.signature(_function(tool)).bind_partial(*args, **kwargs)
    placed = dict(zip(tool.args, args, strict=False)) if args else {}
    shown = defaults(_function(tool)) | placed | kwargs
    visible = {*tool._filter_injected_args(shown), *(kwargs.keys() & {*given, *FILTERED_ARGS})} - injected.keys()
    if factories(schema):
        ids = {name: it for name, it in arguments.items() if name not in given}
        visible -= made(schema.model_validate(copy.deepcopy(given) | ids))
    return (args, kwargs), {name: it for name, it in shown.items() if name in visible}


def invalid(tool: Any, given: dict[str, Any], error: Exception) -> Exception:
    """The error, as the node says it of an invalid call that it makes itself."""
    is_known = isinstance(error, ValidationError) or not isinstance(error, TypeError | ValueError)
    return error if is_known else ToolInvocationError(tool.name, error, given)


def _function(tool: Any) -> Any:
    return getattr(tool, "func", None) or getattr(tool, "coroutine", None) or tool._run
