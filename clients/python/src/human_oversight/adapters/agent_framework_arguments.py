"""Microsoft Agent Framework: the arguments that a function gets, before anyone is asked."""

import inspect
from typing import Any

from agent_framework import FunctionInvocationContext, FunctionTool

from .arguments import defaults
from .json_schema import check


def prepare(context: FunctionInvocationContext) -> None:
    """Validates the arguments. The context has what the function gets from now on.

    Raises:
        TypeError: of the framework, which says it to the model, if the arguments are invalid.
        ValueError: if they are, and the framework does not look.
    """
    tool = context.function
    # Once: the framework takes the same values when it calls the function.
    arguments: dict[str, Any] = tool._prepare_context_arguments(context, context.arguments)
    if tool.input_model is None:
        check(tool.parameters(), arguments)
    try:
        inspect.signature(_function(tool)).bind_partial(**arguments)
    except TypeError as error:
        raise ValueError(str(error)) from None


def visible(context: FunctionInvocationContext) -> dict[str, Any]:
    """What people are shown of the arguments, which are prepared: with the function's own defaults."""
    return defaults(_function(context.function)) | dict(context.arguments)


def _function(tool: FunctionTool) -> Any:
    return tool.func.func if isinstance(tool.func, FunctionTool) else tool.func
