"""What a tool of a `ToolNode` gets as its arguments, by the tool's own schema and function."""

import copy
import inspect
from typing import Any

from langchain_core.tools import FILTERED_ARGS, BaseTool
from langgraph.prebuilt.tool_node import ToolInvocationError
from pydantic import ValidationError

from .arguments import defaults, factories, made
from .json_schema import check
from .langgraph_reserved import refuse_reserved

Got = tuple[tuple[Any, ...], dict[str, Any]]


def parse(
    tool: Any, function: Any, given: dict[str, Any], injected: dict[str, Any], id_: str
) -> tuple[Got, dict[str, Any]]:
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
    refuse_reserved(tool, function, {name: it for name, it in kwargs.items() if name not in injected})
    inspect.signature(function).bind_partial(*args, **kwargs)
    placed = dict(zip(tool.args, args, strict=False)) if args else {}
    shown = defaults(function) | placed | kwargs
    visible = {*tool._filter_injected_args(shown), *(kwargs.keys() & {*given, *FILTERED_ARGS})} - injected.keys()
    hidden = kwargs.keys() - visible - injected.keys()
    if factories(schema) or (hidden and hasattr(schema, "model_validate")):
        others = {name: it for name, it in arguments.items() if name not in given}
        model = schema.model_validate(copy.deepcopy(given) | others)
        visible -= made(model)
        visible |= hidden & model.model_fields_set - others.keys()  # what the model gives by another name
    return (args, kwargs), {name: it for name, it in shown.items() if name in visible}


def invalid(tool: Any, given: dict[str, Any], error: Exception) -> Exception:
    """The error, as the node says it of an invalid call that it makes itself."""
    is_known = isinstance(error, ValidationError) or not isinstance(error, TypeError | ValueError)
    return error if is_known else ToolInvocationError(tool.name, error, given)


def function_of(tool: Any, *, is_async: bool) -> Any:
    """The function that the tool runs."""
    functions = [getattr(tool, "func", None), getattr(tool, "coroutine", None)]
    has_own = is_async and type(tool)._arun is not BaseTool._arun
    return next((it for it in functions[:: -1 if is_async else 1] if it), tool._arun if has_own else tool._run)
